//! Opens files below a folder on systems that cannot restrict an open to a folder: the real path is checked before and
//! after. Between the checks, a process that may write into the folder can replace a folder by a junction and undo
//! that.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Opens `relative` below `folder`.
pub fn open(folder: &Path, relative: &Path) -> io::Result<File> {
    let path = folder.join(relative);
    let real = path.canonicalize()?;
    if !real.starts_with(folder.canonicalize()?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = open_anywhere(&real)?;
    if path.canonicalize()? != real || real.canonicalize()? != real {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// Opens `path`, wherever its links lead.
pub fn open_anywhere(path: &Path) -> io::Result<File> {
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        // FILE_FLAG_BACKUP_SEMANTICS: folders can be opened, too.
        return std::fs::OpenOptions::new().read(true).custom_flags(0x0200_0000).open(path);
    }
    #[cfg(not(windows))]
    File::open(path)
}

#[cfg(windows)]
pub fn read_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, position)
}

#[cfg(not(windows))]
pub fn read_at(_file: &File, _bytes: &mut [u8], _position: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn identity(_metadata: &Metadata) -> Option<(u64, u64)> {
    None
}

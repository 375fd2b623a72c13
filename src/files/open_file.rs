//! A file that is open for reading.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
use super::beneath as system;
#[cfg(not(unix))]
use super::by_path as system;

/// A file below a folder, or wherever links have led, if they may.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    /// Its kind, size and time of modification when it was opened.
    pub metadata: FileMetadata,
}

/// What a file was when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMetadata {
    /// Its kind.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// When it was modified last, since 1970; 0 if that was before.
    pub modified: Duration,
    /// What tells it from all other files while it is open: device and inode. `None` where there is no such thing.
    pub identity: Option<(u64, u64)>,
}

/// What a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A FIFO, a device, a socket.
    Other,
}

/// Where symbolic links may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// To what lies below the folder, links to absolute paths included.
    Beneath,
    /// Anywhere.
    Anywhere,
}

impl OpenFile {
    /// Opens `relative`, which consists of names, below `folder`, which is an absolute path without symbolic links.
    /// Blocks as long as the file system does, but not for a FIFO without a writer.
    ///
    /// # Errors
    /// Those of the system. `EXDEV`, `ELOOP`, `ENOTDIR` or `EAGAIN` for what does not lie below the folder
    /// ([`io::ErrorKind::NotFound`] where there are no such numbers).
    pub(crate) fn open(folder: &Path, relative: &Path, links: Links) -> io::Result<Self> {
        let file = match links {
            Links::Beneath => system::open(folder, relative)?,
            Links::Anywhere => system::open_anywhere(&folder.join(relative))?,
        };
        let metadata = FileMetadata::of(&file.metadata()?);
        Ok(Self { file, metadata })
    }

    /// Reads up to `length` bytes from `position` on; less only where the file ends.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn read(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match system::read_at(&self.file, &mut bytes[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl FileMetadata {
    fn of(metadata: &Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            kind,
            size: metadata.len(),
            modified: modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            identity: system::identity(metadata),
        }
    }
}

//! A file that is open for reading.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
use super::beneath as system;
#[cfg(not(unix))]
use super::by_path as system;

/// An open file below a folder, or outside it if links may lead there.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    /// Its kind, size and time of modification when it was opened.
    pub metadata: FileMetadata,
}

/// The metadata of a file when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMetadata {
    /// Its kind.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// The time of its last modification, since 1970; 0 if that was before.
    pub modified: Duration,
    /// Device and inode, which identify the file while it is open; `None` on systems without them.
    pub identity: Option<(u64, u64)>,
}

/// The type of a file.
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
    /// To files below the folder; links to absolute paths are allowed.
    Beneath,
    /// Anywhere.
    Anywhere,
}

impl OpenFile {
    /// Opens `relative`, which consists of names, below `folder`, which is an absolute path without symbolic links.
    /// Blocks as long as the file system does, but not for a FIFO without a writer.
    ///
    /// # Errors
    /// Those of the system. `EXDEV`, `ELOOP`, `ENOTDIR` or `EAGAIN` for a file that is not below the folder
    /// ([`io::ErrorKind::NotFound`] on systems without these numbers).
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

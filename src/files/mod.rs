//! Opens files below a folder, so that a process that can write into the folder cannot redirect the open out of it. No
//! napi, no sockets.

pub(crate) mod open_file;

#[cfg(unix)]
mod beneath;
#[cfg(not(unix))]
mod by_path;

//! Files below a folder, opened so that nobody who can write into the folder can make it another one. No napi, no sockets.

pub(crate) mod open_file;

#[cfg(unix)]
mod beneath;
#[cfg(not(unix))]
mod by_path;

//! Binding Unix sockets.
//!
//! A user who may write to the file of a socket may connect to it, so the file must never exist at its path with other
//! permissions than the intended ones; and permissions that are set by path might apply to another file that replaced
//! it. So the socket is bound, and gets its permissions, in a folder that no other user can enter, and is then renamed
//! to its path. This also replaces an existing socket atomically.

use std::fs::{self, DirBuilder, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::listener::{Access, Group};

/// Binds a socket to `path`. A socket there is replaced, any other file is not.
///
/// # Errors
/// The error of the system; `EADDRINUSE` for any other file, [`ErrorKind::InvalidInput`] for an unknown group.
pub(crate) fn bind(path: &Path, access: &Access) -> io::Result<Socket> {
    // Longer paths could be bound below, but no client could connect to them.
    SockAddr::unix(path)?;
    let group = access.group.as_ref().map(number_of).transpose()?;
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => return Err(ErrorKind::AddrInUse.into()),
        // If the path cannot be read, `bind` below fails with the reason.
        Ok(_) | Err(_) => {}
    }
    let folder = PrivateFolder::beside(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    folder.bind(&socket)?;
    if group.is_some() {
        chown(&folder.file, None, group)?;
    }
    fs::set_permissions(&folder.file, Permissions::from_mode(access.mode))?;
    fs::rename(&folder.file, path)?;
    Ok(socket)
}

fn number_of(group: &Group) -> io::Result<u32> {
    match group {
        Group::Number(number) => Ok(*number),
        Group::Name(name) => {
            nix::unistd::Group::from_name(name)?.map(|group| group.gid.as_raw()).ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidInput, format!("no group has the name {name:?}"))
            })
        }
    }
}

/// A folder that only this user can enter; removed when it is dropped.
struct PrivateFolder {
    path: PathBuf,
    /// The only file in it.
    file: PathBuf,
}

impl PrivateFolder {
    /// Makes one in the folder of `path`.
    fn beside(path: &Path) -> io::Result<Self> {
        loop {
            // Random: keyed by the system's entropy.
            let name = format!(".{:08x}", RandomState::new().build_hasher().finish() as u32);
            let path = path.with_file_name(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { file: path.join("s"), path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn bind(&self, socket: &Socket) -> io::Result<()> {
        match SockAddr::unix(&self.file) {
            Ok(address) => socket.bind(&address),
            Err(error) => self.bind_by_descriptor(socket, error),
        }
    }

    /// A shorter path by way of a descriptor of the folder, because the full one may be too long for an address.
    #[cfg(target_os = "linux")]
    fn bind_by_descriptor(&self, socket: &Socket, _: io::Error) -> io::Result<()> {
        use std::os::fd::AsRawFd;

        let folder = fs::File::open(&self.path)?;
        socket.bind(&SockAddr::unix(format!("/proc/self/fd/{}/s", folder.as_raw_fd()))?)
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "there is another way on Linux")]
    fn bind_by_descriptor(&self, _: &Socket, error: io::Error) -> io::Result<()> {
        Err(error)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // The socket was renamed, unless something failed. A file that cannot be removed does no harm.
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    const OWNER: Access = Access { mode: 0o700, group: None };

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ferrows-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_socket_has_its_permissions_and_nothing_is_left_beside_it() {
        let folder = folder("modes");
        let path = folder.join("socket");
        // Its own group is one that anybody may give.
        let group = fs::metadata(&folder).unwrap().gid();
        for mode in [0o700, 0o660, 0o777, 0] {
            let access = Access { mode, group: Some(Group::Number(group)) };
            let socket = bind(&path, &access).unwrap();
            socket.listen(1).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            assert_eq!(fs::metadata(&path).unwrap().gid(), group);
            assert_eq!(names(&folder), ["socket"]);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_is_replaced_and_nothing_else_is() {
        let folder = folder("replaced");
        let path = folder.join("socket");
        let _first = bind(&path, &OWNER).unwrap();
        let second = bind(&path, &OWNER).unwrap();
        second.listen(1).unwrap();
        UnixStream::connect(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let target = folder.join("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        for place in [&path, &target] {
            assert_eq!(bind(place, &OWNER).unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let nobody = Access { mode: 0o700, group: Some(Group::Name("no such group".to_owned())) };
        assert_eq!(bind(&folder.join("other"), &nobody).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(names(&folder).len(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn every_path_that_is_an_address_can_be_bound() {
        let folder = folder("long");
        let room = 107 - folder.as_os_str().len() - 1;
        for length in [1, room - 12, room - 1, room] {
            let path = folder.join("x".repeat(length));
            let socket = bind(&path, &OWNER).unwrap();
            socket.listen(1).unwrap();
            UnixStream::connect(&path).unwrap();
        }
        assert!(bind(&folder.join("x".repeat(room + 1)), &OWNER).is_err());
        assert_eq!(names(&folder).len(), 4);
        fs::remove_dir_all(&folder).unwrap();
    }
}

//! Listening sockets: bound on Node's thread, so that `listen` can answer within the call, served by a worker.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::connector::exhaustion;
use super::descriptor::hand_over;
use super::peers::Peers;
use super::ready::Token;
use super::transport::Transport;
#[cfg(unix)]
use super::wire::family_of;
use crate::bridge::children::Children;
use crate::bridge::command::{ListenOrder, SocketFile};
use crate::bridge::id::{AppId, ListenerId, WorkerId};

/// Where to listen.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// A TCP port.
    Tcp {
        /// Name or address; `None` is every address of the machine, IPv6 and IPv4 (dual stack).
        host: Option<String>,
        /// 0 lets the system choose.
        port: u16,
        /// Refuse to share the port with other sockets.
        exclusive: bool,
    },
    /// A path in the file system, and which users may connect to it.
    Unix(PathBuf, Access),
}

/// Who may connect to a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Permissions of the file, at most 0o777; connecting takes the right to write.
    pub mode: u32,
    /// Its group; `None` for that of the process.
    pub group: Option<Group>,
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Its name in the system's group database.
    Name(String),
    /// Its number.
    Number(u32),
}

/// Binds and listens. Returns the socket, non-blocking, and its port (0 for a Unix socket). Blocks while a host name
/// is resolved, as in uWebSockets.js.
///
/// # Errors
/// The error of the system: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, a name that does not resolve, …
pub(crate) fn bind(address: &Address) -> io::Result<(Socket, u16)> {
    match address {
        Address::Tcp { host, port, exclusive } => bind_tcp(host.as_deref(), *port, *exclusive),
        Address::Unix(path, access) => Ok((bind_unix(path, access)?, 0)),
    }
}

fn bind_tcp(host: Option<&str>, port: u16, exclusive: bool) -> io::Result<(Socket, u16)> {
    let socket = on_each_family(host, port, |address| listen_on(address, exclusive))?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}

/// Binds a UDP socket for QUIC. Returns it, non-blocking, and its port. Blocks while a host name is resolved.
///
/// # Errors
/// The error of the system.
pub(crate) fn bind_udp(host: Option<&str>, port: u16, exclusive: bool) -> io::Result<(Socket, u16)> {
    let socket = on_each_family(host, port, |address| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.ip().is_unspecified() && address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
        socket.set_reuse_port(!exclusive && address.port() != 0)?;
        // Room for what arrives while the worker does something else. The system may grant less.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER);
        let _ = socket.set_send_buffer_size(UDP_BUFFER);
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    })?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}

/// Binds to a name or address, or to every address of the machine.
fn on_each_family(
    host: Option<&str>,
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    match host {
        Some(host) => {
            let addresses = (host, port).to_socket_addrs();
            let address = addresses.map_err(|error| exhaustion().unwrap_or(error))?.next();
            bind(address.ok_or(io::ErrorKind::AddrNotAvailable)?)
        }
        // A machine without IPv6 listens on IPv4 only.
        None => bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
            let family_missing = error.raw_os_error() == Some(NO_IPV6)
                || error.kind() == io::ErrorKind::AddrNotAvailable
                || error.kind() == io::ErrorKind::Unsupported;
            if family_missing { bind((Ipv4Addr::UNSPECIFIED, port).into()) } else { Err(error) }
        }),
    }
}

fn listen_on(address: SocketAddr, exclusive: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Without it a restarted server could not bind while connections of the last one are in TIME_WAIT. On Windows the
    // option means something else: sharing the port, which is what a non-exclusive listen asks for there.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(windows)]
    socket.set_reuse_address(!exclusive)?;
    // A port that the system chose is not shared.
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(!exclusive && address.port() != 0)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(unix)]
fn bind_unix(path: &Path, access: &Access) -> io::Result<Socket> {
    let socket = super::unix_socket::bind(path, access)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(not(unix))]
fn bind_unix(_path: &Path, _access: &Access) -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes sure that connections can be accepted on a descriptor, and calls `listen` unless the socket listens already.
/// Returns the socket, non-blocking, and its port (0 for a Unix socket).
///
/// # Errors
/// The error of the system: `ENOTSOCK`, `EINVAL` for a connected socket; [`io::ErrorKind::InvalidInput`] for a
/// descriptor that is neither TCP nor a Unix stream socket.
#[cfg(unix)]
pub(crate) fn inspect(descriptor: std::os::fd::OwnedFd) -> io::Result<(Socket, u16)> {
    let socket = Socket::from(descriptor);
    let is_stream = socket.r#type()? == Type::STREAM;
    let is_served = [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&family_of(&socket)?);
    if !is_stream || !is_served {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A second `listen` would change the backlog of a socket that listens already; avoided where the system can tell.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let listens = socket.is_listener()?;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let listens = false;
    if !listens {
        socket.listen(BACKLOG)?;
    }
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}

/// A listening socket of a worker.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    /// Its id.
    pub id: ListenerId,
    /// The app that listens.
    pub app: AppId,
    /// The workers that share its connections.
    share: Vec<WorkerId>,
    /// Position in `share` of the worker that gets the next connection.
    turn: usize,
    /// The apps that take its connections over.
    children: Arc<Children>,
    socket: MioListener,
    /// The file of a Unix socket, which is removed when this is dropped.
    file: Option<SocketFile>,
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// This app serves it.
    Kept {
        /// The connection.
        transport: Transport,
        /// The worker that serves it.
        worker: WorkerId,
    },
    /// A child app serves it.
    HandedOver,
}

#[derive(Debug)]
enum MioListener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl ListeningSocket {
    /// Takes over a bound socket and registers it with the selector of `registry`, which reports waiting connections.
    ///
    /// # Errors
    /// The system can watch no more sockets.
    pub(crate) fn new(order: ListenOrder, registry: &Registry) -> io::Result<Self> {
        let ListenOrder { socket, listener, app, share, children, file } = order;
        let token = Token::Listener(listener).encode();
        let socket = match socket.local_addr()?.domain() {
            #[cfg(unix)]
            Domain::UNIX => {
                let mut socket = UnixListener::from_std(socket.into());
                registry.register(&mut socket, token, Interest::READABLE)?;
                MioListener::Unix(socket)
            }
            _ => {
                let mut socket = TcpListener::from_std(socket.into());
                registry.register(&mut socket, token, Interest::READABLE)?;
                MioListener::Tcp(socket)
            }
        };
        let listener = Self { id: listener, app, share, turn: 0, children, socket, file };
        tracing::info!(address = %listener.address(), "listening");
        Ok(listener)
    }

    /// Deregisters the socket before it is closed: closing it is not enough if another descriptor refers to it.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        // Fails only if it is not registered.
        let _ = match &mut self.socket {
            MioListener::Tcp(socket) => registry.deregister(socket),
            #[cfg(unix)]
            MioListener::Unix(socket) => registry.deregister(socket),
        };
    }

    /// The workers that serve its connections.
    #[must_use]
    pub(crate) fn share(&self) -> &[WorkerId] {
        &self.share
    }

    /// Where it listens, for the log.
    fn address(&self) -> String {
        match (&self.socket, &self.file) {
            (_, Some(file)) => file.path.display().to_string(),
            (MioListener::Tcp(socket), None) => {
                socket.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
            }
            #[cfg(unix)]
            (MioListener::Unix(socket), None) => {
                let address = socket.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(String::new, |path| path.display().to_string())
            }
        }
    }

    /// Accepts one connection and chooses the worker or child app that serves it.
    ///
    /// # Errors
    /// `WouldBlock` when no connection waits; the selector reports the next one. Other errors of the system.
    pub(crate) fn accept(&mut self, peers: &Peers) -> io::Result<Accepted> {
        let transport = match &self.socket {
            MioListener::Tcp(socket) => {
                socket.accept().map(|(stream, peer)| Transport::from_tcp(stream, Some(peer)))
            }
            #[cfg(unix)]
            MioListener::Unix(socket) => socket.accept().map(|(stream, _)| Transport::from_unix(stream)),
        };
        self.place(transport?, peers)
    }

    fn place(&mut self, transport: Transport, peers: &Peers) -> io::Result<Accepted> {
        let transport = if self.children.is_empty() {
            transport
        } else {
            let peer = transport.peer();
            match hand_over(&self.children, transport.into_socket()?, peer) {
                Ok(()) => return Ok(Accepted::HandedOver),
                Err(socket) => Transport::adopt(socket, peer)?,
            }
        };
        let share = peers.preferred(&self.share);
        self.turn = (self.turn + 1) % share.len();
        Ok(Accepted::Kept { transport, worker: share[self.turn] })
    }

    /// Accepts all connections that wait at this moment, whether or not the selector has reported them. For use before
    /// the socket closes: the system resets the connections that still wait then.
    pub(crate) fn accept_waiting(&mut self, peers: &Peers) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        for _ in 0..MAX_WAITING {
            let socket = match &self.socket {
                MioListener::Tcp(socket) => SockRef::from(socket).accept(),
                #[cfg(unix)]
                MioListener::Unix(socket) => SockRef::from(socket).accept(),
            };
            match socket {
                Ok((socket, peer)) => {
                    let peer = peer.as_socket();
                    let placed = socket.set_nonblocking(true).and_then(|()| Transport::adopt(socket, peer));
                    // A connection that fails here is closed already.
                    accepted.extend(placed.and_then(|transport| self.place(transport, peers)));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        accepted
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        tracing::info!(address = %self.address(), "stopped listening");
        if let Some(SocketFile { path, identity }) = &self.file
            && identify(path) == *identity
        {
            // Fails only if the file was removed already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether accepting has failed for one connection alone, which is dropped. `accept` on Linux returns pending network
/// errors of the new connection (`accept(2)`); the connections behind it must not wait because of that.
#[must_use]
pub(crate) fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}

/// Device and inode of the file at `path`. Those of a bound socket are not reused while it is open.
#[cfg(unix)]
#[must_use]
pub(crate) fn identify(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Files have no such identity here.
#[cfg(not(unix))]
#[must_use]
pub(crate) fn identify(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// Connections that may wait to be accepted; uWebSockets.js has the same number.
const BACKLOG: i32 = 512;
/// Bytes of a UDP socket that wait in the kernel, if it lets them.
const UDP_BUFFER: usize = 2 * 1024 * 1024;
/// Connections taken by [`ListeningSocket::accept_waiting`]. More than can wait; a bound, because a
/// client could connect for ever.
const MAX_WAITING: usize = 2 * BACKLOG as usize;
/// `EAFNOSUPPORT`: the machine has no IPv6.
#[cfg(target_os = "linux")]
const NO_IPV6: i32 = 97;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
const NO_IPV6: i32 = 47;
#[cfg(windows)]
const NO_IPV6: i32 = 10047;
#[cfg(not(any(
    target_os = "linux",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    windows
)))]
const NO_IPV6: i32 = i32::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(port: u16, exclusive: bool) -> io::Result<(Socket, u16)> {
        bind(&Address::Tcp { host: Some("127.0.0.1".into()), port, exclusive })
    }

    #[test]
    fn a_fixed_port_is_shared_unless_exclusive() {
        let (_first, port) = tcp(0, true).unwrap();
        assert_eq!(tcp(port, true).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(_first);
        let (_first, _) = tcp(port, false).unwrap();
        let (_second, _) = tcp(port, false).unwrap();
    }

    #[test]
    fn without_a_host_both_families_are_served() {
        let (_socket, port) = bind(&Address::Tcp { host: None, port: 0, exclusive: false }).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_stale_unix_socket_is_replaced_and_a_file_is_not() {
        let path = std::env::temp_dir().join(format!("ferrows-listener-{}.sock", std::process::id()));
        let address = Address::Unix(path.clone(), Access { mode: 0o700, group: None });
        drop(bind(&address).unwrap());
        let second = bind(&address);
        assert!(second.is_ok());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        std::fs::remove_file(&path).unwrap();
    }
}

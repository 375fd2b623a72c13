//! Connections that were accepted outside of this server.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;

#[cfg(unix)]
use socket2::{Domain, Socket, Type};

#[cfg(unix)]
use super::wire::family_of;

/// Makes sure that a descriptor is a connected socket that can be served. Returns the socket, non-blocking, and the
/// peer's port (0 for a Unix socket).
///
/// # Errors
/// The error of the system: `ENOTSOCK`, `ENOTCONN`; [`io::ErrorKind::InvalidInput`] for a descriptor that is neither
/// TCP nor a Unix stream socket.
#[cfg(unix)]
pub(crate) fn inspect(descriptor: OwnedFd) -> io::Result<(Socket, u16)> {
    let socket = Socket::from(descriptor);
    let is_stream = socket.r#type()? == Type::STREAM;
    let is_served = [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&family_of(&socket)?);
    if !is_stream || !is_served {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Sockets that listen, or have not been connected yet, have no peer.
    let port = socket.peer_addr()?.as_socket().map_or(0, |peer| peer.port());
    socket.set_nonblocking(true)?;
    Ok((socket, port))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    #[test]
    fn connected_stream_sockets_are_served() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (socket, port) = inspect(accepted.into()).unwrap();
        assert!(socket.nonblocking().unwrap());
        assert_eq!(port, client.local_addr().unwrap().port());
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(inspect(one.into()).unwrap().1, 0);
    }

    #[test]
    fn everything_else_is_refused() {
        let kind = |descriptor: OwnedFd| inspect(descriptor).unwrap_err().kind();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert_eq!(kind(listener.into()), io::ErrorKind::NotConnected);
        let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        udp.connect(udp.local_addr().unwrap()).unwrap();
        assert_eq!(kind(udp.into()), io::ErrorKind::InvalidInput);
        let fresh = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert_eq!(kind(fresh.into()), io::ErrorKind::NotConnected);
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(inspect(pipe.into()).is_err());
    }
}

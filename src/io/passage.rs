//! Connections within the process: one end is served by a worker, through the other end Node relays the bytes of a
//! stream that cannot be handed over.

use std::io;
use std::net::{Ipv4Addr, TcpStream};

use socket2::Socket;

/// A pair of connected sockets. Returns the worker's end, non-blocking, and the descriptor of Node's end, which is
/// Node's to close.
///
/// # Errors
/// The error of the system, when it has no more descriptors to give.
#[cfg(unix)]
pub(crate) fn pair() -> io::Result<(Socket, u32)> {
    use std::os::fd::{IntoRawFd, OwnedFd};

    let (ours, other) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    // Descriptors count from 0.
    Ok((Socket::from(OwnedFd::from(ours)), other.into_raw_fd() as u32))
}

/// Sockets have no descriptors on this system.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
#[cfg(not(unix))]
pub(crate) fn pair() -> io::Result<(Socket, u32)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The worker's end, non-blocking, of a connection to a loopback port at which Node listens. Returns it and its own
/// port, by which Node recognises it. Does not wait for Node to accept: the kernel completes the handshake.
///
/// # Errors
/// The error of the system.
pub(crate) fn loopback(port: u16) -> io::Result<(Socket, u16)> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let own = stream.local_addr()?.port();
    stream.set_nonblocking(true)?;
    Ok((stream.into(), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_within_the_process_is_known_by_its_own_port() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (_socket, own) = loopback(listener.local_addr().unwrap().port()).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.port(), own);
    }
}

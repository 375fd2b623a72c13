//! The byte stream under a connection: TCP or a Unix socket.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{Domain, SockRef, Socket};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::protocol::cause::CloseCause;
use crate::protocol::proxy::Origin;

/// An open socket, registered with the worker's runtime.
#[derive(Debug)]
pub enum Transport {
    /// TCP, with `TCP_NODELAY` set: what one batch of commands produced leaves in one write, so there is nothing
    /// left for Nagle's algorithm to join.
    Tcp(TcpStream),
    /// A Unix stream socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    /// Takes over an accepted, non-blocking socket. Must be called inside the worker's runtime.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime, or died meanwhile.
    pub fn adopt(socket: Socket) -> io::Result<Self> {
        #[cfg(unix)]
        if socket.domain()? == Domain::UNIX {
            return Ok(Self::Unix(UnixStream::from_std(socket.into())?));
        }
        #[cfg(not(unix))]
        let _ = Domain::IPV4;
        Ok(Self::from_tcp(TcpStream::from_std(socket.into())?))
    }

    /// A freshly accepted TCP connection.
    #[must_use]
    pub fn from_tcp(stream: TcpStream) -> Self {
        // Fails only if the peer is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    /// The bare socket again, to be handed to another worker.
    ///
    /// # Errors
    /// When the runtime cannot let go of it.
    pub fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => Ok(stream.into_std()?.into()),
            #[cfg(unix)]
            Self::Unix(stream) => Ok(stream.into_std()?.into()),
        }
    }

    /// The other end; `None` on a Unix socket, or when the peer is gone already.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Where the connection comes from, if `address` is the other end.
    #[must_use]
    pub fn origin(&self, address: Option<SocketAddr>) -> Origin {
        match (address, self) {
            (Some(address), _) => Origin::Address(address.ip()),
            (None, Self::Tcp(_)) => Origin::Unknown,
            #[cfg(unix)]
            (None, Self::Unix(_)) => Origin::Unix,
        }
    }

    /// Reads into `buffer`. A read that does not fill it clears the readiness without a second system call.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    /// Writes what the kernel takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; everything else is final.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Writes what the kernel takes of several pieces.
    ///
    /// # Errors
    /// As [`Self::try_write`].
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write_vectored(pieces),
        }
    }

    /// Asks to be woken when the kernel takes more.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// What the system has found wrong with the connection since it was last asked, by this or by a read or write: that
    /// the peer has reset it, above all. Costs one system call and reads nothing.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
        }
        .unwrap_or_else(Some)
    }

    /// Sends FIN. The read side stays open, so that what the peer still sends does not turn into a reset that would
    /// overtake our last bytes.
    pub fn finish(&self) {
        // A peer that is gone already makes this fail, and then there is nobody to tell.
        let _ = match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        };
    }
}

/// What a failed read or write says about the end of the connection.
#[must_use]
pub fn cause_of(error: &io::Error) -> CloseCause {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted | Kind::NotConnected => {
            CloseCause::Reset
        }
        Kind::TimedOut => CloseCause::TransportTimedOut,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => CloseCause::Unreachable,
        _ => CloseCause::TransportFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_cause() {
        let table = [
            (io::ErrorKind::ConnectionReset, CloseCause::Reset),
            (io::ErrorKind::BrokenPipe, CloseCause::Reset),
            (io::ErrorKind::TimedOut, CloseCause::TransportTimedOut),
            (io::ErrorKind::HostUnreachable, CloseCause::Unreachable),
            (io::ErrorKind::NetworkUnreachable, CloseCause::Unreachable),
            (io::ErrorKind::OutOfMemory, CloseCause::TransportFailed),
        ];
        for (kind, cause) in table {
            assert_eq!(cause_of(&kind.into()), cause, "{kind:?}");
        }
    }
}

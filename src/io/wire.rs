//! A connected socket: TCP or Unix.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::bridge::tcp::{KeepAlive, TcpOptions};
use crate::protocol::cause::CloseCause;
use crate::protocol::proxy::Origin;

/// An open socket, registered with the worker's runtime.
#[derive(Debug)]
pub(crate) enum Wire {
    /// TCP, with `TCP_NODELAY` set: what one batch of commands produced leaves in one write, so there is nothing
    /// left for Nagle's algorithm to join.
    Tcp {
        /// The socket.
        stream: TcpStream,
        /// The other end, as it was told when the connection was accepted: a peer that has gone since, such as a health
        /// check, cannot be asked for any more. `None` if it had gone before anybody asked.
        peer: Option<SocketAddr>,
    },
    /// A Unix stream socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Wire {
    /// Takes over an accepted, non-blocking socket; `peer` is the other end, if it is known. Must be called inside the
    /// worker's runtime.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime, or died meanwhile.
    pub(crate) fn adopt(socket: Socket, peer: Option<SocketAddr>) -> io::Result<Self> {
        #[cfg(unix)]
        if family_of(&socket)? == Domain::UNIX {
            return Ok(Self::Unix(UnixStream::from_std(socket.into())?));
        }
        Ok(Self::from_tcp(TcpStream::from_std(socket.into())?, peer))
    }

    /// A TCP connection; `peer` is the other end, which the socket is asked for if it is not known.
    #[must_use]
    pub(crate) fn from_tcp(stream: TcpStream, peer: Option<SocketAddr>) -> Self {
        // Fails only if the peer is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        let peer = peer.or_else(|| stream.peer_addr().ok());
        Self::Tcp { stream, peer }
    }

    /// Tells the system how to watch over a TCP connection. What it does not know it leaves as it is; a peer that is gone
    /// already, which makes this fail, is found by the first read.
    pub(crate) fn watch(&self, options: &TcpOptions) {
        match self {
            Self::Tcp { stream, .. } => watch(&SockRef::from(stream), options),
            #[cfg(unix)]
            Self::Unix(_) => {}
        }
    }

    /// The bare socket again, to be handed to another worker.
    ///
    /// # Errors
    /// When the runtime cannot let go of it.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Tcp { stream, .. } => Ok(stream.into_std()?.into()),
            #[cfg(unix)]
            Self::Unix(stream) => Ok(stream.into_std()?.into()),
        }
    }

    /// The other end; `None` on a Unix socket, and if it had gone before anybody asked.
    #[must_use]
    pub(crate) const fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { peer, .. } => *peer,
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Where the connection comes from, if `address` is the other end.
    #[must_use]
    pub(crate) fn origin(&self, address: Option<SocketAddr>) -> Origin {
        match (address, self) {
            (Some(address), _) => Origin::Address(address.ip()),
            (None, Self::Tcp { .. }) => Origin::Unknown,
            #[cfg(unix)]
            (None, Self::Unix(_)) => Origin::Unix,
        }
    }

    /// Reads into `buffer`. A read that does not fill it clears the readiness without a second system call.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp { stream, .. } => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    /// Reads what is there, whether or not the runtime knows of it.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; everything else is final.
    pub(crate) fn read_unannounced(&self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let count = (&*self.socket()).read(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Ok(())
    }

    /// Writes what the kernel takes, whether or not the runtime knows that it takes anything.
    ///
    /// # Errors
    /// As [`Self::try_write`].
    pub(crate) fn write_unannounced(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.socket()).write_vectored(pieces)
    }

    /// Whether a read would find anything, be it the end of the connection. Reads nothing.
    #[must_use]
    pub(crate) fn has_input(&self) -> bool {
        match self.socket().peek(&mut [MaybeUninit::uninit(); 1]) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// The number of its descriptor; `None` where they are not numbered from 0.
    #[must_use]
    pub(crate) fn descriptor(&self) -> Option<u64> {
        #[cfg(unix)]
        return u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&*self.socket())).ok();
        #[cfg(not(unix))]
        return None;
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp { stream, .. } => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
        }
    }

    /// Writes what the kernel takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; everything else is final.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp { stream, .. } => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Writes what the kernel takes of several pieces.
    ///
    /// # Errors
    /// As [`Self::try_write`].
    pub(crate) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp { stream, .. } => stream.try_write_vectored(pieces),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write_vectored(pieces),
        }
    }

    /// Asks to be woken when the kernel takes more.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp { stream, .. } => stream.poll_write_ready(context),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// What the system has found wrong with the connection since it was last asked, by this or by a read or write: that
    /// the peer has reset it, above all. Costs one system call and reads nothing.
    #[must_use]
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Tcp { stream, .. } => stream.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
        }
        .unwrap_or_else(Some)
    }

    /// Sends FIN. The read side stays open, so that what the peer still sends does not turn into a reset that would
    /// overtake our last bytes.
    pub(crate) fn finish(&self) {
        // A peer that is gone already makes this fail, and then there is nobody to tell.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

/// The address family of a socket, which only Linux tells even if the peer is gone.
///
/// # Errors
/// What the system says.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn family_of(socket: &Socket) -> io::Result<Domain> {
    socket.domain()
}

/// The address family of a socket, by its own address.
///
/// # Errors
/// What the system says.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn family_of(socket: &Socket) -> io::Result<Domain> {
    Ok(socket.local_addr()?.domain())
}

fn watch(socket: &Socket, options: &TcpOptions) {
    let TcpOptions { keep_alive, user_timeout } = options;
    if let Some(keep_alive) = keep_alive {
        let _ = socket.set_keepalive(true);
        let _ = socket.set_tcp_keepalive(&parameters(*keep_alive));
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if user_timeout.is_some() {
        let _ = socket.set_tcp_user_timeout(*user_timeout);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = user_timeout;
}

fn parameters(keep_alive: KeepAlive) -> TcpKeepalive {
    let KeepAlive { mut initial_delay, mut interval, probes } = keep_alive;
    if cfg!(windows) {
        // Both are set together there, and what is missing would be 0 rather than the default of the system.
        initial_delay = initial_delay.or(Some(Duration::from_secs(7200)));
        interval = interval.or(Some(Duration::from_secs(1)));
    }
    let mut parameters = TcpKeepalive::new();
    if let Some(delay) = initial_delay {
        parameters = parameters.with_time(delay);
    }
    if let Some(interval) = interval {
        parameters = parameters.with_interval(interval);
    }
    if let Some(probes) = probes {
        parameters = parameters.with_retries(probes);
    }
    parameters
}

/// What a failed read or write says about the end of the connection.
#[must_use]
pub(crate) fn cause_of(error: &io::Error) -> CloseCause {
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
    #[cfg(target_os = "linux")]
    fn the_system_is_told_what_is_wanted_and_nothing_else() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || Socket::from(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let told = |socket: &Socket| {
            let keep_alive = (
                socket.keepalive().unwrap(),
                socket.tcp_keepalive_time().unwrap().as_secs(),
                socket.tcp_keepalive_interval().unwrap().as_secs(),
                socket.tcp_keepalive_retries().unwrap(),
            );
            (keep_alive, socket.tcp_user_timeout().unwrap())
        };
        let untouched = connect();
        let ((_, delay, interval, probes), _) = told(&untouched);
        watch(&untouched, &TcpOptions::default());
        assert_eq!(told(&untouched), ((false, delay, interval, probes), None));

        let socket = connect();
        let mut options = TcpOptions { keep_alive: Some(KeepAlive::default()), user_timeout: None };
        watch(&socket, &options);
        assert_eq!(told(&socket), ((true, delay, interval, probes), None));
        let [initial_delay, interval] = [45, 7].map(|seconds| Some(Duration::from_secs(seconds)));
        options.keep_alive = Some(KeepAlive { initial_delay, interval, probes: Some(4) });
        options.user_timeout = Some(Duration::from_millis(12_345));
        watch(&socket, &options);
        assert_eq!(told(&socket), ((true, 45, 7, 4), options.user_timeout));
    }

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

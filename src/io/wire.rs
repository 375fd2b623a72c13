//! A connected socket: TCP or Unix; or what stands in the place of one, a stream of HTTP/2 or HTTP/3, or a connection of
//! QUIC.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry};
use socket2::{Domain, SockRef, Socket, TcpKeepalive};
use tokio::io::{AsyncRead, ReadBuf};

use super::ready::{Readiness, Token};
use super::tunnel::Tunnel;
use crate::bridge::peer::KeptAddress;
use crate::bridge::tcp::{KeepAlive, TcpOptions};
use crate::protocol::cause::CloseCause;
use crate::protocol::proxy::Origin;

/// An open socket.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    /// The other end of a TCP connection, as returned by `accept`: `getpeername` fails once the peer has reset the
    /// connection, as health checks do. `None` if that happened before the address was read.
    peer: KeptAddress,
    /// What the worker's selector has reported and no later system call has contradicted.
    readiness: Readiness,
    /// Whether the selector reports when the kernel takes bytes again. It need not while the kernel takes all, as it does
    /// nearly always: a report is a wake-up, and each new socket would begin with one.
    watches_writes: bool,
    /// Whether another descriptor may refer to the socket, so that closing ours does not end the registration with the
    /// kernel.
    is_shared: bool,
}

#[derive(Debug)]
enum Stream {
    /// TCP, with `TCP_NODELAY` set: what one batch of commands produced leaves in one write, so there is nothing
    /// left for Nagle's algorithm to join.
    Tcp(TcpStream),
    /// A Unix stream socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TCP, owned by a connect, which is a task of tokio. Boxed, so that the other connections do not pay for its size.
    Dialled(Box<tokio::net::TcpStream>),
    /// A stream of another connection. The worker moves its bytes.
    Tunnel(Box<Tunnel>),
    /// A connection of QUIC, which shares its socket with others (`io/quic`). There is nothing to read or write here.
    Datagrams,
}

impl Wire {
    /// Takes over an accepted, non-blocking socket; `peer` is the address of the other end, if it is known.
    ///
    /// # Errors
    /// The socket broke after it was accepted.
    pub(crate) fn adopt(socket: Socket, peer: Option<SocketAddr>) -> io::Result<Self> {
        #[cfg(unix)]
        if family_of(&socket)? == Domain::UNIX {
            let stream = UnixStream::from_std(socket.into());
            return Ok(Self { is_shared: true, ..Self::from_unix(stream) });
        }
        let stream = TcpStream::from_std(socket.into());
        Ok(Self { is_shared: true, ..Self::from_tcp(stream, peer) })
    }

    /// A TCP connection; `peer` is the address of the other end, which is read from the socket if it is `None`.
    #[must_use]
    pub(crate) fn from_tcp(stream: TcpStream, peer: Option<SocketAddr>) -> Self {
        Self::new(Stream::Tcp(stream), peer)
    }

    /// A connection on a Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub(crate) fn from_unix(stream: UnixStream) -> Self {
        Self::new(Stream::Unix(stream), None)
    }

    /// A TCP connection to a server, owned by a task of tokio. The task's runtime reports its readiness until
    /// [`Self::leave_runtime`].
    #[must_use]
    pub(crate) fn dialled(stream: tokio::net::TcpStream) -> Self {
        Self::new(Stream::Dialled(Box::new(stream)), None)
    }

    /// A stream of a connection whose other end is `peer`.
    #[must_use]
    pub(crate) fn from_tunnel(tunnel: Tunnel, peer: Option<SocketAddr>) -> Self {
        let stream = Stream::Tunnel(Box::new(tunnel));
        Self {
            stream,
            peer: peer.into(),
            readiness: Readiness::UNKNOWN,
            watches_writes: false,
            is_shared: false,
        }
    }

    /// A connection of QUIC whose other end is `peer`.
    #[must_use]
    pub(crate) fn of_quic(peer: SocketAddr) -> Self {
        Self {
            stream: Stream::Datagrams,
            peer: Some(peer).into(),
            readiness: Readiness::default(),
            watches_writes: false,
            is_shared: false,
        }
    }

    /// The stream, if it is one.
    pub(crate) const fn tunnel(&mut self) -> Option<&mut Tunnel> {
        match &mut self.stream {
            Stream::Tunnel(tunnel) => Some(tunnel),
            #[cfg(unix)]
            Stream::Unix(_) => None,
            Stream::Tcp(_) | Stream::Dialled(_) | Stream::Datagrams => None,
        }
    }

    fn new(stream: Stream, peer: Option<SocketAddr>) -> Self {
        let mut wire = Self {
            stream,
            peer: peer.into(),
            readiness: Readiness::NEW,
            watches_writes: false,
            is_shared: false,
        };
        if let Some(socket) = wire.stream.socket().filter(|_| wire.is_tcp()) {
            // Fails only if the connection is broken already, which the first read reports.
            let _ = socket.set_tcp_nodelay(true);
            wire.peer = peer.or_else(|| socket.peer_addr().ok()?.as_socket()).into();
        }
        wire
    }

    const fn is_tcp(&self) -> bool {
        match self.stream {
            Stream::Tcp(_) | Stream::Dialled(_) => true,
            #[cfg(unix)]
            Stream::Unix(_) => false,
            Stream::Tunnel(_) | Stream::Datagrams => false,
        }
    }

    /// Deregisters the socket of a finished connect from its runtime; from then on it belongs to the worker.
    ///
    /// # Errors
    /// The runtime cannot deregister it.
    pub(crate) fn leave_runtime(self) -> io::Result<Self> {
        let Self { stream, peer, readiness, watches_writes, is_shared } = self;
        let stream = match stream {
            Stream::Dialled(stream) => Stream::Tcp(TcpStream::from_std(stream.into_std()?)),
            stream => stream,
        };
        Ok(Self { stream, peer, readiness, watches_writes, is_shared })
    }

    /// Registers the socket with the selector of `registry`, which from then on reports under `token` what there is to
    /// read.
    ///
    /// # Errors
    /// The system can watch no more sockets.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE;
        match &mut self.stream {
            Stream::Tcp(stream) => registry.register(stream, token.encode(), interest),
            #[cfg(unix)]
            Stream::Unix(stream) => registry.register(stream, token.encode(), interest),
            Stream::Dialled(_) | Stream::Tunnel(_) | Stream::Datagrams => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Whether the kernel takes nothing more at the moment, and [`Self::watch_writes`] has to be called for the selector to
    /// report when it does.
    #[must_use]
    pub(crate) const fn needs_watch_of_writes(&self) -> bool {
        let is_registered = match self.stream {
            Stream::Tcp(_) => true,
            #[cfg(unix)]
            Stream::Unix(_) => true,
            Stream::Dialled(_) | Stream::Tunnel(_) | Stream::Datagrams => false,
        };
        is_registered && !self.watches_writes && !self.readiness.is_writable()
    }

    /// Has the selector report, from now on, when the kernel takes bytes again; at once, if it does already.
    ///
    /// # Errors
    /// The system has no memory for that.
    pub(crate) fn watch_writes(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.watches_writes = true;
        match &mut self.stream {
            Stream::Tcp(stream) => registry.reregister(stream, token.encode(), interest),
            #[cfg(unix)]
            Stream::Unix(stream) => registry.reregister(stream, token.encode(), interest),
            Stream::Dialled(_) | Stream::Tunnel(_) | Stream::Datagrams => Ok(()),
        }
    }

    /// Whether the selector reports nothing but what there is to read.
    #[must_use]
    pub(crate) const fn watches_reads_alone(&self) -> bool {
        !self.watches_writes
    }

    /// Deregisters the socket before it is closed, if another descriptor may refer to it: closing ours would not do
    /// that.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        if self.is_shared {
            // Fails only if it is not registered.
            let _ = match &mut self.stream {
                Stream::Tcp(stream) => registry.deregister(stream),
                #[cfg(unix)]
                Stream::Unix(stream) => registry.deregister(stream),
                Stream::Dialled(_) | Stream::Tunnel(_) | Stream::Datagrams => Ok(()),
            };
        }
    }

    /// Adds what a selector has reported, or [`Readiness::UNKNOWN`], which makes the next calls ask the kernel.
    pub(crate) const fn note_readiness(&mut self, reported: Readiness) {
        self.readiness.add(reported);
    }

    /// Sets keep-alive and user timeout of a TCP connection. Options that the system does not support are ignored; so
    /// is the failure on a broken connection, which the first read reports.
    pub(crate) fn watch(&self, options: &TcpOptions) {
        if let Some(socket) = self.stream.socket().filter(|_| self.is_tcp()) {
            watch(&socket, options);
        }
    }

    /// Returns the bare socket, to hand it to another worker. It must not be registered.
    ///
    /// # Errors
    /// The runtime of a connect cannot deregister it; a stream of a connection has none.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        Ok(match self.stream {
            Stream::Tcp(stream) => std::net::TcpStream::from(stream).into(),
            #[cfg(unix)]
            Stream::Unix(stream) => std::os::unix::net::UnixStream::from(stream).into(),
            Stream::Dialled(stream) => stream.into_std()?.into(),
            Stream::Tunnel(_) | Stream::Datagrams => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// The address of the other end; `None` on a Unix socket, and if the peer closed before its address was read.
    #[must_use]
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer.address()
    }

    /// Where the connection comes from, if `address` is the other end.
    #[must_use]
    pub(crate) const fn origin(&self, address: Option<SocketAddr>) -> Origin {
        match address {
            Some(address) => Origin::Address(address.ip()),
            None if self.is_tcp() => Origin::Unknown,
            None => Origin::Unix,
        }
    }

    /// Reads into `buffer`, if the socket is known to be readable. A read that does not fill it shows without a second
    /// system call that the socket is empty. Only a socket in a runtime wakes `task`.
    pub(crate) fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Stream::Dialled(stream) = &mut self.stream {
            return Pin::new(&mut **stream).poll_read(task, buffer);
        }
        let free = buffer.initialize_unfilled();
        if let Stream::Tunnel(tunnel) = &mut self.stream {
            return match tunnel.read(free) {
                Ok(count) => {
                    buffer.advance(count);
                    Poll::Ready(Ok(()))
                }
                Err(_) => Poll::Pending,
            };
        }
        while self.readiness.is_readable() {
            match self.stream.read(free) {
                Ok(count) => {
                    if 0 < count && count < free.len() {
                        self.readiness.note_short_read();
                    }
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.clear_readable(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// Whether a read would return bytes, the end of the stream or an error. Consumes nothing.
    #[must_use]
    pub(crate) fn has_input(&self) -> bool {
        if let Stream::Tunnel(tunnel) = &self.stream {
            return tunnel.has_input();
        }
        if matches!(self.stream, Stream::Datagrams) {
            return false;
        }
        match self.stream.socket().map_or(Ok(0), |socket| socket.peek(&mut [MaybeUninit::uninit(); 1])) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// How many bytes lie in the socket, if it is known to be readable; 0 where the system does not tell.
    #[must_use]
    pub(crate) fn readable_bytes(&self) -> usize {
        #[cfg(unix)]
        if self.readiness.is_readable()
            && let Stream::Tcp(_) | Stream::Unix(_) = &self.stream
            && let Some(socket) = self.stream.socket()
        {
            let bytes = rustix::io::ioctl_fionread(&*socket).unwrap_or(0);
            return usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        0
    }

    /// The number of its descriptor; `None` where they are not numbered from 0.
    #[must_use]
    pub(crate) fn descriptor(&self) -> Option<u64> {
        #[cfg(unix)]
        return u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&*self.stream.socket()?)).ok();
        #[cfg(not(unix))]
        return None;
    }

    /// Writes what the kernel takes of several pieces.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel takes nothing, or is known not to; every other error is final.
    pub(crate) fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Stream::Dialled(stream) = &self.stream {
            return stream.try_write_vectored(pieces);
        }
        if let Stream::Tunnel(tunnel) = &mut self.stream {
            return tunnel.write(pieces);
        }
        while self.readiness.is_writable() {
            match self.stream.write(pieces) {
                Ok(count) => {
                    if count < pieces.iter().map(|piece| piece.len()).sum() {
                        self.readiness.note_short_write();
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.clear_writable(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Whether the kernel may take bytes. Only a socket in a runtime wakes `task` when it does.
    pub(crate) fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.stream {
            Stream::Dialled(stream) => stream.poll_write_ready(task),
            Stream::Tunnel(tunnel) if tunnel.room() > 0 => Poll::Ready(Ok(())),
            Stream::Tunnel(_) | Stream::Datagrams => Poll::Pending,
            _ if self.readiness.is_writable() => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// Takes the pending error of the socket (`SO_ERROR`), above all a reset by the peer. Costs one system call and
    /// reads nothing.
    #[must_use]
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.stream.socket()?.take_error().unwrap_or_else(Some)
    }

    /// Sends FIN. The read side stays open, so that bytes that the peer still sends do not cause a reset that would
    /// overtake our last bytes.
    pub(crate) fn finish(&mut self) {
        if let Stream::Tunnel(tunnel) = &mut self.stream {
            tunnel.finish();
        } else if let Some(socket) = self.stream.socket() {
            // Fails only if the connection is broken already.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
}

impl Stream {
    /// The socket, if it is one.
    fn socket(&self) -> Option<SockRef<'_>> {
        match self {
            Self::Tcp(stream) => Some(SockRef::from(stream)),
            #[cfg(unix)]
            Self::Unix(stream) => Some(SockRef::from(stream)),
            Self::Dialled(stream) => Some(SockRef::from(&**stream)),
            Self::Tunnel(_) | Self::Datagrams => None,
        }
    }

    /// Reads through `mio`: on Windows it registers for the next event only when it sees `WouldBlock`.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Dialled(stream) => stream.try_read(buffer),
            Self::Tunnel(tunnel) => tunnel.read(buffer),
            Self::Datagrams => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, pieces) {
            // The system call for one piece is the cheaper one.
            (Self::Tcp(stream), [piece]) => stream.write(piece),
            (Self::Tcp(stream), _) => stream.write_vectored(pieces),
            #[cfg(unix)]
            (Self::Unix(stream), [piece]) => stream.write(piece),
            #[cfg(unix)]
            (Self::Unix(stream), _) => stream.write_vectored(pieces),
            (Self::Dialled(stream), _) => stream.try_write_vectored(pieces),
            (Self::Tunnel(tunnel), _) => tunnel.write(pieces),
            (Self::Datagrams, _) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The address family of a socket. Linux knows it even after the peer has reset the connection (`SO_DOMAIN`).
///
/// # Errors
/// The error of the system.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn family_of(socket: &Socket) -> io::Result<Domain> {
    socket.domain()
}

/// The address family of a socket, taken from its local address.
///
/// # Errors
/// The error of the system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn family_of(socket: &Socket) -> io::Result<Domain> {
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
        // Windows sets both in one call, and a missing one would be 0 rather than the system's default.
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

/// The cause of close for the error of a read or write.
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
    fn a_new_socket_is_written_to_before_its_first_report() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut wire = Wire::from_tcp(TcpStream::from_std(stream), None);
        assert_eq!(wire.try_write(&[IoSlice::new(b"frame")]).unwrap(), 5);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_given_tcp_options_are_set() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || Socket::from(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let options_of = |socket: &Socket| {
            let keep_alive = (
                socket.keepalive().unwrap(),
                socket.tcp_keepalive_time().unwrap().as_secs(),
                socket.tcp_keepalive_interval().unwrap().as_secs(),
                socket.tcp_keepalive_retries().unwrap(),
            );
            (keep_alive, socket.tcp_user_timeout().unwrap())
        };
        let untouched = connect();
        let ((_, delay, interval, probes), _) = options_of(&untouched);
        watch(&untouched, &TcpOptions::default());
        assert_eq!(options_of(&untouched), ((false, delay, interval, probes), None));

        let socket = connect();
        let mut options = TcpOptions { keep_alive: Some(KeepAlive::default()), user_timeout: None };
        watch(&socket, &options);
        assert_eq!(options_of(&socket), ((true, delay, interval, probes), None));
        let [initial_delay, interval] = [45, 7].map(|seconds| Some(Duration::from_secs(seconds)));
        options.keep_alive = Some(KeepAlive { initial_delay, interval, probes: Some(4) });
        options.user_timeout = Some(Duration::from_millis(12_345));
        watch(&socket, &options);
        assert_eq!(options_of(&socket), ((true, 45, 7, 4), options.user_timeout));
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

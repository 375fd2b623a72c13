//! The byte stream under a connection: a socket, and TLS on it or not.

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use mio::Registry;
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use rustls::client::UnbufferedClientConnection;
use socket2::Socket;
use tokio::io::ReadBuf;

use super::ready::{Readiness, Token};
use super::tunnel::Tunnel;
use super::wire::Wire;
use crate::bridge::sync::Arc;
use crate::bridge::tcp::TcpOptions;
use crate::protocol::proxy::Origin;
use crate::tls::fault::TlsFault;
use crate::tls::session::TlsSession;
use crate::tls::setup::TlsSetup;

pub(crate) use super::wire::cause_of;

/// An open socket. Bytes go in and out in plaintext, whatever is on the wire.
#[derive(Debug)]
pub(crate) struct Transport {
    wire: Wire,
    /// Present from the start of the TLS handshake on.
    session: Option<Box<TlsSession>>,
    /// Whether the last read ended although there may be more: see [`Self::poll_read`].
    is_unfinished: bool,
}

impl From<Wire> for Transport {
    fn from(wire: Wire) -> Self {
        Self { wire, session: None, is_unfinished: false }
    }
}

impl Transport {
    /// Takes over an accepted, non-blocking socket; `peer` is the address of the other end, if it is known.
    ///
    /// # Errors
    /// The socket broke after it was accepted.
    pub(crate) fn adopt(socket: Socket, peer: Option<SocketAddr>) -> io::Result<Self> {
        Wire::adopt(socket, peer).map(Self::from)
    }

    /// A TCP connection; `peer` is the address of the other end, which is read from the socket if it is `None`.
    #[must_use]
    pub(crate) fn from_tcp(stream: TcpStream, peer: Option<SocketAddr>) -> Self {
        Wire::from_tcp(stream, peer).into()
    }

    /// A freshly accepted connection on a Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub(crate) fn from_unix(stream: UnixStream) -> Self {
        Wire::from_unix(stream).into()
    }

    /// A TCP connection to a server, for the task that makes it.
    #[must_use]
    pub(crate) fn dialled(stream: tokio::net::TcpStream) -> Self {
        Wire::dialled(stream).into()
    }

    /// A stream of a connection whose other end is `peer`.
    #[must_use]
    pub(crate) fn from_tunnel(tunnel: Tunnel, peer: Option<SocketAddr>) -> Self {
        Wire::from_tunnel(tunnel, peer).into()
    }

    /// A connection of QUIC whose other end is `peer`. TLS is a part of QUIC.
    #[must_use]
    pub(crate) fn of_quic(peer: SocketAddr) -> Self {
        Wire::of_quic(peer).into()
    }

    /// The stream, if it is one.
    pub(crate) const fn tunnel(&mut self) -> Option<&mut Tunnel> {
        self.wire.tunnel()
    }

    /// Deregisters a [`dialled`](Self::dialled) connection from the runtime of the task that made it.
    ///
    /// # Errors
    /// The runtime cannot deregister the socket.
    pub(crate) fn leave_runtime(self) -> io::Result<Self> {
        let Self { wire, session, is_unfinished } = self;
        Ok(Self { wire: wire.leave_runtime()?, session, is_unfinished })
    }

    /// Bytes of plaintext that are known to lie in the socket: how many can be read from it at once, at the cost of a system
    /// call. 0 where they are encrypted.
    #[must_use]
    pub(crate) fn readable_bytes(&self) -> usize {
        if self.session.is_none() { self.wire.readable_bytes() } else { 0 }
    }

    /// Registers the socket with the selector of `registry`, which from then on reports its readiness under `token`;
    /// see [`Self::note_readiness`].
    ///
    /// # Errors
    /// The system can watch no more sockets.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.wire.register(registry, token)
    }

    /// Whether the kernel takes nothing more at the moment, and [`Self::watch_writes`] has to be called for the selector to
    /// report when it does.
    #[must_use]
    pub(crate) const fn needs_watch_of_writes(&self) -> bool {
        self.wire.needs_watch_of_writes()
    }

    /// Has the selector report, from now on, when the kernel takes bytes again.
    ///
    /// # Errors
    /// The system has no memory for that.
    pub(crate) fn watch_writes(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.wire.watch_writes(registry, token)
    }

    /// Whether the selector reports nothing but what there is to read.
    #[must_use]
    pub(crate) const fn watches_reads_alone(&self) -> bool {
        self.wire.watches_reads_alone()
    }

    /// Deregisters the socket before it is closed.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        self.wire.deregister(registry);
    }

    /// Adds what the selector has reported about the socket.
    pub(crate) const fn note_readiness(&mut self, reported: Readiness) {
        self.wire.note_readiness(reported);
    }

    /// Sets keep-alive and user timeout of a TCP connection.
    pub(crate) fn watch(&self, options: &TcpOptions) {
        self.wire.watch(options);
    }

    /// Returns the bare socket, to hand it to another worker. It must not be registered.
    ///
    /// # Errors
    /// TLS has started: its state cannot be handed over with the socket.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        if self.session.is_some() { Err(io::ErrorKind::Unsupported.into()) } else { self.wire.into_socket() }
    }

    /// The number of its descriptor; `None` where they are not numbered from 0.
    #[must_use]
    pub(crate) fn descriptor(&self) -> Option<u64> {
        self.wire.descriptor()
    }

    /// The address of the other end; `None` on a Unix socket, and if the peer closed before its address was read.
    #[must_use]
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.wire.peer()
    }

    /// Where the connection comes from, if `address` is the other end.
    #[must_use]
    pub(crate) fn origin(&self, address: Option<SocketAddr>) -> Origin {
        self.wire.origin(address)
    }

    /// Starts TLS as the server. `early` are its first bytes, which have been read already.
    pub(crate) fn secure(&mut self, setup: Arc<TlsSetup>, early: Vec<u8>) {
        self.session = Some(Box::new(TlsSession::new(setup, early)));
    }

    /// Starts TLS as the client.
    pub(crate) fn secure_as_client(&mut self, tls: UnbufferedClientConnection) {
        self.session = Some(Box::new(TlsSession::of_client(tls)));
    }

    /// The peer does not speak TLS; both directions continue in plaintext.
    pub(crate) fn fall_back_to_plaintext(&mut self) {
        self.session = None;
    }

    /// The TLS of the connection.
    #[must_use]
    pub(crate) fn session(&self) -> Option<&TlsSession> {
        self.session.as_deref()
    }

    /// Whether the TLS handshake is suspended until JavaScript has handled an unknown server name.
    #[must_use]
    pub(crate) fn is_suspended(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_suspended())
    }

    /// Returns the unknown server name for which the handshake is suspended, once.
    pub(crate) fn take_unknown_server_name(&mut self) -> Option<String> {
        self.session.as_mut()?.take_unknown_server_name()
    }

    /// Continues a suspended handshake, after JavaScript has handled the server name. Returns whether it was suspended.
    pub(crate) fn resume(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.resume())
    }

    /// Whether the TLS handshake is incomplete, so that no application data can be sent or received.
    #[must_use]
    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_handshaking())
    }

    /// Makes the next reads and writes call the kernel until it answers `WouldBlock`, whatever the selector has
    /// reported: it reports a limited number of sockets at a time, so this one may not have had its turn.
    pub(crate) const fn ignore_selector(&mut self) {
        self.wire.note_readiness(Readiness::UNKNOWN);
    }

    /// Whether a read would return bytes, the end of the stream or an error. Consumes nothing.
    #[must_use]
    pub(crate) fn has_input(&self) -> bool {
        self.wire.has_input()
    }

    /// Reads into `buffer`; nothing if the stream has ended. A read that does not fill it shows without a second system
    /// call that the socket is empty. Only a [`dialled`](Self::dialled) connection wakes `task` when more arrives.
    ///
    /// With TLS, the ciphertext is read into `buffer`, and the plaintext replaces it; below 24 KiB of room for that it is
    /// copied once more. Responses of TLS, such as those of the handshake, wait for the next [`Self::flush`]. A peer may
    /// send records without application data for ever (key updates and empty records): after [`MAX_IDLE_READS`] reads
    /// without plaintext the rest waits for the next call, for which `task` is woken at once, and
    /// [`Self::is_unfinished`] returns `true`.
    ///
    /// # Errors
    /// Those of the socket, and a [`TlsFault`].
    pub(crate) fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_unfinished = false;
        let Some(session) = &mut self.session else {
            return self.wire.poll_read(task, buffer);
        };
        for _ in 0..MAX_IDLE_READS {
            if session.is_suspended() {
                // `task` is not woken: the caller reads again after `resume`.
                return Poll::Pending;
            }
            let free = buffer.initialize_unfilled();
            let opened = session.open_pending(free)?;
            if opened > 0 || session.has_ended() {
                buffer.advance(opened);
                return Poll::Ready(Ok(()));
            }
            let place = session.place(free);
            let mut sealed = ReadBuf::new(&mut free[place..]);
            ready!(self.wire.poll_read(task, &mut sealed))?;
            let count = sealed.filled().len();
            if count == 0 {
                return Poll::Ready(session.handle_fin().map_err(TlsFault::into));
            }
            if session.has_failed() {
                // The plaintext is lost; the caller discards the bytes and waits for the end of the stream.
                buffer.advance(count);
                return Poll::Ready(Ok(()));
            }
            let opened = session.open(free, place, count)?;
            if opened > 0 {
                buffer.advance(opened);
                return Poll::Ready(Ok(()));
            }
        }
        if !session.is_suspended() {
            self.is_unfinished = true;
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether the last [`Self::poll_read`] returned nothing although the socket may hold more, which the selector will
    /// not report again. The caller reads again after it has served the other connections.
    #[must_use]
    pub(crate) const fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// Writes what the kernel takes. With TLS up to 64 KiB more are taken, sealed and kept for [`Self::flush`].
    ///
    /// # Errors
    /// `WouldBlock` when nothing is taken; everything else is final.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    /// Writes what the kernel takes of several pieces; with TLS as [`Self::try_write`], in as few records as hold them.
    ///
    /// # Errors
    /// As [`Self::try_write`].
    pub(crate) fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.session {
            None => self.wire.try_write(pieces),
            Some(session) => session.write(pieces, &mut Kernel(&mut self.wire)),
        }
    }

    /// Writes the buffered ciphertext of TLS. Returns whether the kernel took all of it.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let wire = &mut self.wire;
        self.session.as_mut().map_or(Ok(true), |session| session.flush(&mut Kernel(wire)))
    }

    /// Approximate number of bytes that were accepted and are not in the kernel yet; at least 1 if there are any.
    #[must_use]
    pub(crate) fn unsent(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.unsent())
    }

    /// Whether the kernel may take more. Pending during a handshake that waits for the peer's next message. Only a
    /// [`dialled`](Self::dialled) connection wakes `task` when it does.
    pub(crate) fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_handshaking() && self.unsent() == 0 {
            Poll::Pending
        } else {
            self.wire.poll_write_ready(task)
        }
    }

    /// Takes the pending error of the socket (`SO_ERROR`), above all a reset by the peer. Costs one system call and
    /// reads nothing.
    #[must_use]
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.wire.take_error()
    }

    /// Closes the write side: by `close_notify` (RFC 8446 §6.1) if a TLS handshake is complete, and then by FIN. Returns
    /// whether both were sent; if not, call it again when the kernel takes more. The read side stays open, so that bytes
    /// that the peer still sends do not cause a reset that would overtake our last bytes.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        if let Some(session) = &mut self.session {
            session.send_close_notify();
            if !session.flush(&mut Kernel(&mut self.wire))? {
                return Ok(false);
            }
        }
        self.wire.finish();
        Ok(true)
    }
}

/// A socket as a session writes to it.
struct Kernel<'a>(&'a mut Wire);

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads in a row without plaintext before the other connections are served. Two, because the second one finds out that
/// the socket is empty, as it is between two messages of a handshake.
const MAX_IDLE_READS: usize = 2;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::io::ready::Selector;
    use crate::tls::names::ServerNames;
    use crate::tls::provider::provider;
    use crate::tls::server_configs::ServerConfigs;
    use crate::tls::setup::HandshakeLimits;
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use std::io::Read;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    /// The two ends of a connection. The first one is not registered with a selector.
    pub(in crate::io) fn pair() -> (Transport, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Transport::from_tcp(TcpStream::from_std(ours), None), theirs)
    }

    fn read(transport: &mut Transport) -> Option<Vec<u8>> {
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        match transport.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
            Poll::Pending => None,
            Poll::Ready(result) => {
                result.unwrap();
                Some(buffer.filled().to_vec())
            }
        }
    }

    #[test]
    fn a_socket_without_a_report_of_the_selector_is_served_by_asking_the_kernel() {
        let (mut transport, mut peer) = pair();
        assert!(!transport.has_input());
        peer.write_all(b"in time").unwrap();
        while !transport.has_input() {
            std::thread::yield_now();
        }
        assert_eq!(read(&mut transport), None);
        // A new socket counts as writable until a write fails. Then its peer makes room.
        let mut written = 0;
        while let Ok(count) = transport.try_write(&[0; 65536]) {
            written += count;
        }
        peer.read_exact(&mut vec![0; written]).unwrap();
        assert_eq!(transport.try_write(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let answered = loop {
            transport.ignore_selector();
            match transport.try_write(b"answer") {
                // The window update is under way.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                result => break result.unwrap(),
            }
        };
        assert_eq!(answered, 6);
        assert_eq!(transport.try_write_vectored(&[IoSlice::new(b"an"), IoSlice::new(b"other")]).unwrap(), 7);
        assert_eq!(read(&mut transport).as_deref(), Some(&b"in time"[..]));
        assert_eq!(read(&mut transport), None);
        drop(peer);
        while !transport.has_input() {
            std::thread::yield_now();
        }
        // Reset, as the answers were never read.
        assert_eq!(read(&mut transport), None);
    }

    /// Waits until the selector reports readiness of the transport, its only one.
    fn wait_ready(selector: &mut Selector, transport: &mut Transport) {
        let mut ready = std::collections::VecDeque::new();
        while ready.is_empty() {
            selector.select(None, &mut ready).unwrap();
        }
        for (token, reported) in ready {
            assert_eq!(token, Token::Connection(7));
            transport.note_readiness(reported);
        }
    }

    #[test]
    fn what_the_selector_reports_once_is_enough() {
        let mut selector = Selector::new().unwrap();
        let (mut transport, mut peer) = pair();
        peer.write_all(&[1; 100]).unwrap();
        transport.register(selector.registry(), Token::Connection(7)).unwrap();
        // Bytes that arrived before the registration count, too.
        wait_ready(&mut selector, &mut transport);
        assert_eq!(read(&mut transport).unwrap(), [1; 64]);
        assert_eq!(read(&mut transport).unwrap(), [1; 36]);
        assert_eq!(read(&mut transport), None);
        // The end of the stream comes after the bytes, but may have been reported together with them.
        for before in [true, false] {
            let (mut transport, mut peer) = pair();
            transport.register(selector.registry(), Token::Connection(7)).unwrap();
            peer.write_all(b"bye").unwrap();
            if !before {
                wait_ready(&mut selector, &mut transport);
                while read(&mut transport).is_none() {
                    wait_ready(&mut selector, &mut transport);
                }
            }
            drop(peer);
            let mut received = Vec::new();
            loop {
                match read(&mut transport) {
                    None => wait_ready(&mut selector, &mut transport),
                    Some(bytes) if bytes.is_empty() => break,
                    Some(bytes) => received.extend(bytes),
                }
            }
            assert_eq!(received, if before { &b"bye"[..] } else { b"" });
        }
    }

    #[test]
    fn a_full_socket_is_written_again_when_the_selector_reports_it() {
        let mut selector = Selector::new().unwrap();
        let (mut transport, mut peer) = pair();
        let token = Token::Connection(7);
        transport.register(selector.registry(), token).unwrap();
        let chunk = vec![5; 1 << 20];
        let mut sent = 0;
        for round in 0..3 {
            loop {
                match transport.try_write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]) {
                    Ok(count) => sent += count,
                    Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            assert!(transport.poll_write_ready(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(transport.needs_watch_of_writes(), round == 0, "once is enough");
            if round == 0 {
                transport.watch_writes(selector.registry(), token).unwrap();
            }
            peer.read_exact(&mut vec![0; sent]).unwrap();
            sent = 0;
            while transport.poll_write_ready(&mut Context::from_waker(Waker::noop())).is_pending() {
                wait_ready(&mut selector, &mut transport);
            }
        }
    }

    fn setup() -> Arc<TlsSetup> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let names = ServerNames::new(std::sync::Arc::new(ServerConfigs::new(config)));
        Arc::new(TlsSetup::new(names, HandshakeLimits::default()))
    }

    /// Counts its wake-ups.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_peer_that_says_nothing_in_many_bytes_is_not_read_without_end() {
        let (mut transport, mut peer) = pair();
        transport.secure(setup(), Vec::new());
        transport.ignore_selector();
        // The start of a ClientHello, which has 4 KiB.
        let mut hello = vec![22, 3, 1, 0x10, 0x04, 1, 0, 0x10, 0];
        hello.resize(9 + 2048, 0);
        peer.write_all(&hello).unwrap();
        while !transport.has_input() {
            std::thread::yield_now();
        }
        let bell = std::sync::Arc::new(Bell::default());
        let waker = Waker::from(std::sync::Arc::clone(&bell));
        let mut bytes = [0; 64];
        let mut turns = 0;
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            assert!(transport.poll_read(&mut Context::from_waker(&waker), &mut buffer).is_pending());
            let is_called = bell.0.swap(0, Ordering::Relaxed) > 0;
            assert_eq!(transport.is_unfinished(), is_called);
            if !is_called {
                break;
            }
            turns += 1;
        }
        assert!(!transport.has_input());
        assert_eq!(turns, hello.len() / 64 / MAX_IDLE_READS);
    }
}

//! The byte stream under a connection: a socket, and TLS on it or not.

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use rustls::ClientConnection;
use socket2::Socket;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::wire::Wire;
use crate::bridge::sync::Arc;
use crate::bridge::tcp::TcpOptions;
use crate::protocol::proxy::Origin;
use crate::tls::fault::Fault;
use crate::tls::session::Session;
use crate::tls::setup::TlsSetup;

pub use super::wire::cause_of;

/// An open socket, registered with the worker's runtime. Bytes go in and out in clear, whatever is on the wire.
#[derive(Debug)]
pub struct Transport {
    wire: Wire,
    /// Present from the begin of the TLS handshake on.
    session: Option<Box<Session>>,
}

impl From<Wire> for Transport {
    fn from(wire: Wire) -> Self {
        Self { wire, session: None }
    }
}

impl Transport {
    /// Takes over an accepted, non-blocking socket. Must be called inside the worker's runtime.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime, or died meanwhile.
    pub fn adopt(socket: Socket) -> io::Result<Self> {
        Wire::adopt(socket).map(Self::from)
    }

    /// A freshly accepted TCP connection.
    #[must_use]
    pub fn from_tcp(stream: TcpStream) -> Self {
        Wire::from_tcp(stream).into()
    }

    /// A freshly accepted connection on a Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub fn from_unix(stream: UnixStream) -> Self {
        Wire::Unix(stream).into()
    }

    /// Tells the system how to watch over a TCP connection.
    pub fn watch(&self, options: &TcpOptions) {
        self.wire.watch(options);
    }

    /// The bare socket again, to be handed to another worker.
    ///
    /// # Errors
    /// When the runtime cannot let go of it, and once TLS has begun, whose state belongs to the bytes.
    pub fn into_socket(self) -> io::Result<Socket> {
        if self.session.is_some() { Err(io::ErrorKind::Unsupported.into()) } else { self.wire.into_socket() }
    }

    /// The other end; `None` on a Unix socket, or when the peer is gone already.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.wire.peer()
    }

    /// Where the connection comes from, if `address` is the other end.
    #[must_use]
    pub fn origin(&self, address: Option<SocketAddr>) -> Origin {
        self.wire.origin(address)
    }

    /// From now on TLS is spoken. `early` has been read already and is its begin.
    pub fn secure(&mut self, setup: Arc<TlsSetup>, early: Vec<u8>) {
        self.session = Some(Box::new(Session::new(setup, early)));
    }

    /// From now on TLS is spoken, to a server.
    pub fn secure_as_client(&mut self, tls: ClientConnection) {
        self.session = Some(Box::new(Session::of_client(tls)));
    }

    /// It is not TLS what the peer speaks: the rest is in clear, on both sides.
    pub fn give_up_tls(&mut self) {
        self.session = None;
    }

    /// The TLS of the connection.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// Whether the TLS handshake waits for JavaScript to be asked for a server name.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_suspended())
    }

    /// The server name that JavaScript is to be asked for; told once.
    pub fn take_question(&mut self) -> Option<String> {
        self.session.as_mut()?.take_question()
    }

    /// JavaScript was asked. Returns whether the handshake was waiting for that.
    pub fn resume(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.resume())
    }

    /// Whether no byte of the application can go out or come in yet.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_handshaking())
    }

    /// Reads into `buffer`; nothing if the stream has ended. A read that does not fill it clears the readiness without a
    /// second system call.
    ///
    /// With TLS, what is read of the socket goes into `buffer` first, and what it says takes its place. Answers, such as
    /// those of the handshake, are left for the next [`Self::flush`].
    ///
    /// # Errors
    /// Those of the socket, and a [`Fault`].
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(session) = &mut self.session else { return self.wire.poll_read(context, buffer) };
        while !session.is_suspended() {
            let free = buffer.initialize_unfilled();
            let opened = session.open_pending(free)?;
            if opened > 0 || session.has_ended() {
                buffer.advance(opened);
                return Poll::Ready(Ok(()));
            }
            let mut sealed = ReadBuf::new(free);
            ready!(self.wire.poll_read(context, &mut sealed))?;
            let count = sealed.filled().len();
            if count == 0 {
                return Poll::Ready(session.handle_fin().map_err(Fault::into));
            }
            if session.has_failed() {
                // Nobody is interested any more; the caller only waits for the end.
                buffer.advance(count);
                return Poll::Ready(Ok(()));
            }
            let opened = session.open(free, count)?;
            if opened > 0 {
                buffer.advance(opened);
                return Poll::Ready(Ok(()));
            }
        }
        // Nobody is woken: whoever resumes it reads again.
        Poll::Pending
    }

    /// Writes what the kernel takes. With TLS up to 64 KiB more are taken, sealed and kept for [`Self::flush`].
    ///
    /// # Errors
    /// `WouldBlock` when nothing is taken; everything else is final.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.wire.try_write(bytes),
            Some(session) => session.write(&[IoSlice::new(bytes)], &mut Kernel(&self.wire)),
        }
    }

    /// Writes what the kernel takes of several pieces; with TLS as [`Self::try_write`], in as few records as hold them.
    ///
    /// # Errors
    /// As [`Self::try_write`].
    pub fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.session {
            None => self.wire.try_write_vectored(pieces),
            Some(session) => session.write(pieces, &mut Kernel(&self.wire)),
        }
    }

    /// Writes what TLS has kept. Returns whether that was everything.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn flush(&mut self) -> io::Result<bool> {
        self.session.as_mut().map_or(Ok(true), |session| session.flush(&mut Kernel(&self.wire)))
    }

    /// Bytes, more or less, that were taken and are not in the kernel yet; at least one if there are some.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.unsent())
    }

    /// Asks to be woken when the kernel takes more. During a handshake whose next step is the peer's, nobody has to be.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_handshaking() && self.unsent() == 0 {
            Poll::Pending
        } else {
            self.wire.poll_write_ready(context)
        }
    }

    /// What the system has found wrong with the connection since it was last asked, by this or by a read or write: that
    /// the peer has reset it, above all. Costs one system call and reads nothing.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        self.wire.take_error()
    }

    /// Ends our side: with TLS by `close_notify` (RFC 8446 §6.1), and then by FIN. Returns whether that has left; if not,
    /// it is to be called again when the kernel takes more. The read side stays open, so that what the peer still sends
    /// does not turn into a reset that would overtake our last bytes.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn finish(&mut self) -> io::Result<bool> {
        if let Some(session) = &mut self.session {
            session.say_goodbye();
            if !session.flush(&mut Kernel(&self.wire))? {
                return Ok(false);
            }
        }
        self.wire.finish();
        Ok(true)
    }
}

/// A socket as rustls writes to it.
struct Kernel<'a>(&'a Wire);

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

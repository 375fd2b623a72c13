//! One TLS connection, without its socket: of a server, or of a client from its first message on.
//!
//! ```text
//!   poll_read  ── ciphertext ────► Greeting ─ClientHello─► ServerConnection ── plaintext ───────► connection
//!   try_write  ◄── ciphertext ─── (≤ 64 KiB wait for the kernel) ◄── encrypt ── plaintext ◄──── outbox
//! ```
//!
//! The ClientHello is read before a configuration is chosen, because it has the server name (SNI).

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ClientConnection, Connection, HandshakeKind, ServerConnection};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use super::fault::TlsFault;
use super::names::{Answer, DomainId};
use super::setup::TlsSetup;
use super::wear::{Wear, max_records};

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct TlsSession {
    state: State,
    /// Bytes of ciphertext, approximately, that the kernel has not taken.
    unsent: usize,
    /// Read before TLS began, or before it was suspended, and not looked at yet.
    early: Vec<u8>,
    /// The server name that the client asked for, if the app knows it.
    domain: Option<DomainId>,
    /// An error found behind valid records, whose plaintext is handed over first.
    fault: Option<TlsFault>,
    /// The peer has sent `close_notify`.
    has_ended: bool,
    /// A fault was reported: the peer's bytes are not read any more.
    has_failed: bool,
    /// How far the keys are used up.
    wear: Wear,
}

/// Progress of the connection.
enum State {
    /// The ClientHello is not complete.
    Greeting {
        /// Created with the first byte, so that a silent client costs little memory.
        acceptor: Option<Box<Acceptor>>,
        setup: Arc<TlsSetup>,
        /// The first byte, once it is there.
        first: Option<u8>,
    },
    /// The client asks for a server name that is unknown, and JavaScript is being asked for it.
    Suspended {
        accepted: Box<Accepted>,
        setup: Arc<TlsSetup>,
        /// Whether JavaScript has not been asked yet.
        is_new: bool,
    },
    /// The handshake goes on, or is over.
    Agreed(Box<Connection>),
    /// The handshake failed; holds what is left to send of the alert.
    Refused(Vec<u8>),
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Greeting { .. } => "Greeting",
            Self::Suspended { .. } => "Suspended",
            Self::Agreed(_) => "Agreed",
            Self::Refused(_) => "Refused",
        })
    }
}

impl TlsSession {
    /// Waits for the ClientHello, of which `early` is the start.
    #[must_use]
    pub(crate) fn new(setup: Arc<TlsSetup>, early: Vec<u8>) -> Self {
        let state = State::Greeting { acceptor: None, setup, first: None };
        Self::with_state(state, early)
    }

    fn with_state(state: State, early: Vec<u8>) -> Self {
        Self {
            state,
            unsent: 0,
            early,
            domain: None,
            fault: None,
            has_ended: false,
            has_failed: false,
            wear: Wear::default(),
        }
    }

    /// Whether the peer has sent anything.
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.state, State::Greeting { first: None, .. }) || !self.early.is_empty()
    }

    /// Whether nothing can go on before [`Self::resume`].
    #[must_use]
    pub(crate) const fn is_suspended(&self) -> bool {
        matches!(self.state, State::Suspended { .. })
    }

    /// The server name for which JavaScript is to be asked; returned once.
    pub(crate) fn take_question(&mut self) -> Option<String> {
        let State::Suspended { accepted, is_new, .. } = &mut self.state else { return None };
        let name = std::mem::take(is_new).then(|| accepted.client_hello().server_name().map(str::to_owned));
        name.flatten()
    }

    /// JavaScript was asked: continues with the configuration that the name has now. Returns whether the handshake was
    /// suspended. The next [`Self::open_pending`] reports errors.
    pub(crate) fn resume(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Refused(Vec::new())) {
            State::Suspended { accepted, setup, .. } => {
                let answer = setup.names.lookup(accepted.client_hello().server_name());
                if let Err(fault) = self.agree(*accepted, answer) {
                    self.fault = Some(fault);
                }
                true
            }
            other @ (State::Greeting { .. } | State::Agreed(_) | State::Refused(_)) => {
                self.state = other;
                false
            }
        }
    }

    /// The server name that the client asked for, if the app knows it.
    #[must_use]
    pub(crate) const fn domain(&self) -> Option<DomainId> {
        self.domain
    }

    /// A connection to a server, on which nothing has been sent yet.
    #[must_use]
    pub(crate) fn of_client(mut tls: ClientConnection) -> Self {
        tls.set_buffer_limit(Some(MAX_SEALED));
        let state = State::Agreed(Box::new(tls.into()));
        Self::with_state(state, Vec::new())
    }

    /// Whether the handshake is not over.
    #[must_use]
    pub(crate) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Greeting { .. } | State::Suspended { .. } | State::Refused(_) => true,
            State::Agreed(tls) => tls.is_handshaking(),
        }
    }

    /// Whether the peer has sent `close_notify`. Data from before may still have to be read.
    #[must_use]
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a fault was reported, after which nothing more is read.
    #[must_use]
    pub(crate) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The connection with a client, once the handshake is complete.
    #[must_use]
    pub(crate) fn connection(&self) -> Option<&ServerConnection> {
        match &self.state {
            State::Agreed(tls) => match &**tls {
                Connection::Server(tls) => Some(tls),
                Connection::Client(_) => None,
            },
            State::Greeting { .. } | State::Suspended { .. } | State::Refused(_) => None,
        }
    }

    /// Whether the session was resumed with a ticket.
    #[must_use]
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Fills `buffer` with plaintext that did not fit before, and reports the fault that was found behind it.
    ///
    /// # Errors
    /// That fault, once. Afterwards [`Self::has_failed`].
    pub(crate) fn open_pending(&mut self, buffer: &mut [u8]) -> Result<usize, TlsFault> {
        if !self.early.is_empty() && !self.is_suspended() {
            let mut early = std::mem::take(&mut self.early);
            let len = early.len();
            // A ClientHello carries no application data.
            self.open(&mut early, len)?;
        }
        let opened = self.take(buffer);
        if opened > 0 {
            return Ok(opened);
        }
        match self.fault.take() {
            Some(fault) => {
                self.has_failed = true;
                Err(fault)
            }
            None => Ok(0),
        }
    }

    /// Decrypts the first `filled` bytes of `buffer`, which came from the socket, in place. Returns the length of the
    /// plaintext. To be called when [`Self::open_pending`] has nothing more.
    ///
    /// # Errors
    /// A rule of TLS is broken. [`Self::flush`] sends the alert.
    pub(crate) fn open(&mut self, buffer: &mut [u8], filled: usize) -> Result<usize, TlsFault> {
        let (mut fed, mut opened) = (0, 0);
        while fed < filled {
            if self.is_suspended() {
                self.early.extend_from_slice(&buffer[fed..filled]);
                break;
            }
            match self.feed(&buffer[fed..filled]) {
                // Behind close_notify: not ours.
                Ok(0) => break,
                Ok(count) => fed += count,
                Err(fault) => {
                    opened += self.take(&mut buffer[opened..filled]);
                    if opened == 0 {
                        self.has_failed = true;
                        return Err(fault);
                    }
                    self.fault = Some(fault);
                    return Ok(opened);
                }
            }
            // A record opened is shorter than sealed, so this does not reach what is still to be fed.
            opened += self.take(&mut buffer[opened..fed]);
        }
        Ok(opened)
    }

    /// Passes ciphertext, at least one byte, to rustls. Returns how many bytes it took.
    fn feed(&mut self, mut sealed: &[u8]) -> Result<usize, TlsFault> {
        let (all, input): (_, &mut dyn Read) = (sealed, &mut sealed);
        match &mut self.state {
            State::Greeting { acceptor, setup, first } => {
                // Such a header nearly always comes in one piece; otherwise it is just no TLS.
                if first.is_none() && (all.starts_with(b"PROXY ") || all.starts_with(b"\r\n\r\n\0\r\nQUIT\n"))
                {
                    return Err(TlsFault::ProxyHeader);
                }
                let first = *first.get_or_insert(all[0]);
                if first.is_ascii_uppercase() {
                    return Err(TlsFault::PlainHttp);
                }
                let acceptor = acceptor.get_or_insert_default();
                let taken = acceptor.read_tls(input).map_err(|_| TlsFault::NotTls)?;
                match acceptor.accept() {
                    Ok(None) => {}
                    Ok(Some(accepted)) => {
                        let hello = accepted.client_hello();
                        if hello.server_name().is_some_and(|name| setup.names.must_ask_for(name)) {
                            let (accepted, setup) = (Box::new(accepted), Arc::clone(setup));
                            self.state = State::Suspended { accepted, setup, is_new: true };
                        } else {
                            let answer = setup.names.lookup(hello.server_name());
                            self.agree(accepted, answer)?;
                        }
                    }
                    Err((_, alert)) if first != HANDSHAKE => {
                        self.refuse(alert);
                        return Err(TlsFault::NotTls);
                    }
                    Err((error, alert)) => {
                        self.refuse(alert);
                        return Err(error.into());
                    }
                }
                Ok(taken)
            }
            State::Agreed(tls) => {
                // Fails only if more is buffered than there can be in a record, all of which has been looked at.
                let taken = tls.read_tls(input).map_err(|error| rustls::Error::General(error.to_string()))?;
                self.wear.receive(&all[..taken]);
                self.has_ended |= tls.process_new_packets()?.peer_has_closed();
                Ok(taken)
            }
            // What comes meanwhile is kept by `open`.
            State::Suspended { .. } => Ok(0),
            State::Refused(_) => Ok(all.len()),
        }
    }

    /// The server name is known: continues with its configuration.
    fn agree(&mut self, accepted: Accepted, answer: Answer) -> Result<(), TlsFault> {
        self.domain = answer.domain;
        let mut tls = match accepted.into_connection(answer.config) {
            Ok(tls) => Box::new(Connection::from(tls)),
            Err((error, alert)) => {
                self.refuse(alert);
                return Err(error.into());
            }
        };
        tls.set_buffer_limit(Some(MAX_SEALED));
        // Bytes behind the ClientHello are in there, too.
        let state = tls.process_new_packets();
        self.state = State::Agreed(tls);
        self.has_ended |= state?.peer_has_closed();
        Ok(())
    }

    /// The handshake failed: only the alert is left to be sent.
    fn refuse(&mut self, mut alert: AcceptedAlert) {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        let _ = alert.write_all(&mut bytes);
        self.state = State::Refused(bytes);
    }

    /// Takes plaintext out of rustls.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let State::Agreed(tls) = &mut self.state else { return 0 };
        let (mut reader, mut count) = (tls.reader(), 0);
        while count < buffer.len() {
            match reader.read(&mut buffer[count..]) {
                // Nothing there, for now or for ever: the callers know which.
                Ok(0) | Err(_) => break,
                Ok(more) => count += more,
            }
        }
        count
    }

    /// Whether nothing has come from the client yet.
    #[must_use]
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.state, State::Greeting { first: None, .. })
    }

    /// The socket has ended.
    ///
    /// # Errors
    /// Always, as `close_notify` has not come before.
    pub(crate) fn handle_fin(&mut self) -> Result<(), TlsFault> {
        if self.has_failed {
            return Ok(());
        }
        self.has_failed = true;
        Err(match &self.state {
            _ if self.is_silent() => TlsFault::Silent,
            _ if self.is_handshaking() => TlsFault::Abandoned,
            _ => TlsFault::Truncated,
        })
    }

    /// Encrypts as much as there is room for, and writes what the kernel takes of it. Returns how many bytes of
    /// plaintext were encrypted.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room; everything else is final, [`TlsFault::KeysExhausted`] above all.
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>], kernel: &mut dyn Write) -> io::Result<usize> {
        if self.is_handshaking() || !self.flush(kernel)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let State::Agreed(tls) = &mut self.state else { return Err(io::ErrorKind::WouldBlock.into()) };
        if max_records(tls).is_some_and(|max| !self.wear.has_room(max)) {
            return Err(TlsFault::KeysExhausted.into());
        }
        let count = tls.writer().write_vectored(pieces)?;
        self.wear.seal(count);
        self.unsent = count;
        // What fails here is met again by the next call.
        let _ = self.flush(kernel);
        Ok(count)
    }

    /// Writes what the kernel takes of the ciphertext. Returns whether that was everything.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn flush(&mut self, kernel: &mut dyn Write) -> io::Result<bool> {
        loop {
            let result = match &mut self.state {
                State::Agreed(tls) if tls.wants_write() => tls.write_tls(kernel),
                State::Refused(alert) if !alert.is_empty() => {
                    kernel.write(alert).inspect(|count| drop(alert.drain(..*count)))
                }
                State::Greeting { .. } | State::Suspended { .. } | State::Agreed(_) | State::Refused(_) => {
                    self.unsent = 0;
                    return Ok(true);
                }
            };
            match result {
                Ok(count) => self.unsent = self.unsent.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes of ciphertext, approximately, that the kernel has not taken; at least 1 if there are any.
    #[must_use]
    pub(crate) fn unsent(&self) -> usize {
        let waits = match &self.state {
            State::Greeting { .. } | State::Suspended { .. } => false,
            State::Agreed(tls) => tls.wants_write(),
            State::Refused(alert) => !alert.is_empty(),
        };
        if waits { self.unsent.max(1) } else { 0 }
    }

    /// Whether the connection is to be closed while the keys still suffice for doing so.
    #[must_use]
    pub(crate) fn is_worn(&self) -> bool {
        self.max_records().is_some_and(|max| self.wear.is_worn(max))
    }

    /// Whether the peer has sent `close_notify` because its keys are used up.
    #[must_use]
    pub(crate) fn has_peer_worn(&self) -> bool {
        self.has_ended && self.max_records().is_some_and(|max| self.wear.has_peer_worn(max))
    }

    fn max_records(&self) -> Option<u64> {
        match &self.state {
            State::Agreed(tls) => max_records(tls),
            State::Greeting { .. } | State::Suspended { .. } | State::Refused(_) => None,
        }
    }

    /// Sends `close_notify` (RFC 8446 §6.1), once; nothing if an error alert was sent.
    pub(crate) fn say_goodbye(&mut self) {
        if let State::Agreed(tls) = &mut self.state {
            tls.send_close_notify();
        }
    }
}

/// Type of the record that a client begins with (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Bytes encrypted before the kernel takes them: four full records, which one write to a socket usually takes.
pub(super) const MAX_SEALED: usize = 64 * 1024;

#[cfg(test)]
mod tests;

//! One TLS connection, without its socket, as a server or as a client.
//!
//! ```text
//!   poll_read  ── ciphertext ────► Acceptor ─ClientHello─► ServerConnection ── plaintext ───────► connection
//!   try_write  ◄── ciphertext ─── (≤ 64 KiB wait for the kernel) ◄── encrypt ── plaintext ◄──── outbox
//! ```
//!
//! A server reads the ClientHello before it chooses a configuration, because the ClientHello has the server name (SNI).

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ClientConnection, Connection, HandshakeKind, ServerConnection};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use super::fault::TlsFault;
use super::key_usage::{KeyUsage, max_records};
use super::names::{DomainConfig, DomainId};
use super::setup::TlsSetup;

/// A TLS connection without its socket: callers pass ciphertext and plaintext in and out.
#[derive(Debug)]
pub(crate) struct TlsSession {
    state: State,
    /// Bytes of ciphertext, approximately, that the kernel has not taken.
    unsent: usize,
    /// Ciphertext that was received before TLS started or while the handshake is suspended, and is not processed yet.
    early: Vec<u8>,
    /// The added server name that matches the client's SNI, if any does.
    domain: Option<DomainId>,
    /// An error found after valid records. It is reported once their plaintext has been returned.
    fault: Option<TlsFault>,
    /// The peer has sent `close_notify`.
    has_ended: bool,
    /// A fault was reported: no more bytes of the peer are read.
    has_failed: bool,
    /// How many records the keys have protected, compared with their limit.
    key_usage: KeyUsage,
}

/// The stage of the connection.
enum State {
    /// The ClientHello is awaited.
    Greeting {
        /// Created with the first byte, so that a silent client costs little memory.
        acceptor: Option<Box<Acceptor>>,
        setup: Arc<TlsSetup>,
        /// The first byte, once it has arrived.
        first: Option<u8>,
    },
    /// No pattern matches the client's server name, and the `missingServerName` handler may add one.
    Suspended {
        accepted: Box<Accepted>,
        setup: Arc<TlsSetup>,
        /// Whether the name has not been reported yet.
        is_new: bool,
    },
    /// A configuration is chosen: the handshake continues or is complete.
    Agreed(Box<Connection>),
    /// The handshake failed. Holds the unsent bytes of the alert.
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
    /// A server's connection, which waits for the ClientHello. `early` was received already.
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
            key_usage: KeyUsage::default(),
        }
    }

    /// Whether the peer has sent anything.
    #[must_use]
    pub(crate) fn has_started(&self) -> bool {
        !matches!(self.state, State::Greeting { first: None, .. }) || !self.early.is_empty()
    }

    /// Whether the handshake waits for [`Self::resume`].
    #[must_use]
    pub(crate) const fn is_suspended(&self) -> bool {
        matches!(self.state, State::Suspended { .. })
    }

    /// Returns the server name for the `missingServerName` handler, once.
    pub(crate) fn take_unknown_server_name(&mut self) -> Option<String> {
        let State::Suspended { accepted, is_new, .. } = &mut self.state else { return None };
        let name = std::mem::take(is_new).then(|| accepted.client_hello().server_name().map(str::to_owned));
        name.flatten()
    }

    /// Continues a suspended handshake with the configuration that its server name has now. Returns whether it was
    /// suspended. The next [`Self::open_pending`] reports errors.
    pub(crate) fn resume(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Refused(Vec::new())) {
            State::Suspended { accepted, setup, .. } => {
                let selected = setup.names.lookup(accepted.client_hello().server_name());
                if let Err(fault) = self.agree(*accepted, selected) {
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

    /// The added server name that matches the client's SNI, if any does.
    #[must_use]
    pub(crate) const fn domain(&self) -> Option<DomainId> {
        self.domain
    }

    /// A client's connection, on which nothing has been sent yet.
    #[must_use]
    pub(crate) fn of_client(mut tls: ClientConnection) -> Self {
        tls.set_buffer_limit(Some(MAX_SEALED));
        let state = State::Agreed(Box::new(tls.into()));
        Self::with_state(state, Vec::new())
    }

    /// Whether the handshake is not complete; true for ever if it failed.
    #[must_use]
    pub(crate) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Greeting { .. } | State::Suspended { .. } | State::Refused(_) => true,
            State::Agreed(tls) => tls.is_handshaking(),
        }
    }

    /// Whether the peer has sent `close_notify`. Plaintext from before may still have to be read.
    #[must_use]
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a fault was reported. Nothing more is read after it.
    #[must_use]
    pub(crate) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The connection of rustls, if this is a server and a configuration is chosen.
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

    /// Whether the client resumed an earlier session.
    #[must_use]
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Fills `buffer` with decrypted plaintext that did not fit before, and returns its length.
    ///
    /// # Errors
    /// The fault that was found after that plaintext, once. Then [`Self::has_failed`] is true.
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

    /// Decrypts the first `filled` bytes of `buffer`, which were read from the socket, in place. Returns the length of
    /// the plaintext. Call it only once [`Self::open_pending`] returns 0.
    ///
    /// # Errors
    /// The peer violates TLS. [`Self::flush`] sends the alert.
    pub(crate) fn open(&mut self, buffer: &mut [u8], filled: usize) -> Result<usize, TlsFault> {
        let (mut fed, mut opened) = (0, 0);
        while fed < filled {
            if self.is_suspended() {
                self.early.extend_from_slice(&buffer[fed..filled]);
                break;
            }
            match self.feed(&buffer[fed..filled]) {
                // Bytes after close_notify are ignored (RFC 8446 §6.1).
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
            // Plaintext is shorter than its record, so this does not overwrite ciphertext that is still to be fed.
            opened += self.take(&mut buffer[opened..fed]);
        }
        Ok(opened)
    }

    /// Passes ciphertext, at least one byte, to rustls. Returns how many bytes it took.
    fn feed(&mut self, mut sealed: &[u8]) -> Result<usize, TlsFault> {
        let (all, input): (_, &mut dyn Read) = (sealed, &mut sealed);
        match &mut self.state {
            State::Greeting { acceptor, setup, first } => {
                // A PROXY header nearly always arrives in one piece; in pieces it is reported as `NotTls`.
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
                            let selected = setup.names.lookup(hello.server_name());
                            self.agree(accepted, selected)?;
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
                // Fails only if more than a record is buffered, which cannot be: every call processes what it reads.
                let taken = tls.read_tls(input).map_err(|error| rustls::Error::General(error.to_string()))?;
                self.key_usage.receive(&all[..taken]);
                self.has_ended |= tls.process_new_packets()?.peer_has_closed();
                Ok(taken)
            }
            // `open` keeps bytes that arrive while the handshake is suspended.
            State::Suspended { .. } => Ok(0),
            State::Refused(_) => Ok(all.len()),
        }
    }

    /// Continues the handshake with the configuration of the client's server name.
    fn agree(&mut self, accepted: Accepted, selected: DomainConfig) -> Result<(), TlsFault> {
        self.domain = selected.domain;
        let config = Arc::clone(selected.config.for_client(accepted.client_hello().cipher_suites()));
        let mut tls = match accepted.into_connection(config) {
            Ok(tls) => Box::new(Connection::from(tls)),
            Err((error, alert)) => {
                self.refuse(alert);
                return Err(error.into());
            }
        };
        tls.set_buffer_limit(Some(MAX_SEALED));
        // rustls has buffered the bytes after the ClientHello, too.
        let state = tls.process_new_packets();
        self.state = State::Agreed(tls);
        self.has_ended |= state?.peer_has_closed();
        Ok(())
    }

    /// The handshake failed: keeps only the alert, to be sent.
    fn refuse(&mut self, mut alert: AcceptedAlert) {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        let _ = alert.write_all(&mut bytes);
        self.state = State::Refused(bytes);
    }

    /// Moves plaintext from rustls into `buffer`. Returns how many bytes.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let State::Agreed(tls) = &mut self.state else { return 0 };
        let (mut reader, mut count) = (tls.reader(), 0);
        while count < buffer.len() {
            match reader.read(&mut buffer[count..]) {
                // No plaintext: none yet (`WouldBlock`), or the stream has ended. `has_ended` says which.
                Ok(0) | Err(_) => break,
                Ok(more) => count += more,
            }
        }
        count
    }

    /// Whether no byte of the client has been processed yet.
    #[must_use]
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self.state, State::Greeting { first: None, .. })
    }

    /// The peer sent FIN without `close_notify`.
    ///
    /// # Errors
    /// Which stage the connection was in; `Ok` only if a fault was reported before.
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

    /// Encrypts as much plaintext as the buffer has room for, and writes the ciphertext to the kernel. Returns how many
    /// bytes of plaintext were encrypted.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room or the handshake is not complete. Every other error is final, including
    /// [`TlsFault::KeysExhausted`].
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>], kernel: &mut dyn Write) -> io::Result<usize> {
        if self.is_handshaking() || !self.flush(kernel)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let State::Agreed(tls) = &mut self.state else { return Err(io::ErrorKind::WouldBlock.into()) };
        if max_records(tls).is_some_and(|max| !self.key_usage.has_room(max)) {
            return Err(TlsFault::KeysExhausted.into());
        }
        let count = tls.writer().write_vectored(pieces)?;
        self.key_usage.seal(count);
        self.unsent = count;
        // The next call reports this error: the kernel returns it again.
        let _ = self.flush(kernel);
        Ok(count)
    }

    /// Writes buffered ciphertext to the kernel. Returns whether the buffer is empty now.
    ///
    /// # Errors
    /// The error of the socket.
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

    /// Whether the keys are so close to their limit that the connection should be closed while they can still protect
    /// the closing handshake.
    #[must_use]
    pub(crate) fn is_near_key_limit(&self) -> bool {
        self.max_records().is_some_and(|max| self.key_usage.is_near_limit(max))
    }

    /// Whether the peer has sent `close_notify` because its keys reached their limit.
    #[must_use]
    pub(crate) fn has_peer_reached_key_limit(&self) -> bool {
        self.has_ended && self.max_records().is_some_and(|max| self.key_usage.has_peer_reached_limit(max))
    }

    fn max_records(&self) -> Option<u64> {
        match &self.state {
            State::Agreed(tls) => max_records(tls),
            State::Greeting { .. } | State::Suspended { .. } | State::Refused(_) => None,
        }
    }

    /// Queues `close_notify` (RFC 8446 §6.1), once; has no effect if an error alert was sent.
    pub(crate) fn send_close_notify(&mut self) {
        if let State::Agreed(tls) = &mut self.state {
            tls.send_close_notify();
        }
    }
}

/// ContentType `handshake`, the first byte of a client's first record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Most bytes of ciphertext buffered at a time: four full records, which the kernel usually takes in one write.
pub(super) const MAX_SEALED: usize = 64 * 1024;

#[cfg(test)]
mod tests;

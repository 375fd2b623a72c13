//! One TLS connection, without its socket, as a server or as a client.
//!
//! ```text
//!   poll_read  ── ciphertext ────► Acceptor ─ClientHello─► Engine ── plaintext ─────────────────► connection
//!   try_write  ◄── ciphertext ─── (≤ 64 KiB wait for the kernel) ◄── encrypt ── plaintext ◄──── outbox
//! ```
//!
//! A server reads the ClientHello before it chooses a configuration, because the ClientHello has the server name (SNI).
//! Between two calls a session keeps only what is incomplete: a part of a record that was received, and what the kernel
//! has not taken (docs/decisions/0026-tls-without-buffers.md).

use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::EncryptError;
use rustls::{CommonState, HandshakeKind};

use super::engine::{Engine, Outcome, Step};
use super::fault::TlsFault;
use super::key_usage::{KeyUsage, MAX_PER_RECORD, max_records};
use super::names::DomainId;
use super::pieces::Pieces;
use super::setup::TlsSetup;

/// A TLS connection without its socket: callers pass ciphertext and plaintext in and out.
#[derive(Debug)]
pub(crate) struct TlsSession {
    state: State,
    /// Ciphertext that was received and is incomplete, or may not be processed yet.
    received: Vec<u8>,
    /// Plaintext that did not fit into the buffer of its reader.
    opened: Vec<u8>,
    /// Ciphertext that the kernel has not taken, of which the first `sent` bytes it has.
    sealed: Vec<u8>,
    sent: usize,
    /// Bytes of plaintext, approximately, that the kernel has not taken.
    unsent: usize,
    /// The server name that the client asked for (SNI).
    name: Option<Box<str>>,
    /// The added server name that matches it, if any does.
    domain: Option<DomainId>,
    /// An error found after valid records. It is reported once their plaintext has been returned.
    fault: Option<Box<TlsFault>>,
    inbound: Inbound,
    /// `received` has not been looked at: it came before TLS started, or while the handshake was suspended.
    is_unread: bool,
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
    Agreed(Box<Engine>),
    /// The handshake failed before a configuration was chosen.
    Refused,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Greeting { .. } => "Greeting",
            Self::Suspended { .. } => "Suspended",
            Self::Agreed(_) => "Agreed",
            Self::Refused => "Refused",
        })
    }
}

/// What may still come from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    /// Everything.
    Open,
    /// Nothing: it has sent `close_notify`.
    Ended,
    /// Nothing: the stream has ended without that.
    Cut,
    /// Nothing: it has violated TLS, which is not reported yet. The state machine of rustls is not to be used any more.
    Violated,
    /// The same, and it is reported.
    Failed,
}

/// Where plaintext goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// To the front of the buffer that its ciphertext lies in, beyond [`MARGIN`].
    Front,
    /// To [`TlsSession::opened`].
    Kept,
}

impl TlsSession {
    /// A server's connection, which waits for the ClientHello. `early` was received already.
    #[must_use]
    pub(crate) fn new(setup: Arc<TlsSetup>, early: Vec<u8>) -> Self {
        let state = State::Greeting { acceptor: None, setup, first: None };
        let is_unread = !early.is_empty();
        Self { received: early, is_unread, ..Self::with_state(state) }
    }

    /// A client's connection, on which nothing has been sent yet.
    #[must_use]
    pub(crate) fn of_client(tls: UnbufferedClientConnection) -> Self {
        let mut session = Self::with_state(State::Agreed(Box::new(Engine::Client(tls))));
        session.collect();
        session
    }

    const fn with_state(state: State) -> Self {
        Self {
            state,
            received: Vec::new(),
            opened: Vec::new(),
            sealed: Vec::new(),
            sent: 0,
            unsent: 0,
            name: None,
            domain: None,
            fault: None,
            inbound: Inbound::Open,
            is_unread: false,
            key_usage: KeyUsage::new(),
        }
    }

    /// Whether the peer has sent anything.
    #[must_use]
    pub(crate) const fn has_started(&self) -> bool {
        !self.is_silent() || !self.received.is_empty()
    }

    /// Whether the handshake waits for [`Self::resume`].
    #[must_use]
    pub(crate) const fn is_suspended(&self) -> bool {
        matches!(self.state, State::Suspended { .. })
    }

    /// Returns the server name for the `missingServerName` handler, once.
    pub(crate) fn take_unknown_server_name(&mut self) -> Option<String> {
        let State::Suspended { is_new, .. } = &mut self.state else { return None };
        let name = std::mem::take(is_new).then(|| self.name.as_deref().map(str::to_owned));
        name.flatten()
    }

    /// Continues a suspended handshake with the configuration that its server name has now. Returns whether it was
    /// suspended. The next [`Self::open_pending`] reports errors.
    pub(crate) fn resume(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Suspended { accepted, setup, .. } => {
                match self.agree(&accepted, &setup) {
                    Ok(()) => self.is_unread = true,
                    Err(fault) => self.fault = Some(Box::new(fault)),
                }
                true
            }
            other @ (State::Greeting { .. } | State::Agreed(_) | State::Refused) => {
                self.state = other;
                false
            }
        }
    }

    /// The server name that the client asked for (SNI).
    #[must_use]
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The added server name that matches the client's SNI, if any does.
    #[must_use]
    pub(crate) const fn domain(&self) -> Option<DomainId> {
        self.domain
    }

    /// Whether the handshake is not complete; true for ever if it failed.
    #[must_use]
    pub(crate) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Greeting { .. } | State::Suspended { .. } | State::Refused => true,
            State::Agreed(tls) => tls.common().is_handshaking(),
        }
    }

    /// Whether the peer has sent `close_notify`. Plaintext from before may still have to be read.
    #[must_use]
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.inbound, Inbound::Ended)
    }

    /// Whether a fault was reported. Nothing more is read after it.
    #[must_use]
    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.inbound, Inbound::Cut | Inbound::Failed)
    }

    const fn is_broken(&self) -> bool {
        matches!(self.inbound, Inbound::Violated | Inbound::Failed)
    }

    /// What was negotiated, if this is a server and a configuration is chosen.
    #[must_use]
    pub(crate) fn negotiated(&self) -> Option<&CommonState> {
        match &self.state {
            State::Agreed(tls) if tls.is_server() => Some(tls.common()),
            State::Greeting { .. } | State::Suspended { .. } | State::Agreed(_) | State::Refused => None,
        }
    }

    /// Whether the client resumed an earlier session.
    #[must_use]
    pub(crate) fn is_resumed(&self) -> bool {
        self.negotiated().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Fills `buffer` with decrypted plaintext that did not fit before, and returns its length.
    ///
    /// # Errors
    /// The fault that was found after that plaintext, once. Then [`Self::has_failed`] is true.
    pub(crate) fn open_pending(&mut self, buffer: &mut [u8]) -> Result<usize, TlsFault> {
        if self.is_unread && !self.is_suspended() {
            self.is_unread = false;
            let result = match self.state {
                State::Agreed(_) => self.process_received(),
                _ => {
                    let early = std::mem::take(&mut self.received);
                    self.receive(&early)
                }
            };
            self.fault = result.err().map(Box::new);
        }
        let opened = self.take(buffer);
        if opened > 0 {
            return Ok(opened);
        }
        match self.fault.take() {
            Some(fault) => {
                self.inbound = Inbound::Failed;
                Err(*fault)
            }
            None => Ok(0),
        }
    }

    /// Where in `buffer` ciphertext is to be read for [`Self::open`]: behind free space for plaintext and what is
    /// incomplete, which this copies there; at the start if there is no room for that, or nothing to open yet.
    pub(crate) fn place(&self, buffer: &mut [u8]) -> usize {
        let start = MARGIN + self.received.len();
        if !matches!(self.state, State::Agreed(_)) || buffer.len() < start + MIN_IN_PLACE {
            return 0;
        }
        buffer[MARGIN..start].copy_from_slice(&self.received);
        start
    }

    /// Decrypts `count` bytes, which were read from the socket into `buffer` at the [`Self::place`] for them. The
    /// plaintext lies at the start of `buffer` then; returns its length. Call it only once [`Self::open_pending`]
    /// returns 0.
    ///
    /// # Errors
    /// The peer violates TLS. [`Self::flush`] sends the alert.
    pub(crate) fn open(&mut self, buffer: &mut [u8], place: usize, count: usize) -> Result<usize, TlsFault> {
        let end = place + count;
        let (opened, result) = if place > 0 {
            self.key_usage.receive(&buffer[place..end]);
            self.process(&mut buffer[..end], place - self.received.len(), Target::Front)
        } else {
            let result = self.receive(&buffer[..end]);
            (self.take(buffer), result)
        };
        match result {
            Err(fault) if opened == 0 => {
                self.inbound = Inbound::Failed;
                Err(fault)
            }
            result => {
                self.fault = result.err().map(Box::new);
                Ok(opened)
            }
        }
    }

    /// Takes bytes of the peer that are not opened where they lie.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), TlsFault> {
        match &self.state {
            State::Greeting { .. } => self.greet(bytes),
            State::Suspended { .. } => {
                self.received.extend_from_slice(bytes);
                Ok(())
            }
            State::Agreed(_) => {
                self.key_usage.receive(bytes);
                self.received.extend_from_slice(bytes);
                self.process_received()
            }
            State::Refused => Ok(()),
        }
    }

    /// Takes a part of the ClientHello, at least one byte, and what may follow it.
    fn greet(&mut self, bytes: &[u8]) -> Result<(), TlsFault> {
        let State::Greeting { acceptor, setup, first } = &mut self.state else { return Ok(()) };
        // A PROXY header nearly always arrives in one piece; in pieces it is reported as `NotTls`.
        if first.is_none() && (bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n")) {
            return Err(TlsFault::ProxyHeader);
        }
        let first = *first.get_or_insert(bytes[0]);
        if first.is_ascii_uppercase() {
            return Err(TlsFault::PlainHttp);
        }
        // The connection that follows reads the ClientHello again.
        self.received.extend_from_slice(bytes);
        let acceptor = acceptor.get_or_insert_default();
        let mut rest = bytes;
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest).map_err(|_| TlsFault::NotTls)?;
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let setup = Arc::clone(setup);
                    self.name = accepted.client_hello().server_name().map(Into::into);
                    if self.name.as_deref().is_some_and(|name| setup.names.must_ask_for(name)) {
                        self.state = State::Suspended { accepted: Box::new(accepted), setup, is_new: true };
                        return Ok(());
                    }
                    self.agree(&accepted, &setup)?;
                    return self.process_received();
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
        }
        Ok(())
    }

    /// Continues the handshake with the configuration of the client's server name.
    fn agree(&mut self, accepted: &Accepted, setup: &TlsSetup) -> Result<(), TlsFault> {
        let selected = setup.names.lookup(self.name.as_deref());
        self.domain = selected.domain;
        self.state = State::Refused;
        let config = selected.config.for_client(accepted.client_hello().cipher_suites());
        let tls = UnbufferedServerConnection::new(Arc::clone(config))?;
        self.state = State::Agreed(Box::new(Engine::Server(tls)));
        Ok(())
    }

    /// The handshake failed: keeps only the alert, to be sent.
    fn refuse(&mut self, mut alert: AcceptedAlert) {
        // Writing to memory does not fail.
        let _ = alert.write_all(&mut self.sealed);
        self.received = Vec::new();
        self.state = State::Refused;
    }

    /// Processes what was received; the plaintext is kept.
    fn process_received(&mut self) -> Result<(), TlsFault> {
        let mut received = std::mem::take(&mut self.received);
        self.process(&mut received, 0, Target::Kept).1
    }

    /// Processes the ciphertext that lies in `bytes` from `start` on, and keeps what is incomplete of it. Returns how
    /// many bytes of plaintext have been written to the front.
    fn process(&mut self, bytes: &mut [u8], start: usize, target: Target) -> (usize, Result<(), TlsFault>) {
        let State::Agreed(tls) = &mut self.state else { return (0, Ok(())) };
        let (mut fed, mut count, mut result) = (start, 0, Ok(()));
        loop {
            let (front, input) = bytes.split_at_mut(fed);
            let step = tls.step(input, &mut self.sealed, &mut |plaintext| {
                // Plaintext is shorter than its record, so those of all records so far fit in front of the next one.
                let place = front.get_mut(count..count + plaintext.len());
                match place.filter(|_| target == Target::Front && self.opened.is_empty()) {
                    Some(place) => {
                        place.copy_from_slice(plaintext);
                        count += plaintext.len();
                    }
                    None => self.opened.extend_from_slice(plaintext),
                }
            });
            let Step { discard, outcome } = step;
            fed += discard;
            match outcome {
                Outcome::Continue => {}
                Outcome::Blocked => break,
                Outcome::PeerClosed => {
                    self.inbound = Inbound::Ended;
                    fed = bytes.len();
                    break;
                }
                Outcome::Failed(error) => {
                    tls.flush(&mut bytes[fed..], &mut self.sealed);
                    self.inbound = Inbound::Violated;
                    fed = bytes.len();
                    result = Err(error.into());
                    break;
                }
            }
        }
        self.received = bytes[fed..].to_vec();
        (count, result)
    }

    /// Moves plaintext into `buffer`. Returns how many bytes.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.opened.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.opened[..count]);
        if count == self.opened.len() {
            self.opened = Vec::new();
        } else {
            self.opened.drain(..count);
        }
        count
    }

    /// Takes the messages that rustls has for the peer.
    fn collect(&mut self) {
        if let State::Agreed(tls) = &mut self.state {
            tls.flush(&mut self.received, &mut self.sealed);
        }
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
        if self.has_failed() {
            return Ok(());
        }
        self.inbound = Inbound::Cut;
        Err(match &self.state {
            _ if self.is_silent() => TlsFault::Silent,
            _ if self.is_handshaking() => TlsFault::Abandoned,
            _ => TlsFault::Truncated,
        })
    }

    /// Encrypts up to [`MAX_SEALED`] bytes of plaintext once the kernel has everything from before, and writes the
    /// ciphertext to the kernel. Returns how many bytes of plaintext were encrypted.
    ///
    /// # Errors
    /// `WouldBlock` if the kernel has not, or the handshake is not complete, or the peer has violated TLS. Every other
    /// error is final, including [`TlsFault::KeysExhausted`].
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>], kernel: &mut dyn Write) -> io::Result<usize> {
        if self.is_broken() || self.is_handshaking() || !self.flush(kernel)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.max_records().is_some_and(|max| !self.key_usage.has_room(max)) {
            return Err(TlsFault::KeysExhausted.into());
        }
        SEALED.with_borrow_mut(|buffer| {
            buffer.resize(MAX_SEALED + MAX_OVERHEAD, 0);
            let (count, length) = self.seal(Pieces::new(pieces, MAX_SEALED), buffer)?;
            self.key_usage.seal(count);
            // The next call reports this error: the kernel returns it again.
            let sent = send(&buffer[..length], kernel).0;
            self.sealed.extend_from_slice(&buffer[sent..length]);
            self.unsent = count.saturating_sub(sent);
            Ok(count)
        })
    }

    /// Encrypts pieces into `buffer`, in as few records as hold them. Returns the numbers of bytes taken and written.
    fn seal(&mut self, mut pieces: Pieces<'_>, buffer: &mut [u8]) -> io::Result<(usize, usize)> {
        let State::Agreed(tls) = &mut self.state else { return Ok((0, 0)) };
        let (mut count, mut length) = (0, 0);
        let mut gathered = Vec::new();
        while let Some(plaintext) = pieces.next(MAX_PER_RECORD, &mut gathered) {
            match tls.seal(&mut self.received, plaintext, &mut buffer[length..]) {
                Ok(written) => length += written,
                // What was encrypted before has to be sent.
                Err(_) if count > 0 => break,
                Err(EncryptError::EncryptExhausted) => return Err(TlsFault::KeysExhausted.into()),
                Err(error @ EncryptError::InsufficientSize(_)) => return Err(io::Error::other(error)),
            }
            count += plaintext.len();
        }
        Ok((count, length))
    }

    /// Writes buffered ciphertext to the kernel. Returns whether it took everything.
    ///
    /// # Errors
    /// The error of the socket.
    pub(crate) fn flush(&mut self, kernel: &mut dyn Write) -> io::Result<bool> {
        if self.sealed.is_empty() {
            return Ok(true);
        }
        let (sent, result) = send(&self.sealed[self.sent..], kernel);
        self.sent += sent;
        self.unsent = self.unsent.saturating_sub(sent);
        if self.sent == self.sealed.len() {
            (self.sealed, self.sent, self.unsent) = (Vec::new(), 0, 0);
        }
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Bytes of output, approximately, that the kernel has not taken; at least 1 if there are any.
    #[must_use]
    pub(crate) fn unsent(&self) -> usize {
        if self.sealed.is_empty() { 0 } else { self.unsent.max(1) }
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
        self.has_ended() && self.max_records().is_some_and(|max| self.key_usage.has_peer_reached_limit(max))
    }

    fn max_records(&self) -> Option<u64> {
        match &self.state {
            State::Agreed(tls) => max_records(tls.common()),
            State::Greeting { .. } | State::Suspended { .. } | State::Refused => None,
        }
    }

    /// Queues `close_notify` (RFC 8446 §6.1), once; has no effect if an error alert was sent.
    pub(crate) fn send_close_notify(&mut self) {
        if self.is_broken() {
            return;
        }
        if let State::Agreed(tls) = &mut self.state {
            tls.queue_close_notify(&mut self.received);
            self.collect();
        }
    }
}

/// Writes as much as the kernel takes. Returns how much that was, and why it was not everything.
fn send(bytes: &[u8], kernel: &mut dyn Write) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while sent < bytes.len() {
        match kernel.write(&bytes[sent..]) {
            Ok(0) => return (sent, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(()))
}

/// ContentType `handshake`, the first byte of a client's first record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Most bytes of plaintext that are encrypted before the kernel takes them: four full records, which it usually takes
/// in one write.
pub(super) const MAX_SEALED: usize = 64 * 1024;
/// What the records of that much plaintext need beside it: four full records and one that is not, of at most 29 bytes of
/// header, nonce, content type and tag each, and a key update.
const MAX_OVERHEAD: usize = 1024;
/// Free bytes in front of ciphertext that is opened where it lies: the plaintext of a record that began before them.
const MARGIN: usize = 18 * 1024;
/// Bytes that have to fit behind the margin and what was received before, or the ciphertext is opened elsewhere.
const MIN_IN_PLACE: usize = 4096;

thread_local! {
    /// Where the records of one write are encrypted: one write has ended before the next begins.
    static SEALED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests;

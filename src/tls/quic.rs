//! The TLS of QUIC connections (RFC 9001): the certificates, server names and client certificates of an app, with ALPN `h3`
//! and TLS 1.3 only.
//!
//! The library of QUIC starts a session before it has read the ClientHello, rustls wants the configuration for that. So
//! a session here keeps the ClientHello until it is complete, reads the server name, and goes on with the configuration
//! for it, as [`TlsSession`](super::session::TlsSession) does.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::CipherSuite;
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;

use super::names::DomainId;
use super::setup::TlsSetup;

/// Starts the sessions of an app.
pub(crate) struct QuicTls {
    setup: Arc<TlsSetup>,
    /// Protects Initial and Retry packets, which no certificate has part in.
    initial: Arc<QuicServerConfig>,
}

impl QuicTls {
    /// That of an app; `None` if it does not speak HTTP/3.
    #[must_use]
    pub(crate) fn new(setup: Arc<TlsSetup>) -> Option<Self> {
        let initial = Arc::clone(setup.names.lookup(None).config.quic_for_client(&[])?);
        Some(Self { setup, initial })
    }
}

impl crypto::ServerConfig for QuicTls {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.initial.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.initial.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        Box::new(QuicSession {
            version,
            parameters: *parameters,
            tls: self,
            state: State::Greeting(Vec::new()),
            greeting: Greeting::default(),
        })
    }
}

/// What a client has said in its ClientHello: the `handshake_data` of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Greeting {
    /// The server name (SNI).
    pub name: Option<Box<str>>,
    /// The added server name that it matches, if any.
    pub domain: Option<DomainId>,
    /// Set while the session waits for the handler for unknown server names. It goes on with the next packet of the client
    /// once this is `true`, and clients send some until they are answered.
    pub suspended: Option<Arc<AtomicBool>>,
}

/// One handshake, and the keys of its connection.
struct QuicSession {
    version: u32,
    parameters: TransportParameters,
    tls: Arc<QuicTls>,
    state: State,
    greeting: Greeting,
}

enum State {
    /// The ClientHello is not complete.
    Greeting(Vec<u8>),
    /// The handler for unknown server names is asked.
    Suspended { hello: Vec<u8>, offered: Vec<CipherSuite> },
    /// A configuration is chosen.
    Agreed(Box<dyn crypto::Session>),
    /// The handshake has failed before that.
    Refused(TransportError),
}

impl QuicSession {
    /// Takes a part of the ClientHello. Returns whether it is complete, and a configuration chosen.
    fn greet(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let State::Greeting(hello) = &mut self.state else { return Ok(false) };
        hello.extend_from_slice(bytes);
        let Some((&[kind, high, middle, low], _)) = hello.split_first_chunk() else { return Ok(false) };
        let length = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind != CLIENT_HELLO {
            return Err(alert(UNEXPECTED_MESSAGE, "the first message must be a ClientHello"));
        }
        if length > LONGEST_HELLO {
            return Err(alert(DECODE_ERROR, "the ClientHello is too long"));
        }
        if hello.len() < length {
            return Ok(false);
        }
        let hello = std::mem::take(hello);
        let (name, offered) = read_hello(&hello[..length])?;
        let must_ask = name.as_deref().is_some_and(|name| self.tls.setup.names.must_ask_for(name));
        self.greeting.name = name;
        if must_ask {
            self.greeting.suspended = Some(Arc::default());
            self.state = State::Suspended { hello, offered };
            return Ok(false);
        }
        self.agree(&hello, &offered)
    }

    /// Chooses the configuration for the client's server name.
    fn agree(&mut self, hello: &[u8], offered: &[CipherSuite]) -> Result<bool, TransportError> {
        let found = self.tls.setup.names.lookup(self.greeting.name.as_deref());
        let config = found.config.quic_for_client(offered).unwrap_or(&self.tls.initial);
        let mut session =
            crypto::ServerConfig::start_session(Arc::clone(config), self.version, &self.parameters);
        self.greeting.domain = found.domain;
        let result = session.read_handshake(hello);
        self.state = State::Agreed(session);
        result
    }

    fn agreed(&self) -> Option<&dyn crypto::Session> {
        match &self.state {
            State::Agreed(session) => Some(&**session),
            State::Greeting(_) | State::Suspended { .. } | State::Refused(_) => None,
        }
    }
}

impl crypto::Session for QuicSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, _side: Side) -> Keys {
        let keys = crypto::ServerConfig::initial_keys(&*self.tls.initial, self.version, dst_cid);
        keys.unwrap_or_else(|_| unreachable!("the version was accepted before"))
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.greeting.clone()))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.agreed()?.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.agreed().is_none_or(crypto::Session::is_handshaking)
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        match &mut self.state {
            State::Greeting(_) => self.greet(bytes),
            // A client has nothing to say before it is answered.
            State::Suspended { .. } => {
                Err(alert(UNEXPECTED_MESSAGE, "the ClientHello is followed by a message"))
            }
            State::Agreed(session) => session.read_handshake(bytes),
            State::Refused(error) => Err(error.clone()),
        }
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        match &self.state {
            State::Agreed(session) => session.transport_parameters(),
            State::Greeting(_) | State::Suspended { .. } => Ok(None),
            State::Refused(error) => Err(error.clone()),
        }
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let may_go_on = self.greeting.suspended.as_ref().is_some_and(|it| it.load(Ordering::Acquire));
        if may_go_on && let State::Suspended { hello, offered } = &mut self.state {
            let (hello, offered) = (std::mem::take(hello), std::mem::take(offered));
            self.greeting.suspended = None;
            if let Err(error) = self.agree(&hello, &offered) {
                self.state = State::Refused(error);
            }
        }
        match &mut self.state {
            State::Agreed(session) => session.write_handshake(out),
            State::Greeting(_) | State::Suspended { .. } | State::Refused(_) => None,
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        match &mut self.state {
            State::Agreed(session) => session.next_1rtt_keys(),
            State::Greeting(_) | State::Suspended { .. } | State::Refused(_) => None,
        }
    }

    fn is_valid_retry(&self, _orig_dst_cid: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        // Servers get none.
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.agreed().ok_or(ExportKeyingMaterialError)?.export_keying_material(output, label, context)
    }
}

/// Server name and cipher suites of a ClientHello.
fn read_hello(hello: &[u8]) -> Result<(Option<Box<str>>, Vec<CipherSuite>), TransportError> {
    let mut acceptor = Acceptor::default();
    for part in hello.chunks(LONGEST_RECORD) {
        let [high, low] = u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
        let record = [&[HANDSHAKE, 3, 1, high, low], part].concat();
        let mut rest = &record[..];
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest).map_err(|error| alert(DECODE_ERROR, &error.to_string()))?;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return Ok((hello.server_name().map(Into::into), hello.cipher_suites().to_vec()));
            }
            Err((error, mut message)) => {
                // A record whose last byte is the description of the alert.
                let mut record = Vec::new();
                let is_written = message.write_all(&mut record).is_ok();
                let code = record.last().copied().filter(|_| is_written).unwrap_or(DECODE_ERROR);
                return Err(alert(code, &error.to_string()));
            }
        }
    }
    Err(alert(DECODE_ERROR, "the ClientHello is not complete"))
}

/// An alert of TLS as QUIC sends it (RFC 9001 §4.8).
fn alert(code: u8, reason: &str) -> TransportError {
    TransportError { code: TransportErrorCode::crypto(code), frame: None, reason: reason.to_owned() }
}

/// The certificate that a client has sent, in DER.
#[must_use]
pub(crate) fn certificate_of(session: &dyn crypto::Session) -> Option<Box<[u8]>> {
    let chain = session.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.first().map(|certificate| certificate.as_ref().into())
}

/// What a client has said in its ClientHello.
#[must_use]
pub(crate) fn greeting_of(session: &dyn crypto::Session) -> Option<Greeting> {
    session.handshake_data()?.downcast::<Greeting>().ok().map(|greeting| *greeting)
}

/// The alert of TLS in the code of a transport error (RFC 9001 §4.8), if it is one.
#[must_use]
pub(crate) fn alert_of(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (code >> u8::BITS == 1).then_some(code as u8)
}

/// RFC 8446 §4: the type of a ClientHello.
const CLIENT_HELLO: u8 = 1;
/// RFC 8446 §5.1: the type of records of the handshake, and their longest payload.
const HANDSHAKE: u8 = 22;
const LONGEST_RECORD: usize = 16 * 1024;
/// Bytes of a ClientHello that are kept. Those with keys against quantum computers have 2 KB.
const LONGEST_HELLO: usize = 32 * 1024;
/// RFC 8446 §6.2
const UNEXPECTED_MESSAGE: u8 = 10;
const DECODE_ERROR: u8 = 50;

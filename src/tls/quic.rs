//! The TLS of QUIC connections (RFC 9001): the certificates, server names and client certificates of an app, with ALPN `h3`
//! and TLS 1.3 only.
//!
//! The library of QUIC starts a session before it has read the ClientHello, rustls wants the configuration for that. So
//! a session here keeps the ClientHello until it is complete, reads the server name, and goes on with the configuration
//! for it, as [`TlsSession`](super::session::TlsSession) does. Once the handshake is over, the secrets of the next keys are all
//! that is left of it.

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
use rustls::quic::{KeyChange, Secrets, ServerConnection, Version};
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
        let initial = Arc::clone(setup.names.lookup(None).config.quic_initial()?);
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
            tls: self,
            state: State::Greeting(Box::new(Hello {
                parameters: *parameters,
                bytes: Vec::new(),
                offered: Vec::new(),
            })),
            greeting: Greeting::default(),
            certificate: None,
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
    tls: Arc<QuicTls>,
    state: State,
    greeting: Greeting,
    /// That of the client, once the handshake is over.
    certificate: Option<CertificateDer<'static>>,
}

enum State {
    /// The ClientHello is not complete.
    Greeting(Box<Hello>),
    /// The handler for unknown server names is asked.
    Suspended(Box<Hello>),
    /// A configuration is chosen.
    Agreed(Box<Handshake>),
    /// The handshake is over, and nothing may follow it: the secrets of the keys behind those that are known.
    Secured(Secrets),
    /// The handshake has failed.
    Refused(TransportError),
}

/// What has arrived before a configuration is chosen.
struct Hello {
    /// What this side says to the client.
    parameters: TransportParameters,
    /// The ClientHello, as far as it is there.
    bytes: Vec<u8>,
    /// Its cipher suites.
    offered: Vec<CipherSuite>,
}

/// A handshake whose configuration is chosen.
struct Handshake {
    connection: ServerConnection,
    /// The secrets of the keys behind those that are known.
    next: Option<Secrets>,
}

impl Handshake {
    fn read(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.connection.read_hs(bytes).map_err(|error| match self.connection.alert() {
            Some(code) => alert(code.into(), &error.to_string()),
            None => {
                let code = TransportErrorCode::PROTOCOL_VIOLATION;
                TransportError { code, frame: None, reason: format!("TLS: {error}") }
            }
        })
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.connection.write_hs(out)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        let (local, remote) = (keys.local, keys.remote);
        Some(Keys {
            header: KeyPair { local: Box::new(local.header), remote: Box::new(remote.header) },
            packet: KeyPair { local: Box::new(local.packet), remote: Box::new(remote.packet) },
        })
    }
}

impl QuicSession {
    /// Takes a part of the ClientHello. Returns whether it is complete, and a configuration chosen.
    fn greet(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let State::Greeting(hello) = &mut self.state else { return Ok(false) };
        hello.bytes.extend_from_slice(bytes);
        let Some((&[kind, high, middle, low], _)) = hello.bytes.split_first_chunk() else { return Ok(false) };
        let length = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind != CLIENT_HELLO {
            return Err(alert(UNEXPECTED_MESSAGE, "the first message must be a ClientHello"));
        }
        if length > LONGEST_HELLO {
            return Err(alert(DECODE_ERROR, "the ClientHello is too long"));
        }
        if hello.bytes.len() < length {
            return Ok(false);
        }
        let (name, offered) = read_hello(&hello.bytes[..length])?;
        hello.offered = offered;
        let must_ask = name.as_deref().is_some_and(|name| self.tls.setup.names.must_ask_for(name));
        self.greeting.name = name;
        let State::Greeting(hello) = std::mem::replace(&mut self.state, refused()) else { return Ok(false) };
        if must_ask {
            self.greeting.suspended = Some(Arc::default());
            self.state = State::Suspended(hello);
            return Ok(false);
        }
        self.agree(&hello)?;
        Ok(true)
    }

    /// Chooses the configuration for the client's server name.
    fn agree(&mut self, hello: &Hello) -> Result<(), TransportError> {
        let found = self.tls.setup.names.lookup(self.greeting.name.as_deref());
        let mut parameters = Vec::new();
        hello.parameters.write(&mut parameters);
        let config = found.config.quic_for_client(&hello.offered).map(Arc::clone);
        let connection =
            config.and_then(|config| ServerConnection::new(config, Version::V1, parameters).ok());
        let connection = connection.ok_or_else(|| alert(INTERNAL_ERROR, "TLS is not configured for QUIC"))?;
        self.greeting.domain = found.domain;
        let mut handshake = Box::new(Handshake { connection, next: None });
        let result = handshake.read(&hello.bytes);
        self.state = State::Agreed(handshake);
        result
    }

    /// Lets go of a handshake that is over.
    fn conclude(&mut self) {
        if let State::Agreed(handshake) = &mut self.state
            && !handshake.connection.is_handshaking()
            && let Some(next) = handshake.next.take()
        {
            let chain = handshake.connection.peer_certificates();
            self.certificate = chain.and_then(|chain| chain.first()).map(|it| it.clone().into_owned());
            self.state = State::Secured(next);
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
        let certificate = self.certificate.clone()?;
        Some(Box::new(vec![certificate]))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Agreed(handshake) => handshake.connection.is_handshaking(),
            State::Secured(_) => false,
            State::Greeting(_) | State::Suspended(_) | State::Refused(_) => true,
        }
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        match &mut self.state {
            State::Greeting(_) => self.greet(bytes),
            // A client has nothing to say before it is answered.
            State::Suspended(_) => Err(alert(UNEXPECTED_MESSAGE, "the ClientHello is followed by a message")),
            State::Agreed(handshake) => handshake.read(bytes).map(|()| false),
            // RFC 9001 §4.4, §6: a client is asked for no certificate later, and QUIC has key updates of its own.
            State::Secured(_) => Err(alert(UNEXPECTED_MESSAGE, "a message follows the handshake")),
            State::Refused(error) => Err(error.clone()),
        }
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        match &self.state {
            State::Agreed(handshake) => match handshake.connection.quic_transport_parameters() {
                Some(mut bytes) => Ok(Some(TransportParameters::read(Side::Server, &mut bytes)?)),
                None => Ok(None),
            },
            State::Greeting(_) | State::Suspended(_) | State::Secured(_) => Ok(None),
            State::Refused(error) => Err(error.clone()),
        }
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let may_go_on = self.greeting.suspended.as_ref().is_some_and(|it| it.load(Ordering::Acquire));
        if may_go_on && matches!(self.state, State::Suspended(_)) {
            self.greeting.suspended = None;
            if let State::Suspended(hello) = std::mem::replace(&mut self.state, refused())
                && let Err(error) = self.agree(&hello)
            {
                self.state = State::Refused(error);
            }
        }
        let State::Agreed(handshake) = &mut self.state else { return None };
        let before = out.len();
        let keys = handshake.write(out);
        if keys.is_none() && out.len() == before {
            self.conclude();
        }
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let secrets = match &mut self.state {
            State::Agreed(handshake) => handshake.next.as_mut()?,
            State::Secured(secrets) => secrets,
            State::Greeting(_) | State::Suspended(_) | State::Refused(_) => return None,
        };
        let keys = secrets.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    fn is_valid_retry(&self, _orig_dst_cid: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        // Servers get none.
        false
    }

    fn export_keying_material(
        &self,
        _output: &mut [u8],
        _label: &[u8],
        _context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        // Nothing here asks for any.
        Err(ExportKeyingMaterialError)
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

/// What a session is while its state moves on, and stays if there is no configuration to go on with.
fn refused() -> State {
    State::Refused(alert(INTERNAL_ERROR, "TLS is not configured for QUIC"))
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
const INTERNAL_ERROR: u8 = 80;

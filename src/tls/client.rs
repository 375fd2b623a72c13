//! TLS towards servers (`wss://`): whom a client believes, and by what it makes itself known.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use super::error::{Fault, OptionError};
use super::identity::{certificates, certify, read_chain, read_key};
use super::provider::provider;
use super::source::Source;

/// What a program says about TLS to a server.
#[derive(Debug, Default)]
pub struct ClientOptions {
    /// Certificates to believe, and what they have issued; `None` for those of the system.
    pub ca: Option<Source>,
    /// A certificate chain to show, if the server asks for one, and its key.
    pub identity: Option<(Source, Source)>,
    /// That of the key, if it is encrypted.
    pub passphrase: Option<Vec<u8>>,
    /// Whether the server has to prove who it is.
    pub trust: Trust,
}

/// Whom to believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// A server whose certificate is valid for its name.
    #[default]
    Verified,
    /// Anybody at all, and so whoever stands in between, too (`rejectUnauthorized: false`).
    Anybody,
}

/// TLS for one connect.
#[derive(Clone, Debug)]
pub struct ClientTls {
    name: ServerName<'static>,
    roots: Option<Arc<ClientConfig>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl ClientTls {
    /// Reads the options. `name` is who the server has to be.
    ///
    /// # Errors
    /// The option that cannot be used.
    pub fn new(name: ServerName<'static>, options: ClientOptions) -> Result<Self, OptionError> {
        let ClientOptions { ca, identity, passphrase, trust } = options;
        let identity = identity
            .map(|(cert, key)| {
                let chain = (read_chain(&cert)?, &cert);
                certify(&provider(), chain, (read_key(&key, passphrase.as_deref())?, &key))
            })
            .transpose()?;
        let verifier: Option<Arc<dyn ServerCertVerifier>> = match (trust, ca) {
            (Trust::Anybody, _) => Some(Arc::new(BelieveAnybody(provider()))),
            (Trust::Verified, Some(ca)) => Some(Arc::new(BelieveThese::new(&ca)?)),
            (Trust::Verified, None) => None,
        };
        let roots = verifier
            .map(|verifier| configure(verifier, identity.clone()))
            .transpose()
            .map_err(|error| OptionError::new(Fault::Authority, "ca", error.to_string()))?;
        Ok(Self { name, roots, identity })
    }

    /// Whether [`Self::connect`] reads the certificates of the system, as once in a process that needs them. That takes some
    /// milliseconds, and is not to be done on a thread that others wait for.
    #[must_use]
    pub fn takes_time(&self) -> bool {
        self.roots.is_none() && SYSTEM.get().is_none()
    }

    /// A connection that has not said anything yet.
    ///
    /// # Errors
    /// The system has no certificates to give.
    pub fn connect(self) -> Result<ClientConnection, Error> {
        let config = match (self.roots, self.identity) {
            (Some(config), _) => config,
            (None, None) => system_config()?,
            (None, identity) => configure(system_verifier()?, identity)?,
        };
        ClientConnection::new(config, self.name)
    }
}

/// The configuration of clients that ask for nothing in particular: one for the process, so that they can resume the
/// sessions of each other.
fn system_config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    // Made twice at worst.
    let config = configure(system_verifier()?, None)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// Of the whole process: the certificates of the system are many.
static SYSTEM: OnceLock<Arc<WebPkiServerVerifier>> = OnceLock::new();

/// Believes whom the system believes.
fn system_verifier() -> Result<Arc<dyn ServerCertVerifier>, Error> {
    if let Some(verifier) = SYSTEM.get() {
        return Ok(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>);
    }
    let mut roots = RootCertStore::empty();
    // Some may be too old to be read; one that is missed is told when it is needed.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| Error::General("the system has no root certificates; see the option ca".to_owned()))?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| verifier)) as Arc<dyn ServerCertVerifier>)
}

fn configure(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Arc<CertifiedKey>>,
) -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
    };
    // RFC 7301: WebSockets begin as HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Believes the certificates of the option `ca`: those that they have issued, and, as OpenSSL and with it Node does, these
/// themselves. A self-signed certificate is mostly marked as an issuer, and webpki takes no issuer for a server.
#[derive(Debug)]
struct BelieveThese {
    chains: Arc<WebPkiServerVerifier>,
    these: Vec<CertificateDer<'static>>,
}

impl BelieveThese {
    fn new(source: &Source) -> Result<Self, OptionError> {
        let these = certificates(&source.blocks(Fault::Authority)?);
        if these.is_empty() {
            return Err(source.error(Fault::Authority, "there is no certificate in it"));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &these {
            roots
                .add(certificate.clone())
                .map_err(|error| source.error(Fault::Authority, error.to_string()))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| source.error(Fault::Authority, error.to_string()))?;
        Ok(Self { chains, these })
    }
}

impl ServerCertVerifier for BelieveThese {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chains.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // What webpki looks at before that, the dates among it, was in order.
            Err(Error::InvalidCertificate(error))
                if is_issuer(&error) && self.these.iter().any(|it| it == end_entity) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Whether a certificate was refused because it may issue others.
fn is_issuer(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity")
}

/// Believes whoever has the key of the certificate that it shows, whatever that says.
struct BelieveAnybody(Arc<CryptoProvider>);

impl fmt::Debug for BelieveAnybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BelieveAnybody")
    }
}

impl ServerCertVerifier for BelieveAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use std::time::Duration;

    /// Seconds of the first day of 2026 and of 2030.
    const DAYS: [u64; 2] = [1_767_225_600, 1_893_456_000];

    /// A self-signed certificate for localhost, good until the end of 2027, and the same as PEM.
    fn self_signed(is_ca: bool) -> (CertificateDer<'static>, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2027, 12, 31);
        params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        (certificate.der().clone(), certificate.pem())
    }

    fn source(option: &str, text: &str) -> Source {
        Source { place: option.to_owned(), text: text.into() }
    }

    fn verify(pem: &str, shown: &CertificateDer<'_>, name: &str, day: u64) -> Result<(), Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(day));
        let verifier = BelieveThese::new(&source("ca", pem)).unwrap();
        verifier.verify_server_cert(shown, &[], &name, &[], now).map(drop)
    }

    #[test]
    fn a_self_signed_certificate_that_is_given_is_believed_within_its_dates_and_for_its_name() {
        for is_ca in [true, false] {
            let (shown, pem) = self_signed(is_ca);
            assert_eq!(verify(&pem, &shown, "localhost", DAYS[0]), Ok(()), "{is_ca}");
            let is_refused = |name, day| verify(&pem, &shown, name, day).unwrap_err();
            assert!(matches!(
                is_refused("other.example", DAYS[0]),
                Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
            ));
            assert!(matches!(
                is_refused("localhost", DAYS[1]),
                Error::InvalidCertificate(CertificateError::ExpiredContext { .. })
            ));
        }
    }

    #[test]
    fn another_one_is_not_believed_whatever_it_says() {
        let (_, pem) = self_signed(true);
        for is_ca in [true, false] {
            let (shown, _) = self_signed(is_ca);
            assert!(verify(&pem, &shown, "localhost", DAYS[0]).is_err());
        }
    }

    #[test]
    fn options_that_make_no_configuration_are_named() {
        let (_, pem) = self_signed(false);
        let fault = |options| {
            let name = ServerName::try_from("localhost").unwrap();
            let error = ClientTls::new(name, options).unwrap_err();
            (error.place, error.fault)
        };
        let ca = |text| fault(ClientOptions { ca: Some(source("ca", text)), ..ClientOptions::default() });
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", broken, &KeyPair::generate().unwrap().serialize_pem()] {
            assert_eq!(ca(text), ("ca".to_owned(), Fault::Authority));
        }
        let identity = |cert, key| {
            let identity = Some((source("cert", cert), source("key", key)));
            fault(ClientOptions { identity, ..ClientOptions::default() })
        };
        let key = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(identity("", &key), ("cert".to_owned(), Fault::Certificate));
        assert_eq!(identity(&pem, ""), ("key".to_owned(), Fault::Key));
        assert_eq!(identity(&pem, &key), ("key".to_owned(), Fault::KeyMismatch));
    }
}

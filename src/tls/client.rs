//! TLS for outgoing connections (`wss://`): which server certificates are trusted, and which one the client presents.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::error::{OptionError, OptionFault};
use super::identity::{certificates, certify, read_chain, read_key};
use super::pinned::Pinned;
use super::provider::provider;
use super::source::Source;

/// The TLS options of `uWS.connect`.
#[derive(Debug, Default)]
pub(crate) struct ClientOptions {
    /// Trusted root certificates (`ca`); `None` for those of the system.
    pub ca: Option<Source>,
    /// Certificate chain and private key of the client, for servers that request a certificate.
    pub identity: Option<(Source, Source)>,
    /// The passphrase of the private key, if it is encrypted.
    pub passphrase: Option<Vec<u8>>,
    /// Whether the server's certificate is verified.
    pub trust: ServerTrust,
}

/// Which servers are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServerTrust {
    /// A server whose certificate is valid for its name.
    #[default]
    Verified,
    /// Any server (`rejectUnauthorized: false`): gives no protection against a man in the middle.
    Anybody,
}

/// The TLS configuration of one connect.
#[derive(Clone, Debug)]
pub(crate) struct ClientTls {
    name: ServerName<'static>,
    roots: Option<Arc<ClientConfig>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl ClientTls {
    /// Loads certificates and key of the options. `name` is the host for which the server's certificate must be valid.
    ///
    /// # Errors
    /// The option that cannot be used.
    pub(crate) fn new(name: ServerName<'static>, options: ClientOptions) -> Result<Self, OptionError> {
        let ClientOptions { ca, identity, passphrase, trust } = options;
        let identity = identity
            .map(|(cert, key)| {
                let chain = (read_chain(&cert)?, &cert);
                certify(&provider(), chain, (read_key(&key, passphrase.as_deref())?, &key))
            })
            .transpose()?;
        let verifier: Option<Arc<dyn ServerCertVerifier>> = match (trust, ca) {
            (ServerTrust::Anybody, _) => Some(Arc::new(TrustAnyone(provider()))),
            (ServerTrust::Verified, Some(ca)) => Some(Arc::new(TrustCertificates::new(&ca)?)),
            (ServerTrust::Verified, None) => None,
        };
        let roots = verifier
            .map(|verifier| configure(verifier, identity.clone()))
            .transpose()
            .map_err(|error| OptionError::new(OptionFault::Authority, "ca", error.to_string()))?;
        Ok(Self { name, roots, identity })
    }

    /// Whether [`Self::connect`] will read the certificates of the system, once per process. That blocks for some
    /// milliseconds, so it must not happen on an I/O thread.
    #[must_use]
    pub(crate) fn takes_time(&self) -> bool {
        self.roots.is_none() && SYSTEM.get().is_none()
    }

    /// Creates the TLS connection. Nothing has been sent on it yet.
    ///
    /// # Errors
    /// The certificates of the system cannot be read.
    pub(crate) fn connect(self) -> Result<UnbufferedClientConnection, Error> {
        let config = match (self.roots, self.identity) {
            (Some(config), _) => config,
            (None, None) => system_config()?,
            (None, identity) => configure(system_verifier()?, identity)?,
        };
        UnbufferedClientConnection::new(config, self.name)
    }
}

/// The configuration of all connects without TLS options. The process has one, so that they share a session cache.
fn system_config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    // Two threads may both get here; the second configuration is dropped.
    let config = configure(system_verifier()?, None)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// The same configuration for protocols other than HTTP: nothing is negotiated (ALPN).
///
/// # Errors
/// The certificates of the system cannot be read.
pub(crate) fn without_protocols() -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::clone(&*system_config()?);
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

/// Shared by the whole process, because the system's certificates take memory and time to read.
static SYSTEM: OnceLock<Arc<WebPkiServerVerifier>> = OnceLock::new();

/// A verifier that trusts the root certificates of the system.
fn system_verifier() -> Result<Arc<dyn ServerCertVerifier>, Error> {
    if let Some(verifier) = SYSTEM.get() {
        return Ok(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>);
    }
    let found = rustls_native_certs::load_native_certs();
    // A missing or malformed file is skipped. But a lack of descriptors or memory is an error, because it may pass: the
    // next connect reads the files again.
    if let Some(error) = found.errors.iter().find(|error| may_pass(&error.kind)) {
        return Err(Error::General(format!("the certificates of the system could not be read: {error}")));
    }
    let mut roots = RootCertStore::empty();
    // Some certificates may have a form that rustls does not support. Servers that need those fail verification.
    roots.add_parsable_certificates(found.certs);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| Error::General("the system has no root certificates; see the option ca".to_owned()))?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| verifier)) as Arc<dyn ServerCertVerifier>)
}

/// Whether the same file may be read later: `EMFILE`, `ENFILE`, `ENOMEM`.
fn may_pass(error: &rustls_native_certs::ErrorKind) -> bool {
    let rustls_native_certs::ErrorKind::Io { inner, .. } = error else { return false };
    cfg!(unix) && matches!(inner.raw_os_error(), Some(24 | 23 | 12))
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
    // ALPN (RFC 7301): the opening handshake uses HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Trusts the certificates of the option `ca`: as roots, and, like OpenSSL and Node, as the server's own certificate if
/// they are self-signed.
#[derive(Debug)]
struct TrustCertificates {
    chains: Arc<WebPkiServerVerifier>,
    /// Those that webpki refuses as the server's own certificate, compared byte by byte instead.
    pinned: Vec<Pinned>,
}

impl TrustCertificates {
    fn new(source: &Source) -> Result<Self, OptionError> {
        let these = certificates(&source.blocks(OptionFault::Authority)?);
        if these.is_empty() {
            return Err(source.error(OptionFault::Authority, "there is no certificate in it"));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &these {
            roots
                .add(certificate.clone())
                .map_err(|error| source.error(OptionFault::Authority, error.to_string()))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| source.error(OptionFault::Authority, error.to_string()))?;
        Ok(Self { chains, pinned: these.iter().filter_map(Pinned::new).collect() })
    }
}

impl ServerCertVerifier for TrustCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.pinned.iter().find(|pinned| pinned.is(end_entity)) {
            Some(pinned) => pinned.verify(name, now).map(|()| ServerCertVerified::assertion()),
            None => self.chains.verify_server_cert(end_entity, intermediates, name, ocsp, now),
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

/// Accepts every certificate, as long as the server proves that it has the private key.
struct TrustAnyone(Arc<CryptoProvider>);

impl fmt::Debug for TrustAnyone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustAnyone")
    }
}

impl ServerCertVerifier for TrustAnyone {
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
    use crate::tls::fault::words;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
        ExtendedKeyUsagePurpose as Purpose, IsCa, KeyPair, KeyUsagePurpose as Usage, date_time_ymd,
    };
    use rustls::{CertificateError, ExtendedKeyPurpose};
    use std::time::Duration;

    /// 1 January of 2024, 2026 and 2030, in seconds since the Unix epoch.
    const DAYS: [u64; 3] = [1_704_067_200, 1_767_225_600, 1_893_456_000];

    /// Parameters of a certificate for localhost, valid from 2025 until the end of 2027.
    fn params(is_ca: bool) -> CertificateParams {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2027, 12, 31);
        params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params
    }

    /// A self-signed certificate, as DER and as PEM.
    fn self_signed(params: &CertificateParams) -> (CertificateDer<'static>, String) {
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        (certificate.der().clone(), certificate.pem())
    }

    fn source(option: &str, text: &str) -> Source {
        Source { place: option.to_owned(), text: text.into() }
    }

    fn verify(pem: &str, shown: &CertificateDer<'_>, name: &str, day: u64) -> Result<(), CertificateError> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(day));
        let verifier = TrustCertificates::new(&source("ca", pem)).unwrap();
        match verifier.verify_server_cert(shown, &[], &name, &[], now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_self_signed_certificate_that_is_given_is_trusted_within_its_dates_and_for_its_name() {
        use CertificateError as No;
        for is_ca in [true, false] {
            let (shown, pem) = self_signed(&params(is_ca));
            let verify = |name, day| verify(&pem, &shown, name, day);
            assert_eq!(verify("localhost", DAYS[1]), Ok(()), "{is_ca}");
            assert!(matches!(verify("other.example", DAYS[1]), Err(No::NotValidForNameContext { .. })));
            assert!(matches!(verify("127.0.0.1", DAYS[1]), Err(No::NotValidForNameContext { .. })));
            assert!(matches!(verify("localhost", DAYS[0]), Err(No::NotValidYetContext { .. })));
            assert!(matches!(verify("localhost", DAYS[2]), Err(No::ExpiredContext { .. })));
        }
    }

    #[test]
    fn a_self_signed_certificate_is_trusted_for_its_purposes_only() {
        let unsuitable = |presented: &[ExtendedKeyPurpose]| {
            Err(CertificateError::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: presented.to_vec(),
            })
        };
        let any = ExtendedKeyPurpose::Other(vec![2, 5, 29, 37, 0]);
        let cases: [(&[Purpose], _); 6] = [
            (&[], Ok(())),
            (&[Purpose::ServerAuth], Ok(())),
            (&[Purpose::ClientAuth, Purpose::ServerAuth], Ok(())),
            (&[Purpose::ClientAuth], unsuitable(&[ExtendedKeyPurpose::ClientAuth])),
            (
                &[Purpose::CodeSigning],
                unsuitable(&[ExtendedKeyPurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 3])]),
            ),
            // As in OpenSSL: anyExtendedKeyUsage does not include serverAuth.
            (&[Purpose::Any], unsuitable(&[any])),
        ];
        for (purposes, expected) in cases {
            for is_ca in [true, false] {
                let mut params = params(is_ca);
                params.extended_key_usages = purposes.to_vec();
                let (shown, pem) = self_signed(&params);
                assert_eq!(verify(&pem, &shown, "localhost", DAYS[1]), expected, "{purposes:?} {is_ca}");
            }
        }
    }

    #[test]
    fn an_issuer_whose_key_may_not_sign_handshakes_is_no_server() {
        let cases: [(&[Usage], _); 4] = [
            (&[Usage::KeyCertSign, Usage::CrlSign], Err(CertificateError::InvalidPurpose)),
            (&[Usage::KeyCertSign, Usage::DigitalSignature], Ok(())),
            (&[Usage::KeyEncipherment], Ok(())),
            (&[Usage::KeyAgreement], Ok(())),
        ];
        for (usages, expected) in cases {
            let mut params = params(true);
            params.key_usages = usages.to_vec();
            let (shown, pem) = self_signed(&params);
            assert_eq!(verify(&pem, &shown, "localhost", DAYS[1]), expected, "{usages:?}");
        }
    }

    #[test]
    fn an_unknown_critical_extension_refuses_a_self_signed_certificate() {
        for is_ca in [true, false] {
            let mut params = params(is_ca);
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1, 1], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
            let (shown, pem) = self_signed(&params);
            let result = verify(&pem, &shown, "localhost", DAYS[1]);
            let words = words(&result.unwrap_err().into());
            assert!(words.contains("it has a critical extension that nobody here knows"), "{words} {is_ca}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_its_own_issuer_is_not_trusted_for_being_given() {
        let named = |name: &str, is_ca| {
            let mut params = params(is_ca);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let root = CertifiedIssuer::self_signed(named("root", true), KeyPair::generate().unwrap()).unwrap();
        for is_ca in [true, false] {
            let key = KeyPair::generate().unwrap();
            let issued = named("issued", is_ca).signed_by(&key, &root).unwrap();
            let result = verify(&issued.pem(), issued.der(), "localhost", DAYS[1]);
            assert!(result.is_err(), "{is_ca}: its issuer is unknown");
            let result = verify(&root.pem(), issued.der(), "localhost", DAYS[1]);
            assert_eq!(result.is_ok(), !is_ca, "by its issuer, unless it is one itself: {result:?}");
        }
    }

    #[test]
    fn another_certificate_is_not_trusted_whatever_its_fields() {
        let (_, pem) = self_signed(&params(true));
        for is_ca in [true, false] {
            let (shown, _) = self_signed(&params(is_ca));
            assert!(verify(&pem, &shown, "localhost", DAYS[1]).is_err());
        }
    }

    #[test]
    fn options_that_make_no_configuration_are_named() {
        let (_, pem) = self_signed(&params(false));
        let fault = |options| {
            let name = ServerName::try_from("localhost").unwrap();
            let error = ClientTls::new(name, options).unwrap_err();
            (error.place, error.fault)
        };
        let ca = |text| fault(ClientOptions { ca: Some(source("ca", text)), ..ClientOptions::default() });
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", broken, &KeyPair::generate().unwrap().serialize_pem()] {
            assert_eq!(ca(text), ("ca".to_owned(), OptionFault::Authority));
        }
        let identity = |cert, key| {
            let identity = Some((source("cert", cert), source("key", key)));
            fault(ClientOptions { identity, ..ClientOptions::default() })
        };
        let key = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(identity("", &key), ("cert".to_owned(), OptionFault::Certificate));
        assert_eq!(identity(&pem, ""), ("key".to_owned(), OptionFault::Key));
        assert_eq!(identity(&pem, &key), ("key".to_owned(), OptionFault::KeyMismatch));
    }
}

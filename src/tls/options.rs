//! The TLS options of `SSLApp`, `addServerName` and `setCertificate`, with the contents of their files; their
//! evaluation; and the resulting configuration of handshakes.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, RootCertStore};

use super::error::{OptionError, OptionFault};
use super::identity::{certificates, certify, doubts, read_chain, read_key};
use super::provider::{provider, restricted, ticketer};
use super::server_configs::ServerConfigs;
use super::source::Source;
use super::suites::select;

/// The options as given. `None` stands for an option that is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `key_file_name`, `key`
    pub key: Option<Source>,
    /// `cert_file_name`, `cert`
    pub cert: Option<Source>,
    /// `passphrase`
    pub passphrase: Option<Vec<u8>>,
    /// `ca_file_name`, `ca`; an empty document is no authority.
    pub ca: Option<Source>,
    /// `requireClientCertificate`
    pub require_client_certificate: Option<bool>,
    /// `ssl_ciphers`
    pub ciphers: Option<String>,
    /// `dh_params_file_name`: checked and otherwise ignored, because no cipher suite with DHE is supported.
    pub dh_params: Option<Source>,
    /// `ssl_prefer_low_memory_usage`: no session cache on this side; clients can still resume with tickets.
    pub prefers_low_memory: Option<bool>,
}

/// Options after evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    identity: Arc<CertifiedKey>,
    clients: Clients,
    /// `None` for all suites of the provider.
    suites: Option<Vec<CipherSuite>>,
    prefers_low_memory: bool,
    /// Whether clients may choose HTTP/2.
    pub speaks_http2: bool,
    /// Whether there are clients that speak HTTP/3.
    pub speaks_http3: bool,
}

/// Whether clients need a certificate.
#[derive(Clone, Debug)]
enum Clients {
    /// Nothing.
    Unasked,
    /// A certificate under one of these roots, if they have one.
    Optional(Arc<RootCertStore>),
    /// A certificate under one of these roots.
    Required(Arc<RootCertStore>),
}

/// Evaluated options, and warnings about them.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    /// The result.
    pub settings: Settings,
    /// Warnings for the log; none of them keeps a server from starting.
    pub remarks: Vec<String>,
}

impl Settings {
    /// Evaluates options at the time `now`; whether HTTP/2 and HTTP/3 are spoken is not among them. Options that are left
    /// out are taken from `base`: for `setCertificate` the current ones, for `addServerName` those of the app. Key and
    /// certificate are never taken from there: they belong together.
    ///
    /// # Errors
    /// An option cannot be used. Nothing has changed then.
    pub(crate) fn evaluate(
        options: &Options,
        base: Option<&Self>,
        now: SystemTime,
    ) -> Result<Evaluation, OptionError> {
        let mut remarks = Vec::new();
        let identity = identity(options, now, &mut remarks)?;
        let clients = clients(options, base.map_or(&Clients::Unasked, |base| &base.clients))?;
        let suites = match &options.ciphers {
            None => base.and_then(|base| base.suites.clone()),
            Some(list) => {
                let selection = select(list).map_err(|error| {
                    OptionError::new(OptionFault::Ciphers, "ssl_ciphers", error.to_string())
                })?;
                if !selection.unavailable.is_empty() {
                    let names = selection.unavailable.join(", ");
                    remarks.push(format!("ssl_ciphers: not available here and left out: {names}"));
                }
                Some(selection.suites)
            }
        };
        if let Some(parameters) = &options.dh_params {
            let blocks = parameters.blocks(OptionFault::DhParameters)?;
            if !blocks.iter().any(|block| DH_TAGS.contains(&block.tag())) {
                return Err(parameters
                    .error(OptionFault::DhParameters, "there are no Diffie-Hellman parameters in it"));
            }
        }
        let inherited = base.is_some_and(|base| base.prefers_low_memory);
        let prefers_low_memory = options.prefers_low_memory.unwrap_or(inherited);
        let speaks_http2 = base.is_some_and(|base| base.speaks_http2);
        let speaks_http3 = base.is_some_and(|base| base.speaks_http3);
        let settings = Self { identity, clients, suites, prefers_low_memory, speaks_http2, speaks_http3 };
        Ok(Evaluation { settings, remarks })
    }

    /// The configurations for handshakes. They have their own ticket keys: sessions of another configuration are not resumed,
    /// so the current requirements hold for every client.
    ///
    /// # Errors
    /// The system's random number generator failed.
    pub(crate) fn server_configs(&self) -> Result<Arc<ServerConfigs>, OptionError> {
        let refused =
            |error: rustls::Error| OptionError::new(OptionFault::Certificate, "TLS", error.to_string());
        let provider = self.suites.as_deref().map_or_else(provider, restricted);
        let resolver = SingleCertAndKey::from(Arc::clone(&self.identity));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_client_cert_verifier(self.clients.verifier()?)
            .with_cert_resolver(Arc::new(resolver));
        let mut config = finish(config).map_err(refused)?;
        if self.speaks_http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        if self.prefers_low_memory {
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let configs = ServerConfigs::new(config.clone());
        if !self.speaks_http3 {
            return Ok(Arc::new(configs));
        }
        if config.crypto_provider().cipher_suites.iter().all(|suite| suite.tls13().is_none()) {
            let text = "HTTP/3 needs a cipher suite of TLS 1.3";
            return Err(OptionError::new(OptionFault::Ciphers, "ssl_ciphers", text.to_owned()));
        }
        // Tickets of their own: a session of TCP is not resumed over QUIC.
        config.alpn_protocols = vec![b"h3".to_vec()];
        config.ticketer = ticketer().map_err(refused)?;
        Ok(Arc::new(configs.with_quic(config)))
    }
}

/// What every configuration of this server has in common.
///
/// # Errors
/// The system's random number generator failed.
pub(crate) fn finish(mut config: ServerConfig) -> Result<ServerConfig, rustls::Error> {
    // RFC 7301 §3.2: a client that offers only other protocols gets the alert no_application_protocol.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    config.ticketer = ticketer()?;
    Ok(config)
}

impl Clients {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, OptionError> {
        let (roots, is_required) = match self {
            Self::Unasked => return Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(roots) => (roots, false),
            Self::Required(roots) => (roots, true),
        };
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
        let builder = if is_required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| OptionError::new(OptionFault::Authority, "ca", error.to_string()))
    }

    const fn roots(&self) -> Option<&Arc<RootCertStore>> {
        match self {
            Self::Unasked => None,
            Self::Optional(roots) | Self::Required(roots) => Some(roots),
        }
    }
}

fn identity(
    options: &Options,
    now: SystemTime,
    remarks: &mut Vec<String>,
) -> Result<Arc<CertifiedKey>, OptionError> {
    let missing = |fault, file: &str, direct: &str| {
        OptionError::new(fault, file, format!("it is missing; or give the document itself as {direct}"))
    };
    let key_source = options.key.as_ref().ok_or_else(|| missing(OptionFault::Key, "key_file_name", "key"))?;
    let cert_source =
        options.cert.as_ref().ok_or_else(|| missing(OptionFault::Certificate, "cert_file_name", "cert"))?;
    let chain = read_chain(cert_source)?;
    let key = read_key(key_source, options.passphrase.as_deref())?;
    remarks.extend(doubts(&chain, now).iter().map(|doubt| format!("{}: {doubt}", cert_source.place)));
    certify(&provider(), (chain, cert_source), (key, key_source))
}

fn clients(options: &Options, base: &Clients) -> Result<Clients, OptionError> {
    let roots = match &options.ca {
        None => base.roots().cloned(),
        Some(source) if source.text.is_empty() => None,
        Some(source) => Some(Arc::new(roots(source)?)),
    };
    let is_required = options.require_client_certificate.unwrap_or(matches!(base, Clients::Required(_)));
    match (roots, is_required) {
        (None, false) => Ok(Clients::Unasked),
        (None, true) => {
            let text = "needs ca_file_name or ca: otherwise no client could be verified";
            Err(OptionError::new(OptionFault::Authority, "requireClientCertificate", text))
        }
        (Some(roots), false) => Ok(Clients::Optional(roots)),
        (Some(roots), true) => Ok(Clients::Required(roots)),
    }
}

fn roots(source: &Source) -> Result<RootCertStore, OptionError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&source.blocks(OptionFault::Authority)?) {
        roots.add(certificate).map_err(|error| source.error(OptionFault::Authority, error.to_string()))?;
    }
    if roots.is_empty() {
        Err(source.error(OptionFault::Authority, "there is no certificate in it"))
    } else {
        Ok(roots)
    }
}

const DH_TAGS: [&str; 2] = ["DH PARAMETERS", "X9.42 DH PARAMETERS"];

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };
    use rustls::pki_types::UnixTime;

    use super::*;

    fn source(place: &str, text: impl Into<Vec<u8>>) -> Source {
        Source { place: place.into(), text: text.into() }
    }

    /// Certificate and key, in PEM.
    fn pair(params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn params() -> CertificateParams {
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap()
    }

    /// Options that are in order.
    fn options() -> Options {
        let (cert, key) = pair(&params());
        Options { key: Some(source("key", key)), cert: Some(source("cert", cert)), ..Options::default() }
    }

    /// A moment at which certificates are valid unless they say otherwise: 2025-01-01.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600)
    }

    fn evaluate(options: &Options) -> Result<Evaluation, OptionError> {
        Settings::evaluate(options, None, now())
    }

    #[track_caller]
    fn refused(options: &Options, fault: OptionFault, place: &str) {
        let error = evaluate(options).unwrap_err();
        assert_eq!((error.fault, error.place.as_str()), (fault, place), "{error}");
    }

    #[test]
    fn a_key_and_its_certificate_are_enough() {
        let Evaluation { settings, remarks } = evaluate(&options()).unwrap();
        assert!(remarks.is_empty());
        let configs = settings.server_configs().unwrap();
        let config = configs.common();
        assert_eq!(config.alpn_protocols, [b"http/1.1", b"http/1.0"]);
        assert!(config.session_storage.can_cache());
    }

    #[test]
    fn the_option_that_is_wrong_is_named() {
        let good = options();
        let (other, _) = pair(&params());
        let key = |text: &str| Options { key: Some(source("key", text)), ..good.clone() };
        let cert = |text: &str| Options { cert: Some(source("cert", text)), ..good.clone() };
        refused(&Options { key: None, ..good.clone() }, OptionFault::Key, "key_file_name");
        refused(&Options { cert: None, ..good.clone() }, OptionFault::Certificate, "cert_file_name");
        refused(&key(""), OptionFault::Key, "key");
        refused(&key("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n"), OptionFault::Key, "key");
        refused(
            &key("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
            OptionFault::Key,
            "key",
        );
        refused(
            &key("-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n"),
            OptionFault::Key,
            "key",
        );
        refused(&key(&other), OptionFault::Key, "key");
        refused(&cert("garbage"), OptionFault::Certificate, "cert");
        refused(
            &cert("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            OptionFault::Certificate,
            "cert",
        );
        refused(&cert(&other), OptionFault::KeyMismatch, "key");
        refused(
            &Options { ciphers: Some("NO-SUCH".into()), ..good.clone() },
            OptionFault::Ciphers,
            "ssl_ciphers",
        );
        refused(
            &Options { dh_params: Some(source("dh", other)), ..good.clone() },
            OptionFault::DhParameters,
            "dh",
        );
        refused(&Options { ca: Some(source("ca", "x")), ..good.clone() }, OptionFault::Authority, "ca");
        let required = Options { require_client_certificate: Some(true), ..good };
        refused(&required, OptionFault::Authority, "requireClientCertificate");
    }

    #[test]
    fn an_encrypted_key_needs_its_passphrase() {
        let block = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
            DEK-Info: AES-128-CBC,0102030405060708090a0b0c0d0e0f10\n\nAAAAAAAAAAAAAAAAAAAAAA==\n\
            -----END EC PRIVATE KEY-----\n";
        let encrypted = Options { key: Some(source("key", block)), ..options() };
        refused(&encrypted, OptionFault::Passphrase, "key");
        let wrong = Options { passphrase: Some(b"wrong".to_vec()), ..encrypted };
        refused(&wrong, OptionFault::Passphrase, "key");
    }

    #[test]
    fn key_and_certificate_may_share_a_document() {
        let (cert, key) = pair(&params());
        let both = source("both", format!("a comment\r\n{key}\r\n{cert}"));
        let options = Options { key: Some(both.clone()), cert: Some(both), ..Options::default() };
        assert!(evaluate(&options).is_ok());
    }

    #[test]
    fn a_certificate_out_of_its_time_is_remarked_upon_and_used() {
        let mut old = params();
        (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let mut new = params();
        (new.not_before, new.not_after) = (date_time_ymd(2030, 1, 1), date_time_ymd(2031, 1, 1));
        for (params, text) in [(old, "expired at 2021-01-01"), (new, "not valid before 2030-01-01")] {
            let (cert, key) = pair(&params);
            let options = Options {
                key: Some(source("key", key)),
                cert: Some(source("cert", cert)),
                ..Options::default()
            };
            let Evaluation { remarks, .. } = evaluate(&options).unwrap();
            assert_eq!(remarks.len(), 1);
            assert!(remarks[0].contains(text) && remarks[0].starts_with("cert: "), "{}", remarks[0]);
        }
    }

    #[test]
    fn a_client_certificate_is_trusted_within_its_dates_for_its_purpose_and_under_its_issuer() {
        let issuer = |name: &str| {
            let mut params = params();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (friend, stranger) = (issuer("friend"), issuer("stranger"));
        let options = Options { ca: Some(source("ca", friend.pem())), ..options() };
        let verifier = evaluate(&options).unwrap().settings.clients.verifier().unwrap();
        let issued = |issuer: &CertifiedIssuer<'_, KeyPair>, change: fn(&mut CertificateParams)| {
            let mut params = params();
            change(&mut params);
            let certificate = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_secs(1_735_689_600));
            verifier.verify_client_cert(certificate.der(), &[], now).map(drop)
        };
        assert_eq!(issued(&friend, |_| {}), Ok(()));
        assert_eq!(
            issued(&friend, |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Ok(())
        );
        let refused: [(_, fn(&mut CertificateParams), _); 5] = [
            (&stranger, |_| {}, "UnknownIssuer"),
            (
                &friend,
                |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
                "InvalidPurposeContext",
            ),
            (&friend, |it| it.not_after = date_time_ymd(2024, 12, 31), "ExpiredContext"),
            (&friend, |it| it.not_before = date_time_ymd(2025, 1, 2), "NotValidYetContext"),
            (&friend, |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "CaUsedAsEndEntity"),
        ];
        for (issuer, change, expected) in refused {
            let error = issued(issuer, change).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
        let own = verifier.verify_client_cert(friend.der(), &[], UnixTime::now()).unwrap_err();
        assert!(format!("{own:?}").contains("CaUsedAsEndEntity"), "{own:?}");
    }

    #[test]
    fn what_is_left_out_stays_and_key_and_certificate_do_not() {
        let (ca, _) = pair(&params());
        let first = Options {
            ca: Some(source("ca", ca)),
            require_client_certificate: Some(true),
            ciphers: Some("TLS_AES_128_GCM_SHA256:AES128-SHA".into()),
            prefers_low_memory: Some(true),
            ..options()
        };
        let Evaluation { settings: base, remarks } = evaluate(&first).unwrap();
        assert_eq!(remarks, ["ssl_ciphers: not available here and left out: AES128-SHA"]);
        let next = Settings::evaluate(&options(), Some(&base), now()).unwrap().settings;
        assert!(matches!(next.clients, Clients::Required(_)));
        assert_eq!(next.suites, base.suites);
        assert!(!next.server_configs().unwrap().common().session_storage.can_cache());
        assert!(Settings::evaluate(&Options::default(), Some(&base), now()).is_err());

        let open =
            Options { ca: Some(source("ca", "")), require_client_certificate: Some(false), ..options() };
        let open = Settings::evaluate(&open, Some(&base), now()).unwrap().settings;
        assert!(matches!(open.clients, Clients::Unasked));
    }

    proptest! {
        /// A panic would be caught by napi, but the exception would not name the option.
        #[test]
        fn damaged_documents_are_refused_or_used_and_nothing_else(
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            which in 0..3_usize,
            cut in any::<bool>(),
        ) {
            static GOOD: LazyLock<Options> = LazyLock::new(options);
            let mut options = Options { ca: GOOD.cert.clone(), ..GOOD.clone() };
            let [key, cert, ca] = [&mut options.key, &mut options.cert, &mut options.ca];
            let document = [key, cert, ca].into_iter().nth(which).and_then(Option::as_mut);
            if let Some(source) = document {
                let block = pem::parse(&source.text).unwrap();
                let mut der = block.contents().to_vec();
                let place = place.index(der.len());
                der[place] = byte;
                der.truncate(if cut { place } else { der.len() });
                source.text = pem::encode(&pem::Pem::new(block.tag(), der)).into_bytes();
            }
            if let Ok(Evaluation { settings, .. }) = evaluate(&options) {
                prop_assert!(settings.server_configs().is_ok());
            }
        }
    }
}

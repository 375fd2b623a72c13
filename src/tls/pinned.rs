//! Self-signed certificates in the option `ca` that a server presents as its own.
//!
//! OpenSSL, and with it Node, trusts such a certificate. webpki refuses it if it is marked as an issuer, as self-signed
//! certificates mostly are, before all checks are done. So no error of webpki is overruled here; instead, all checks of
//! OpenSSL for such a certificate are made.

use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, ExtendedKeyPurpose};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

/// A self-signed certificate that is marked as an issuer.
#[derive(Debug)]
pub(crate) struct Pinned {
    der: CertificateDer<'static>,
    certificate: CertificateInner<Raw>,
}

impl Pinned {
    /// `None` if it is another kind of certificate, which webpki verifies.
    #[must_use]
    pub(crate) fn new(der: &CertificateDer<'static>) -> Option<Self> {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let fields = certificate.tbs_certificate();
        let is_issuer = matches!(fields.get_extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca);
        let is_self_signed = fields.issuer() == fields.subject();
        (is_issuer && is_self_signed).then(|| Self { der: der.clone(), certificate })
    }

    /// Whether a server has presented this certificate. Compared byte by byte, so that its signature need not be
    /// verified.
    #[must_use]
    pub(crate) fn is(&self, shown: &CertificateDer<'_>) -> bool {
        self.der == *shown
    }

    /// Verifies that it is valid for a server of this name at this time.
    ///
    /// # Errors
    /// The check that failed, as webpki's error.
    pub(crate) fn verify(&self, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        // Also refuses unknown critical extensions.
        let parsed = ParsedCertificate::try_from(&self.der)?;
        self.verify_dates(now)?;
        self.verify_purpose()?;
        verify_server_name(&parsed, name)
    }

    /// RFC 5280 §4.1.2.5: both ends are part of the period.
    fn verify_dates(&self, now: UnixTime) -> Result<(), CertificateError> {
        let validity = self.certificate.tbs_certificate().validity();
        let [not_before, not_after] = [validity.not_before, validity.not_after]
            .map(|time| UnixTime::since_unix_epoch(Duration::from_secs(time.to_unix_duration().as_secs())));
        if now < not_before {
            Err(CertificateError::NotValidYetContext { time: now, not_before })
        } else if now > not_after {
            Err(CertificateError::ExpiredContext { time: now, not_after })
        } else {
            Ok(())
        }
    }

    /// RFC 5280 §4.2.1.3 and §4.2.1.12: the key may be used by a TLS server. A missing extension restricts nothing.
    fn verify_purpose(&self) -> Result<(), CertificateError> {
        let fields = self.certificate.tbs_certificate();
        let usage = fields.get_extension::<KeyUsage>().map_err(|_| CertificateError::BadEncoding)?;
        if let Some((_, usage)) = usage
            && !usage.digital_signature()
            && !usage.key_encipherment()
            && !usage.key_agreement()
        {
            return Err(CertificateError::InvalidPurpose);
        }
        let purposes =
            fields.get_extension::<ExtendedKeyUsage>().map_err(|_| CertificateError::BadEncoding)?;
        match purposes {
            Some((_, ExtendedKeyUsage(purposes))) if !purposes.contains(&ID_KP_SERVER_AUTH) => {
                Err(CertificateError::InvalidPurposeContext {
                    required: ExtendedKeyPurpose::ServerAuth,
                    presented: purposes.iter().map(purpose).collect(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn purpose(id: &ObjectIdentifier) -> ExtendedKeyPurpose {
    if *id == ID_KP_CLIENT_AUTH {
        ExtendedKeyPurpose::ClientAuth
    } else {
        ExtendedKeyPurpose::Other(id.arcs().map(|arc| arc as usize).collect())
    }
}

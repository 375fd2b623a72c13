//! Who a server is: its certificate, the chain above it, and the private key.

use std::sync::Arc;
use std::time::SystemTime;

use pem::Pem;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::encrypted_key::{DecryptError, decrypt_pkcs8, decrypt_traditional};
use super::error::{Fault, OptionError};
use super::source::Source;

/// Reads the certificates of a document: the server's own comes first, then those that lead to a root.
///
/// # Errors
/// There is none, or the document is malformed.
pub fn read_chain(source: &Source) -> Result<Vec<CertificateDer<'static>>, OptionError> {
    let blocks = source.blocks(Fault::Certificate)?;
    let chain = certificates(&blocks);
    if chain.is_empty() {
        Err(source.error(Fault::Certificate, "there is no certificate in it"))
    } else {
        Ok(chain)
    }
}

/// The certificates among the blocks of a document.
#[must_use]
pub fn certificates(blocks: &[Pem]) -> Vec<CertificateDer<'static>> {
    let certificates = blocks.iter().filter(|block| CERTIFICATE_TAGS.contains(&block.tag()));
    certificates.map(|block| block.contents().to_vec().into()).collect()
}

/// Reads the first private key of a document. Without encryption the passphrase does not matter.
///
/// # Errors
/// There is none, it is malformed, or `passphrase` is not the right one.
pub fn read_key(source: &Source, passphrase: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, OptionError> {
    let blocks = source.blocks(Fault::Key)?;
    let Some(block) = blocks.iter().find(|block| block.tag().ends_with(PRIVATE_KEY)) else {
        return Err(source.error(Fault::Key, "there is no private key in it"));
    };
    let needed = || {
        passphrase.ok_or_else(|| {
            source.error(Fault::Passphrase, "the private key is encrypted: set the passphrase")
        })
    };
    let refused = |error: DecryptError| {
        let fault = if error == DecryptError::WrongPassphrase { Fault::Passphrase } else { Fault::Key };
        source.error(fault, error.to_string())
    };
    let traditional = |block: &Pem| match block.headers().get("DEK-Info") {
        Some(dek_info) => decrypt_traditional(block.contents(), dek_info, needed()?).map_err(refused),
        None => Ok(block.contents().to_vec()),
    };
    match block.tag() {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(block.contents().to_vec()).into()),
        "ENCRYPTED PRIVATE KEY" => {
            let der = decrypt_pkcs8(block.contents(), needed()?).map_err(refused)?;
            Ok(PrivatePkcs8KeyDer::from(der).into())
        }
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(traditional(block)?).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(traditional(block)?).into()),
        other => {
            let text = format!(
                "{other:?} is no form of private key that TLS uses; 'openssl pkcs8 -topk8' writes one"
            );
            Err(source.error(Fault::Key, text))
        }
    }
}

/// Puts a chain and its key together.
///
/// # Errors
/// The key is of a kind that cannot be used, or not that of the first certificate.
pub fn certify(
    provider: &CryptoProvider,
    (chain, cert): (Vec<CertificateDer<'static>>, &Source),
    (key, key_source): (PrivateKeyDer<'static>, &Source),
) -> Result<Arc<CertifiedKey>, OptionError> {
    let key: Arc<dyn SigningKey> = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| key_source.error(Fault::Key, UNSUPPORTED_KEY))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let text = format!("the private key is not that of the first certificate of {}", cert.place);
            Err(key_source.error(Fault::KeyMismatch, text))
        }
        // Keys of this provider can always be compared.
        Err(error) => {
            Err(cert.error(Fault::Certificate, format!("the first certificate is malformed: {error}")))
        }
    }
}

/// What is questionable about the server's own certificate at the moment `now`: clients will refuse it, but a clock may
/// be wrong, and old certificates serve in tests.
#[must_use]
pub fn doubt(chain: &[CertificateDer<'_>], now: SystemTime) -> Option<String> {
    let certificate = Certificate::from_der(chain.first()?).ok()?;
    let validity = certificate.tbs_certificate().validity();
    if validity.not_after.to_system_time() < now {
        Some(format!("the certificate expired at {}", validity.not_after))
    } else if validity.not_before.to_system_time() > now {
        Some(format!("the certificate is not valid before {}", validity.not_before))
    } else {
        None
    }
}

const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The second is what OpenSSL once wrote.
const CERTIFICATE_TAGS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];
const UNSUPPORTED_KEY: &str = "the private key is malformed, or of another kind than RSA (2048 to 4096 bits), ECDSA (P-256, P-384) and Ed25519";

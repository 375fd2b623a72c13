//! The identity of a server or client: its certificate chain and the private key.

use std::sync::Arc;
use std::time::SystemTime;

use pem::Pem;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_cert::certificate::{CertificateInner, Raw, Version};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, Tagged};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::encrypted_key::{DecryptError, decrypt_pkcs8, decrypt_traditional};
use super::error::{OptionError, OptionFault};
use super::source::Source;

/// Reads the certificate chain of a PEM document: the end-entity certificate comes first, then the intermediates.
///
/// # Errors
/// The document has no certificate, or is malformed.
pub(crate) fn read_chain(source: &Source) -> Result<Vec<CertificateDer<'static>>, OptionError> {
    let blocks = source.blocks(OptionFault::Certificate)?;
    let chain = certificates(&blocks);
    if chain.is_empty() {
        Err(source.error(OptionFault::Certificate, "there is no certificate in it"))
    } else {
        Ok(chain)
    }
}

/// The certificates among the blocks of a PEM document.
#[must_use]
pub(crate) fn certificates(blocks: &[Pem]) -> Vec<CertificateDer<'static>> {
    let certificate = |block: &Pem| match block.tag() {
        tag if CERTIFICATE_TAGS.contains(&tag) => Some(block.contents().to_vec().into()),
        TRUSTED_CERTIFICATE => Some(first_value(block.contents()).to_vec().into()),
        _ => None,
    };
    blocks.iter().filter_map(certificate).collect()
}

/// The first DER value in `bytes`; all of `bytes` if it is malformed, so that the parser of certificates reports that.
fn first_value(bytes: &[u8]) -> &[u8] {
    let first = SliceReader::new(bytes).and_then(|mut reader| reader.tlv_bytes());
    first.unwrap_or(bytes)
}

/// Reads the first private key of a PEM document. `passphrase` is ignored if the key is not encrypted.
///
/// # Errors
/// The document has no private key, the key is malformed, or `passphrase` is missing or wrong.
pub(crate) fn read_key(
    source: &Source,
    passphrase: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, OptionError> {
    let blocks = source.blocks(OptionFault::Key)?;
    let Some(block) = blocks.iter().find(|block| block.tag().ends_with(PRIVATE_KEY)) else {
        return Err(source.error(OptionFault::Key, "there is no private key in it"));
    };
    let needed = || {
        passphrase.ok_or_else(|| {
            source.error(OptionFault::Passphrase, "the private key is encrypted: set the passphrase")
        })
    };
    let refused = |error: DecryptError| {
        let fault =
            if error == DecryptError::WrongPassphrase { OptionFault::Passphrase } else { OptionFault::Key };
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
            Err(source.error(OptionFault::Key, text))
        }
    }
}

/// Combines a certificate chain and its private key.
///
/// Only the public key of the end-entity certificate is checked. Whether the rest is acceptable is for the peers to decide,
/// not all of which are as strict as rustls.
///
/// # Errors
/// The key has an unsupported algorithm, or does not belong to the first certificate.
pub(crate) fn certify(
    provider: &CryptoProvider,
    (chain, cert): (Vec<CertificateDer<'static>>, &Source),
    (key, key_source): (PrivateKeyDer<'static>, &Source),
) -> Result<Arc<CertifiedKey>, OptionError> {
    let malformed = |why: &dyn std::fmt::Display| {
        cert.error(OptionFault::Certificate, format!("the first certificate is malformed: {why}"))
    };
    let key: Arc<dyn SigningKey> = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| key_source.error(OptionFault::Key, UNSUPPORTED_KEY))?;
    let own = chain.first().ok_or_else(|| malformed(&"there is none"))?;
    let certified_key = public_key(own).map_err(|error| malformed(&error))?;
    // Every key of this crypto provider can derive its public key.
    let of_key = key.public_key().ok_or_else(|| key_source.error(OptionFault::Key, UNSUPPORTED_KEY))?;
    let of_key = SubjectPublicKeyInfoRef::from_der(&of_key)
        .map_err(|_| key_source.error(OptionFault::Key, UNSUPPORTED_KEY))?;
    // The algorithm's parameters are not compared: some encoders omit the NULL of RSA.
    let is_same = certified_key.algorithm.oid == of_key.algorithm.oid
        && certified_key.subject_public_key == of_key.subject_public_key;
    if is_same {
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    } else {
        let text = format!("the private key is not that of the first certificate of {}", cert.place);
        Err(key_source.error(OptionFault::KeyMismatch, text))
    }
}

/// The public key of a certificate of any version (RFC 5280 §4.1). The other fields need not be valid.
fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> der::Result<SubjectPublicKeyInfoRef<'a>> {
    let sequence = |value: AnyRef<'a>| -> der::Result<SliceReader<'a>> {
        value.tag().assert_eq(Tag::Sequence)?;
        SliceReader::new(value.value())
    };
    let mut certificate = sequence(AnyRef::from_der(certificate)?)?;
    let mut fields = sequence(AnyRef::decode(&mut certificate)?)?;
    if matches!(Tag::peek(&fields)?, Tag::ContextSpecific { .. }) {
        let _version = fields.tlv_bytes()?;
    }
    for _field in ["serialNumber", "signature", "issuer", "validity", "subject"] {
        fields.tlv_bytes()?;
    }
    SubjectPublicKeyInfoRef::decode(&mut fields)
}

/// Reasons why some or all clients will reject the first certificate at the time `now`. These are warnings and not errors,
/// because the clock may be wrong, and tests use expired certificates.
#[must_use]
pub(crate) fn doubts(chain: &[CertificateDer<'_>], now: SystemTime) -> Vec<String> {
    let first = chain.first().and_then(|own| CertificateInner::<Raw>::from_der(own).ok());
    let Some(certificate) = first else { return Vec::new() };
    let fields = certificate.tbs_certificate();
    let validity = fields.validity();
    let mut doubts = Vec::new();
    if validity.not_after.to_system_time() < now {
        doubts.push(format!("the certificate expired at {}", validity.not_after));
    } else if validity.not_before.to_system_time() > now {
        doubts.push(format!("the certificate is not valid before {}", validity.not_before));
    }
    if fields.version() != Version::V3 {
        doubts.push(OLD_VERSION.to_owned());
    }
    doubts
}

const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Old versions of OpenSSL wrote the second label.
const CERTIFICATE_TAGS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];
/// A certificate followed by OpenSSL's trust settings (`openssl x509 -trustout`).
const TRUSTED_CERTIFICATE: &str = "TRUSTED CERTIFICATE";
const OLD_VERSION: &str = "the certificate has version 1 of X.509, in which there is no subjectAltName: clients that look for the name of the server there, browsers among them, refuse it; 'openssl x509 -req -copy_extensions copyall' or '-extfile' makes one of version 3";
const UNSUPPORTED_KEY: &str = "the private key is malformed, or of another kind than RSA (2048 to 4096 bits), ECDSA (P-256, P-384) and Ed25519";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};
    use x509_cert::der::Encode;
    use x509_cert::der::asn1::Any;

    use super::*;
    use crate::tls::provider::provider;

    /// A key and its certificate: the fields of the tbsCertificate, and the values after it.
    struct Own {
        key: Vec<u8>,
        fields: Vec<Any>,
        rest: Vec<Any>,
    }

    impl Own {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let [fields, rest @ ..] = &values(certificate.der())[..] else { panic!() };
            let fields = values(&fields.to_der().unwrap());
            Self { key: key.serialize_der(), fields, rest: rest.to_vec() }
        }

        fn certify(&self) -> Result<Arc<CertifiedKey>, OptionError> {
            let fields = sequence(&self.fields);
            let der = sequence(&[vec![fields], self.rest.clone()].concat()).to_der().unwrap();
            let source = |place: &str| Source { place: place.to_owned(), text: Vec::new() };
            let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
            certify(&provider(), (vec![der.into()], &source("cert")), (key, &source("key")))
        }
    }

    /// The values in a sequence.
    fn values(sequence: &[u8]) -> Vec<Any> {
        let sequence = AnyRef::from_der(sequence).unwrap();
        let mut reader = SliceReader::new(sequence.value()).unwrap();
        std::iter::from_fn(|| (!reader.is_finished()).then(|| Any::decode(&mut reader).unwrap())).collect()
    }

    fn sequence(values: &[Any]) -> Any {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_der().unwrap()).collect();
        Any::new(Tag::Sequence, bytes).unwrap()
    }

    fn value(der: &[u8]) -> Any {
        Any::from_der(der).unwrap()
    }

    /// Makes a certificate unusual.
    type Change = fn(&mut Own);

    #[test]
    fn a_certificate_is_our_own_if_the_key_is_its_key_however_odd_the_rest() {
        // version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, extensions
        let cases: [(&str, Change); 9] = [
            ("nothing odd", |_| {}),
            ("version 1", |own| {
                own.fields.pop();
                own.fields.remove(0);
            }),
            ("version 1 with extensions", |own| drop(own.fields.remove(0))),
            ("version 4", |own| own.fields[0] = value(&[0xa0, 3, 2, 1, 3])),
            ("a negative serial number", |own| own.fields[1] = value(&[2, 1, 0x80])),
            ("a serial number of 30 bytes", |own| own.fields[1] = value(&[&[2, 30][..], &[7; 30]].concat())),
            ("another algorithm within", |own| own.fields[2] = value(&[0x30, 3, 6, 1, 42])),
            ("no dates", |own| own.fields[4] = value(&[0x30, 0])),
            ("extensions that are none", |own| own.fields[7] = value(&[0xa3, 2, 5, 0])),
        ];
        for (title, change) in cases {
            let mut own = Own::new();
            change(&mut own);
            assert!(own.certify().is_ok(), "{title}: {:?}", own.certify());
        }
    }

    #[test]
    fn a_certificate_with_another_key_or_with_none_is_not_our_own() {
        let fault = |own: &Own| own.certify().unwrap_err().fault;
        let mut own = Own::new();
        own.key = Own::new().key;
        assert_eq!(fault(&own), OptionFault::KeyMismatch);
        let mut own = Own::new();
        own.fields[6] = own.fields[5].clone();
        assert_eq!(fault(&own), OptionFault::Certificate);
        own.fields.truncate(6);
        assert_eq!(fault(&own), OptionFault::Certificate);
        own.fields.clear();
        assert_eq!(fault(&own), OptionFault::Certificate);
    }

    #[test]
    fn a_trusted_certificate_is_one_without_what_is_said_of_it() {
        let certificate = [0x30, 2, 5, 0];
        let block = |tag: &str, contents: &[u8]| Pem::new(tag, contents);
        let trusted = block(TRUSTED_CERTIFICATE, &[&certificate[..], &[0x30, 0]].concat());
        let blocks = [block("CERTIFICATE", &certificate), trusted, block("X509 CRL", &certificate)];
        assert_eq!(certificates(&blocks), vec![CertificateDer::from(certificate.to_vec()); 2]);
        assert_eq!(certificates(&[block(TRUSTED_CERTIFICATE, b"!")]), [CertificateDer::from(b"!".to_vec())]);
    }

    #[test]
    fn a_certificate_of_version_1_is_remarked_upon() {
        let mut own = Own::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600);
        assert!(doubts(&own.certify().unwrap().cert, now).is_empty());
        own.fields.pop();
        own.fields.remove(0);
        let [doubt] = &doubts(&own.certify().unwrap().cert, now)[..] else { panic!() };
        assert!(doubt.starts_with("the certificate has version 1 of X.509"), "{doubt}");
    }
}

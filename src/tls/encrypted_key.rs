//! Private keys under a passphrase, in the two forms in which OpenSSL writes them: PKCS#8 (`ENCRYPTED PRIVATE KEY`, RFC
//! 5958), and the traditional PEM with a `DEK-Info` header (RFC 1421 §4.6.1.3).

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::TdesEde3;
use md5::{Digest, Md5};
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};

/// Why a key cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecryptError {
    /// It is malformed.
    Malformed,
    /// It is encrypted in a way that is not supported.
    Unsupported(String),
    /// Another passphrase was used.
    WrongPassphrase,
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the encrypted private key is malformed"),
            Self::Unsupported(how) => {
                write!(
                    f,
                    "the private key is encrypted with {how}, which is not supported; 'openssl pkcs8 -topk8' writes \
                    one that is"
                )
            }
            Self::WrongPassphrase => f.write_str("the passphrase is not that of the private key"),
        }
    }
}

/// Decrypts the contents of an `ENCRYPTED PRIVATE KEY`. Returns DER of a PKCS#8 key.
///
/// # Errors
/// See [`DecryptError`].
pub(crate) fn decrypt_pkcs8(der: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, DecryptError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| DecryptError::Malformed)?;
    let Some(parameters) = info.encryption_algorithm.pbes2() else {
        return Err(DecryptError::Unsupported("a cipher of PKCS#5 version 1".into()));
    };
    if is_excessive(&parameters.kdf) {
        return Err(DecryptError::Unsupported("a derivation of the key that costs too much".into()));
    }
    let key = info.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { oid }) => {
            DecryptError::Unsupported(format!("the algorithm {oid}"))
        }
        _ => DecryptError::WrongPassphrase,
    })?;
    Ok(key.as_bytes().to_vec())
}

/// A PEM document must not be able to block the construction of an app, or to exhaust memory, by its KDF parameters.
fn is_excessive(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Pbkdf2(kdf) => kdf.iteration_count > MAX_ITERATIONS,
        Kdf::Scrypt(kdf) => {
            // RFC 7914 §2: the memory is 128·N·r bytes, the time that much p times.
            let memory = kdf.cost_parameter.saturating_mul(128 * u64::from(kdf.block_size));
            memory > MAX_MEMORY || memory.saturating_mul(u64::from(kdf.parallelization)) > 8 * MAX_MEMORY
        }
        _ => false,
    }
}

/// Decrypts the contents of a traditional key. `dek_info` is the value of its `DEK-Info` header: a cipher and, behind a
/// comma, the initialisation vector in hexadecimal digits.
///
/// # Errors
/// See [`DecryptError`].
pub(crate) fn decrypt_traditional(
    data: &[u8],
    dek_info: &str,
    passphrase: &[u8],
) -> Result<Vec<u8>, DecryptError> {
    let (cipher, iv) = dek_info.split_once(',').ok_or(DecryptError::Malformed)?;
    let iv = parse_hex(iv.trim()).ok_or(DecryptError::Malformed)?;
    let der = match cipher.trim() {
        "AES-128-CBC" => decrypt::<Decryptor<Aes128>>(data, &iv, 16, passphrase),
        "AES-192-CBC" => decrypt::<Decryptor<Aes192>>(data, &iv, 24, passphrase),
        "AES-256-CBC" => decrypt::<Decryptor<Aes256>>(data, &iv, 32, passphrase),
        "DES-EDE3-CBC" => decrypt::<Decryptor<TdesEde3>>(data, &iv, 24, passphrase),
        other => Err(DecryptError::Unsupported(other.to_owned())),
    }?;
    // One wrong padding in 256 is valid by chance, but every key is a DER sequence.
    if der.first() == Some(&DER_SEQUENCE) { Ok(der) } else { Err(DecryptError::WrongPassphrase) }
}

fn decrypt<D: KeyIvInit + BlockModeDecrypt>(
    data: &[u8],
    iv: &[u8],
    key_length: usize,
    passphrase: &[u8],
) -> Result<Vec<u8>, DecryptError> {
    let salt = iv.get(..SALT).ok_or(DecryptError::Malformed)?;
    let key = derive_key(passphrase, salt, key_length);
    let decryptor = D::new_from_slices(&key, iv).map_err(|_| DecryptError::Malformed)?;
    decryptor.decrypt_padded_vec::<Pkcs7>(data).map_err(|_| DecryptError::WrongPassphrase)
}

/// The key that OpenSSL makes of a passphrase for this form: `EVP_BytesToKey` with MD5 and one iteration.
fn derive_key(passphrase: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
    let mut key: Vec<u8> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while key.len() < length {
        last = Md5::new().chain_update(&last).chain_update(passphrase).chain_update(salt).finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    // Two hexadecimal digits are below 256.
    Some(pairs.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

const DER_SEQUENCE: u8 = 0x30;
/// Bytes of the initialisation vector that serve as salt.
const SALT: usize = 8;
/// Iterations of PBKDF2: some seconds. OpenSSL writes 2048; 600,000 are recommended for passwords.
const MAX_ITERATIONS: u32 = 10_000_000;
/// Bytes of memory for scrypt. OpenSSL writes what takes 16 MiB.
const MAX_MEMORY: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt;

    const IV: &str = "0102030405060708090a0b0c0d0e0f10";

    /// A "key": a DER sequence with nothing in it that matters.
    fn der() -> Vec<u8> {
        let mut der = vec![DER_SEQUENCE, 60];
        der.extend(0..60);
        der
    }

    fn encrypted<E: KeyIvInit + BlockModeEncrypt>(
        passphrase: &[u8],
        key_length: usize,
        iv: &[u8],
    ) -> Vec<u8> {
        let key = derive_key(passphrase, &iv[..SALT], key_length);
        E::new_from_slices(&key, iv).unwrap().encrypt_padded_vec::<Pkcs7>(&der())
    }

    #[test]
    fn keys_are_derived_as_openssl_does() {
        // openssl enc -aes-256-cbc -md md5 -S 0102030405060708 -k secret -P
        let key = parse_hex("c9e5a1bd216dbe1317e230cef48f38ee7f0e17ad64022144bccec4a1aa2879ab").unwrap();
        assert_eq!(derive_key(b"secret", &[1, 2, 3, 4, 5, 6, 7, 8], 32), key);
    }

    #[test]
    fn every_cipher_of_the_traditional_form_is_undone() {
        let iv = parse_hex(IV).unwrap();
        let cases = [
            ("AES-128-CBC", IV, encrypted::<Encryptor<Aes128>>(b"secret", 16, &iv)),
            ("AES-192-CBC", IV, encrypted::<Encryptor<Aes192>>(b"secret", 24, &iv)),
            ("AES-256-CBC", IV, encrypted::<Encryptor<Aes256>>(b"secret", 32, &iv)),
            ("DES-EDE3-CBC", &IV[..16], encrypted::<Encryptor<TdesEde3>>(b"secret", 24, &iv[..8])),
        ];
        for (cipher, iv, data) in cases {
            let dek_info = format!("{cipher},{iv}");
            assert_eq!(decrypt_traditional(&data, &dek_info, b"secret"), Ok(der()), "{cipher}");
            for other in 0..1000_u32 {
                let wrong = decrypt_traditional(&data, &dek_info, &other.to_be_bytes());
                assert!(matches!(wrong, Ok(_) | Err(DecryptError::WrongPassphrase)), "{cipher}");
                assert_ne!(wrong, Ok(der()), "{cipher}");
            }
        }
    }

    #[test]
    fn what_is_malformed_or_unsupported_is_refused() {
        for dek_info in
            ["", "AES-128-CBC", "AES-128-CBC,", "AES-128-CBC,0102", "AES-128-CBC,zz", "DES-EDE3-CBC,é"]
        {
            assert_eq!(
                decrypt_traditional(&[0; 16], dek_info, b""),
                Err(DecryptError::Malformed),
                "{dek_info}"
            );
        }
        let unsupported = decrypt_traditional(&[0; 16], &format!("CAMELLIA-128-CBC,{IV}"), b"");
        assert_eq!(unsupported, Err(DecryptError::Unsupported("CAMELLIA-128-CBC".into())));
        let cut = decrypt_traditional(&[0; 15], &format!("AES-128-CBC,{IV}"), b"");
        assert_eq!(cut, Err(DecryptError::WrongPassphrase));
        assert_eq!(decrypt_pkcs8(b"0", b""), Err(DecryptError::Malformed));
        assert_eq!(decrypt_pkcs8(b"", b""), Err(DecryptError::Malformed));
    }
}

//! Certificates and keys, from PEM files to a configuration.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::provider::{provider, ticketer};

/// Why there can be no configuration.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file cannot be read, or holds nothing of what is wanted.
    #[error("{option}: {file}: {error}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// Its path.
        file: String,
        /// What is wrong.
        error: pem::Error,
    },
    /// The files do not belong together, or hold what cannot be used.
    #[error("cert_file_name, key_file_name: {0}")]
    Unusable(#[from] rustls::Error),
}

/// A configuration of one certificate chain and its key.
///
/// # Errors
/// See [`IdentityError`].
pub fn load(key: &Path, chain: &Path) -> Result<Arc<ServerConfig>, IdentityError> {
    let in_file = |option, path: &Path| {
        let file = path.display().to_string();
        move |error| IdentityError::File { option, file, error }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(in_file("cert_file_name", chain))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(in_file("key_file_name", key))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(finish(config)?))
}

/// What every configuration of this server has in common.
///
/// # Errors
/// The system has no randomness to give.
pub fn finish(mut config: ServerConfig) -> Result<ServerConfig, rustls::Error> {
    // RFC 7301: a client that insists on another protocol is told so in the handshake.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ticketer()?;
    Ok(config)
}

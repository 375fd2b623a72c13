//! Which configuration answers to which server name (SNI, RFC 6066 §3).

use std::sync::Arc;

use rustls::ServerConfig;

/// The configurations of an app, shared by Node's thread and the workers.
#[derive(Debug)]
pub struct ServerNames {
    /// For clients that name nobody, or somebody unknown.
    default: Arc<ServerConfig>,
}

impl ServerNames {
    /// One configuration for every name.
    #[must_use]
    pub const fn new(default: Arc<ServerConfig>) -> Self {
        Self { default }
    }

    /// The configuration for a handshake. `name` is what the client asks for, in lower case; `None` if it does not say.
    #[must_use]
    pub fn lookup(&self, _name: Option<&str>) -> Arc<ServerConfig> {
        Arc::clone(&self.default)
    }
}

//! The details of a client from its TLS handshake: server name (SNI) and verified client certificate.

use crate::tls::names::DomainId;

/// Server name (SNI) and verified client certificate: one per connection, shared by its requests. There is none if both
/// would be `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsPeerInfo {
    /// The server name that it asked for, if the app knows that name.
    pub domain: Option<DomainId>,
    /// Its certificate in DER, which is verified; `None` if it has not sent any.
    pub certificate: Option<Box<[u8]>>,
}

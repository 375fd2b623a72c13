//! What a client said of itself, and of whom it wanted, before the first byte of HTTP: in the TLS handshake.

use crate::tls::names::DomainId;

/// One per connection, shared by its requests. There is none where it would say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The server name that it asked for, if the app knows that name.
    pub domain: Option<DomainId>,
    /// Its certificate in DER, which is verified; `None` if it has not sent any.
    pub certificate: Option<Box<[u8]>>,
}

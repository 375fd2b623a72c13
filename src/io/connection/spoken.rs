//! What an accepted connection speaks besides HTTP/1.1.

use crate::bridge::sync::Arc;
use crate::protocol::http2::limits::Http2Limits;
use crate::tls::setup::Admission;

/// See the top of this file.
#[derive(Debug)]
pub(super) struct Spoken {
    /// Present if it uses TLS.
    pub tls: Option<Admission>,
    /// Present if it may use HTTP/2.
    pub http2: Option<Arc<Http2Limits>>,
}

//! The number of a stream of QUIC.

/// The number of a stream (RFC 9000 §2.1), whose lowest two bits tell who has opened it, and whether it goes both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub u64);

impl StreamId {
    /// Whether it carries a request: the client opens such streams, and they go both ways.
    #[must_use]
    pub(crate) const fn is_request(self) -> bool {
        self.0 & 0b11 == 0
    }
}

//! The flush marker of deflate.

/// The bytes that are removed from the end of every compressed message: the flush marker, an empty block without
/// compression (RFC 7692 §7.2.1).
pub(super) const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];

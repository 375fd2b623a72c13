//! Header compression (RFC 7541).
//!
//! ```text
//!  header block ──► decoder ──► fields          fields ──► encoder ──► header block
//!                   │                                        │
//!                   └─────────────► table ◄──────────────────┘  one dynamic table for each direction
//! ```
//!
//! Both ends change their copies of a dynamic table in step, so every header block of a connection is decoded, even one
//! whose stream is refused, and a block that cannot be decoded ends the connection.
//!
//! Numbers, strings and the dynamic table are those of QPACK, too: `integer`, `huffman` and `dynamic_table` of
//! [`multiplexed`](crate::protocol::multiplexed). `table` is the static one.
//!
//! Memory is bounded by the table (4,096 bytes, the default of RFC 9113 §6.5.2). The decoder hands each field to its
//! caller and keeps none, so that a small block which repeats a long entry of the table (an "HPACK bomb") costs no more
//! than its caller chooses to keep.

pub(super) mod decoder;
pub(super) mod encoder;
mod table;

/// Bytes of a dynamic table: the default of SETTINGS_HEADER_TABLE_SIZE, which this side does not change.
pub(super) const TABLE_SIZE: usize = 4096;

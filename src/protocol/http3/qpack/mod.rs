//! Field compression (RFC 9204).
//!
//! ```text
//!  encoder stream ──► instructions ──► dynamic table          fields ──► encoder ──► field section
//!                                           │                              └ static_table
//!  field section ───► decoder ──────────────┴──► fields
//!                       └ static_table
//! ```
//!
//! Streams of QUIC overtake each other, so a section says how many insertions into the dynamic table it needs, and waits
//! until the encoder stream has brought them. Unlike HPACK, no section changes the table: one that nobody needs is not
//! decoded.
//!
//! Responses are encoded without the dynamic table. What it would save of a response with a type, a date and a length are
//! some 30 bytes; what it would cost is a table for each connection, an account of what each response refers to, and
//! clients that wait for the encoder stream whenever a packet is lost.
//!
//! Memory is bounded by the table (SETTINGS_QPACK_MAX_TABLE_CAPACITY). The decoder hands each field to its caller and
//! keeps none, so that a small section which repeats a long entry of the table (a "bomb") costs no more than its caller
//! chooses to keep.

pub(super) mod decoder;
pub(super) mod encoder;
mod instructions;
mod static_table;

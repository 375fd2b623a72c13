//! What HTTP/2 and HTTP/3 have in common: their requests are fields, on many streams of one connection.
//!
//! * [`request_head`]: the fields of a request as the head that HTTP/1.1 would have had.
//! * [`response_fields`]: the fields of a response.
//! * [`body`]: how much of the body of a request has arrived, and where it ends.
//! * [`malformed`]: one variant per rule of theirs that a client can break.
//! * [`stream_table`]: the streams that are not closed.
//! * [`priority`]: whose turn it is (RFC 9218).
//! * [`allowance`]: how often a client may do what costs it little.
//! * [`integer`], [`huffman`], [`dynamic_table`]: what QPACK (RFC 9204) has from HPACK (RFC 7541).

pub(crate) mod allowance;
pub(in crate::protocol) mod body;
pub(in crate::protocol) mod dynamic_table;
#[cfg(test)]
pub(in crate::protocol) mod event_log;
pub(in crate::protocol) mod huffman;
pub(in crate::protocol) mod integer;
pub(in crate::protocol) mod malformed;
pub(in crate::protocol) mod priority;
pub(crate) mod request_head;
pub(in crate::protocol) mod response_fields;
pub(in crate::protocol) mod stream_table;

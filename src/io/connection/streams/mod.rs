//! The streams of one connection with HTTP/2 or HTTP/3, on this side of its session: `open_streams` has what belongs to each,
//! `stream_sink` turns what arrives on them into events.

pub(super) mod open_streams;
pub(super) mod stream_sink;

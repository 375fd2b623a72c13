//! HTTP/3 as a server speaks it (RFC 9114), with QPACK (RFC 9204), extended CONNECT (RFC 9220) and priorities (RFC 9218).
//! Bytes of the streams of QUIC and the current time in, requests and bytes for streams out, as in
//! [`http2`](super::http2), with which it shares [`multiplexed`](super::multiplexed). It knows no library of QUIC.
//!
//! ```text
//!  bytes of a stream ─► session ─► frame ─► qpack ─► request_head ─► Http3Sink::request   respond, start_response, write_body
//!                          │         │                                                        │
//!                          │         └─► stream(s) ──► Http3Sink::body                   response_fields ─► qpack
//!                          │                                                                  │
//!                          └► allowance, limits: what a client may cost      next_output ──► bytes for a stream
//! ```
//!
//! * [`session`]: the state machine of one connection.
//! * [`stream_id`], `stream` and `streams`: one request and its response, and all of a connection.
//! * `client_streams`: the control stream and those of QPACK; `held`: bytes that wait for others.
//! * `frame`, `varint`, `settings`: what streams consist of.
//! * `qpack`: field compression.
//! * [`error`]: one variant per broken rule; [`error_code`]: its code on the wire.
//! * [`limits`]: what a client may cost.

mod client_streams;
pub(crate) mod error;
pub(crate) mod error_code;
mod frame;
mod held;
pub(crate) mod limits;
mod qpack;
pub(crate) mod session;
mod settings;
mod stream;
pub(crate) mod stream_id;
mod streams;
mod varint;

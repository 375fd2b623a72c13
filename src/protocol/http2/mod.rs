//! HTTP/2 as a server speaks it (RFC 9113), with extended CONNECT (RFC 8441) and priorities (RFC 9218). Bytes and the
//! current time in, requests and bytes out, as in [`http`](super::http), whose limits and whose response heads it shares:
//! an application cannot tell which of the two carried its request.
//!
//! ```text
//!  bytes in ─► session ─► frame ─► hpack ─► request_head ─► Http2Sink::request     respond, start_response, write_body
//!                 │                                                                     │
//!                 ├──────► stream(s) ─────────────► Http2Sink::body                response_fields ─► hpack
//!                 │        │ window, priority                                           │
//!                 └► allowance, limits: what a client may cost                  write_output ──► bytes out
//! ```
//!
//! * [`session`]: the state machine of one connection.
//! * [`frame`]: the nine bytes before each payload, and the frames that this side sends; `settings`: one of them.
//! * `hpack`: header compression (RFC 7541).
//! * The fields of requests and responses are in [`multiplexed`](super::multiplexed), with whatever else HTTP/3 does in the
//!   same way.
//! * `stream` and `streams`: one request and its response, and all of a connection; `window`: flow control.
//! * [`error`]: one variant per broken rule; [`error_code`]: its code on the wire.
//! * [`limits`]: what a client may cost.

pub(crate) mod error;
pub(crate) mod error_code;
pub(crate) mod frame;
mod hpack;
pub(crate) mod limits;
pub(crate) mod session;
mod settings;
mod stream;
mod streams;
mod window;

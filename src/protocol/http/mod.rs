//! HTTP/1.1 as a server speaks it (RFC 9110, RFC 9112). Bytes and the current time in, requests and bytes out. The
//! rules of the request line and the fields are checked before a request is passed on, and a connection that broke one
//! is not read any further: requests are smuggled where two parsers disagree.
//!
//! ```text
//!  bytes in ──► exchange ──► head ──► HttpSink::request      respond, start_response, frame_body ──► bytes out
//!                  │                                                      │
//!                  └───────► body ──► HttpSink::body                   encode
//! ```
//!
//! * [`exchange`]: the state machine of one connection: what may be read and written, and what times out.
//!   Its receiving half is `reading`; [`limits`] are its parameters, [`outcome`] its results, [`pace`] the minimum data
//!   rates.
//! * [`head`]: the request line and the fields, as spans of the received bytes.
//!   Its parts: `field`, one field line and the character sets; `framing`, what the fields mean to the server itself.
//! * [`query`]: one value of the query, after the `?`.
//! * [`body`]: where the request body lies within the received bytes.
//! * [`multipart`]: what lies within a body that is a form with files.
//! * [`response_head`]: status and fields of a response; [`response_framing`]: how its body is framed; `encode`: the
//!   bytes of both; [`trailers`]: which fields may follow the body.
//! * [`error`]: one variant per broken rule, and the answer that names it.
//! * [`date`]: the text of the `Date` field, made once a second.

pub(crate) mod body;
pub(crate) mod date;
mod encode;
pub(crate) mod error;
pub(crate) mod exchange;
mod field;
pub(crate) mod forwarded;
mod framing;
pub(crate) mod head;
pub(crate) mod limits;
pub(crate) mod multipart;
pub(crate) mod outcome;
pub(crate) mod pace;
pub(crate) mod query;
mod reading;
pub(crate) mod response_framing;
pub(crate) mod response_head;
pub(crate) mod trailers;

#[cfg(test)]
mod tests;

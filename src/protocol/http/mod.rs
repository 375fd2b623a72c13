//! HTTP/1.1 as a server speaks it (RFC 9110, RFC 9112). Bytes and the current time in, requests and bytes out. Every
//! rule of the request line, the fields and the body is checked before the request is told to anybody, and a
//! connection that broke one is never read again: what two parsers read differently is how requests are smuggled.
//!
//! ```text
//!  bytes in ──► exchange ──► head ──► HttpSink::request      respond, start_response, write_body ──► bytes out
//!                  │                                                      │
//!                  └───────► body ──► HttpSink::body                   encode
//! ```
//!
//! * [`exchange`]: the state of one connection: whose turn it is, what may be read, what times out.
//!   Its receiving half is `reading`; [`limits`] is what the caller brings along,
//!   [`outcome`] what it gets back, [`pace`] what is too slow.
//! * [`head`]: the request line and the fields, as spans of the received bytes.
//!   Its parts: `field`, one field line and the character sets; `framing`, what the fields mean to the server itself.
//! * [`query`]: one value out of what stands behind the `?`.
//! * [`body`]: where the request body lies within the received bytes.
//! * [`multipart`]: what lies within a body that is a form with files.
//! * [`encode`]: the response head, and how the body of the response is framed.
//! * [`error`]: one variant per broken rule, and the answer that names it.
//! * [`date`]: the text of the `Date` field, made once a second.

pub mod body;
pub mod date;
pub mod encode;
pub mod error;
pub mod exchange;
mod field;
mod framing;
pub mod head;
pub mod limits;
pub mod multipart;
pub mod outcome;
pub mod pace;
pub mod query;
mod reading;

#[cfg(test)]
mod tests;

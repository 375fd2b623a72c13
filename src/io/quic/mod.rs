//! QUIC (RFC 9000) without connections: the UDP sockets, what tells which connection a datagram is for, and the deadlines.
//! The rules of QUIC are those of `quinn-proto`, which has neither sockets nor a clock; the worker drives it as it drives the
//! sessions of `protocol`.
//!
//! ```text
//!   kernel ─► Port::receive ─► datagrams ─┬─► Endpoint ─► connection (io/connection/http3) ─► Port::send ─► kernel
//!                                         └─► another worker, if the connection id names that
//! ```
//!
//! - `port`: one UDP socket as one worker has it, and its `Endpoint`; `ports`: all of them, and what they share.
//! - `connection_ids`: names for connections that tell the worker, and nobody else, where a datagram belongs.
//! - `config`: the configuration of endpoint and connections.
//! - `congestion`: how much may be under way.
//! - `deadlines`: when connections want to be asked again. The wheel of `io/timers` is too coarse for that.

pub(crate) mod config;
pub(crate) mod congestion;
pub(crate) mod connection_ids;
mod deadlines;
pub(crate) mod port;
pub(crate) mod ports;

//! Rules of RFC 6455. Takes bytes and the current time, returns what happened and the bytes to answer with. Never
//! waits, never buffers more than `max_payload_length` of a message, and keeps no memory while nothing is incomplete.
//!
//! ```text
//!   request head ── handshake, extensions ──► 101       (a client: client_handshake, offer;
//!                                                        programs of `ws`: ws_handshake, deflate_policy)
//!
//!   bytes in ─► assembler ───────────────► session ──► WebSocketSink: message, ping, pong, closed
//!               │ frame   header rules       │
//!               │ mask    unmask in place    ├ close   Close payloads, both ways
//!               └ utf8    text rules         ├ deflate inflate, compress
//!                                            └ frame   encode ──► bytes out
//! ```
//!
//! One extension is supported, permessage-deflate (RFC 7692): [`extensions`] negotiates it (`extension_list` reads the
//! field), [`deflate`] compresses.
//! Without it every RSV bit is refused ([`frame::Header::parse`]).

pub(crate) mod assembler;
pub(crate) mod client_handshake;
pub(crate) mod close;
pub(crate) mod deflate;
pub(crate) mod deflate_policy;
mod extension_list;
pub(crate) mod extensions;
pub(crate) mod fragment;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod mask;
pub(crate) mod offer;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod utf8;
pub(crate) mod ws_handshake;

pub(crate) use deflate::Codecs;
pub(crate) use extensions::{Agreement, Compression};
pub(crate) use frame::{MessageKind, encode_compressed, encode_message};
pub(crate) use role::Role;
pub(crate) use session::{
    Closure, Form, Manners, WebSocketLimits, WebSocketPhase, WebSocketSession, WebSocketSink,
};

//! Rules of RFC 6455. Takes bytes and the current time, returns what happened and the bytes to answer with. Never
//! waits, never buffers more than `max_payload_length` of a message, and keeps no memory while nothing is incomplete.
//!
//! ```text
//!   request head ── handshake, extensions ──► 101       (a client: client_handshake, offer)
//!
//!   bytes in ─► assembler ───────────────► session ──► WebSocketSink: message, ping, pong, closed
//!               │ frame   header rules       │
//!               │ mask    unmask in place    ├ close   Close payloads, both ways
//!               └ utf8    text rules         ├ deflate inflate, compress
//!                                            └ frame   encode ──► bytes out
//! ```
//!
//! One extension is known, permessage-deflate (RFC 7692): [`extensions`] negotiates it, [`deflate`] compresses. Without
//! it every RSV bit is refused ([`frame::Header::parse`]).

pub mod assembler;
pub mod client_handshake;
pub mod close;
pub mod deflate;
pub mod extensions;
pub mod fragment;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod offer;
pub mod role;
pub mod session;
pub mod utf8;

pub use deflate::Codecs;
pub use extensions::{Agreement, Compression};
pub use frame::{MessageKind, encode_compressed, encode_message};
pub use role::Role;
pub use session::{Closure, Form, WebSocketLimits, WebSocketPhase, WebSocketSession, WebSocketSink};

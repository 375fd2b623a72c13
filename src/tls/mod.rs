//! TLS without sockets. The I/O threads drive it: neither handshakes nor records touch Node's thread.
//!
//! ```text
//!   Node's thread                        a worker
//!   options ──► ServerConfig ──┐
//!                       names ─┴─► setup ──► session ──► transport (poll_read, try_write) ──► connection, as over TCP
//!                                               └── fault: errors, and whether the peer gets an alert
//! ```
//!
//! - `provider`: the cryptography; the only file that names the library.
//! - `options`: the options of the application, and the configuration made of them; parts are `source` (PEM),
//!   `identity` (certificates and keys), `encrypted_key` (keys under a passphrase), `suites` (lists of cipher suites)
//!   and `error`.
//! - `server_configs`: the configurations of handshakes, by whose order of cipher suites counts.
//! - `names`: which configuration is used for which server name.
//! - `setup`: the TLS state of an app that its workers share.
//! - `session`: one TLS connection, without its socket. rustls is driven directly rather than through futures: a worker
//!   polls its sockets by itself (docs/decisions/0010-tls-provider.md). Parts are `engine` (the calls of rustls) and
//!   `pieces` (plaintext, divided into records).
//! - `quic`: the handshakes of QUIC connections, which use the same configurations; `quic_keys`: their keys that outlive them.
//! - `client`: the configuration of outgoing connections, which are sessions like the others; `pinned`: servers whose
//!   self-signed certificate is given.
//! - `key_usage`: how many records may still be encrypted with the keys of a connection.
//! - `fault`: errors of handshakes and connections.

pub(crate) mod client;
pub(crate) mod encrypted_key;
mod engine;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod identity;
pub(crate) mod key_usage;
pub(crate) mod names;
pub(crate) mod options;
mod pieces;
pub(crate) mod pinned;
pub(crate) mod provider;
pub(crate) mod quic;
pub(crate) mod quic_keys;
pub(crate) mod server_configs;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod source;
mod suite_names;
pub(crate) mod suites;

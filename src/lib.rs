//! Ferrows: HTTP and WebSockets for Node.js behind the uWebSockets.js API, with the socket work on I/O threads.
//!
//! The path of one message, in the order in which it meets the modules:
//!
//! ```text
//!  bytes in                                                                       bytes out
//!     │ 1 io/listener     accept (io/connector: connect)                             ▲
//!     ▼ 2 io/connection   read                                 io/outbox   flush  12 │
//!     │ 3 protocol/http/exchange, protocol/websocket/session          … encode    11 │
//!     │ 4 bridge/event                      io/worker drain → io/connection       10 │
//!  ═══╪═══ bridge/queue (5 up) ══════════════ bridge/queue (9 down) ═════════════════╪═══ thread border
//!     │ 6 node/turn       next event → node/state: whose it is, which route          │
//!     └──────► 7 lib/, handler     ──► 8 node/calls → node/state/live → bridge/command → node/state/outgoing
//! ```
//!
//! Laws: `protocol` is pure. `io` owns sockets, timers and time, and knows no napi. `bridge` is data only. `node` runs
//! on Node's thread only, is the only importer of napi, and touches no socket. Beside the path: `broker` knows which apps
//! of the process share their topics; `tls` is TLS without
//! sockets, which `node` configures and `io/transport` drives; `log` takes the records that all of them make through
//! `tracing` to stderr and to JavaScript; `files` opens and reads what `serveFiles` serves. Files, floors and trips
//! stand in docs/architecture.md; why it is cut this way, in docs/decisions.

#![cfg_attr(
    any(test, fuzzing),
    allow(
        dead_code,
        reason = "only `init` reaches everything, and tests and fuzz targets are compiled without it"
    )
)]

mod bridge;
mod broker;
mod files;
mod io;
mod log;
mod node;
mod protocol;
mod tls;

#[cfg(any(test, fuzzing))]
pub mod testing;

/// For `tests/log_threshold.rs`, which has to be a process of its own. Everything else is private to the crate.
#[doc(hidden)]
pub mod log_access {
    pub use crate::bridge::queue::NodeBell;
    pub use crate::bridge::record::Level;
    pub use crate::log::journal::Journal;
    pub use crate::log::journals;
}

/// Node loads the addon: once per environment, and again for each of Jest's module registries. The tests of the crate
/// and its fuzz targets load none.
#[cfg(not(any(test, fuzzing)))]
#[napi_derive::napi(module_exports)]
fn init(exports: napi::bindgen_prelude::Object<'_>, env: napi::Env) -> napi::Result<()> {
    node::js::register(&env, &exports, node::exports::ALL);
    Ok(())
}

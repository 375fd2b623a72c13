//! The I/O threads: sockets, timers and time. No napi. A worker reports with events, acts on commands, and leaves every rule
//! of HTTP and WebSocket to `protocol/`.

pub mod accept_pause;
pub mod adoption;
pub mod budget;
pub mod connection;
pub mod connector;
pub mod context;
pub mod descriptor;
pub mod endings;
pub mod listener;
pub mod memory;
pub mod outbox;
pub mod peak;
pub mod peers;
pub mod pool;
pub mod publication;
pub mod ready;
pub mod registry;
pub mod relief;
pub mod reserve;
pub mod rest;
pub mod room;
pub mod shutdowns;
pub mod tallies;
pub mod thread_clock;
pub mod timers;
pub mod topics;
pub mod transport;
#[cfg(unix)]
pub mod unix_socket;
pub mod watch;
pub mod wire;
pub mod worker;

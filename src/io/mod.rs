//! Sockets, timers and time: the I/O threads. No napi. Everything a worker learns leaves it as an event, everything
//! it does was a command, and every rule of HTTP or WebSocket it obeys stands in `protocol/`.

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

//! The I/O threads: sockets, timers and time. No napi. A worker reports with events, acts on commands, and leaves every
//! rule of HTTP and WebSocket to `protocol/`.

pub(crate) mod accept_pause;
pub(crate) mod adoption;
pub(crate) mod agenda;
pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod context;
pub(crate) mod descriptor;
pub(crate) mod endings;
pub(crate) mod lead;
pub(crate) mod leader;
pub(crate) mod leadership;
pub(crate) mod listener;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod outbox;
pub(crate) mod passage;
pub(crate) mod peak;
pub(crate) mod peers;
pub(crate) mod pool;
pub(crate) mod publication;
pub(crate) mod publish_run;
pub(crate) mod quic;
pub(crate) mod reactor;
pub(crate) mod ready;
pub(crate) mod registry;
pub(crate) mod relief;
pub(crate) mod reserve;
pub(crate) mod rest;
pub(crate) mod room;
pub(crate) mod shutdowns;
pub(crate) mod solo;
pub(crate) mod stream_work;
pub(crate) mod tallies;
pub(crate) mod thread_clock;
pub(crate) mod timers;
pub(crate) mod topics;
pub(crate) mod transport;
pub(crate) mod tunnel;
#[cfg(unix)]
pub(crate) mod unix_socket;
pub(crate) mod watch;
pub(crate) mod wire;
pub(crate) mod worker;

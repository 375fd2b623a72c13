//! The receiving side of `tracing`: what the engine says of itself, to stderr and to JavaScript. No napi, no sockets.
//!
//! ```text
//!   tracing::debug!(…) in a worker ─► layer ─► journal of the environment ─┬─► stderr      (FERROWS_LOG), by a thread of its own
//!   span of its connection ───────────┘            │                       └─► RecordQueue (setLogger)
//!                  threshold ◄── journals ◄──┘ the most that any journal wants
//! ```
//!
//! - A journal belongs to one environment (one load of the addon) and hears the threads that are attached to it:
//!   `worker_threads` do not hear of each other.
//! - While no journal wants anything, every `tracing` macro is a load and a branch: until one does, no subscriber is
//!   installed, and later the most detailed level is kept up to date.
//! - Nobody who logs ever waits for those who read: both ways out are bounded queues, and what does not fit is counted.
//! - Nothing in here logs. A record about a record would never end.

pub mod journal;
pub mod journals;
pub mod layer;
pub mod line;
pub mod stderr;
pub mod threshold;

//! The receiving side of `tracing`: log records, written to stderr and passed to JavaScript. No napi, no sockets.
//!
//! ```text
//!   tracing::debug!(…) in a worker ─► layer ─► journal of the environment ─┬─► stderr      (FERROWS_LOG), by a thread of its own
//!   span of its connection ───────────┘            │                       └─► RecordQueue (setLogger)
//!                  threshold ◄── journals ◄──┘ the most detailed level that any journal takes
//! ```
//!
//! - A journal belongs to one environment (one load of the addon) and gets the records of the threads that are attached
//!   to it: `worker_threads` have separate logs.
//! - While no journal accepts records, every `tracing` macro is a load and a branch: no subscriber is installed until
//!   the first one does, and later the threshold is off.
//! - Logging never blocks: both outputs are bounded queues; records that do not fit are dropped and counted.
//! - No code in this module logs: a record about a record would cause the next one.

pub(crate) mod journal;
pub mod journals;
pub(crate) mod layer;
pub(crate) mod line;
pub(crate) mod stderr;
pub(crate) mod threshold;

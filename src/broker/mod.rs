//! Topics of several apps: apps with the same broker name share their topics, in whichever thread of the process they
//! are.
//!
//! ```text
//!   Node's thread of the publisher ── Membership::others ──► Group: topic → Audience (app, its workers, count)
//!          │                                                                     ▲ Membership::open, Audience
//!          └── Command::Publish ──► downlinks of the workers of the others       └── Node's thread of each subscriber
//! ```
//!
//! - `registry`: the groups of the process by name, and which apps are in them.
//! - `group`: the topics of one group. Publishing takes no lock: it reads a snapshot of the table, which is replaced as
//!   a whole when a topic gets its first subscriber in an app or loses its last one there.
//! - `name`: which names are allowed.

pub(crate) mod group;
pub(crate) mod name;
pub(crate) mod registry;

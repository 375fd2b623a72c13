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
//! - `neighbours`: commands for the workers of other environments, in batches; `unsent`: messages for brokers.
//! - `name`, `url`, `redis_url`, `nats_url`: which names and urls are allowed.
//! - `network`: the connection to other processes; `header`, `sequences` and `cause` are what it uses: the format of
//!   messages, their numbers, and the reasons why there is no connection.

mod cause;
pub(crate) mod group;
mod header;
pub(crate) mod name;
mod nats_url;
pub(crate) mod neighbours;
pub(crate) mod network;
mod redis_url;
pub(crate) mod registry;
mod sequences;
pub(crate) mod unsent;
pub(crate) mod url;

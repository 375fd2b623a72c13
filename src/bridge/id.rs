//! Names for things on the other side of the border. Every id is a newtype, so that two kinds cannot be mixed up.

use std::fmt;

/// One I/O thread, numbered from 0 in the order of their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId(pub u8);

impl WorkerId {
    /// The position of this worker in per-worker tables.
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The name of the thread, for the system and for programs.
    #[must_use]
    pub(crate) fn thread_name(self) -> String {
        format!("ferrows-{}", self.0)
    }
}

/// One connection of one worker. A slot is reused after its connection has closed, with the next generation, so a
/// late event or command for the earlier connection has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId {
    /// The worker that owns the socket.
    pub worker: WorkerId,
    /// Position in that worker's table of connections.
    pub slot: u32,
    /// How often the slot was used before. Wraps after 2^32 connections on one slot; an id lives at
    /// most as long as the events already queued, so a collision would need that many accepts in one batch.
    pub generation: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.worker.0, self.slot, self.generation)
    }
}

/// Ordinal of the request on its connection, from 1. A late response can never answer the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RequestNumber(pub u32);

impl RequestNumber {
    /// The number of the following request.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One `App`, and how often it had been closed or shut down when the connection was accepted: a connection that was
/// accepted before `app.close()` does not belong to the same app when it listens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AppId {
    /// Position in Node's table of apps.
    pub app: u32,
    /// Number of `app.close()` and `app.shutdown()` calls before.
    pub epoch: u32,
}

/// One call of `uWS.connect`, numbered by Node's thread: a place in its table, and how often that had been given out
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientId {
    /// The place.
    pub slot: u32,
    /// How often.
    pub generation: u32,
}

impl AppId {
    /// The app id of connections to servers, which belong to no app. Node's table of apps cannot hold it.
    pub(crate) const CLIENTS: Self = Self { app: u32::MAX, epoch: 0 };

    /// Whether connections of `other` end together with this epoch: those of earlier epochs of the same app do, because
    /// an app that was shut down may listen again, and be closed, before its last connection has closed.
    #[must_use]
    pub(crate) const fn covers(self, other: Self) -> bool {
        self.app == other.app && other.epoch <= self.epoch
    }
}

/// An app as other environments address it. Random and unique in the process, so that no other number in the
/// application is taken for one by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Descriptor(pub u64);

/// One successful `listen`, never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListenerId(pub u32);

/// One topic of one app, numbered by Node's thread. A slot is reused once its topic has no subscriber, with the next
/// generation, so a message that another thread publishes late to the earlier topic has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicId {
    /// Position in the table of topics of Node's thread.
    pub slot: u32,
    /// How many topics there had been before it. Wraps after 2^32 topics.
    pub generation: u32,
}

//! The connections of apps that have filters.

use std::collections::{HashMap, HashSet};

use crate::bridge::id::{AppId, ConnectionId};
use crate::node::state::handles::{JsHandle, Table};

/// The connections that were reported to JavaScript. Empty, and checked without cost, while no app has a filter.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    table: Table<Connection>,
    handles: HashMap<ConnectionId, JsHandle>,
    /// Those that were closed here while the command may still be on its way to their worker, so that requests of
    /// theirs may arrive.
    refused: HashSet<ConnectionId>,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    app: AppId,
}

impl Connections {
    /// Whether requests of this connection are dropped.
    #[must_use]
    pub(crate) fn refuses(&self, id: ConnectionId) -> bool {
        !self.refused.is_empty() && self.refused.contains(&id)
    }

    /// Those that end together with an app.
    pub(crate) fn of(&self, app: AppId) -> impl Iterator<Item = JsHandle> {
        self.table.iter().filter(move |(_, it)| app.covers(it.app)).map(|(handle, _)| handle)
    }

    /// Inserts a connection. `None` if there are 2^24 already.
    pub(crate) fn insert(&mut self, id: ConnectionId, app: AppId) -> Option<JsHandle> {
        let handle = self.table.insert(Connection { id, app }).ok()?;
        self.handles.insert(id, handle);
        Some(handle)
    }

    /// Removes a connection that has ended. Returns whether it was there.
    pub(crate) fn remove(&mut self, handle: JsHandle) -> bool {
        let Some(connection) = self.table.remove(handle) else { return false };
        self.handles.remove(&connection.id);
        self.refused.remove(&connection.id);
        true
    }

    /// The handle of a connection.
    #[must_use]
    pub(crate) fn find(&self, id: ConnectionId) -> Option<JsHandle> {
        self.handles.get(&id).copied()
    }

    /// Drops later requests of this connection. Returns its id; `None` if it has ended.
    pub(crate) fn refuse(&mut self, handle: JsHandle) -> Option<ConnectionId> {
        let id = self.table.get(handle)?.id;
        self.refused.insert(id);
        Some(id)
    }
}

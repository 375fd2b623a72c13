//! TLS handshakes that wait for the handler of missing server names.

use super::workers::Workers;
use crate::bridge::command::Command;
use crate::bridge::id::ConnectionId;
use crate::node::state::handles::{JsHandle, Table};

/// The waiting handshakes.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: Table<ConnectionId>,
}

impl Handshakes {
    /// Adds a handshake. `None` if 2^24 are waiting already.
    pub(crate) fn insert(&mut self, connection: ConnectionId) -> Option<JsHandle> {
        self.waiting.insert(connection).ok()
    }

    /// The handler has run: the handshake continues, unless it has ended.
    pub(crate) fn resume(&mut self, handle: JsHandle, workers: &mut Workers) {
        if let Some(connection) = self.waiting.remove(handle) {
            workers.push(connection.worker, Command::ResumeHandshake { connection });
        }
    }
}

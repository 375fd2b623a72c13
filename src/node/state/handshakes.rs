//! TLS handshakes that wait until JavaScript was asked for a server name.

use super::workers::Workers;
use crate::bridge::command::Command;
use crate::bridge::id::ConnectionId;
use crate::node::state::handles::{Handle, Table};

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: Table<ConnectionId>,
}

impl Handshakes {
    /// A handshake waits for an answer. `None` if 2^24 do, and this one cannot.
    pub(crate) fn insert(&mut self, connection: ConnectionId) -> Option<Handle> {
        self.waiting.insert(connection).ok()
    }

    /// JavaScript was asked: the handshake goes on, unless it is over by now.
    pub(crate) fn resume(&mut self, handle: Handle, workers: &mut Workers) {
        if let Some(connection) = self.waiting.remove(handle) {
            workers.push(connection.worker, Command::ResumeHandshake { connection });
        }
    }
}

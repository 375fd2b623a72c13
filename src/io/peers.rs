//! How the workers of one environment, and others that hand connections to them, reach each of them by its number.

use std::sync::{Arc, PoisonError, RwLock};

use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::id::WorkerId;
use crate::bridge::queue::Downlink;

/// The downlinks of all workers, for handing accepted connections to each other.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    downlinks: RwLock<Vec<Arc<Downlink>>>,
}

impl Peers {
    /// Adds the next worker.
    pub(crate) fn add(&self, downlink: Arc<Downlink>) {
        self.downlinks.write().unwrap_or_else(PoisonError::into_inner).push(downlink);
    }

    /// Sends one command to a worker.
    pub(crate) fn send(&self, worker: WorkerId, command: Command) {
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(&mut CommandBatch::of(command));
        }
    }
}

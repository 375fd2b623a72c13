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

    /// Hands a batch of commands to a worker, and gets an empty one in its place. Without effect, also on the batch, if
    /// there is no such worker.
    pub(crate) fn push(&self, worker: WorkerId, batch: &mut CommandBatch) {
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(batch);
        }
    }

    /// Sends one command to a worker.
    pub(crate) fn send(&self, worker: WorkerId, command: Command) {
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(&mut CommandBatch::of(command));
        }
    }
}

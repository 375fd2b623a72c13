//! How the workers of one environment, and others that hand connections to them, reach each of them by its number.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::id::WorkerId;
use crate::bridge::queue::Downlink;

/// The downlinks of all workers, for handing accepted connections to each other.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    downlinks: RwLock<Vec<Arc<Downlink>>>,
    /// Whether Node's loop leads the first worker.
    is_first_inline: AtomicBool,
    /// Batches that other environments and brokers have handed to the first worker.
    deliveries: AtomicU64,
}

impl Peers {
    /// Adds the next worker.
    pub(crate) fn add(&self, downlink: Arc<Downlink>) {
        self.downlinks.write().unwrap_or_else(PoisonError::into_inner).push(downlink);
    }

    /// Hands a batch of commands of another environment or of a broker to a worker, and gets an empty one in its place.
    /// Without effect, also on the batch, if there is no such worker.
    pub(crate) fn push(&self, worker: WorkerId, batch: &mut CommandBatch) {
        if worker == WorkerId(0) && !batch.is_empty() {
            // Relaxed: it only says who serves the worker best.
            self.deliveries.fetch_add(1, Ordering::Relaxed);
        }
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(batch);
        }
    }

    /// How many batches [`Self::push`] has handed to the first worker.
    #[must_use]
    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Records whether Node's loop leads the first worker.
    pub(crate) fn set_inline(&self, is_inline: bool) {
        // Relaxed: it only says where new connections are served best.
        self.is_first_inline.store(is_inline, Ordering::Relaxed);
    }

    /// Those of the workers `share` that should get new connections: the first one as long as Node's loop leads it, because
    /// it can do so alone, and all from then on.
    #[must_use]
    pub(crate) fn preferred<'s>(&self, share: &'s [WorkerId]) -> &'s [WorkerId] {
        let is_inline = share.first() == Some(&WorkerId(0)) && self.is_first_inline.load(Ordering::Relaxed);
        if is_inline { &share[..1] } else { share }
    }

    /// Sends one command to a worker.
    pub(crate) fn send(&self, worker: WorkerId, command: Command) {
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(&mut CommandBatch::of(command));
        }
    }
}

//! Commands for the workers of other environments in the process, whose apps have the same broker name: gathered, and
//! handed over in batches. Node's thread has one, beside that for its own workers (`node/state/outgoing`), and so has
//! the thread of a broker.

use std::time::Duration;

use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::event::Slice;
use crate::bridge::id::{TopicId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::sync::Arc;
use crate::io::peers::Peers;
use crate::protocol::websocket::MessageKind;

/// The batches being filled.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    links: Vec<Link>,
}

/// The way to one worker.
#[derive(Debug)]
struct Link {
    /// The workers of its environment, which may have ended: then nobody takes its commands.
    peers: Arc<Peers>,
    worker: WorkerId,
    batch: CommandBatch,
    /// Bytes published to it since it was last waited for, commands included.
    sent: usize,
    /// Released when the worker has come so far; see [`Neighbours::offer`].
    milestone: Option<Arc<Latch>>,
}

/// A message to the subscribers of a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published<'a> {
    /// Text or binary.
    pub kind: MessageKind,
    /// The message.
    pub payload: &'a [u8],
    /// Whether to compress it for the recipients that have negotiated compression.
    pub compress: bool,
}

impl Neighbours {
    /// Adds a message for the subscribers that a worker has. If too much was published to that worker, hands over and
    /// waits until it has written what the kernel takes: otherwise a program that never stops publishing would fill
    /// the memory.
    pub(crate) fn publish(
        &mut self,
        peers: &Arc<Peers>,
        worker: WorkerId,
        topic: TopicId,
        message: Published<'_>,
    ) {
        let link = self.link(peers, worker);
        link.add(topic, message);
        if link.sent >= MAX_SENT {
            link.sent = 0;
            let latch = Arc::new(Latch::new(1));
            link.batch.commands.push(Command::Write(Arc::clone(&latch)));
            peers.push(worker, &mut link.batch);
            latch.wait(PATIENCE);
        } else if link.batch.bytes.len() >= MAX_BATCH_BYTES || link.batch.commands.len() >= MAX_BATCH_COMMANDS
        {
            peers.push(worker, &mut link.batch);
        }
    }

    /// The same for a thread that must not wait. Returns `false` if the worker is too far behind: the message is lost.
    pub(crate) fn offer(
        &mut self,
        peers: &Arc<Peers>,
        worker: WorkerId,
        topic: TopicId,
        message: Published<'_>,
    ) -> bool {
        let link = self.link(peers, worker);
        if link.sent >= MAX_SENT {
            // A worker that has ended drops its latches.
            let is_behind = |latch: &Arc<Latch>| !latch.is_released() && Arc::strong_count(latch) > 1;
            if link.milestone.as_ref().is_some_and(is_behind) {
                return false;
            }
            let latch = Arc::new(Latch::new(1));
            link.batch.commands.push(Command::Write(Arc::clone(&latch)));
            (link.milestone, link.sent) = (Some(latch), 0);
        }
        link.add(topic, message);
        if link.batch.bytes.len() >= MAX_BATCH_BYTES {
            peers.push(worker, &mut link.batch);
        }
        true
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        for link in &mut self.links {
            link.peers.push(link.worker, &mut link.batch);
        }
        // Only this refers to the workers of an environment that has ended.
        self.links.retain(|link| Arc::strong_count(&link.peers) > 1);
    }

    fn link(&mut self, peers: &Arc<Peers>, worker: WorkerId) -> &mut Link {
        let place = self.links.iter().position(|it| it.worker == worker && Arc::ptr_eq(&it.peers, peers));
        let place = place.unwrap_or_else(|| {
            let (peers, batch) = (Arc::clone(peers), CommandBatch::default());
            self.links.push(Link { peers, worker, batch, sent: 0, milestone: None });
            self.links.len() - 1
        });
        &mut self.links[place]
    }
}

impl Link {
    fn add(&mut self, topic: TopicId, message: Published<'_>) {
        let payload = Slice::append(&mut self.batch.bytes, message.payload);
        let (kind, compress) = (message.kind, message.compress);
        self.batch.commands.push(Command::Publish { topic, except: None, kind, payload, compress });
        self.sent += message.payload.len() + COMMAND_WEIGHT;
    }
}

/// The weight of a message beside its bytes: of its command, and of the system call for a batch of one.
const COMMAND_WEIGHT: usize = 2048;
/// Bytes that may be published to a worker before it is waited for.
const MAX_SENT: usize = 16 * 1024 * 1024;
/// Bytes of payload at which a batch is handed over.
const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Messages at which Node's thread hands a batch over while it goes on publishing: enough to be worth a wake-up.
const MAX_BATCH_COMMANDS: usize = 256;
/// How long to wait for a worker.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::queue::Downlink;

    const TOPIC: TopicId = TopicId { slot: 0, generation: 0 };
    const MESSAGE: Published<'_> = Published { kind: MessageKind::Text, payload: b"hello", compress: false };

    fn environment() -> (Arc<Peers>, Arc<Downlink>) {
        let (peers, downlink) = (Peers::default(), Arc::new(Downlink::default()));
        peers.add(Arc::clone(&downlink));
        (Arc::new(peers), downlink)
    }

    #[test]
    fn what_gathered_crosses_in_one_batch_per_worker() {
        let mut neighbours = Neighbours::default();
        let (first, first_link) = environment();
        let (second, second_link) = environment();
        for peers in [&first, &second, &first] {
            neighbours.publish(peers, WorkerId(0), TOPIC, MESSAGE);
        }
        assert_eq!((first_link.waiting(), second_link.waiting()), (0, 0));
        neighbours.flush();
        assert_eq!((first_link.waiting(), second_link.waiting()), (2, 1));
        let batch = first_link.take().unwrap();
        assert_eq!(batch.bytes, b"hellohello");
        assert!(first_link.take().is_none());
    }

    #[test]
    fn who_must_not_wait_loses_what_a_worker_is_too_slow_for() {
        let mut neighbours = Neighbours::default();
        let (peers, link) = environment();
        let payload = vec![0; MAX_BATCH_BYTES];
        let large = Published { payload: &payload, ..MESSAGE };
        let offer = |neighbours: &mut Neighbours| neighbours.offer(&peers, WorkerId(0), TOPIC, large);
        let taken = (0..100).take_while(|_| offer(&mut neighbours)).count();
        assert_eq!(taken, 2 * MAX_SENT / MAX_BATCH_BYTES);
        neighbours.flush();
        let commands = std::iter::from_fn(|| link.take()).flat_map(|batch| batch.commands);
        for command in commands {
            if let Command::Write(latch) = command {
                latch.release();
            }
        }
        assert!(offer(&mut neighbours));
    }

    #[test]
    fn an_environment_that_has_ended_is_forgotten() {
        let mut neighbours = Neighbours::default();
        let ((ended, _), (other, link)) = (environment(), environment());
        neighbours.publish(&ended, WorkerId(0), TOPIC, MESSAGE);
        neighbours.publish(&other, WorkerId(0), TOPIC, MESSAGE);
        drop(ended);
        neighbours.flush();
        assert_eq!((neighbours.links.len(), link.waiting()), (1, 1));
    }
}

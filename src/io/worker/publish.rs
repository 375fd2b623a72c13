//! Messages for all subscribers of a topic.

use super::Worker;
use crate::bridge::event::Slice;
use crate::bridge::id::{ConnectionId, TopicId};
use crate::bridge::queue::HIGH_WATER;
use crate::io::connection::PublishOutcome;
use crate::io::publication::Publication;
use crate::io::topics::Subscriber;
use crate::protocol::websocket::MessageKind;

impl Worker {
    pub(super) fn unsubscribe(&mut self, id: ConnectionId, topic: TopicId) {
        let moved = self.with(id.slot, id.generation, |connection, context, _| {
            connection.websocket().and_then(|(socket, _)| socket.unsubscribe(topic, context))
        });
        if let Some(moved) = moved.flatten() {
            self.with(moved.who.slot, moved.who.generation, |connection, _, _| {
                connection.handle_moved(moved)
            });
        }
    }

    /// Queues a message for every subscriber: together with others to the same topic that precede it, and at the latest
    /// in [`Self::finish_publish_run`].
    pub(super) fn publish(
        &mut self,
        (topic, except): (TopicId, Option<ConnectionId>),
        kind: MessageKind,
        payload: &[u8],
        compress: bool,
    ) {
        if !self.publish_run.takes(topic, except, payload.len()) {
            self.finish_publish_run();
        }
        if self.publish_run.takes(topic, except, payload.len()) {
            return self.publish_run.push(topic, except, kind, payload, compress);
        }
        let mut recipients = self.recipients_of(topic);
        self.publish_to(&recipients, except, Publication::new(kind, payload, compress));
        recipients.clear();
        self.recipients = recipients;
        self.context.codecs.tidy();
    }

    /// Queues the messages that have gathered.
    pub(super) fn finish_publish_run(&mut self) {
        let Some(run) = self.publish_run.finish() else { return };
        let mut recipients = self.recipients_of(run.topic);
        if run.messages.len() > 1 {
            recipients.retain(|&Subscriber { slot, generation }| {
                let is_exception = |id: &ConnectionId| (id.slot, id.generation) == (slot, generation);
                if run.exceptions.iter().any(is_exception) {
                    return true;
                }
                let is_done = self.with(slot, generation, |connection, context, _| {
                    let (socket, shell) = connection.websocket()?;
                    Some(socket.send_published_together(&run, shell, context))
                });
                is_done.flatten() == Some(false)
            });
        }
        for message in run.messages.iter().filter(|_| !recipients.is_empty()) {
            let (frame, payload) = run.frame_of(message);
            let publication = Publication::with_frame(message.kind, payload, message.compress, frame);
            self.publish_to(&recipients, message.except, publication);
        }
        self.publish_run.recycle(run);
        recipients.clear();
        self.recipients = recipients;
        self.context.codecs.tidy();
    }

    /// The subscribers of a topic, in a buffer that is to be put back.
    fn recipients_of(&mut self, topic: TopicId) -> Vec<Subscriber> {
        let mut recipients = std::mem::take(&mut self.recipients);
        recipients.extend_from_slice(self.context.topics.members(topic));
        recipients
    }

    /// Queues a message for these subscribers.
    fn publish_to(
        &mut self,
        recipients: &[Subscriber],
        except: Option<ConnectionId>,
        mut publication: Publication<'_>,
    ) {
        let (kind, payload) = (publication.kind, publication.payload);
        let mut dropped = None;
        for &Subscriber { slot, generation } in recipients {
            if except.is_none_or(|id| (id.slot, id.generation) != (slot, generation)) {
                if self.tunnels > 0 {
                    self.write_if_over_limit(slot, generation);
                }
                let delivery = self.with(slot, generation, |connection, context, _| {
                    let (socket, shell) = connection.websocket()?;
                    Some(socket.send_published(&mut publication, shell, context))
                });
                if let Some(PublishOutcome::Missed { report }) = delivery.flatten() {
                    let report = report || self.event_interest.dropped_messages();
                    let dropped_payload =
                        report.then(|| *dropped.get_or_insert_with(|| self.append_dropped_payload(payload)));
                    self.handle_missed((slot, generation), kind, dropped_payload);
                }
            }
        }
    }

    /// Appends the payload of a dropped message to the events for Node's thread, unless that is too far behind:
    /// otherwise the reports would use the memory that dropping messages saves.
    fn append_dropped_payload(&mut self, payload: &[u8]) -> Option<Slice> {
        let events = &mut self.context.events;
        let has_room = events.weight() < HIGH_WATER && !self.uplink.look().is_choked;
        has_room.then(|| Slice::append(&mut events.bytes, payload))
    }

    /// Handles a message that was dropped for a subscriber: reports it to Node's thread, if `dropped_payload` is
    /// present, and closes the WebSocket, if its options say so.
    fn handle_missed(
        &mut self,
        (slot, generation): (u32, u32),
        kind: MessageKind,
        dropped_payload: Option<Option<Slice>>,
    ) {
        self.with(slot, generation, |connection, context, _| {
            let Some((socket, shell)) = connection.websocket() else { return };
            if let Some(payload) = dropped_payload {
                let room = context.events.weight() < HIGH_WATER;
                socket.report_missed(kind, payload.filter(|_| room), shell, context);
            }
            socket.apply_limit(shell, context);
        });
    }
}

//! One message for all subscribers of a topic.

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

    /// Queues a message for every subscriber.
    pub(super) fn publish(
        &mut self,
        topic: TopicId,
        except: Option<ConnectionId>,
        mut publication: Publication<'_>,
    ) {
        let (kind, payload) = (publication.kind, publication.payload);
        let mut dropped = None;
        let mut recipients = std::mem::take(&mut self.recipients);
        recipients.extend_from_slice(self.context.topics.members(topic));
        for Subscriber { slot, generation } in recipients.drain(..) {
            if except.is_none_or(|id| (id.slot, id.generation) != (slot, generation)) {
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
        self.recipients = recipients;
        self.context.codecs.tidy();
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

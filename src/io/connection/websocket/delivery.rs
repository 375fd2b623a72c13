//! Published messages on their way to one subscriber.

use super::WebSocket;
use crate::bridge::event::{Event, Slice, WebSocketEvent};
use crate::bridge::rules::OnLimit;
use crate::io::connection::shell::Shell;
use crate::io::context::Context;
use crate::io::publication::Publication;
use crate::io::publish_run::FinishedRun;
use crate::protocol::websocket::{Form, MessageKind};

/// The outcome of a published message for one of its subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishOutcome {
    /// It is queued, or the WebSocket is about to close.
    Done,
    /// It was dropped, because the backlog exceeds `maxBackpressure`.
    Missed {
        /// Whether it is reported to Node's thread.
        report: bool,
    },
}

impl WebSocket {
    /// Queues a published message, or drops it if the subscriber does not keep up.
    pub(crate) fn send_published(
        &mut self,
        publication: &mut Publication<'_>,
        shell: &mut Shell,
        context: &mut Context,
    ) -> PublishOutcome {
        if !shell.is_serving() || !self.session.can_send() {
            return PublishOutcome::Done;
        }
        if !self.has_room(0, shell, context) {
            shell.tally(context).messages_dropped.add(1);
            return PublishOutcome::Missed { report: self.rules.reports_drops };
        }
        shell.tally(context).messages_sent.add(1);
        self.ledger.traffic.count_messages(0, 1);
        let form = self.session.form(publication.compress);
        if let Some(held) = &mut self.held {
            held.push(publication, form, &mut context.codecs);
            return PublishOutcome::Done;
        }
        match publication.frame(form, &mut context.codecs) {
            Some(frame) => shell.outbox.push_shared(frame, &mut context.pool),
            None => {
                let (kind, payload) = (publication.kind, publication.payload);
                let out = shell.outbox.tail(&mut context.pool);
                self.session.send_compressed(kind, payload, &mut context.codecs, out);
            }
        }
        shell.mark_dirty(context);
        PublishOutcome::Done
    }

    /// Queues published messages in one piece. Returns `false` if each must be queued by itself, because it is compressed for
    /// this subscriber, may have to be dropped, or is held back.
    pub(crate) fn send_published_together(
        &mut self,
        run: &FinishedRun,
        shell: &mut Shell,
        context: &mut Context,
    ) -> bool {
        if !shell.is_serving() || !self.session.can_send() {
            return true;
        }
        let is_plain = self.session.form(run.compress) == Form::Plain;
        if !is_plain || self.held.is_some() || !self.has_room(run.frames.len(), shell, context) {
            return false;
        }
        let count = run.messages.len();
        shell.tally(context).messages_sent.add(count as u64);
        self.ledger.traffic.count_messages(0, u32::try_from(count).unwrap_or(u32::MAX));
        shell.outbox.push_shared(&run.frames, &mut context.pool);
        shell.mark_dirty(context);
        true
    }

    /// Whether no message that is published behind `further` bytes must be dropped. Writes before it says no: only bytes that
    /// the kernel refuses are a backlog.
    fn has_room(&self, further: usize, shell: &mut Shell, context: &mut Context) -> bool {
        if !self.must_drop(shell.backlog() + further) {
            return true;
        }
        let taken = context.tallies.sent();
        // The flush at the end of the pass reports a broken socket.
        let _ = shell.flush_outbox(context);
        self.count_sent(context.tallies.sent().wrapping_sub(taken), context.moment);
        !self.must_drop(shell.backlog() + further)
    }

    /// Whether a published message would be dropped, unless the kernel takes what waits.
    pub(crate) fn is_over_limit(&self, shell: &Shell) -> bool {
        shell.is_serving() && self.must_drop(shell.backlog())
    }

    /// Whether a published message must be dropped.
    fn must_drop(&self, backlog: usize) -> bool {
        let held = self.held.as_ref().map_or(0, |held| held.len());
        self.rules.must_drop((backlog + held) as u64)
    }

    /// Reports a missed message to Node's thread: now, or together with the next one if `payload` is `None`, because
    /// Node's thread is too far behind.
    pub(crate) fn report_missed(
        &mut self,
        kind: MessageKind,
        payload: Option<Slice>,
        shell: &Shell,
        context: &mut Context,
    ) {
        match payload {
            None => self.unreported = self.unreported.saturating_add(1),
            Some(payload) => {
                let unreported = std::mem::take(&mut self.unreported);
                let event = WebSocketEvent::MessageDropped { kind, payload, unreported };
                context.emit(Event::WebSocket { connection: shell.id, event });
            }
        }
    }

    /// A message was dropped: closes the WebSocket, if its options say so.
    pub(crate) fn apply_limit(&mut self, shell: &mut Shell, context: &mut Context) {
        if self.rules.on_limit == OnLimit::Close {
            self.limit(shell, context);
        }
    }
}

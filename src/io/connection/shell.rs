//! The part of a connection that does not depend on the protocol: socket, queued output, stage, timer, tracing span,
//! and the connection's entries in the worker's lists.

use std::io;
use std::task::{Context as TaskContext, Poll, Waker};

use tokio::io::ReadBuf;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use super::config::FilterState;
use super::last_look::LastLook;
use super::stage::ConnectionStage;
use crate::bridge::event::{BodyOffer, Event};
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::peer::Peer;
use crate::bridge::tally::Tally;
use crate::io::context::Context;
use crate::io::lead::Lead;
use crate::io::outbox::Outbox;
use crate::io::timers::TimerEntry;
use crate::io::transport::Transport;
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::tls::session::TlsSession;

/// Socket, output and stage of one connection; see the top of this file.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(super) id: ConnectionId,
    pub(super) app: AppId,
    pub(super) transport: Transport,
    pub(super) outbox: Outbox,
    pub(super) stage: ConnectionStage,
    filter: FilterState,
    /// When the entry of this connection in the timer wheel expires; [`NEVER`] while it has none.
    timer: Timestamp,
    /// When the kernel last took a byte, or the outbox was last empty; once it lingers, since when. The deadlines of
    /// draining and lingering count from then.
    pub(super) progress: Timestamp,
    /// Whether the connection is in [`Context::dirty`] already.
    is_dirty: bool,
    /// Whether input was left because Node's thread lags. The deadlines of the peer are suspended then.
    pub(super) is_starved: bool,
    /// Whether pieces of the request's body are offered to Node's thread.
    pub(super) offers: Offers,
    /// Whether a piece of the body of the last request was offered.
    pub(super) had_long_body: bool,
    /// Its events that wait for Node's thread.
    pub(super) lead: Lead,
    pub(super) last_look: LastLook,
    /// Present once logging has been on; boxed because that is rare.
    span: Option<Box<Span>>,
}

impl Shell {
    /// The shell of a connection that was just accepted or made.
    pub(super) fn new(
        id: ConnectionId,
        app: AppId,
        transport: Transport,
        filter: FilterState,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            app,
            transport,
            outbox: Outbox::default(),
            stage: ConnectionStage::Serving,
            filter,
            timer: NEVER,
            progress: now,
            is_dirty: false,
            is_starved: false,
            offers: Offers::Open,
            had_long_body: false,
            lead: Lead::default(),
            last_look: LastLook::default(),
            span: None,
        }
    }

    /// Announces the connection of the client `peer` to Node's thread, if its app has a filter.
    pub(super) fn announce_opened(&mut self, peer: Peer, context: &mut Context) {
        if self.filter == FilterState::Pending {
            self.filter = FilterState::Announced;
            context.events.push_opening(self.id, self.app, peer);
        }
    }

    /// Announces to Node's thread that the connection has closed, if it was announced as open.
    pub(super) fn announce_closed(&mut self, context: &mut Context) {
        if std::mem::take(&mut self.filter) == FilterState::Announced {
            context.emit(Event::ConnectionClosed { connection: self.id });
        }
    }

    /// Enters the connection's tracing span until the guard drops. Free while logging is off.
    pub(super) fn enter_span(&mut self) -> Option<EnteredSpan> {
        if LevelFilter::current() == LevelFilter::OFF { None } else { self.enter_wanted_span() }
    }

    /// Creates the span when logging is first on, so that connections accepted before that have one, too.
    #[cold]
    fn enter_wanted_span(&mut self) -> Option<EnteredSpan> {
        if self.span.is_none() {
            let (worker, peer) = (self.id.worker.0, self.transport.peer().map(tracing::field::display));
            // ERROR level, so that the span is enabled at every verbosity.
            let span = tracing::error_span!("connection", conn = %self.id, worker, peer);
            // The span is disabled if only another environment has logging on.
            self.span = (!span.is_disabled()).then(|| Box::new(span));
        }
        self.span.as_deref().map(|span| span.clone().entered())
    }

    /// Whether the peer is still served: the connection is not closing.
    pub(super) fn is_serving(&self) -> bool {
        self.stage == ConnectionStage::Serving
    }

    /// Bytes of output that the kernel has not taken.
    pub(super) fn backlog(&self) -> usize {
        self.outbox.len() + self.transport.unsent()
    }

    /// Whether output waits that the kernel has not taken.
    pub(super) fn has_output(&self) -> bool {
        self.backlog() > 0
    }

    /// Whether so much output waits that nothing more is read from the peer.
    pub(super) fn is_outbox_full(&self) -> bool {
        self.outbox.len() >= UNREAD_OUTPUT
    }

    /// Whether a flush that has reduced the backlog from `before` to `left` bytes lets reading resume.
    pub(super) const fn lets_reading_resume(before: usize, left: usize) -> bool {
        before >= UNREAD_OUTPUT && left < UNREAD_OUTPUT
    }

    /// Whether the TLS keys are close to their usage limit.
    pub(super) fn is_near_key_limit(&self) -> bool {
        self.transport.session().is_some_and(TlsSession::is_near_key_limit)
    }

    /// The counters of the app.
    pub(super) fn tally<'a>(&self, context: &'a Context) -> &'a Tally {
        context.tallies.of(self.app)
    }

    /// Puts the connection on the list of those to flush at the end of the pass.
    pub(super) fn mark_dirty(&mut self, context: &mut Context) {
        if !self.is_dirty {
            self.is_dirty = true;
            context.dirty.push(self.id);
        }
    }

    /// Records that the connection is being flushed and has left the list.
    pub(super) const fn mark_clean(&mut self) {
        self.is_dirty = false;
    }

    /// Enters a later stage. `cause` is why the peer is no longer served, for the log: the name of a [`CloseCause`],
    /// the code of a violated rule, or a regular end.
    pub(super) fn leave(&mut self, stage: ConnectionStage, cause: &'static str) {
        if self.stage == ConnectionStage::Serving {
            tracing::debug!(cause, "connection ended");
        }
        self.stage = stage;
    }

    /// Stops reading. The queued output is sent, then FIN.
    pub(super) fn drain(&mut self, cause: &'static str, context: &mut Context) {
        if self.stage == ConnectionStage::Serving {
            self.leave(ConnectionStage::Draining, cause);
            self.progress = context.now;
            self.mark_dirty(context);
        }
    }

    /// Discards the queued output. Only the TLS alert is sent, then FIN.
    pub(super) fn drain_alert(&mut self, context: &mut Context) {
        self.outbox = Outbox::default();
        self.stage = ConnectionStage::Draining;
        self.progress = context.now;
        self.mark_dirty(context);
    }

    /// Sends the queued output that the kernel takes at once, and closes the socket.
    pub(super) fn drop_after_flush(&mut self, cause: CloseCause, context: &mut Context) {
        self.flush_at_once(context);
        self.leave(ConnectionStage::Gone, cause.verdict().name);
    }

    /// Sends what the kernel takes at once, followed by FIN if that is everything.
    pub(super) fn flush_at_once(&mut self, context: &mut Context) {
        // The socket is closed next: an error changes nothing.
        if let Ok(true) = self.flush_outbox(context) {
            let _ = self.transport.finish();
        }
    }

    /// Writes what the kernel takes. Returns whether that was everything.
    ///
    /// # Errors
    /// The socket is broken.
    pub(super) fn flush_outbox(&mut self, context: &mut Context) -> io::Result<bool> {
        let before = self.outbox.len();
        let result = self.outbox.flush(&mut self.transport, &mut context.pool);
        let written = before - self.outbox.len();
        if written > 0 {
            context.tallies.count_sent(self.app, written as u64);
        }
        result
    }

    /// Queues bytes, or writes them at once if they are many.
    pub(super) fn append_output(&mut self, data: &[u8], context: &mut Context) {
        let before = self.outbox.len();
        self.outbox.append(data, &mut self.transport, &mut context.pool);
        let written = before + data.len() - self.outbox.len();
        if written > 0 {
            context.tallies.count_sent(self.app, written as u64);
        }
    }

    /// Reads into `buffer`. Returns the number of bytes; 0 if the peer has sent FIN.
    pub(super) fn poll_read(&mut self, buffer: &mut [u8], context: &mut Context) -> Poll<io::Result<usize>> {
        self.offers.note_read();
        let mut buffer = ReadBuf::new(buffer);
        let mut task = TaskContext::from_waker(Waker::noop());
        let result = self.transport.poll_read(&mut task, &mut buffer);
        if self.transport.is_unfinished() {
            context.again.push(self.id);
        }
        result.map_ok(|()| buffer.filled().len())
    }

    /// Keeps the rest of the output until the selector reports that the socket is writable.
    ///
    /// # Errors
    /// The socket is broken.
    pub(super) fn await_writable(&self, context: &mut Context) -> io::Result<()> {
        let mut task = TaskContext::from_waker(Waker::noop());
        if self.transport.poll_write_ready(&mut task)?.is_ready() {
            context.again.push(self.id);
        } else if self.transport.needs_watch_of_writes() {
            context.blocked.push(self.id);
        }
        Ok(())
    }

    /// Leaves input until Node's thread has caught up.
    pub(super) fn starve(&mut self, context: &mut Context) {
        self.is_starved = true;
        context.starved.push(self.id);
    }

    /// How many events this connection may add before it waits for Node's thread.
    pub(super) fn event_room(&mut self, context: &Context) -> usize {
        let window = context.window.size(context.progress.events() + context.events.events.len());
        self.lead.room(context.progress, window).into()
    }

    /// Leaves input until Node's thread has handled the older events of this connection.
    pub(super) fn await_progress(&mut self, context: &mut Context) {
        self.is_starved = true;
        if let Some(batch) = self.lead.start_waiting() {
            context.ahead.push((self.id, batch));
        }
    }

    /// Enters a deadline into the timer wheel, unless an earlier entry is there.
    pub(super) fn arm(&mut self, deadline: Timestamp, context: &mut Context) {
        if deadline < self.timer {
            let entry = TimerEntry { slot: self.id.slot, generation: self.id.generation };
            self.timer = context.wheel.insert(entry, deadline);
        }
    }

    /// Whether the timer expires by `deadline` at the latest.
    pub(super) fn is_armed_for(&self, deadline: Timestamp) -> bool {
        self.timer <= deadline
    }

    /// The timer fired. If a nearer deadline was entered since, the later entry fires too and is ignored.
    pub(super) fn disarm(&mut self, now: Timestamp) {
        if self.timer <= now {
            self.timer = NEVER;
        }
    }
}

/// Whether pieces of a request's body are offered to Node's thread ([`Event::BodyOffered`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offers {
    /// They may be.
    Open,
    /// One is, and nothing was read since.
    Made(BodyOffer),
    /// Not those of this body: it has no handler that takes pieces.
    Declined,
}

impl Offers {
    /// Anything is read: an offer that was made does not hold any more.
    const fn note_read(&mut self) {
        if let Self::Made(_) = self {
            *self = Self::Open;
        }
    }
}

/// Later than every deadline.
const NEVER: Timestamp = Timestamp(u64::MAX);
/// Bytes of output beyond which nothing more is read: a peer that sends pings and requests without reading the
/// answers is stopped by TCP rather than answered into memory.
const UNREAD_OUTPUT: usize = 4 * 1024 * 1024;

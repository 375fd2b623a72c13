//! One open WebSocket, as Node's thread sees it.

use std::rc::Rc;

use super::backlog::Backlog;
use crate::bridge::command::Command;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::moment::Moment;
use crate::bridge::peer::{KeptPeer, Peer};
use crate::bridge::rules::OnLimit;
use crate::bridge::sync::Arc;
use crate::bridge::traffic::{Facts, Report};
use crate::node::error::Misuse;
use crate::node::state::pubsub::Subscriptions;
use crate::node::state::routes::behavior::Behavior;
use crate::node::state::workers::Workers;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// One open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    opened: Moment,
    /// Its connection.
    pub connection: ConnectionId,
    /// Its app.
    pub app: AppId,
    /// The options of its route, or of its connect. Shared with that, so that every message can use them, and they
    /// outlive the route.
    pub behavior: Rc<Behavior>,
    /// The payload that was accepted, and how much of it waits.
    backlog: Backlog,
    /// Whether back-pressure was reported to the application, so that a `drain` has to follow.
    drain: DrainRequest,
    /// The message that is being sent in fragments.
    pub fragments: Fragments,
    /// It is being closed because of its backlog; nothing more is sent.
    limited: bool,
    /// The application has closed it, and its handlers have not run yet: nothing more is sent.
    pub is_closing: bool,
    /// Its topics.
    pub topics: Subscriptions,
    peer: KeptPeer,
}

impl Socket {
    /// A WebSocket that has just been opened.
    #[must_use]
    pub(crate) fn new(
        connection: ConnectionId,
        app: AppId,
        behavior: Rc<Behavior>,
        ledger: Arc<WebSocketLedger>,
        peer: Peer,
        opened: Moment,
    ) -> Self {
        Self {
            opened,
            connection,
            app,
            behavior,
            backlog: Backlog::new(ledger),
            drain: DrainRequest::None,
            fragments: Fragments::None,
            limited: false,
            is_closing: false,
            topics: Subscriptions::default(),
            peer: peer.into(),
        }
    }
}

/// Its app and its peer.
impl Socket {
    /// The app among whose WebSockets it may publish.
    ///
    /// # Errors
    /// It is a client, which cannot publish.
    pub(crate) fn publishing_app(&self) -> Result<u32, Misuse> {
        if self.app == AppId::CLIENTS {
            return Err(Misuse::invalid_state("a WebSocket of connect belongs to no app and has no topics"));
        }
        Ok(self.app.app)
    }

    /// The addresses of the peer.
    #[must_use]
    pub(crate) fn peer(&self) -> Peer {
        self.peer.peer()
    }

    /// Bytes that the system did not take when the worker last wrote.
    #[must_use]
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.refused()
    }

    /// Whether JavaScript has this handler.
    #[must_use]
    pub(crate) fn has(&self, handler: u32) -> bool {
        self.behavior.handlers.has(handler)
    }
}

/// What is reported when it closes.
impl Socket {
    /// What is known about it at a moment.
    #[must_use]
    pub(crate) fn report(&self, now: Moment) -> Report {
        let (open_for, facts) = (now.since(self.opened), self.backlog.facts(now));
        // The worker and Node's thread learn of the opening one after the other.
        let facts = Facts {
            silent_for: facts.silent_for.min(open_for),
            quiet_for: facts.quiet_for.min(open_for),
            ..facts
        };
        Report { open_for, facts }
    }
}

/// Its backlog and back-pressure.
impl Socket {
    /// Accepts a frame whose command was added; `handler_serial` identifies the running handler. Returns whether
    /// anything waits for the peer now.
    pub(crate) fn accept_frame(&mut self, length: u32, handler_serial: u64, workers: &mut Workers) -> bool {
        let is_long = self.backlog.accept(length, handler_serial);
        workers.note_message(self.connection.worker, length as usize);
        let is_queued = self.find_waiting(handler_serial, workers) > 0;
        if is_long {
            // Sent from a timer, a promise or a stream. Without a turn of the dispatcher the burst would never end,
            // however many turns of Node's loop it takes.
            workers.ring();
        }
        is_queued
    }

    /// Accepts a message whose command was added, of which the application does not ask what became of it. It is written
    /// as early as others, and no `drain` follows.
    pub(crate) fn accept_unasked(&mut self, length: u32, handler_serial: u64, workers: &mut Workers) {
        let is_long = self.backlog.accept(length, handler_serial);
        workers.note_message_together(self.connection.worker, length as usize);
        self.backlog.find_waiting(self.connection, handler_serial, workers);
        if is_long {
            workers.ring();
        }
    }

    /// Bytes that are reported to the application as waiting for the peer; a `drain` follows then. The kernel may
    /// accept at once what is still on its way to the worker: before such bytes are reported, Node's thread waits for
    /// the worker to write.
    pub(crate) fn find_waiting(&mut self, handler_serial: u64, workers: &mut Workers) -> u64 {
        let waiting = self.backlog.find_waiting(self.connection, handler_serial, workers);
        if waiting > 0 {
            self.request_drain(workers);
        }
        waiting
    }

    /// Asks the worker to report when everything is written, unless it was asked.
    fn request_drain(&mut self, workers: &mut Workers) {
        self.ask_for_drain(DrainRequest::Pending, workers);
    }

    fn ask_for_drain(&mut self, request: DrainRequest, workers: &mut Workers) {
        if self.drain == DrainRequest::None {
            self.drain = request;
            workers.push(self.connection.worker, Command::NotifyDrain { connection: self.connection });
        }
    }

    /// Handles a `Drained` of the worker. Returns whether it answers a request of this WebSocket and is still true.
    /// Where more was accepted since the worker sent it, asks again: what is under way does not count as waiting, but
    /// may do so by the time the `drain` handler runs. A WebSocket that always has something under way asks a second
    /// time only, so that its `drain` does come.
    pub(crate) fn take_drain(&mut self, workers: &mut Workers) -> bool {
        let backlog = &self.backlog;
        let again = match std::mem::replace(&mut self.drain, DrainRequest::None) {
            DrainRequest::None => return false,
            DrainRequest::Pending if backlog.held() == 0 => return true,
            DrainRequest::Confirming if backlog.outstanding() == 0 => return true,
            DrainRequest::Pending if backlog.outstanding() == 0 => DrainRequest::Confirming,
            unchanged @ (DrainRequest::Pending | DrainRequest::Confirming) => unchanged,
        };
        self.ask_for_drain(again, workers);
        false
    }
}

/// `maxBackpressure`.
impl Socket {
    /// Whether a message must be dropped. Before a message is dropped because of bytes that are still on their way to
    /// the worker, Node's thread waits for the worker to write.
    pub(crate) fn is_over_limit(&mut self, workers: &mut Workers) -> bool {
        if self.limited {
            return true;
        }
        let (rules, backlog) = (&self.behavior.rules, &mut self.backlog);
        if !rules.must_drop(backlog.outstanding()) {
            return false;
        }
        if rules.must_drop(backlog.refused()) || !backlog.should_ask_worker() {
            return true;
        }
        backlog.ask_worker(self.connection, workers);
        rules.must_drop(backlog.outstanding())
    }

    /// Whether `closeOnBackpressureLimit` is set.
    #[must_use]
    pub(crate) fn closes_at_limit(&self) -> bool {
        self.behavior.rules.on_limit == OnLimit::Close
    }

    /// Called after a message was dropped: closes the WebSocket, if `closeOnBackpressureLimit` is set; otherwise
    /// requests a `drain`.
    pub(crate) fn act_on_limit(&mut self, workers: &mut Workers) {
        if !self.closes_at_limit() {
            self.request_drain(workers);
        } else if !std::mem::replace(&mut self.limited, true) {
            workers.push(self.connection.worker, Command::LimitWebSocket { connection: self.connection });
        }
    }
}

/// Its end.
impl Socket {
    /// Closes it for the application and has the worker close the connection; `close_frame` are code and reason of the
    /// Close frame, if it sends one. Returns `false` if it was closed before.
    pub(crate) fn close(
        &mut self,
        cause: CloseCause,
        close_frame: Option<(u16, &[u8])>,
        workers: &mut Workers,
    ) -> bool {
        let connection = self.connection;
        if std::mem::replace(&mut self.is_closing, true) {
            return false;
        }
        let command = match close_frame {
            Some((code, reason)) => {
                let reason = workers.copy(connection.worker, reason);
                Command::EndWebSocket { connection, cause, code, reason }
            }
            None => Command::CloseWebSocket { connection },
        };
        workers.push(connection.worker, command);
        true
    }
}

/// Whether the worker was asked to report that everything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DrainRequest {
    /// It was not.
    None,
    /// It was asked once.
    Pending,
    /// It was asked a second time, because something was under way to it when its first report came.
    Confirming,
}

/// State of a message in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragments {
    /// There is none.
    None,
    /// The first fragment has been accepted, so all others are, however large the backlog.
    Sent(MessageKind),
    /// The first fragment was dropped, and all others are: a message is lost as a whole or not at all.
    Dropped(MessageKind),
}

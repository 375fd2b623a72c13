//! One open WebSocket, as Node's thread sees it.

use std::rc::Rc;

use super::backlog::Backlog;
use crate::bridge::command::Command;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::ledger::Ledger;
use crate::bridge::peer::{KeptPeer, Peer};
use crate::bridge::rules::OnLimit;
use crate::bridge::sync::Arc;
use crate::node::error::Misuse;
use crate::node::state::pubsub::Subscriptions;
use crate::node::state::routes::behavior::Behavior;
use crate::node::state::workers::Workers;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// One open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Its connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub app: AppId,
    /// The options of its route, or of its connect. Shared with that, so that they are at hand with every message, and
    /// stay whatever becomes of the route.
    pub behavior: Rc<Behavior>,
    /// What was accepted for the peer.
    backlog: Backlog,
    /// Whether the application has seen back-pressure, so that it is owed a `drain`.
    drain: DrainRequest,
    /// The message that is being sent in fragments.
    pub fragments: Fragments,
    /// It was told to close because of its backlog; nothing more is sent.
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
        ledger: Arc<Ledger>,
        peer: Peer,
    ) -> Self {
        Self {
            connection,
            app,
            behavior,
            backlog: Backlog::new(ledger),
            drain: DrainRequest::None,
            fragments: Fragments::None,
            limited: false,
            is_closing: false,
            topics: Subscriptions::new(),
            peer: peer.into(),
        }
    }
}

/// What it is to its app and its peer.
impl Socket {
    /// The app among whose WebSockets it may publish.
    ///
    /// # Errors
    /// It is a client, and what it sends is for its server alone.
    pub(crate) fn topical_app(&self) -> Result<u32, Misuse> {
        if self.app == AppId::CLIENTS {
            return Err(Misuse::invalid_state("a WebSocket of connect belongs to no app and has no topics"));
        }
        Ok(self.app.app)
    }

    /// The other end.
    #[must_use]
    pub(crate) fn peer(&self) -> Peer {
        self.peer.peer()
    }

    /// Whether JavaScript has this handler.
    #[must_use]
    pub(crate) fn has(&self, handler: u32) -> bool {
        self.behavior.handlers.has(handler)
    }
}

/// What waits for the peer.
impl Socket {
    /// Accepts a frame, of the handler that JavaScript has `asked` for, whose command was added. Returns whether anything
    /// waits for the peer now.
    pub(crate) fn accept_frame(&mut self, length: u32, asked: u64, workers: &mut Workers) -> bool {
        let is_long = self.backlog.accept(length, asked);
        workers.note_message(self.connection.worker, length as usize);
        let is_queued = self.find_waiting(asked, workers) > 0;
        if is_long {
            // Sent from a timer, a promise or a stream. Without a turn of the dispatcher it would never end, however many
            // turns of Node's loop it takes.
            workers.ring();
        }
        is_queued
    }

    /// Bytes that the application is to be told are waiting for the peer; then it is owed a `drain`. Those that are merely on
    /// their way to the worker may well be taken by the kernel at once: before they are told, the worker is given the time
    /// to find out.
    pub(crate) fn find_waiting(&mut self, asked: u64, workers: &mut Workers) -> u64 {
        let waiting = self.backlog.find_waiting(self.connection, asked, workers);
        if waiting > 0 {
            self.request_drain(workers);
        }
        waiting
    }

    /// Asks the worker to say when everything is written, once.
    fn request_drain(&mut self, workers: &mut Workers) {
        self.ask_for_drain(DrainRequest::Pending, workers);
    }

    fn ask_for_drain(&mut self, request: DrainRequest, workers: &mut Workers) {
        if self.drain == DrainRequest::None {
            self.drain = request;
            workers.push(self.connection.worker, Command::NotifyDrain { connection: self.connection });
        }
    }

    /// A `Drained` has arrived. Returns whether it answers a request of this WebSocket and is still true. Where more was
    /// accepted since the worker said it, asks again: what is under way does not count as waiting, but may do so by the time
    /// the `drain` handler looks. A WebSocket that always has something under way is asked about it once, so that it
    /// is not left without its `drain`.
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
    /// Whether a message must be dropped. Before what is merely on its way to the worker costs a message, the worker is given
    /// the time to find out.
    pub(crate) fn is_over_limit(&mut self, workers: &mut Workers) -> bool {
        if self.limited {
            return true;
        }
        let (rules, backlog) = (&self.behavior.rules, &mut self.backlog);
        if !rules.must_drop(backlog.outstanding()) {
            return false;
        }
        if rules.must_drop(backlog.refused()) || !backlog.is_worth_a_look() {
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

    /// A message was dropped: closes the WebSocket, if that is the rule; else says when it may go on.
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
    /// The application closes it, and its worker is told now; `said` are code and reason of the Close frame, if it sends one.
    /// Returns whether that has not happened before.
    pub(crate) fn close(
        &mut self,
        cause: CloseCause,
        said: Option<(u16, &[u8])>,
        workers: &mut Workers,
    ) -> bool {
        let connection = self.connection;
        if std::mem::replace(&mut self.is_closing, true) {
            return false;
        }
        let command = match said {
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

/// Whether a `drain` is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DrainRequest {
    /// It is not.
    None,
    /// A `Drained` is under way.
    Pending,
    /// Another one is, because something was under way to the worker when the first came.
    Confirming,
}

/// How far a message in fragments has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragments {
    /// There is none.
    None,
    /// The first fragment has been accepted, so all others are, whatever waits for the peer.
    Sent(MessageKind),
    /// The first fragment was dropped, and all others are: a message is lost as a whole or not at all.
    Dropped(MessageKind),
}

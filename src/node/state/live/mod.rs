//! The responses and WebSockets that JavaScript may use. A connection has one of the two or neither, and its events go
//! to that one only.

pub(crate) mod backlog;
pub(crate) mod exchange;
pub(crate) mod listing;
pub(crate) mod occupants;
pub(crate) mod output;
pub(crate) mod request_body;
pub(crate) mod socket;

use self::exchange::{Exchange, HandlerState, Stage};
use self::occupants::{Occupant, Occupants};
use self::socket::Socket;
use super::handles::{JsHandle, Table};
use super::pubsub::PubSub;
use super::workers::Workers;
use crate::bridge::command::{Command, HeadBytes, ResponseId};
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::bridge::moment::Moment;
use crate::bridge::traffic::Report;
use crate::node::abi::Handlers;
use crate::node::error::Misuse;
use crate::protocol::http::response_head::FieldFlags;

/// The responses and WebSockets that JavaScript may use, and which connection each belongs to.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Responses that JavaScript may use.
    exchanges: Table<Box<Exchange>>,
    /// Emptied exchanges, for reuse.
    #[expect(clippy::vec_box, reason = "the boxes are what is reused")]
    spares: Vec<Box<Exchange>>,
    /// WebSockets that JavaScript may use.
    sockets: Table<Socket>,
    /// The response or WebSocket of each connection, by worker and slot.
    occupants: Occupants,
}

/// What the handlers of a WebSocket that was closed need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// The app of the WebSocket.
    pub app: AppId,
    /// Number of topics that it has left, available as departures.
    pub left: usize,
    /// What is reported about it.
    pub report: Report,
}

/// Requests and their responses.
impl Live {
    /// The response that JavaScript names, if it may still be used.
    ///
    /// # Errors
    /// [`Misuse::response_closed`]
    pub(crate) fn response(&mut self, number: f64) -> Result<(JsHandle, &mut Exchange), Misuse> {
        let handle = JsHandle::from_number(number).ok_or_else(Misuse::response_closed)?;
        match self.exchanges.get_mut(handle) {
            Some(exchange) if exchange.stage != Stage::Over => Ok((handle, exchange)),
            Some(_) | None => Err(Misuse::response_closed()),
        }
    }

    /// The request that JavaScript names, if it may still be read.
    ///
    /// # Errors
    /// [`Misuse::request_closed`]
    pub(crate) fn request(&mut self, number: f64) -> Result<&mut Exchange, Misuse> {
        let handle = JsHandle::from_number(number).ok_or_else(Misuse::request_closed)?;
        self.exchange_mut(handle).ok_or_else(Misuse::request_closed)
    }

    /// A request and its response, whatever its stage.
    #[must_use]
    pub(crate) fn exchange(&self, handle: JsHandle) -> Option<&Exchange> {
        self.exchanges.get(handle).map(Box::as_ref)
    }

    /// The same, mutable.
    pub(crate) fn exchange_mut(&mut self, handle: JsHandle) -> Option<&mut Exchange> {
        self.exchanges.get_mut(handle).map(Box::as_mut)
    }

    /// The response to one request of a connection, if JavaScript may still use it.
    #[must_use]
    pub(crate) fn exchange_of(&self, connection: ConnectionId, request: RequestNumber) -> Option<JsHandle> {
        self.occupants.exchange(connection, request)
    }

    /// All of them.
    pub(crate) fn exchanges(&self) -> impl Iterator<Item = (JsHandle, &Exchange)> {
        self.exchanges.iter().map(|(handle, exchange)| (handle, exchange.as_ref()))
    }

    /// An empty exchange, for the caller to fill and insert.
    pub(crate) fn new_exchange(&mut self, to: ResponseId, app: AppId) -> Box<Exchange> {
        match self.spares.pop() {
            Some(mut spare) => {
                spare.reset(to, app);
                spare
            }
            None => Box::new(Exchange::empty(to, app)),
        }
    }

    /// Inserts the exchange of a connection. `None` if 2^24 of them are outstanding.
    pub(crate) fn insert_exchange(&mut self, exchange: Box<Exchange>) -> Option<JsHandle> {
        let ResponseId { connection, request } = exchange.to;
        let handle = self.exchanges.insert(exchange).ok()?;
        self.occupants.set(connection, Occupant::Exchange { request, handle });
        Some(handle)
    }

    /// Ends the response: later events for it are dropped, and its methods throw.
    /// Its request may be read until the handler has returned.
    pub(crate) fn finish(&mut self, handle: JsHandle) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        exchange.stage = Stage::Over;
        if let Occupant::Exchange { handle: occupant, .. } = self.occupants.get(exchange.to.connection)
            && occupant == handle
        {
            self.occupants.set(exchange.to.connection, Occupant::Nobody);
        }
        if exchange.handler == HandlerState::Returned {
            self.drop_exchange(handle);
        }
    }

    /// Removes the exchange; its handle is refused from now on.
    pub(crate) fn drop_exchange(&mut self, handle: JsHandle) {
        if let Some(mut exchange) = self.exchanges.remove(handle)
            && self.spares.len() < MAX_SPARES
        {
            exchange.recording = None;
            self.spares.push(exchange);
        }
    }

    /// Sends a response without JavaScript.
    pub(crate) fn answer(&mut self, handle: JsHandle, answer: Answer<'_>, workers: &mut Workers) {
        let Some(exchange) = self.exchanges.get(handle) else { return };
        let (to, worker) = (exchange.to, exchange.to.connection.worker);
        let head = HeadBytes {
            status: workers.copy(worker, answer.status.as_bytes()),
            fields: workers.copy(worker, answer.fields),
            flags: FieldFlags::NONE,
        };
        let body = workers.copy(worker, answer.body);
        workers.push(worker, Command::Respond { to, head, body, close: answer.close });
        self.finish(handle);
    }

    /// Drops the connection without an answer.
    pub(crate) fn abort(&mut self, handle: JsHandle, workers: &mut Workers) {
        let Some(exchange) = self.exchanges.get(handle) else { return };
        let to = exchange.to;
        workers.push(to.connection.worker, Command::AbortResponse { to });
        self.finish(handle);
    }
}

/// A response that the addon sends without JavaScript.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Status code and reason phrase.
    pub status: &'a str,
    /// Complete `Name: value\r\n` lines.
    pub fields: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Whether the connection is closed after it.
    pub close: bool,
}

/// WebSockets.
impl Live {
    /// The WebSocket that JavaScript names, if it is open.
    ///
    /// # Errors
    /// [`Misuse::websocket_closed`]
    pub(crate) fn socket(&mut self, number: f64) -> Result<(JsHandle, &mut Socket), Misuse> {
        let handle = JsHandle::from_number(number).ok_or_else(Misuse::websocket_closed)?;
        self.sockets.get_mut(handle).map(|socket| (handle, socket)).ok_or_else(Misuse::websocket_closed)
    }

    /// The same by its handle.
    pub(crate) fn socket_mut(&mut self, handle: JsHandle) -> Option<&mut Socket> {
        self.sockets.get_mut(handle)
    }

    /// Whether a WebSocket is open to JavaScript.
    #[must_use]
    pub(crate) fn is_open(&self, handle: JsHandle) -> bool {
        self.sockets.get(handle).is_some()
    }

    /// The WebSocket of a connection, if it has one that JavaScript may use.
    #[must_use]
    pub(crate) fn socket_of(&self, connection: ConnectionId) -> Option<(JsHandle, &Socket)> {
        let handle = self.occupants.socket(connection)?;
        Some((handle, self.sockets.get(handle)?))
    }

    /// All of them.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (JsHandle, &Socket)> {
        self.sockets.iter()
    }

    /// Inserts a WebSocket that has opened.
    ///
    /// # Errors
    /// 2^24 of them are open.
    pub(crate) fn insert_socket(&mut self, socket: Socket) -> Result<JsHandle, Misuse> {
        let connection = socket.connection;
        let handle =
            self.sockets.insert(socket).map_err(|_| Misuse::invalid_state("too many WebSockets are open"))?;
        self.occupants.set(connection, Occupant::Socket(handle));
        Ok(handle)
    }

    /// Removes a WebSocket that is closed for JavaScript: its handle is refused from now on, and later events for it
    /// are dropped. `moment` is when it closed.
    pub(crate) fn close_socket(
        &mut self,
        handle: JsHandle,
        moment: Moment,
        pubsub: &mut PubSub,
    ) -> Option<Closed> {
        let socket = self.sockets.remove(handle)?;
        if self.occupants.get(socket.connection) == Occupant::Socket(handle) {
            self.occupants.set(socket.connection, Occupant::Nobody);
        }
        let wanted = socket.has(Handlers::SUBSCRIPTION);
        let left = pubsub.leave_all(&socket.topics, socket.connection.worker, wanted);
        Some(Closed { app: socket.app, left, report: socket.report(moment) })
    }
}

/// Connections.
impl Live {
    /// The response or WebSocket that a connection has for JavaScript.
    #[must_use]
    pub(crate) fn occupant(&self, connection: ConnectionId) -> Occupant {
        self.occupants.get(connection)
    }
}

/// Exchanges kept for reuse: those of one batch, mostly. One keeps about a kilobyte of buffers.
const MAX_SPARES: usize = 64;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::bridge::id::WorkerId;
    use crate::bridge::peer::Peer;
    use crate::bridge::sync::Arc;
    use crate::node::state::routes::behavior::Behavior;

    const CONNECTION: ConnectionId = ConnectionId { worker: WorkerId(0), slot: 3, generation: 1 };
    const APP: AppId = AppId { app: 0, epoch: 0 };

    fn request(number: u32) -> ResponseId {
        ResponseId { connection: CONNECTION, request: RequestNumber(number) }
    }

    fn enter_request(live: &mut Live, number: u32) -> JsHandle {
        let exchange = live.new_exchange(request(number), APP);
        live.insert_exchange(exchange).unwrap()
    }

    fn open_socket(live: &mut Live) -> JsHandle {
        let behavior = Rc::new(Behavior::plain());
        live.insert_socket(Socket::new(CONNECTION, APP, behavior, Arc::default(), Peer::default(), Moment(0)))
            .unwrap()
    }

    #[test]
    fn what_arrives_for_another_request_of_the_connection_is_for_nobody() {
        let mut live = Live::default();
        let handle = enter_request(&mut live, 1);
        assert_eq!(live.exchange_of(CONNECTION, RequestNumber(1)), Some(handle));
        assert_eq!(live.exchange_of(CONNECTION, RequestNumber(2)), None);
        assert_eq!(live.exchange_of(ConnectionId { generation: 2, ..CONNECTION }, RequestNumber(1)), None);
        assert!(live.socket_of(CONNECTION).is_none());
    }

    #[test]
    fn a_request_may_be_read_until_its_handler_has_returned() {
        let mut live = Live::default();
        let handle = enter_request(&mut live, 1);
        live.exchange_mut(handle).unwrap().handler = HandlerState::Running;
        live.finish(handle);
        assert!(live.response(handle.to_number()).is_err());
        assert!(live.request(handle.to_number()).is_ok());
        assert_eq!(live.exchange_of(CONNECTION, RequestNumber(1)), None);
        live.drop_exchange(handle);
        assert!(live.request(handle.to_number()).is_err());
    }

    #[test]
    fn an_exchange_that_is_dropped_is_used_again_under_another_handle() {
        let mut live = Live::default();
        let first = enter_request(&mut live, 1);
        live.exchange_mut(first).unwrap().fields.extend_from_slice(b"A: b\r\n");
        live.finish(first);
        assert_eq!(live.spares.len(), 1);
        let second = enter_request(&mut live, 2);
        assert!(live.spares.is_empty() && live.exchange(second).unwrap().fields.is_empty());
        assert!(second != first && live.exchange(first).is_none());
    }

    #[test]
    fn a_response_that_became_a_websocket_ends_without_it() {
        let mut live = Live::default();
        let response = enter_request(&mut live, 1);
        let socket = open_socket(&mut live);
        live.finish(response);
        assert_eq!(live.socket_of(CONNECTION).map(|(handle, _)| handle), Some(socket));
        assert_eq!(live.exchange_of(CONNECTION, RequestNumber(1)), None);
    }

    #[test]
    fn a_websocket_is_closed_once_and_nothing_is_for_it_afterwards() {
        let (mut live, mut pubsub) = (Live::default(), PubSub::default());
        let socket = open_socket(&mut live);
        assert!(live.is_open(socket));
        assert!(live.close_socket(socket, Moment(0), &mut pubsub).is_some());
        assert!(live.close_socket(socket, Moment(0), &mut pubsub).is_none());
        assert!(live.socket(socket.to_number()).is_err());
        assert_eq!(live.occupant(CONNECTION), Occupant::Nobody);
    }
}

//! The streams of connections with HTTP/2, each of which has an entry in the table of the worker: a name for Node's thread
//! or, if a WebSocket was opened in it, a connection of its own.

use super::Worker;
use crate::bridge::command::ResponseId;
use crate::bridge::id::ConnectionId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::io::connection::{Connection, Upgrade, WebSocket};
use crate::io::context::Context;
use crate::io::stream_work::{StreamPlace, StreamWork};
use crate::io::transport::Transport;
use crate::io::tunnel::Tunnel;
use crate::protocol::websocket::WebSocketSession;

impl Worker {
    /// Does what the handling of connections has left, until nothing is left.
    #[cold]
    pub(super) fn do_stream_work(&mut self) {
        while !self.context.stream_work.is_empty() {
            let mut list = std::mem::take(&mut self.context.stream_work);
            for work in list.drain(..) {
                self.do_one(work);
            }
            if self.context.stream_work.is_empty() {
                self.context.stream_work = list;
                break;
            }
        }
    }

    fn do_one(&mut self, work: StreamWork) {
        match work {
            StreamWork::Opened { id, place } => self.registry.insert_stream(id, place),
            StreamWork::Ended { id } => {
                if self.registry.remove_stream(id) {
                    self.context.names.give_back(id.slot);
                }
            }
            StreamWork::Received { id, data, is_last } => {
                self.with_one(id.slot, id.generation, |it, context, scratch| {
                    it.receive(&data, is_last, context, scratch);
                });
            }
            StreamWork::Lost { id, cause, reason } => {
                let reason = reason.as_deref();
                self.with_one(id.slot, id.generation, |it, context, _| it.lose(cause, reason, context));
            }
            StreamWork::Doomed { id, cause } => {
                self.with_one(id.slot, id.generation, |it, context, _| it.ask_to_reconnect(cause, context));
            }
            StreamWork::Writable { id, queued } => {
                self.with_one(id.slot, id.generation, |it, context, scratch| {
                    if let Some(tunnel) = it.tunnel() {
                        tunnel.note_queued(queued);
                    }
                    it.flush(context, scratch);
                });
            }
            StreamWork::Parcel { id } => self.carry(id),
            StreamWork::Left { socket: (slot, generation), stream, data, is_finished } => {
                self.with_one(slot, generation, |it, context, _| {
                    it.leave_tunnel(stream, &data, is_finished, context);
                });
            }
        }
    }

    /// Passes on what a tunnel has for its stream.
    fn carry(&mut self, id: ConnectionId) {
        let Some(connection) = self.registry.get(id.slot, id.generation) else { return };
        let Some(tunnel) = connection.tunnel() else { return };
        let ((slot, generation), stream, parcel) = (tunnel.socket, tunnel.stream, tunnel.take_parcel());
        let queued = self.with_one(slot, generation, |it, context, _| it.carry(stream, &parcel, context));
        let Some(connection) = self.registry.get(id.slot, id.generation) else { return };
        let Some(tunnel) = connection.tunnel() else { return };
        let queued = queued.unwrap_or(0);
        tunnel.note_queued(queued);
        if tunnel.room() > 0 && connection.has_output() {
            self.context.stream_work.push(StreamWork::Writable { id, queued });
        }
    }

    /// Applies a command to the response on a stream, if that is still there.
    pub(super) fn on_stream(&mut self, place: StreamPlace, act: impl FnOnce(&mut Connection, &mut Context)) {
        if let Some((slot, generation)) = self.registry.key(place.socket) {
            self.with(slot, generation, |it, context, _| act(it, context));
        }
    }

    /// `Command::WriteConnection`: writes what the kernel takes, of a stream what its connection has.
    pub(super) fn write_connection(&mut self, id: ConnectionId) {
        if let Some(place) = self.registry.stream(id) {
            if let Some(socket) = self.registry.key(place.socket) {
                self.flush_one(socket);
            }
            return;
        }
        self.flush_one((id.slot, id.generation));
        if self.tunnels > 0 {
            self.write_tunnel(id);
        }
    }

    /// Before a published message is dropped for a WebSocket in a tunnel: only bytes that the kernel refuses are a backlog.
    #[cold]
    pub(super) fn write_if_over_limit(&mut self, slot: u32, generation: u32) {
        let Some(connection) = self.registry.get(slot, generation) else { return };
        if connection.tunnel().is_none() {
            return;
        }
        let id = connection.id();
        if connection.websocket().is_some_and(|(socket, shell)| socket.is_over_limit(shell)) {
            self.flush_one((slot, generation));
            self.write_tunnel(id);
        }
    }

    /// Writes what the kernel takes of the WebSocket in a tunnel, which takes only so much at a time.
    #[cold]
    fn write_tunnel(&mut self, id: ConnectionId) {
        let mut left = usize::MAX;
        while let Some(connection) = self.registry.get(id.slot, id.generation)
            && let Some(socket) = connection.tunnel().map(|tunnel| tunnel.socket)
        {
            let backlog = connection.backlog();
            if backlog >= left {
                break;
            }
            left = backlog;
            // When the socket has taken what the tunnel held, that takes more.
            self.flush_one(socket);
        }
    }

    fn flush_one(&mut self, (slot, generation): (u32, u32)) {
        self.with(slot, generation, |it, context, scratch| it.flush(context, scratch));
    }

    /// `Command::Upgrade` of an extended CONNECT: its stream becomes a connection with a WebSocket.
    pub(super) fn open_tunnel(
        &mut self,
        place: StreamPlace,
        to: ResponseId,
        answer: &Upgrade<'_>,
        rules: Arc<Rules>,
        ledger: Arc<WebSocketLedger>,
    ) {
        let (id, StreamPlace { socket, stream }) = (to.connection, place);
        let Some(socket) = self.registry.key(socket) else { return };
        let opened = self.with_one(socket.0, socket.1, |it, context, _| {
            let early = it.open_tunnel((stream, id), answer, context)?;
            Some((early, it.app(), it.peer()))
        });
        if let Some((early, app, peer)) = opened.flatten()
            && self.registry.remove_stream(id)
        {
            let session = WebSocketSession::new(self.context.now, answer.agreement);
            let websocket = WebSocket::new(session, rules, ledger, 0, self.context.moment);
            let has_early = !early.is_empty();
            let transport = Transport::from_tunnel(Tunnel::new(socket, stream, early), peer);
            let connection = Connection::of_websocket(id, app, transport, websocket, &self.context);
            self.registry.insert(id, connection);
            self.population += 1;
            self.tunnels += 1;
            self.shutdowns.note_entered(app);
            self.endings.note_entered(app.app);
            if has_early {
                self.context.again.push(id);
            }
            // Arms its timer.
            self.with_one(id.slot, id.generation, |it, context, scratch| it.flush(context, scratch));
        }
        self.do_stream_work();
    }

    /// After a connection was removed: if it was a WebSocket in a stream, the stream ends.
    pub(super) fn leave_tunnel(&mut self, mut connection: Connection) {
        let Some(tunnel) = connection.tunnel() else { return };
        self.tunnels -= 1;
        let (socket, stream) = (tunnel.socket, tunnel.stream);
        let (data, is_finished) = tunnel.take_rest();
        self.context.stream_work.push(StreamWork::Left { socket, stream, data, is_finished });
    }
}

//! Applies the commands of Node's thread.

use std::sync::Arc;

use super::Worker;
use crate::bridge::command::{Command, CommandBatch, LentCommand, ResponseId};
use crate::bridge::id::{AppId, ConnectionId};
use crate::io::connection::{Connection, Response, Shell, Upgrade, WebSocket};
use crate::io::context::Context;

impl Worker {
    pub(super) fn apply_all(&mut self, mut batch: CommandBatch) {
        self.apply_commands(&mut batch);
        self.downlink.recycle(batch);
    }

    pub(super) fn apply_commands(&mut self, batch: &mut CommandBatch) {
        // Taken out and put back, so that the batch keeps its capacity for the next commands.
        let mut commands = std::mem::take(&mut batch.commands);
        for command in commands.drain(..) {
            self.apply(command, &batch.bytes);
        }
        batch.commands = commands;
    }

    /// Applies a command whose payload lies where it was sent from, and whose other parts lie in `arena`.
    pub(super) fn apply_lent(&mut self, command: LentCommand<'_>, arena: &[u8]) {
        match command {
            LentCommand::SendMessage { connection, kind, payload } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.send_message(kind, payload, false, shell, context)
                });
            }
            LentCommand::Respond { to, head, body, close } => {
                self.on_response(to, |it, context| it.respond(head, body, close, arena, context));
            }
            LentCommand::WriteBody { to, data } => {
                self.on_response(to, |it, context| it.write_body(data, context));
            }
            LentCommand::ReadBody { connection, offer, memory, taken } => {
                let read = |it: &mut Connection, context: &mut Context, _: &mut [u8]| {
                    it.read_body(offer, memory, context)
                };
                *taken = self.with(connection.slot, connection.generation, read).flatten();
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one entry per command")]
    fn apply(&mut self, command: Command, arena: &[u8]) {
        if !matches!(command, Command::Publish { .. }) {
            self.finish_publish_run();
        }
        match command {
            Command::SetUpApp(order) => {
                if let Some(tally) = order.tallies.get(self.id.index()) {
                    self.context.tallies.set(order.app, Arc::clone(tally));
                }
                if let Some(tls) = &order.setup.tls {
                    tls.divide(order.tallies.len());
                }
                let limit = order.setup.max_buffered_output;
                self.context.budgets.set(order.app.app, limit, order.tallies, self.id);
                self.setups.insert(order.app.app, order.setup);
            }
            Command::Listen(order) => self.listen(*order),
            Command::ListenQuic(order) => self.listen_quic(*order),
            Command::TakeDatagrams(handed) => self.take_datagrams(*handed),
            Command::CloseFinishedPorts => self.close_finished_ports(),
            Command::StopListening { listener, done } => {
                drop(self.take_listeners(|known| known.id == listener));
                self.stop_ports(|known, _| known == listener);
                done.release();
            }
            Command::StopAccepting { app, done } => self.stop_accepting(app, &done),
            Command::Relieve { app } => self.context.budgets.note_growth(app),
            Command::AwaitEnd { app } => self.await_end(app),
            Command::ForgetApp { app } => self.forget_app(app),
            Command::ShutDownApp(order) => self.shut_down_app(&order),
            Command::AdoptConnection(adoption) => self.adopt(*adoption),
            Command::MakeRoom => drop(self.make_room()),
            Command::ResumeHandshake { connection } => self.on(connection, Connection::resume_handshake),
            Command::Connect(order) => self.connector.start(*order),
            Command::HandOver(order) => self.take_over(*order),
            Command::CancelConnect { client } => self.connector.cancel(client),
            Command::BreakConnection { place, cause } => {
                if let Some(ConnectionId { slot, generation, .. }) = place.get() {
                    self.with(slot, generation, |it, context, scratch| it.break_off(cause, context, scratch));
                }
            }
            Command::CloseConnection { connection } => self.on(connection, Connection::close),
            Command::CloseApp { app, done } => {
                self.close_app(app);
                done.release();
            }

            Command::Respond { to, head, body, close } => {
                self.on_response(to, |it, context| it.respond(head, body.of(arena), close, arena, context));
            }
            Command::StartResponse { to, head, framing } => {
                self.on_response(to, |it, context| it.start(head, framing, arena, context));
            }
            Command::MeterResponse { to, ledger } => {
                self.on_response(to, |it, context| it.start_meter(ledger, context));
            }
            Command::NotifyWritable { to } => {
                self.on_response(to, |it, context| it.notify_writable(context));
            }
            Command::WriteBody { to, data } => {
                self.on_response(to, |it, context| it.write_body(data.of(arena), context));
            }
            Command::FinishResponse { to, trailers, close } => {
                self.on_response(to, |it, context| it.finish(trailers.of(arena), close, context));
            }
            Command::AbortResponse { to } => self.on_response(to, |it, context| it.abort(context)),
            Command::PauseReading { to } => {
                self.on_response(to, |it, context| it.set_paused(true, context));
            }
            Command::DeclineBody { to } => {
                let ResponseId { connection, request } = to;
                self.with(connection.slot, connection.generation, |it, _, _| it.decline_body(request));
            }
            Command::ResumeReading { to } => {
                self.on_response(to, |it, context| it.set_paused(false, context));
            }
            Command::Upgrade { to, accept, protocol, fields, agreement, rules, ledger } => {
                let answer = Upgrade {
                    accept: accept.of(arena),
                    protocol: protocol.of(arena),
                    fields: fields.of(arena),
                    agreement,
                };
                match self.registry.stream(to.connection) {
                    None => self.on(to.connection, |it, context| {
                        it.upgrade(to.request, answer, rules, ledger, context);
                    }),
                    Some(place) => self.open_tunnel(place, to, &answer, rules, ledger),
                }
            }

            Command::SendMessage { connection, kind, payload, compress } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.send_message(kind, payload.of(arena), compress, shell, context)
                });
            }
            Command::SendFragment { connection, fragment, payload } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.send_fragment(fragment, payload.of(arena), shell, context)
                });
            }
            Command::SendPing { connection, payload } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.send_ping(payload.of(arena), shell, context)
                });
            }
            Command::SendPong { connection, payload } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.send_pong(payload.of(arena), shell, context)
                });
            }
            Command::AwaitWritten { connection } => self.on_websocket(connection, WebSocket::await_written),
            Command::PauseWebSocket { connection, is_paused } => {
                self.on_websocket(connection, |it, shell, context| it.set_paused(is_paused, shell, context));
            }
            Command::StartClose { connection, code, reason } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.start_close(code, reason.of(arena), shell, context)
                });
            }
            Command::EndWebSocket { connection, cause, code, reason } => {
                self.on_websocket(connection, |it, shell, context| {
                    it.end(cause, code, reason.of(arena), shell, context)
                });
            }
            Command::ConcludeWebSocket { connection } => self.on_websocket(connection, WebSocket::conclude),
            Command::CloseWebSocket { connection } => self.on_websocket(connection, WebSocket::close),
            Command::LimitWebSocket { connection } => self.on_websocket(connection, WebSocket::limit),
            Command::NotifyDrain { connection } => self.on_websocket(connection, WebSocket::notify_drain),
            Command::Subscribe { connection, topic } => {
                self.on_websocket(connection, |it, shell, context| it.subscribe(topic, shell, context));
            }
            Command::Unsubscribe { connection, topic } => self.unsubscribe(connection, topic),
            Command::Publish { topic, except, kind, payload, compress } => {
                self.publish((topic, except), kind, payload.of(arena), compress);
            }

            Command::WriteConnection { connection, done } => {
                self.write_connection(connection);
                done.release();
            }
            Command::Write(latch) => {
                self.flush();
                latch.release();
            }
            Command::Flush(latch) => self.latches.push(latch),
            Command::SayGoodbye(latch) => {
                self.say_goodbye();
                latch.release();
            }
            Command::Stop => {
                self.say_goodbye();
                self.stopped = true;
            }
        }
    }

    /// Applies a command to its connection, if that is still there.
    fn on(&mut self, id: ConnectionId, act: impl FnOnce(&mut Connection, &mut Context)) {
        self.with(id.slot, id.generation, |connection, context, _| act(connection, context));
    }

    /// Applies a command to its response, if no later request has arrived on the connection.
    fn on_response(&mut self, to: ResponseId, act: impl FnOnce(&mut Response<'_>, &mut Context)) {
        match self.registry.stream(to.connection) {
            None => self.on(to.connection, |connection, context| {
                if let Some(response) = connection.response(to.request) {
                    act(&mut Response::Http(response), context);
                }
            }),
            Some(place) => self.on_stream(place, |connection, context| {
                if let Some(mut response) = connection.stream_response(place.stream, to.connection) {
                    act(&mut response, context);
                }
            }),
        }
    }

    /// Applies a command to its WebSocket, if that is still there.
    fn on_websocket(&mut self, id: ConnectionId, act: impl FnOnce(&mut WebSocket, &mut Shell, &mut Context)) {
        self.on(id, |connection, context| {
            if let Some((socket, shell)) = connection.websocket() {
                act(socket, shell, context);
            }
        });
    }

    fn close_app(&mut self, app: AppId) {
        self.note_ended(app);
        drop(self.take_listeners(|listener| app.covers(listener.app)));
        for (slot, generation) in self.connections_of(app) {
            self.force(slot, generation, Connection::handle_app_closed);
            if self.tunnels > 0 {
                // What a WebSocket says last goes to the connection of its stream, which is closed behind it.
                self.with(slot, generation, |it, context, scratch| {
                    if it.tunnel().is_some() {
                        it.flush(context, scratch);
                    }
                });
            }
        }
        // The caller waits: the closed sockets must have sent their output when it continues.
        self.flush();
        self.close_ports(app);
    }

    pub(super) fn has_ended(&self, app: AppId) -> bool {
        self.ended.get(&app.app).is_some_and(|ended| app.epoch <= *ended)
    }

    pub(super) fn note_ended(&mut self, app: AppId) {
        let ended = self.ended.entry(app.app).or_insert(app.epoch);
        *ended = app.epoch.max(*ended);
    }
}

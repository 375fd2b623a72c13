//! The connections of apps that have filters, as their handlers see them.

use std::collections::{HashMap, HashSet};

use crate::bridge::command::Command;
use crate::bridge::event::OpeningRecord;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::peer::Peer;
use crate::node::abi::{Register, step};
use crate::node::calls::http_response::{address_as_text, address_bytes, port_number};
use crate::node::environment::{Call, Environment, Occupant};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::handles::{Handle, Table};
use crate::protocol::cause::CloseCause;

/// The connections that JavaScript was told of. Empty, and looked at without cost, while no app has a filter.
#[derive(Debug, Default)]
pub struct Connections {
    table: Table<Connection>,
    handles: HashMap<ConnectionId, Handle>,
    /// Those that were closed here and whose worker may not know yet: requests of theirs may be under way.
    refused: HashSet<ConnectionId>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Connection {
    id: ConnectionId,
    app: AppId,
}

impl Connections {
    /// Whether requests of this connection are not to be handled any more.
    #[must_use]
    pub fn refuses(&self, id: ConnectionId) -> bool {
        !self.refused.is_empty() && self.refused.contains(&id)
    }

    /// Those that end together with an app.
    pub fn of(&self, app: AppId) -> impl Iterator<Item = Handle> {
        self.table.iter().filter(move |(_, it)| app.covers(it.app)).map(|(handle, _)| handle)
    }

    fn insert(&mut self, id: ConnectionId, app: AppId) -> Option<Handle> {
        let handle = self.table.insert(Connection { id, app }).ok()?;
        self.handles.insert(id, handle);
        Some(handle)
    }

    fn remove(&mut self, handle: Handle) -> Option<Connection> {
        let connection = self.table.remove(handle)?;
        self.handles.remove(&connection.id);
        self.refused.remove(&connection.id);
        Some(connection)
    }
}

impl Environment {
    /// Returns what JavaScript has to do.
    pub fn handle_opened<'c>(
        &mut self,
        env: Env<'c>,
        id: ConnectionId,
        record: OpeningRecord,
    ) -> Option<(f64, Value<'c>)> {
        let OpeningRecord { app, peer } = record;
        // Otherwise the app was closed while this was under way, and so was the connection.
        let is_current = self.apps.get(app.app).is_some_and(|it| it.serves(app.epoch));
        let handle = if is_current { self.connections.insert(id, app)? } else { return None };
        self.registers.set(Register::Handle, handle.to_number());
        self.registers.set(Register::App, f64::from(app.app));
        Some((step::OPENED, describe(env, peer)))
    }

    /// Returns what JavaScript has to do.
    pub fn handle_closed<'c>(&mut self, id: ConnectionId) -> Option<(f64, Value<'c>)> {
        let handle = *self.connections.handles.get(&id)?;
        self.forget_connection(handle)
    }

    /// The connection is over: returns what JavaScript has to do.
    pub fn forget_connection<'c>(&mut self, handle: Handle) -> Option<(f64, Value<'c>)> {
        self.connections.remove(handle)?;
        self.registers.set(Register::Handle, handle.to_number());
        Some((step::CLOSED, Value::UNDEFINED))
    }
}

/// Address, its text and the port of the socket's other end, then of the client that a proxy reported.
fn describe<'c>(env: Env<'c>, peer: Peer) -> Value<'c> {
    let items = [peer.address, peer.proxied].into_iter().flat_map(|address| {
        [
            env.array_buffer(&address_bytes(address)),
            env.array_buffer(address_as_text(address).as_bytes()),
            env.from_number(port_number(address)),
        ]
    });
    env.array(items)
}

/// `appWatch(app)`: from the next connection on, JavaScript is told when connections open and close.
pub fn watch<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (number, app) = environment.app(call.number(0))?;
    let app_id = AppId { app: number, epoch: app.epoch };
    if !std::mem::replace(&mut app.setup.watched, true) {
        environment.announce(app_id);
    }
    Ok(Value::UNDEFINED)
}

/// `connectionClose(connection)`: drops it; nothing if it is closed. Returns the place of the first event for `told`.
pub fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let mark = call.env().from_number(environment.pending.len() as f64);
    let handle = call.handle::<Handle>(0);
    let Some(id) = handle.and_then(|handle| environment.connections.table.get(handle)).map(|it| it.id) else {
        return Ok(mark);
    };
    environment.connections.refused.insert(id);
    environment.workers.push(id.worker, Command::CloseConnection { connection: id });
    match environment.occupants.get(id) {
        Occupant::Nobody => {}
        Occupant::Exchange { handle, .. } => environment.abort_pending(handle),
        Occupant::Socket(handle) => environment.close_pending(handle, CloseCause::ApplicationClosed, None),
    }
    environment.workers.settle();
    Ok(mark)
}

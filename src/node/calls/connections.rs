//! Filters of an app, and the connections that are reported to them.

use crate::bridge::command::Command;
use crate::bridge::id::AppId;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::occupants::Occupant;
use crate::node::turn::pending;
use crate::protocol::cause::CloseCause;

/// `appWatch(app)`: from the next connection on, their opening and closing is reported to JavaScript.
pub(crate) fn watch<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let environment = &mut *environment;
    let (number, app) = environment.apps.app(call.number(0))?;
    let app_id = AppId { app: number, epoch: app.epoch };
    if !std::mem::replace(&mut app.setup.watched, true) {
        environment.apps.announce(app_id, &mut environment.workers);
    }
    Ok(Value::UNDEFINED)
}

/// `connectionClose(connection)`: drops the connection; does nothing if it is closed. Returns the position of the first
/// event for `nextPending`.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let mark = call.env().from_number(environment.pending.len() as f64);
    let handle = call.handle::<JsHandle>(0);
    let Some(id) = handle.and_then(|handle| environment.connections.refuse(handle)) else {
        return Ok(mark);
    };
    environment.workers.push(id.worker, Command::CloseConnection { connection: id });
    match environment.live.occupant(id) {
        Occupant::Nobody => {}
        Occupant::Exchange { handle, .. } => pending::abort_response(environment, handle),
        Occupant::Socket(handle) => {
            pending::close_socket(environment, handle, CloseCause::ApplicationClosed, None)
        }
    }
    environment.workers.settle();
    Ok(mark)
}

//! `app.shutdown()`: Node's part of it. The synchronous part of the call is here: it frees the port, and closes every
//! open WebSocket and runs its handler. The workers do the rest, and report when they are done.

use std::time::Duration;

use crate::bridge::command::{Command, ShutdownOrder};
use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::node::abi::Register;
use crate::node::calls::websocket::close_code;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Range, Value};
use crate::node::state::apps::app::PATIENCE;
use crate::node::state::pending::PendingEvent;
use crate::node::turn::{liveness, pending};
use crate::protocol::cause::CloseCause;

/// `shutdownCheck(timeout, code, reason, delay, spread)`: throws what `appShutdown` would, and returns delay and spread in
/// milliseconds.
pub(crate) fn check<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    call.integer(0, "timeout", TIMEOUT)?;
    close_code(call, 1)?;
    call.text(2)?;
    let times = [call.integer(3, "delay", PAUSE)?, call.integer(4, "spread", PAUSE)?];
    Ok(env.array(times.map(|time| env.from_number(time as f64))))
}

/// `appStopAccepting(app)`: frees the ports. The connections stay.
pub(crate) fn stop_accepting<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let mut environment = call.environment()?;
    let (number, app) = environment.apps.app(call.number(0))?;
    let app = AppId { app: number, epoch: app.epoch };
    environment.apps.forget_listeners(app);
    if environment.workers.is_running() {
        environment.workers.ask_all(|done| Command::StopAccepting { app, done }, PATIENCE);
        let Environment { apps, workers, .. } = &mut *environment;
        apps.await_end(number, workers);
    }
    liveness::update(&mut environment, env);
    Ok(Value::UNDEFINED)
}

/// `wsLeave(socket, code, reason)`: closes it for a shutdown of its app that has not begun otherwise. Returns the position
/// of the event for `nextPending`.
pub(crate) fn close_socket<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.live.socket(call.number(0))?;
    let verdict = CloseCause::ServerShutdown.verdict();
    let code = close_code(call, 1)?.unwrap_or(verdict.local_code);
    let reason = call.bytes(2)?;
    let reason = if reason.is_empty() { verdict.text.as_bytes().to_vec() } else { reason };
    let mark = environment.pending.len();
    pending::close_socket(&mut environment, handle, CloseCause::ServerShutdown, Some((code, reason)));
    Ok(call.env().from_number(mark as f64))
}

/// `appShutdown(app, timeout, code, reason, name)`: returns whether there is anything to wait for, whose end `next`
/// will report under that name, a number. The register `MARK` has the position of the first event for `nextPending`.
pub(crate) fn shut_down<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let timeout = Duration::from_millis(call.integer(1, "timeout", TIMEOUT)?);
    let verdict = CloseCause::ServerShutdown.verdict();
    let code = close_code(call, 2)?.unwrap_or(verdict.local_code);
    let reason = call.text(3)?;
    let reason = match reason.is_empty() {
        true => verdict.text.to_owned(),
        false => reason,
    };
    let mut environment = call.environment()?;
    let (number, _) = environment.apps.app(call.number(0))?;
    let mark = environment.pending.len();
    let is_under_way = shut_down_app(&mut environment, number, (code, reason), timeout, call.number(4));
    environment.registers.set(Register::Mark, mark as f64);
    liveness::update(&mut environment, env);
    Ok(env.from_bool(is_under_way))
}

/// Ends the current epoch of an app gracefully; its WebSockets are closed with code and reason. JavaScript identifies
/// this shutdown by `name`. Returns whether there is anything to wait for; without workers there are no connections.
fn shut_down_app(
    environment: &mut Environment,
    number: u32,
    (code, reason): (u16, String),
    timeout: Duration,
    name: f64,
) -> bool {
    let Some(app) = environment.apps.get_mut(number).map(|app| app.end_epoch(number)) else { return false };
    environment.apps.forget_listeners(app);
    let cause = CloseCause::ServerShutdown;
    for (socket, _) in environment.live.sockets().filter(|(_, socket)| app.covers(socket.app)) {
        let event = PendingEvent::Close { socket, cause, close_frame: None };
        environment.pending.add(event, &environment.workers);
    }
    if !environment.workers.is_running() {
        return false;
    }
    // First, all workers stop accepting. What they have accepted then reaches the worker that will serve it before the
    // second command does.
    environment.workers.ask_all(|done| Command::StopAccepting { app, done }, PATIENCE);
    let order = Arc::new(ShutdownOrder { app, code, reason, timeout });
    environment.workers.push_to_all(|| Command::ShutDownApp(Arc::clone(&order)));
    environment.apps.await_end(number, &mut environment.workers);
    environment.shutdowns.start(order, environment.workers.all().len(), name);
    true
}

/// `wsShutDown(socket)`: called when its `open` handler has returned. Closes it, if its app is shutting down.
pub(crate) fn shut_down_latecomer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let Ok((handle, socket)) = environment.live.socket(call.number(0)) else { return Ok(Value::UNDEFINED) };
    let app = socket.app;
    if environment.shutdowns.order(app).is_some() {
        let (code, reason) = environment.shutdowns.close_status(app, CloseCause::ServerShutdown);
        let close_frame = Some((code, reason.as_bytes().to_vec()));
        pending::close_socket(&mut environment, handle, CloseCause::ServerShutdown, close_frame);
    }
    Ok(Value::UNDEFINED)
}

/// How long connections may take to end, unless the call says otherwise. Less than the time for which process managers
/// wait before they kill: 30 s in Kubernetes, 10 s in Docker, 90 s in systemd.
/// In milliseconds; the longest is the longest time that a timer of Node can be set to.
const TIMEOUT: Range = Range { min: 0, max: 2_147_483_647, default: 10_000 };
/// Time before the connections are ended, and time over which that is spread, unless the call says otherwise. In
/// milliseconds.
const PAUSE: Range = Range { min: 0, max: 2_147_483_647, default: 0 };

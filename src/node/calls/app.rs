//! `App`: its construction, publishing to its WebSockets, and its close.

use crate::bridge::command::Command;
use crate::bridge::setup::{AppSetup, ProxySetup};
use crate::bridge::sync::Arc;
use crate::io::pool::MAX_WORKERS;
use crate::node::calls::limits;
use crate::node::calls::pubsub::publish_arguments;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Range, Value};
use crate::node::state::apps::app::{App, PATIENCE};
use crate::node::state::apps::usage::Usage;
use crate::node::state::pending::PendingEvent;
use crate::node::state::routes::Target;
use crate::node::state::routes::router::Router;
use crate::node::state::workers::default_threads;
use crate::node::turn::liveness;
use crate::protocol::cause::CloseCause;
use crate::protocol::http::forwarded::ForwardedField;
use crate::protocol::proxy::{Presence, TrustedPeers};

/// `appNew(threads, limits, maxBufferedOutput, warnsOfCuts, isInline)`: returns the app's number.
pub(crate) fn new<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let range = Range { min: 0, max: MAX_WORKERS as u64, default: default_threads() as u64 };
    // The range fits.
    let threads = call.integer(0, "threads", range)? as usize;
    let is_inline = call.truthy(4);
    let limits = Arc::new(limits::parse(env, call.argument(1))?);
    let max_buffered_output = limits::max_buffered_output(env, call.argument(2))?;
    let mut environment = call.environment()?;
    let setup = AppSetup { limits, max_buffered_output, speaks_tcp: true, ..AppSetup::default() };
    let number = environment.apps.insert(|epoch| App::new(epoch, threads, is_inline, setup));
    let not_found = environment.routes.add(number, Target::NotFound)?;
    let number = f64::from(number);
    let app = environment.apps.app(number)?.1;
    app.router = Router::with_fallback(not_found);
    app.warns_of_cuts = call.truthy(3);
    Ok(env.from_number(number))
}

/// `appProxy(app, required, entries, forwarded)`: reads headers of the PROXY protocol from the peers that these entries,
/// separated by commas, name, and believes their header field of the name `forwarded`, unless that is empty.
pub(crate) fn trust_proxies<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let presence = if call.truthy(1) { Presence::Required } else { Presence::Optional };
    let (entries, mut trust) = (call.text(2)?, TrustedPeers::default());
    let name = call.text(3)?;
    let forwarded = ForwardedField::from_name(&name);
    if forwarded.is_none() && !name.is_empty() {
        let text =
            format!("proxyProtocol.forwarded must be 'x-forwarded-for' or 'forwarded'; it is {name:?}");
        return Err(Misuse::invalid_value(text));
    }
    for entry in entries.split(',') {
        if !trust.add(entry) {
            let text = format!(
                "proxyProtocol.trust must hold addresses, networks in CIDR notation, or 'unix'; it holds {entry:?}"
            );
            return Err(Misuse::invalid_value(text));
        }
    }
    let mut environment = call.environment()?;
    environment.apps.app(call.number(0))?.1.setup.proxy = Some(ProxySetup { trust, presence, forwarded });
    Ok(Value::UNDEFINED)
}

/// `appPublish(app, topic, message, isBinary, compress)`
pub(crate) fn publish<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    if call.count() < 3 {
        return Err(Misuse::missing_args(2));
    }
    let mut guard = call.environment()?;
    let Environment { apps, pubsub, workers, .. } = &mut *guard;
    let (number, app) = apps.app(call.number(0))?;
    // An app without WebSockets may publish to those of others.
    let is_possible = app.has_websocket_route || app.membership.is_some();
    let app = (number, app.membership.as_ref());
    let published = is_possible && publish_arguments(call, app, None, pubsub, workers)?;
    Ok(call.env().from_bool(published))
}

/// `appSubscribers(app, topic)`
pub(crate) fn subscribers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    let mut environment = call.environment()?;
    let (number, _) = environment.apps.app(call.number(0))?;
    let count = environment.pubsub.count(number, &topic);
    Ok(call.env().from_number(f64::from(count)))
}

/// `appClose(app)`: closes; returns the position of the first event for `nextPending`.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (number, _) = environment.apps.app(call.number(0))?;
    let mark = environment.pending.len();
    close_app(&mut environment, number);
    liveness::update(&mut environment, call.env());
    Ok(call.env().from_number(mark as f64))
}

/// Closes every listening socket of an app and every connection that it accepted, and waits until the workers have done
/// so.
fn close_app(environment: &mut Environment, number: u32) {
    let Some(app) = environment.apps.get_mut(number) else { return };
    let ended = app.end_epoch(number);
    app.close_epochs();
    let cause = CloseCause::AppClosed;
    let responses = environment.live.exchanges().filter(|(_, it)| ended.covers(it.app));
    let responses = responses.map(|(exchange, _)| PendingEvent::Abort { exchange, cause });
    let sockets = environment.live.sockets().filter(|(_, it)| ended.covers(it.app));
    let sockets = sockets.map(|(socket, _)| PendingEvent::Close { socket, cause, close_frame: None });
    let connections = environment.connections.of(ended).map(PendingEvent::ConnectionClosed);
    for event in responses.chain(sockets).chain(connections) {
        environment.pending.add(event, &environment.workers);
    }
    environment.apps.forget_listeners(ended);
    environment.workers.ask_all(|done| Command::CloseApp { app: ended, done }, PATIENCE);
    environment.apps.await_end(number, &mut environment.workers);
}

/// `appForget(app)`: the object of the app was collected: releases the app, unless it is in use.
pub(crate) fn forget<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (number, app) = environment.apps.app(call.number(0))?;
    if app.usage == Usage::Idle {
        environment.apps.remove(number);
        environment.routes.forget_app(number);
        environment.workers.push_to_all(|| Command::ForgetApp { app: number });
    }
    Ok(Value::UNDEFINED)
}

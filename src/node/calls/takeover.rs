//! Connections whose first request was read by an HTTP server of Node's (`app.handleUpgrade`): whether a `ws` route
//! matches it, and the hand-over of the connection to a worker.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use crate::bridge::command::{Adoption, Command};
use crate::bridge::sync::Arc;
use crate::bridge::takeover::Takeover;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::passage::{loopback, pair};
use crate::node::abi::passage;
use crate::node::calls::adoption::{address_argument, descriptor_of, os_code, take};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::apps::app::App;
use crate::node::state::routes::Target;
use crate::node::state::routes::router::Params;
use crate::node::state::takeovers::Passage;
use crate::node::turn::liveness;
use crate::protocol::cause::CloseCause;
use crate::protocol::http::head::{RequestHead, parse_head};
use crate::tls::names::DomainId;

/// `appTakes(app, request, serverName)`: whether a `ws` route matches this request, given as its head in wire format.
/// No route matches a request that breaks a rule of HTTP or a limit of the app.
pub(crate) fn takes<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (mut bytes, name) = (call.bytes(1)?, call.optional_text(2)?);
    let mut environment = call.environment()?;
    let (number, app) = environment.apps.app(call.number(0))?;
    let domain = domain_of(app, name.as_deref());
    let mut head = RequestHead::default();
    let is_request =
        parse_head(&mut bytes, 0, &app.setup.limits.head, &mut head).is_ok_and(|end| end.is_some());
    let takes = is_request && has_websocket_route(&environment, number, domain, &head, &bytes);
    Ok(call.env().from_bool(takes))
}

/// `appTakeOver(app, [passage, number], request, ticket, [ip, port, serverName, certificate])`: gives a connection to a
/// worker. `request` holds the bytes of its first request and of what the client sent after it. `passage` is how later
/// bytes pass between peer and worker, and `number` the descriptor, or the port on which Node listens for its end.
/// Returns the descriptor or port by which Node finds its end.
pub(crate) fn take_over<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, peer) = (call.env(), call.argument(4));
    let early = call.bytes(2)?;
    let ip = address_argument(env, env.element(peer, 0))?;
    // `lib/` vouches for both.
    let (ticket, port) = (call.number(3) as u32, env.number(env.element(peer, 1)).unwrap_or(0.0) as u16);
    let name = env.text(env.element(peer, 2))?;
    let certificate = env.bytes(env.element(peer, 3))?;
    let mut environment = call.environment()?;
    let (_, app) = environment.apps.app(call.number(0))?;
    app.check_tcp()?;
    let domain = domain_of(app, Some(&name));
    let (socket, node_end) = socket_of(env, call.argument(1))?;
    let address = ip.map(|ip| SocketAddr::new(ip, port));
    let certificate = (!certificate.is_empty()).then(|| certificate.into_boxed_slice());
    let has_said = domain.is_some() || certificate.is_some();
    let tls_peer = has_said.then(|| Arc::new(TlsPeerInfo { domain, certificate }));
    let place = (!is_descriptor(env, call.argument(1))).then(Arc::default);
    let takeover = Takeover { ticket, early, tls_peer, place };
    hand_to_worker(&mut environment, env, call.number(0), socket, address, takeover)?;
    Ok(env.from_number(node_end))
}

/// The worker's end of a connection that Node hands over by `[passage, number]`, and the descriptor or port by which
/// Node finds its own end.
///
/// # Errors
/// The system's code: the peer has closed the connection, or there are no descriptors left.
pub(crate) fn socket_of(env: Env<'_>, way: Value<'_>) -> Result<(Socket, f64), Misuse> {
    let number = env.element(way, 1);
    let taken = if is_descriptor(env, way) {
        take(descriptor_of(env, number)?).map(|(socket, _)| (socket, 0.0))
    } else if is_passage(env, way, passage::PAIR) {
        pair().map(|(socket, descriptor)| (socket, f64::from(descriptor)))
    } else {
        let port = env.number(number).unwrap_or(0.0) as u16;
        loopback(port).map(|(socket, port)| (socket, f64::from(port)))
    };
    taken.map_err(|error| refused(&error))
}

/// Whether a connection is handed over with its own descriptor.
pub(crate) fn is_descriptor(env: Env<'_>, way: Value<'_>) -> bool {
    is_passage(env, way, passage::DESCRIPTOR)
}

fn is_passage(env: Env<'_>, way: Value<'_>, passage: f64) -> bool {
    env.number(env.element(way, 0)).is_some_and(|given| given.to_bits() == passage.to_bits())
}

/// `passageBreak(ticket, code)`: Node's end of a connection whose bytes go through JavaScript has failed with the
/// system error `code`, which is empty if it closed without an error.
pub(crate) fn break_passage<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let code = call.text(1)?;
    let mut environment = call.environment()?;
    if let Some(Passage { worker, place }) = environment.takeovers.remove(call.number(0) as u32) {
        let cause = CloseCause::of_system_error(&code);
        environment.workers.push(worker, Command::BreakConnection { place, cause });
        environment.workers.settle();
    }
    Ok(Value::UNDEFINED)
}

/// `passageEnd(ticket)`: Node's end of such a connection has ended without an error.
pub(crate) fn end_passage<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.takeovers.remove(call.number(0) as u32);
    Ok(Value::UNDEFINED)
}

/// Gives a connection to the next worker of an app. Node is kept alive until that worker reports its request.
fn hand_to_worker(
    environment: &mut Environment,
    env: Env<'_>,
    number: f64,
    socket: Socket,
    address: Option<SocketAddr>,
    takeover: Takeover,
) -> Result<(), Misuse> {
    let Environment { apps, workers, takeovers, .. } = environment;
    let (app, share) = apps.prepare(env, number, workers)?;
    let worker = takeovers.next_worker(workers.preferred(&share));
    let passage = takeover.place.as_ref().map(|place| Passage { worker, place: Arc::clone(place) });
    takeovers.start(takeover.ticket, passage);
    let adoption = Adoption { socket, app, address, takeover: Some(takeover), done: None };
    workers.push(worker, Command::AdoptConnection(Box::new(adoption)));
    workers.flush();
    apps.await_end(app.app, workers);
    liveness::update(environment, env);
    Ok(())
}

/// Whether one of an app's `ws` routes matches a request. Here every request with a `Sec-WebSocket-Key` counts as an
/// opening handshake.
fn has_websocket_route(
    environment: &Environment,
    app: u32,
    domain: Option<DomainId>,
    head: &RequestHead,
    bytes: &[u8],
) -> bool {
    let Some(app) = environment.apps.get(app) else { return false };
    let (method, path) = (head.method.of(bytes), head.path.of(bytes));
    let key = head.fields.iter().find(|field| field.name.of(bytes) == b"sec-websocket-key");
    let has_key = key.is_some_and(|key| key.value.of(bytes).len() == 24);
    let mut params = Params::default();
    let mut candidates = (0..).map_while(|nth| app.router_of(domain).find(method, path, nth, &mut params));
    let is_websocket = |number| matches!(environment.routes.target(number), Some(Target::WebSocket(_)));
    has_key && candidates.any(|found| is_websocket(found.0 as usize))
}

/// The server name of an app that matches the SNI of a client.
fn domain_of(app: &App, name: Option<&str>) -> Option<DomainId> {
    let tls = app.setup.tls.as_ref()?;
    tls.names.find(name?)?.domain
}

fn refused(error: &io::Error) -> Misuse {
    let code = os_code(error);
    Misuse::system(code, format!("handleUpgrade {code}: {error}"))
}

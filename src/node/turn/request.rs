//! Leads a request to the route that matches it, to the next one if its handler yields, or answers it without a
//! handler. Opening handshakes are checked here, against RFC 6455 §4.2.1.

use crate::bridge::command::{Command, ResponseId};
use crate::bridge::event::RequestRecord;
use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::bridge::sync::Arc;
use crate::node::abi::{Handlers, Register, kind, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};
use crate::node::state::handles::JsHandle;
use crate::node::state::live::Answer;
use crate::node::state::live::exchange::{Exchange, HandlerState, Stage};
use crate::node::state::live::request_body::RequestBody;
use crate::node::state::routes::Target;
use crate::node::state::routes::behavior::Behavior;
use crate::node::turn::upgrade::{HandshakeOffer, upgrade};
use crate::node::turn::{Step, cached_route, declarative};
use crate::protocol::websocket::Compression;
use crate::protocol::websocket::handshake::{HandshakeError, check_request, check_upgrade};

/// A worker has read the head of a request: finds the route for it.
pub(crate) fn received<'c>(
    environment: &mut Environment,
    connection: ConnectionId,
    request: RequestNumber,
    record: usize,
) -> Option<Step<'c>> {
    let record: RequestRecord = environment.dispatcher.batch()?.requests[record];
    let step = serve(environment, connection, request, record);
    match (step, record.ticket) {
        (step, 0) => step,
        (None, ticket) => skip_refused_takeover(environment, ticket),
        (step, _) => {
            environment.takeovers.conclude();
            step
        }
    }
}

/// A worker has refused a request that was taken over: no handler is called, and JavaScript drops Node's request.
pub(crate) fn skip_refused_takeover<'c>(environment: &mut Environment, ticket: u32) -> Option<Step<'c>> {
    environment.takeovers.conclude();
    environment.registers.set(Register::Ticket, f64::from(ticket));
    Some((step::REFUSED, Value::UNDEFINED))
}

fn serve<'c>(
    environment: &mut Environment,
    connection: ConnectionId,
    request: RequestNumber,
    record: RequestRecord,
) -> Option<Step<'c>> {
    let batch = environment.dispatcher.batch()?;
    if !environment.apps.serves(record.app) || environment.connections.refuses(connection) {
        // The app or this connection was closed while the request was under way.
        return None;
    }
    let to = ResponseId { connection, request };
    let mut exchange = environment.live.new_exchange(to, record.app);
    let fields = &batch.fields[record.first_field as usize..][..record.field_count as usize];
    exchange.head.extend_from_slice(record.head.of(&batch.bytes));
    exchange.request_fields.extend_from_slice(fields);
    (exchange.method, exchange.path, exchange.query) = (record.method, record.path, record.query);
    exchange.peer = record.peer;
    exchange.arrived = batch.moment;
    (exchange.version, exchange.body_length) = (record.version, record.body);
    exchange.tls_peer = record.tls_peer.map(|it| Arc::clone(&batch.tls_peers[it as usize]));
    exchange.body = RequestBody::new(record.body);
    exchange.ticket = record.ticket;
    let Some(handle) = environment.live.insert_exchange(exchange) else {
        // 16.7 million responses are outstanding; this one cannot be served.
        environment.workers.push(connection.worker, Command::AbortResponse { to });
        return None;
    };
    route(environment, handle, false)
}

/// Finds the next candidate for a request: the first one, or the one after those that yielded.
fn route<'c>(environment: &mut Environment, handle: JsHandle, again: bool) -> Option<Step<'c>> {
    let mut lacks_key = false;
    loop {
        let exchange = environment.live.exchange_mut(handle)?;
        let app = environment.apps.get(exchange.app.app)?;
        let (method, path) = (exchange.method.of(&exchange.head), exchange.path.of(&exchange.head));
        let domain = exchange.tls_peer.as_ref().and_then(|it| it.domain);
        let found = app.router_of(domain).find(method, path, exchange.nth, &mut exchange.params);
        let Some(route) = found.map(|handler| handler.0 as usize) else {
            if exchange.ticket != 0 {
                refuse_takeover(environment, handle, lacks_key);
                return None;
            }
            // Every route that matches has yielded: the connection is closed without an answer.
            environment.live.abort(handle, &mut environment.workers);
            return None;
        };
        exchange.route = route;
        exchange.recording = None;
        let new = if app.setup.tls.is_some() { kind::SECURE } else { kind::NEW };
        let mut kind = if again { kind::YIELDED } else { new };
        let step = match environment.routes.target(route) {
            Some(Target::Handler | Target::Cached(_) | Target::Declarative(_) | Target::NotFound)
                if exchange.ticket != 0 =>
            {
                exchange.nth += 1;
                continue;
            }
            Some(Target::Handler) => step::REQUEST,
            Some(Target::Cached(cached)) => {
                let cached = *cached;
                if cached_route::answer(environment, handle, cached) {
                    return None;
                }
                kind = if again { kind::YIELDED } else { kind::CACHED };
                step::REQUEST
            }
            Some(Target::Declarative(_)) => {
                declarative::answer(environment, handle, route);
                return None;
            }
            Some(Target::NotFound) => {
                environment.live.answer(handle, NOT_FOUND, &mut environment.workers);
                return None;
            }
            Some(Target::WebSocket(behavior)) => match is_upgrade(exchange, behavior) {
                Handshake::Absent => {
                    lacks_key = true;
                    exchange.nth += 1;
                    continue;
                }
                Handshake::Refused(refusal) => {
                    refuse_handshake(environment, handle, &refusal);
                    return None;
                }
                Handshake::Valid if behavior.handlers.has(Handlers::UPGRADE) => step::UPGRADE,
                Handshake::Valid => return upgrade_without_handler(environment, handle, route),
            },
            None => return None,
        };
        let exchange = environment.live.exchange_mut(handle)?;
        exchange.handler = HandlerState::Running;
        let ticket = exchange.ticket;
        environment.dispatcher.serving = Some(handle);
        environment.registers.set(Register::Handle, handle.to_number());
        environment.registers.set(Register::Route, route as f64);
        environment.registers.set(Register::Kind, kind);
        environment.registers.set(Register::Ticket, f64::from(ticket));
        return Some((step, Value::UNDEFINED));
    }
}

/// The response to a handshake that is not valid.
struct Refusal {
    status: &'static str,
    /// Field lines that the status requires.
    fields: &'static [u8],
    text: String,
}

impl Refusal {
    const fn bad_request(text: String) -> Self {
        Self { status: "400 Bad Request", fields: b"", text }
    }
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        let status = if error.status() == 426 { "426 Upgrade Required" } else { "400 Bad Request" };
        Self { status, fields: error.fields(), text: error.to_string() }
    }
}

fn refuse_handshake(environment: &mut Environment, handle: JsHandle, refusal: &Refusal) {
    let Refusal { status, fields, text } = refusal;
    log_refusal(environment, handle, text);
    if let Some(app) = environment.live.exchange(handle).map(|exchange| exchange.app)
        && let Some(stats) = environment.apps.stats(app)
    {
        stats.note_refused();
    }
    let fields = [b"Content-Type: text/plain\r\n", *fields].concat();
    let answer = Answer { status, fields: &fields, body: text.as_bytes(), close: true };
    environment.live.answer(handle, answer, &mut environment.workers);
}

/// Answers a request that an HTTP server of Node's has handed over, for which only `ws` routes are searched, and which
/// none matches. `lacks_key`: one of them matches the path, but the request has no `Sec-WebSocket-Key`.
fn refuse_takeover(environment: &mut Environment, handle: JsHandle, lacks_key: bool) {
    let Some(exchange) = environment.live.exchange(handle) else { return };
    match is_handshake(exchange) {
        Err(error) if lacks_key => refuse_handshake(environment, handle, &error.into()),
        Ok(()) | Err(_) => {
            let refusal = Refusal { status: "404 Not Found", fields: b"", text: NO_ROUTE.to_owned() };
            refuse_handshake(environment, handle, &refusal);
        }
    }
}

/// Logs a refused handshake as the workers log refused requests: to the worker it was a valid request.
fn log_refusal(environment: &Environment, handle: JsHandle, rule: &str) {
    let (Some(journal), Some(exchange)) = (environment.workers.journal(), environment.live.exchange(handle))
    else {
        return;
    };
    let (conn, peer) = (exchange.to.connection, exchange.peer.address.map(tracing::field::display));
    let worker = conn.worker.0;
    journal.scope(|| tracing::warn!(rule, %conn, worker, peer, "peer broke a rule of WebSocket"));
}

/// Without an `upgrade` handler, the first subprotocol that the client offers is selected.
fn upgrade_without_handler<'c>(
    environment: &mut Environment,
    handle: JsHandle,
    route: usize,
) -> Option<Step<'c>> {
    let exchange = environment.live.exchange(handle)?;
    let key = exchange.request_field(b"sec-websocket-key").unwrap_or_default().to_vec();
    let protocol = exchange.request_field(b"sec-websocket-protocol").unwrap_or_default();
    let protocol = String::from_utf8_lossy(protocol).into_owned();
    let extensions = exchange.joined_request_field(b"sec-websocket-extensions").unwrap_or_default();
    let (extensions, ticket) = (extensions.into_owned(), exchange.ticket);
    let offer = HandshakeOffer { key: &key, protocol: &protocol, extensions: &extensions };
    match upgrade(environment, handle, offer, route) {
        Ok(socket) => {
            environment.registers.set(Register::Handle, socket.to_number());
            environment.registers.set(Register::Route, route as f64);
            environment.registers.set(Register::Ticket, f64::from(ticket));
            Some((step::OPEN, Value::UNDEFINED))
        }
        Err(misuse) => {
            // Here the arguments come from the peer.
            refuse_handshake(environment, handle, &Refusal::bad_request(misuse.message.to_string()));
            None
        }
    }
}

/// The handler that was called last has returned, and its microtasks have run.
pub(crate) fn conclude_handler<'c>(environment: &mut Environment, env: Env<'c>) -> Option<Step<'c>> {
    let handle = environment.dispatcher.serving.take()?;
    let exchange = environment.live.exchange_mut(handle)?;
    let handler_state = std::mem::replace(&mut exchange.handler, HandlerState::Returned);
    if exchange.stage == Stage::Over {
        environment.live.drop_exchange(handle);
        return None;
    }
    if handler_state == HandlerState::Yielding {
        pass_over(environment, handle);
        return route(environment, handle, true);
    }
    if exchange.abort_attached || exchange.body.reports_abort() {
        return None;
    }
    if !environment.routes.note_unanswered(exchange.route) {
        return None;
    }
    let method = String::from_utf8_lossy(exchange.method.of(&exchange.head));
    let path = String::from_utf8_lossy(exchange.path.of(&exchange.head));
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    Some((step::UNANSWERED, env.string(format!("{method} {path}").as_bytes())))
}

/// Advances the search past the candidate that yielded. Its handler may have changed the routes, so its position is
/// looked up; if the route was removed, the next candidate has that position.
fn pass_over(environment: &mut Environment, handle: JsHandle) {
    let Some(exchange) = environment.live.exchange_mut(handle) else { return };
    let Some(app) = environment.apps.get(exchange.app.app) else { return };
    let (method, path) = (exchange.method.of(&exchange.head), exchange.path.of(&exchange.head));
    let (route, nth, params) = (exchange.route, exchange.nth, &mut exchange.params);
    let router = app.router_of(exchange.tls_peer.as_ref().and_then(|it| it.domain));
    let mut candidate = |nth| router.find(method, path, nth, params).map(|handler| handler.0 as usize);
    let place = match candidate(nth) {
        // Nothing changed, as nearly always.
        Some(found) if found == route => Some(nth),
        Some(_) | None => (0..).map_while(candidate).position(|found| found == route),
    };
    if let Some(place) = place {
        exchange.nth = place + 1;
    }
}

/// The number of the route is free and may be given to another route: the running handler no longer counts as the
/// handler of that number.
pub(crate) fn forget_route(environment: &mut Environment, route: usize) {
    if let Some(handle) = environment.dispatcher.serving
        && let Some(exchange) = environment.live.exchange_mut(handle)
        && exchange.route == route
    {
        exchange.route = usize::MAX;
    }
}

/// How a request that matches a WebSocket route relates to RFC 6455.
enum Handshake {
    /// No request for a WebSocket: the route does not apply, and the next one that matches is tried.
    Absent,
    /// It breaks a rule of RFC 6455 §4.2.1.
    Refused(Refusal),
    /// A valid opening handshake.
    Valid,
}

fn is_upgrade(exchange: &Exchange, behavior: &Behavior) -> Handshake {
    let key = exchange.request_field(b"sec-websocket-key");
    if key.is_none_or(|key| key.len() != 24) {
        return Handshake::Absent;
    }
    let extensions = exchange.joined_request_field(b"sec-websocket-extensions");
    // RFC 6455 §9.1: a malformed list fails the handshake. Not checked where the extensions are not used.
    let negotiate = |compression: Compression| compression.negotiate(&extensions.unwrap_or_default());
    match is_handshake(exchange) {
        Ok(()) => match behavior.compression.map_or(Ok(None), negotiate) {
            Ok(_) => Handshake::Valid,
            Err(malformed) => Handshake::Refused(Refusal::bad_request(malformed.to_string())),
        },
        Err(error) => Handshake::Refused(error.into()),
    }
}

/// Whether a request is a valid opening handshake (RFC 6455 §4.2.1).
fn is_handshake(exchange: &Exchange) -> Result<(), HandshakeError> {
    let joined = |name: &[u8]| exchange.joined_request_field(name);
    let (version, key) = (joined(b"sec-websocket-version"), joined(b"sec-websocket-key"));
    let (upgrade, connection) = (joined(b"upgrade"), joined(b"connection"));
    check_upgrade(version.as_deref(), upgrade.as_deref(), connection.as_deref(), key.as_deref())
        .and_then(|()| check_request(exchange.version, exchange.body_length))
}

/// The reason phrase in the log for a request that was handed over and that no route matches.
const NO_ROUTE: &str = "No WebSocket route takes this request";
/// The response to a request that no route matches.
const NOT_FOUND: Answer<'_> = Answer {
    status: "404 File Not Found",
    fields: b"Content-Type: text/html\r\n",
    body: b"<!DOCTYPE html><title>404</title><h1>File Not Found</h1>",
    close: false,
};

//! Turns a response into a WebSocket: for `res.upgrade()`, or because its route has no `upgrade` handler.

use std::rc::Rc;

use crate::bridge::command::Command;
use crate::bridge::event::Slice;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::sync::Arc;
use crate::io::worker::clock::present;
use crate::node::environment::Environment;
use crate::node::error::Misuse;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::{Exchange, Stage};
use crate::node::state::live::socket::Socket;
use crate::node::state::pending::Pending;
use crate::node::state::workers::Workers;
use crate::protocol::http::head::Version;
use crate::protocol::websocket::handshake::{self, Additions};

/// The offer of the client: the values of its header fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandshakeOffer<'a> {
    /// `Sec-WebSocket-Key`
    pub key: &'a [u8],
    /// `Sec-WebSocket-Protocol`
    pub protocol: &'a str,
    /// `Sec-WebSocket-Extensions`
    pub extensions: &'a [u8],
}

/// Turns a response into a WebSocket of the route `route`.
///
/// # Errors
/// The key or subprotocol is not valid; there are 2^24 WebSockets already.
pub(crate) fn upgrade(
    environment: &mut Environment,
    handle: JsHandle,
    offer: HandshakeOffer<'_>,
    route: usize,
) -> Result<JsHandle, Misuse> {
    let Environment { live, workers, routes, apps, pending, .. } = environment;
    let behavior = routes
        .behavior(route)
        .ok_or_else(|| Misuse::invalid_type("context must be the one that the upgrade handler got"))?;
    let (rules, compression) = (Arc::clone(&behavior.rules), behavior.compression);
    let accept = handshake::accept_key(offer.key).ok_or_else(|| {
        Misuse::invalid_http(
            "ERR_INVALID_ARG_VALUE",
            "secWebSocketKey must be 24 characters of base64 (RFC 6455 §4.1)",
        )
    })?;
    // Programs pass the client's list unchanged: an invalid one selects nothing, so that a client cannot make the
    // handler throw.
    let protocol = handshake::first_subprotocol(offer.protocol).unwrap_or_default();
    let exchange = live.exchange(handle).ok_or_else(Misuse::response_closed)?;
    if exchange.stage != Stage::Waiting {
        return Err(Misuse::invalid_state("upgrade must come before the first write"));
    }
    // Fails only for requests of other routes: a `ws` route refuses such a handshake itself.
    handshake::check_request(exchange.version, exchange.body_length)
        .map_err(|error| Misuse::invalid_state(error.to_string()))?;
    if exchange.version == Version::Multiplexed && exchange.request_field(b"upgrade").is_none() {
        return Err(Misuse::invalid_state(
            "over HTTP/2 and HTTP/3 only an extended CONNECT can be upgraded (RFC 8441, RFC 9220)",
        ));
    }
    let (to, app, peer) = (exchange.to, exchange.app, exchange.peer);
    let ledger = Arc::new(WebSocketLedger::default());
    let socket = Socket::new(to.connection, app, Rc::clone(behavior), Arc::clone(&ledger), peer, present());
    let socket = live.insert_socket(socket)?;
    let exchange = live.exchange(handle).ok_or_else(Misuse::response_closed)?;
    let agreement = compression.and_then(|compression| exchange.agree(compression, offer.extensions));
    let extensions = agreement.map(|agreement| agreement.answer());
    let additions = additions(exchange, &accept, extensions.as_deref(), workers, pending);
    let protocol = protocol.filter(|_| !additions.has_subprotocol);
    let worker = to.connection.worker;
    let accept = workers.copy(worker, accept.as_bytes());
    let protocol = workers.copy(worker, protocol.unwrap_or_default().as_bytes());
    let arena = workers.arena(worker);
    let start = arena.len();
    arena.extend_from_slice(&additions.lines);
    if let Some(extensions) = extensions {
        for part in ["Sec-WebSocket-Extensions: ", &extensions, "\r\n"] {
            arena.extend_from_slice(part.as_bytes());
        }
    }
    let fields = Slice::tail(arena, start);
    workers.push(worker, Command::Upgrade { to, accept, protocol, fields, agreement, rules, ledger });
    if let Some(stats) = apps.stats(app) {
        stats.note_opened();
    }
    live.finish(handle);
    Ok(socket)
}

/// The header fields that the application adds to the 101 response. Warns of those that are left out.
fn additions(
    exchange: &Exchange,
    accept: &str,
    extensions: Option<&str>,
    workers: &Workers,
    pending: &mut Pending,
) -> Additions {
    if exchange.fields.is_empty() && exchange.status.is_empty() {
        return Additions::default();
    }
    let additions = Additions::sort(&exchange.fields, accept, extensions);
    for name in &additions.refused {
        pending.warn_once(WARNING, name, workers, || {
            format!(
                "The header {name}, written before res.upgrade, is left out: it is for the handshake to say"
            )
        });
    }
    let status = String::from_utf8_lossy(&exchange.status);
    if !status.is_empty() && !status.starts_with("101") {
        pending.warn_once(WARNING, "status", workers, || {
            format!(
                "The status {status}, written before res.upgrade, is left out: a handshake is answered with 101"
            )
        });
    }
    additions
}

/// The code of the warnings.
const WARNING: &str = "FERROWS_HANDSHAKE_HEADER";

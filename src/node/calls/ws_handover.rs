//! Hands WebSockets of `ferrows/ws` to the workers, once their opening handshake is made over Node's HTTP.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::bridge::command::Command;
use crate::bridge::handover::{End, HandOver};
use crate::bridge::id::ClientId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::rules::{OnLimit, Rules};
use crate::bridge::sync::Arc;
use crate::node::abi::Handlers;
use crate::node::calls::adoption::address_argument;
use crate::node::calls::takeover::{is_descriptor, socket_of};
use crate::node::calls::ws_handshake::agreement_argument;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, OptionName, Options, Range, Value, option_names};
use crate::node::state::connects::Connect;
use crate::node::state::routes::behavior::Behavior;
use crate::node::state::takeovers::Passage;
use crate::node::state::workers::default_threads;
use crate::node::turn::liveness;
use crate::protocol::websocket::{Manners, WebSocketLimits};

option_names! {
    /// The options of `ferrows/ws` that the workers obey.
    WsOption {
        MaxPayload "maxPayload",
        MaxFragments "maxFragments",
        CloseTimeout "closeTimeout",
        AutoPong "autoPong",
        SkipUtf8Validation "skipUTF8Validation",
        Threshold "threshold",
    }
}

/// `wsHandOver([passage, number], early, [ip, port, ticket], response, isServer, agreement, settings)`: gives a
/// connection to a worker, which serves it as an open WebSocket. Returns the number under which `next` will report it
/// (`CONNECTED`, `NOT_CONNECTED`), and what `appTakeOver` returns.
///
/// - `passage`, `number`: as of `appTakeOver`;
/// - `early`: what the peer has sent behind its half of the handshake;
/// - `response`: what is sent before the first frame;
/// - `agreement`: what `wsAgree` or `wsCheckResponse` has returned;
/// - `settings`: in the order of [`WsOption`].
pub(crate) fn hand_over<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, peer) = (call.env(), call.argument(2));
    let early = call.bytes(1)?;
    let ip = address_argument(env, env.element(peer, 0))?;
    let port = env.number(env.element(peer, 1)).unwrap_or(0.0) as u16;
    let ticket = env.number(env.element(peer, 2)).unwrap_or(0.0) as u32;
    let response = call.bytes(3)?;
    let agreement = agreement_argument(env, call.argument(5));
    let behavior = behavior(env, call.argument(6))?;
    let (socket, node_end) = socket_of(env, call.argument(0))?;
    let environment = &mut *call.environment()?;
    // Threads that apps have started are used, too.
    let workers = environment.workers.run_any(env, default_threads())?;
    let worker = environment.connects.next_worker(workers);
    let behavior = environment.connects.share(behavior);
    let (rules, ledger) = (Arc::clone(&behavior.rules), Arc::<WebSocketLedger>::default());
    let connect = Connect { worker, behavior, ledger: Arc::clone(&ledger) };
    let handle = environment.connects.insert(connect)?;
    let place = (!is_descriptor(env, call.argument(0))).then(Arc::default);
    if let Some(place) = &place {
        environment.takeovers.relay(ticket, Passage { worker, place: Arc::clone(place) });
    }
    let order = HandOver {
        client: ClientId { slot: handle.slot, generation: handle.generation },
        socket,
        address: ip.map(|ip| SocketAddr::new(ip, port)),
        end: if call.truthy(4) { End::Server } else { End::Client },
        agreement,
        response,
        early,
        rules,
        ledger,
        place,
    };
    environment.workers.push(worker, Command::HandOver(Box::new(order)));
    environment.workers.settle();
    liveness::update(environment, env);
    Ok(env.array([handle.to_number(), node_end].map(|number| env.from_number(number))))
}

/// The options of a WebSocket, in the order of [`WsOption`]: `lib/ws` has converted them as `ws` does.
fn behavior(env: Env<'_>, values: Value<'_>) -> Result<Behavior, Misuse> {
    use WsOption as Name;
    let options = Options::new(env, values);
    let count = |name, default| {
        let range = Range { min: 0, max: u64::from(u32::MAX >> 1), default };
        options.bound(name, range).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    };
    let max_payload = count(Name::MaxPayload, MAX_PAYLOAD)?;
    let limits = WebSocketLimits {
        // 0 is no limit; a message is at most as long as a buffer that a slice can address.
        max_payload_length: if max_payload == 0 { u32::MAX >> 1 } else { max_payload },
        idle_timeout: None,
        ping_interval: None,
        max_lifetime: None,
        close_timeout: Duration::from_millis(u64::from(count(Name::CloseTimeout, CLOSE_TIMEOUT)?)),
        manners: Manners {
            answers_pings: !options.is_given(Name::AutoPong) || options.truthy(Name::AutoPong),
            checks_utf8: !options.truthy(Name::SkipUtf8Validation),
            max_fragments: NonZeroU32::new(count(Name::MaxFragments, MAX_FRAGMENTS)?),
            keeps_reason: true,
        },
    };
    let rules = Rules {
        limits,
        max_backpressure: 0,
        on_limit: OnLimit::Drop,
        reports_drops: false,
        compression_threshold: count(Name::Threshold, THRESHOLD)?,
    };
    Ok(Behavior { rules: Arc::new(rules), compression: None, handlers: Handlers::OF_WS })
}

/// Bytes of a message, unless the program says otherwise: 100 MiB, as in `ws`, like the other defaults here.
const MAX_PAYLOAD: u64 = 100 * 1024 * 1024;
/// Fragments of a message.
const MAX_FRAGMENTS: u64 = 128 * 1024;
/// In milliseconds: how long a closing handshake may take.
const CLOSE_TIMEOUT: u64 = 30_000;
/// Bytes from which on a message is compressed by itself.
const THRESHOLD: u64 = 1024;

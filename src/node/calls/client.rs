//! `uWS.connect`: starts a connect to a WebSocket server, and cancels one. A worker makes the connection.

use std::rc::Rc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::bridge::command::Command;
use crate::bridge::connect::ConnectOrder;
use crate::bridge::id::ClientId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::sync::Arc;
use crate::node::calls::tls_options::Refusal;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, OptionName, Options, Range, Type, Value, option_names};
use crate::node::state::connects::Connect;
use crate::node::state::handles::JsHandle;
use crate::node::state::routes::behavior::Behavior;
use crate::node::state::workers::default_threads;
use crate::node::turn::liveness;
use crate::protocol::websocket::client_handshake::{ClientHandshake, InvalidUpgradeRequest, UpgradeRequest};
use crate::tls::client::{ClientOptions, ClientTls, ServerTrust};
use crate::tls::source::Source;

/// `clientConnect(address, subprotocols, headers, timeout, settings, handlers, tls)`: starts a connect and returns the
/// number under which `next` will report its end.
///
/// - `address`: host, port, path with query, and the `Host` field;
/// - `subprotocols`, `headers`: the number of strings, then the strings; for headers names and values in turn;
/// - `settings`, `handlers`: as of `appWebSocket`;
/// - `tls`: in the order of [`ClientTlsOption`]; `undefined` for `ws://`.
pub(crate) fn connect<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let of_address = |index| env.element(call.argument(0), index);
    let host = env.text(of_address(0))?;
    let port = env.number(of_address(1)).map_or(0, |port| port as u16);
    let subprotocols = texts(env, call.argument(1))?;
    let timeout = Range { min: 0, max: LONGEST_TIMEOUT, default: DEFAULT_TIMEOUT };
    let timeout = env.integer(call.argument(3), "connectTimeout", timeout)?;
    let behavior = Behavior::parse(env, call.argument(4), call.argument(5))?;
    let request = UpgradeRequest {
        target: env.text(of_address(2))?,
        host: env.text(of_address(3))?,
        fields: fields(env, call.argument(2))?,
        subprotocols,
        compression: behavior.compression,
    };
    let handshake = ClientHandshake::new(request).map_err(refused)?;
    let tls = tls(env, call.argument(6))?;
    let environment = &mut *call.environment()?;
    // Threads that apps have started are used, too.
    let workers = environment.workers.run_any(env, default_threads())?;
    let worker = environment.connects.next_worker(workers);
    let (rules, ledger) = (Arc::clone(&behavior.rules), Arc::<WebSocketLedger>::default());
    let connect = Connect { worker, behavior: Rc::new(behavior), ledger: Arc::clone(&ledger) };
    let handle = environment.connects.insert(connect)?;
    let order = ConnectOrder {
        client: ClientId { slot: handle.slot, generation: handle.generation },
        host,
        port,
        tls,
        handshake,
        timeout: (timeout > 0).then(|| Duration::from_millis(timeout)),
        rules,
        ledger,
    };
    environment.workers.push(worker, Command::Connect(Box::new(order)));
    environment.workers.settle();
    liveness::update(environment, env);
    Ok(env.from_number(handle.to_number()))
}

option_names! {
    /// The options that are read for `wss://`.
    ClientTlsOption {
        Servername "servername",
        Ca "ca",
        Cert "cert",
        Key "key",
        Passphrase "passphrase",
        RejectUnauthorized "rejectUnauthorized",
    }
}

fn tls(env: Env<'_>, values: Value<'_>) -> Result<Option<ClientTls>, Misuse> {
    use ClientTlsOption as Name;
    if env.type_of(values) == Type::Nothing {
        return Ok(None);
    }
    let options = Options::new(env, values);
    let source = |option| {
        let place = options.name(option).to_owned();
        options.bytes(option).map(|text| text.map(|text| Source { place, text }))
    };
    let identity = match (source(Name::Cert)?, source(Name::Key)?) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert, key)),
        (Some(_), None) | (None, Some(_)) => {
            return Err(Misuse::invalid_value("cert and key must be given together"));
        }
    };
    let name = ServerName::try_from(env.text(options.get(Name::Servername))?)
        .map_err(|_| Misuse::invalid_value("servername must be a host name or an IP address"))?;
    let verifies = !options.is_given(Name::RejectUnauthorized) || options.truthy(Name::RejectUnauthorized);
    let trust = if verifies { ServerTrust::Verified } else { ServerTrust::Anybody };
    let passphrase = options.bytes(Name::Passphrase)?;
    let tls = ClientTls::new(name, ClientOptions { ca: source(Name::Ca)?, identity, passphrase, trust });
    tls.map(Some).map_err(|error| Refusal::from(error).thrown("connect"))
}

fn refused(error: InvalidUpgradeRequest) -> Misuse {
    match error {
        InvalidUpgradeRequest::Field(_) => Misuse::invalid_http("ERR_HTTP_INVALID_HEADER", error.to_string()),
        InvalidUpgradeRequest::Target
        | InvalidUpgradeRequest::OwnField(_)
        | InvalidUpgradeRequest::TooMany
        | InvalidUpgradeRequest::Subprotocol(_) => Misuse::invalid_value(error.to_string()),
    }
}

/// The strings of an array whose first element is their number.
fn texts(env: Env<'_>, array: Value<'_>) -> Result<Vec<String>, Misuse> {
    let count = env.number(env.element(array, 0)).unwrap_or(0.0) as u32;
    (1..=count).map(|index| env.text(env.element(array, index))).collect()
}

fn fields(env: Env<'_>, array: Value<'_>) -> Result<Vec<(String, Vec<u8>)>, Misuse> {
    let mut words = texts(env, array)?.into_iter();
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        fields.push((name, value.into_bytes()));
    }
    Ok(fields)
}

/// `clientCancel(connect)`: cancels a connect, whose end is then not reported. Does nothing after its end.
pub(crate) fn cancel<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let environment = &mut *call.environment()?;
    let Some(handle) = call.handle::<JsHandle>(0) else { return Ok(Value::UNDEFINED) };
    let Some(connect) = environment.connects.remove(handle) else { return Ok(Value::UNDEFINED) };
    let client = ClientId { slot: handle.slot, generation: handle.generation };
    environment.workers.push(connect.worker, Command::CancelConnect { client });
    environment.workers.settle();
    liveness::update(environment, call.env());
    Ok(Value::UNDEFINED)
}

/// Milliseconds that a connect may take unless the call says otherwise: three retransmissions of a SYN (RFC 6298) and
/// the time for a slow server.
const DEFAULT_TIMEOUT: u64 = 10_000;
/// In milliseconds: the longest time that a timer of Node can be set to.
const LONGEST_TIMEOUT: u64 = 2_147_483_647;

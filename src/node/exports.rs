//! The native functions, by the names under which `lib/` calls them, each with the number of its arguments.

use super::abi;
use super::calls::{
    adoption, app, client, connections, ending, files, http_request, http_response, listening, logger,
    multipart, notices, request_body, response_body, shutdown, stats, store, tcp, tls, websocket,
};
use super::environment::{Call, Native};
use super::error::Misuse;
use super::js::{Registers, Value};
use super::turn::{declarative, dispatch, pending};
use crate::protocol::cause::{CloseCause, Initiator};

/// Every native function.
pub const ALL: &[Native] = &[
    Native::new("start", 4, start),
    Native::new("exit", 0, exit),
    Native::new("causes", 0, causes),
    Native::new("abi", 0, abi::abi),
    Native::new("reportUncaught", 1, report_uncaught),
    Native::new("hold", 0, hold),
    Native::new("letGo", 0, let_go),
    Native::new("setLogger", 1, logger::set),
    Native::new("isNews", 1, notices::is_news),
    Native::new("detach", 1, detach),
    Native::new("copy", 1, copy),
    Native::new("getParts", 2, multipart::parts),
    Native::new("next", 1, dispatch::next),
    Native::new("told", 3, pending::told),
    Native::new("checkStatus", 1, declarative::status),
    Native::new("checkHeader", 2, declarative::header),
    Native::new("appNew", 3, app::new),
    Native::new("appProxy", 3, app::trust_proxies),
    Native::new("appTcp", 2, tcp::set),
    Native::new("appSecure", 4, tls::secure),
    Native::new("tlsLowerRecordLimit", 1, tls::lower_record_limit),
    Native::new("appServerName", 3, tls::add_server_name),
    Native::new("appRemoveServerName", 2, tls::remove_server_name),
    Native::new("appCertificate", 3, tls::set_certificate),
    Native::new("appDomain", 2, tls::select_domain),
    Native::new("appAskForNames", 1, tls::ask_for_names),
    Native::new("handshakeResume", 1, tls::resume),
    Native::new("appAdopt", 3, adoption::adopt),
    Native::new("appDescriptor", 1, adoption::descriptor),
    Native::new("appAddChild", 2, adoption::add_child),
    Native::new("appRemoveChild", 2, adoption::remove_child),
    Native::new("appWatch", 1, connections::watch),
    Native::new("appRoute", 3, app::route),
    Native::new("appCached", 4, app::cached),
    Native::new("appDeclarative", 4, app::declarative),
    Native::new("appUnroute", 3, app::unroute),
    Native::new("appWebSocket", 4, app::websocket),
    Native::new("appListen", 4, app::listen),
    Native::new("appListenUnix", 4, listening::listen_unix),
    Native::new("appListenDescriptor", 2, listening::listen_descriptor),
    Native::new("appClose", 1, app::close),
    Native::new("appForget", 1, ending::forget),
    Native::new("appShutdown", 5, shutdown::shut_down),
    Native::new("appPublish", 5, app::publish),
    Native::new("appSubscribers", 2, app::subscribers),
    Native::new("clientConnect", 7, client::connect),
    Native::new("clientCancel", 1, client::cancel),
    Native::new("appStats", 1, stats::stats),
    Native::new("watchDrops", 1, stats::watch_drops),
    Native::new("listenerClose", 1, app::close_listener),
    Native::new("listenerPort", 1, app::listener_port),
    Native::new("connectionClose", 1, connections::close),
    Native::new("reqMethod", 2, http_request::method),
    Native::new("reqUrl", 1, http_request::url),
    Native::new("reqQuery", 2, http_request::query),
    Native::new("reqHeader", 2, http_request::header),
    Native::new("reqHeaders", 1, http_request::headers),
    Native::new("reqParameter", 2, http_request::parameter),
    Native::new("reqYield", 2, http_request::set_yield),
    Native::new("resCheck", 1, http_response::check),
    Native::new("resAttachAbort", 1, http_response::attach_abort),
    Native::new("resAttachData", 3, request_body::attach),
    Native::new("resRemaining", 1, request_body::remaining),
    Native::new("resStatus", 2, http_response::status),
    Native::new("resHeader", 3, http_response::header),
    Native::new("resBeginWrite", 1, response_body::begin_write),
    Native::new("resWrite", 2, response_body::write),
    Native::new("resTryEnd", 3, response_body::try_end),
    Native::new("resOffset", 1, response_body::write_offset),
    Native::new("resAttachWritable", 1, response_body::attach_writable),
    Native::new("resNarrow", 1, response_body::narrow),
    Native::new("resEnd", 3, response_body::end),
    Native::new("resEndWithoutBody", 3, response_body::end_without_body),
    Native::new("resPause", 1, response_body::pause),
    Native::new("resResume", 1, response_body::resume),
    Native::new("resClose", 1, http_response::close),
    Native::new("resUpgrade", 5, http_response::upgrade),
    Native::new("resAddress", 2, http_response::address),
    Native::new("resAddressText", 2, http_response::address_text),
    Native::new("resPort", 2, http_response::port),
    Native::new("resCertificate", 1, http_response::certificate),
    Native::new("wsCheck", 1, websocket::check),
    Native::new("wsSend", 4, websocket::send),
    Native::new("wsFirstFragment", 4, websocket::first_fragment),
    Native::new("wsFragment", 3, websocket::fragment),
    Native::new("wsPing", 2, websocket::ping),
    Native::new("wsEnd", 3, websocket::end),
    Native::new("wsClose", 1, websocket::close),
    Native::new("wsShutDown", 1, shutdown::tell_latecomer),
    Native::new("wsBuffered", 1, websocket::buffered_amount),
    Native::new("wsSubscribe", 2, websocket::subscribe),
    Native::new("wsUnsubscribe", 2, websocket::unsubscribe),
    Native::new("wsIsSubscribed", 2, websocket::is_subscribed),
    Native::new("wsTopics", 1, websocket::topics),
    Native::new("wsDeparture", 0, websocket::departure),
    Native::new("wsPublish", 5, websocket::publish),
    Native::new("wsAddress", 2, websocket::address),
    Native::new("wsAddressText", 2, websocket::address_text),
    Native::new("wsPort", 2, websocket::port),
    Native::new("fileOpen", 3, files::open),
    Native::new("fileRead", 3, files::read),
    Native::new("fileClose", 1, files::close),
    Native::new("kvGetString", 2, store::get_string),
    Native::new("kvSetString", 3, store::set_string),
    Native::new("kvDeleteString", 2, store::delete_string),
    Native::new("kvDeleteStrings", 1, store::delete_strings),
    Native::new("kvStringKeys", 1, store::string_keys),
    Native::new("kvGetInteger", 2, store::get_integer),
    Native::new("kvSetInteger", 3, store::set_integer),
    Native::new("kvIncInteger", 3, store::inc_integer),
    Native::new("kvDeleteInteger", 2, store::delete_integer),
    Native::new("kvDeleteIntegers", 1, store::delete_integers),
    Native::new("kvIntegerKeys", 1, store::integer_keys),
    Native::new("kvLock", 0, store::lock),
    Native::new("kvUnlock", 0, store::unlock),
];

/// `start(registers, onBell, level, resource)`: once per load. Records up to `level` go to stderr; none with 0. `resource`
/// is what the bell is to `async_hooks`.
fn start<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let registers = Registers::new(call.env(), call.argument(0))?;
    let mut environment = call.environment()?;
    let level = logger::level_argument(call, 2);
    environment.workers.start(call.env(), call.argument(1), call.argument(3), level)?;
    environment.registers = registers;
    environment.pending.begin_turn();
    Ok(Value::UNDEFINED)
}

/// `exit()`: the process is about to end; what was sent leaves it first.
fn exit<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    store::abandon_lock();
    environment.workers.prepare_exit();
    Ok(Value::UNDEFINED)
}

/// `causes()`: name, initiator, whether clean, and text of every close cause, in turn, by number.
fn causes<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let items = CloseCause::ALL.into_iter().flat_map(|cause| {
        let verdict = cause.verdict();
        let initiator = match verdict.initiator {
            Initiator::Peer => "peer",
            Initiator::Local => "local",
            Initiator::Transport => "transport",
        };
        [
            env.string(verdict.name.as_bytes()),
            env.string(initiator.as_bytes()),
            env.from_bool(verdict.was_clean),
            env.string(verdict.text.as_bytes()),
        ]
    });
    Ok(env.array(items))
}

/// `reportUncaught(error)`: 'uncaughtException', as for any event handler of Node that throws.
fn report_uncaught<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.env().report_uncaught(call.argument(0));
    Ok(Value::UNDEFINED)
}

/// `hold()`: commands gather until `letGo`.
fn hold<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.workers.hold();
    Ok(Value::UNDEFINED)
}

/// `letGo()`: the end of `hold`.
fn let_go<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    environment.workers.let_go();
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `copy(data)`: text or data in an ArrayBuffer of its own.
fn copy<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let bytes = call.bytes(0)?;
    Ok(call.env().array_buffer(&bytes))
}

/// `detach(buffer)`
fn detach<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.env().detach(call.argument(0));
    Ok(Value::UNDEFINED)
}

//! The native functions by the names under which `lib/` calls them.

use super::environment::{Call, Native};
use super::error::Misuse;
use super::js::{Registers, Value};
use super::{
    adoption, app, client, connections, declarative, dispatch, ending, files, http_request, http_response,
    listening, logger, multipart, notices, pending, request_body, response_body, shutdown, stats, store, tcp,
    tls, websocket,
};
use crate::protocol::cause::{CloseCause, Initiator};

/// Every native function.
pub const ALL: &[(&str, Native)] = &[
    ("start", start),
    ("exit", exit),
    ("causes", causes),
    ("reportUncaught", report_uncaught),
    ("hold", hold),
    ("letGo", let_go),
    ("setLogger", logger::set),
    ("isNews", notices::is_news),
    ("detach", detach),
    ("copy", copy),
    ("getParts", multipart::parts),
    ("next", dispatch::next),
    ("told", pending::told),
    ("checkStatus", declarative::status),
    ("checkHeader", declarative::header),
    ("appNew", app::new),
    ("appProxy", app::trust_proxies),
    ("appTcp", tcp::set),
    ("appSecure", tls::secure),
    ("tlsLowerRecordLimit", tls::lower_record_limit),
    ("appServerName", tls::add_server_name),
    ("appRemoveServerName", tls::remove_server_name),
    ("appCertificate", tls::set_certificate),
    ("appDomain", tls::select_domain),
    ("appAskForNames", tls::ask_for_names),
    ("handshakeResume", tls::resume),
    ("appAdopt", adoption::adopt),
    ("appDescriptor", adoption::descriptor),
    ("appAddChild", adoption::add_child),
    ("appRemoveChild", adoption::remove_child),
    ("appWatch", connections::watch),
    ("appRoute", app::route),
    ("appCached", app::cached),
    ("appDeclarative", app::declarative),
    ("appUnroute", app::unroute),
    ("appWebSocket", app::websocket),
    ("appListen", app::listen),
    ("appListenUnix", listening::listen_unix),
    ("appListenDescriptor", listening::listen_descriptor),
    ("appClose", app::close),
    ("appForget", ending::forget),
    ("appShutdown", shutdown::shut_down),
    ("appPublish", app::publish),
    ("appSubscribers", app::subscribers),
    ("clientConnect", client::connect),
    ("clientCancel", client::cancel),
    ("appStats", stats::stats),
    ("watchDrops", stats::watch_drops),
    ("listenerClose", app::close_listener),
    ("listenerPort", app::listener_port),
    ("connectionClose", connections::close),
    ("reqMethod", http_request::method),
    ("reqUrl", http_request::url),
    ("reqQuery", http_request::query),
    ("reqHeader", http_request::header),
    ("reqHeaders", http_request::headers),
    ("reqParameter", http_request::parameter),
    ("reqYield", http_request::set_yield),
    ("resCheck", http_response::check),
    ("resAttachAbort", http_response::attach_abort),
    ("resAttachData", request_body::attach),
    ("resRemaining", request_body::remaining),
    ("resStatus", http_response::status),
    ("resHeader", http_response::header),
    ("resBeginWrite", response_body::begin_write),
    ("resWrite", response_body::write),
    ("resTryEnd", response_body::try_end),
    ("resOffset", response_body::write_offset),
    ("resAttachWritable", response_body::attach_writable),
    ("resNarrow", response_body::narrow),
    ("resEnd", response_body::end),
    ("resEndWithoutBody", response_body::end_without_body),
    ("resPause", response_body::pause),
    ("resResume", response_body::resume),
    ("resClose", http_response::close),
    ("resUpgrade", http_response::upgrade),
    ("resAddress", http_response::address),
    ("resAddressText", http_response::address_text),
    ("resPort", http_response::port),
    ("resCertificate", http_response::certificate),
    ("wsCheck", websocket::check),
    ("wsSend", websocket::send),
    ("wsFirstFragment", websocket::first_fragment),
    ("wsFragment", websocket::fragment),
    ("wsPing", websocket::ping),
    ("wsEnd", websocket::end),
    ("wsClose", websocket::close),
    ("wsShutDown", shutdown::tell_latecomer),
    ("wsBuffered", websocket::buffered_amount),
    ("wsSubscribe", websocket::subscribe),
    ("wsUnsubscribe", websocket::unsubscribe),
    ("wsIsSubscribed", websocket::is_subscribed),
    ("wsTopics", websocket::topics),
    ("wsDeparture", websocket::departure),
    ("wsPublish", websocket::publish),
    ("wsAddress", websocket::address),
    ("wsAddressText", websocket::address_text),
    ("wsPort", websocket::port),
    ("fileOpen", files::open),
    ("fileRead", files::read),
    ("fileClose", files::close),
    ("kvGetString", store::get_string),
    ("kvSetString", store::set_string),
    ("kvDeleteString", store::delete_string),
    ("kvDeleteStrings", store::delete_strings),
    ("kvStringKeys", store::string_keys),
    ("kvGetInteger", store::get_integer),
    ("kvSetInteger", store::set_integer),
    ("kvIncInteger", store::inc_integer),
    ("kvDeleteInteger", store::delete_integer),
    ("kvDeleteIntegers", store::delete_integers),
    ("kvIntegerKeys", store::integer_keys),
    ("kvLock", store::lock),
    ("kvUnlock", store::unlock),
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
    let mut bytes = Vec::new();
    call.env().append_text_or_data(call.argument(0), &mut bytes)?;
    Ok(call.env().array_buffer(&bytes))
}

/// `detach(buffer)`
fn detach<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.env().detach(call.argument(0));
    Ok(Value::UNDEFINED)
}

//! `HttpResponse`, without its body: its head, closing it early, the upgrade, and address and certificate of the
//! client.

use std::net::IpAddr;

use crate::bridge::setup::ProxySetup;
use crate::io::worker::clock::present;
use crate::node::abi::Register;
use crate::node::calls::address as of_peer;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::{Exchange, Stage};
use crate::node::state::pending::PendingEvent;
use crate::node::turn::upgrade::{self, HandshakeOffer};
use crate::node::turn::{pending, response};
use crate::protocol::http::head::{is_field_value, is_token};
use crate::protocol::http::response_head::{FieldFlags, is_status};
use crate::protocol::proxy::Origin;

/// `resCheck(response)`: throws if the response has ended.
pub(crate) fn check<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.live.response(call.number(0))?;
    Ok(Value::UNDEFINED)
}

/// `resAttachAbort(response)`: an abort handler is attached.
pub(crate) fn attach_abort<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.live.response(call.number(0))?.1.abort_attached = true;
    Ok(Value::UNDEFINED)
}

/// `resStatus(response, status)`: the first call counts, and only before the first header.
pub(crate) fn status<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.live.response(call.number(0))?;
    if exchange.stage != Stage::Waiting || !exchange.status.is_empty() || !exchange.fields.is_empty() {
        call.append(1, &mut Vec::new())?;
        return Ok(Value::UNDEFINED);
    }
    let result = call.append(1, &mut exchange.status).and_then(|()| check_status(&exchange.status));
    match result {
        Err(_) => exchange.status.clear(),
        // RFC 9112 §4: the space is sent even if no reason phrase follows.
        Ok(()) if exchange.status.len() == 3 => exchange.status.push(b' '),
        Ok(()) => {}
    }
    result.map(|()| Value::UNDEFINED)
}

/// Refuses an invalid status.
pub(crate) fn check_status(status: &[u8]) -> Result<(), Misuse> {
    if is_status(status) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&status[..status.len().min(40)]).into_owned();
    Err(Misuse::invalid_http(
        "ERR_HTTP_INVALID_STATUS",
        format!("status must be three digits and a reason phrase without control characters, got {shown:?}"),
    ))
}

/// `resHeader(response, name, value)`
pub(crate) fn header<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.live.response(call.number(0))?;
    if exchange.stage != Stage::Waiting {
        return Err(Misuse::invalid_state("headers must be written before the first piece of the body"));
    }
    let start = exchange.fields.len();
    let result = append_field(call, exchange);
    if result.is_err() {
        exchange.fields.truncate(start);
    }
    result.map(|()| Value::UNDEFINED)
}

fn append_field(call: &Call<'_>, exchange: &mut Exchange) -> Result<(), Misuse> {
    let fields = &mut exchange.fields;
    let start = fields.len();
    call.append(1, fields)?;
    check_field_name(&fields[start..])?;
    let flags = FieldFlags::of(&fields[start..]);
    fields.extend_from_slice(b": ");
    let value = fields.len();
    call.append(2, fields)?;
    check_field_value(&fields[start..value - 2], &fields[value..])?;
    fields.extend_from_slice(b"\r\n");
    exchange.flags = exchange.flags | flags;
    Ok(())
}

/// Refuses an invalid field name.
pub(crate) fn check_field_name(name: &[u8]) -> Result<(), Misuse> {
    if is_token(name) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(name).chars().take(40).collect::<String>();
    let text = format!("header name must be a token (RFC 9110 §5.6.2), got {shown:?}");
    Err(Misuse::invalid_http("ERR_HTTP_INVALID_HEADER", text))
}

/// Refuses an invalid field value; `name` is a token.
pub(crate) fn check_field_value(name: &[u8], value: &[u8]) -> Result<(), Misuse> {
    if is_field_value(value) {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name).into_owned();
    let text =
        format!("value of header {name} must not contain CR, LF or other control characters (RFC 9110 §5.5)");
    Err(Misuse::invalid_http("ERR_HTTP_INVALID_HEADER", text))
}

/// `resClose(response)`: drops the connection. Returns the position of the event for `nextPending`. For a response that
/// is closed already, and whose abort handler has not run yet, the call does nothing and does not throw: the
/// application cannot know. Sets the registers for what is reported about the abort.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let mark = environment.pending.len();
    let handle = call.handle::<JsHandle>(0);
    let Environment { live, registers, .. } = &mut *environment;
    let exchange = handle.and_then(|it| live.exchange(it));
    if let Some(exchange) = exchange {
        response::set_report(exchange, present(), registers);
    }
    let is_closing = exchange.is_some_and(|it| it.is_closing);
    if !is_closing {
        let (handle, _) = environment.live.response(call.number(0))?;
        pending::abort_response(&mut environment, handle);
    }
    Ok(call.env().from_number(mark as f64))
}

/// `resUpgrade(response, secWebSocketKey, secWebSocketProtocol, secWebSocketExtensions, route)`: returns the handle of
/// the WebSocket. The register `MARK` has the position of the event for `nextPending`.
pub(crate) fn upgrade<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, key, protocol, extensions) = (call.env(), call.bytes(1)?, call.text(2)?, call.bytes(3)?);
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, _) = environment.live.response(call.number(0))?;
    let route = call.number(4);
    let route = if route >= 0.0 { route as usize } else { usize::MAX };
    let socket = upgrade::upgrade(
        environment,
        handle,
        HandshakeOffer { key: &key, protocol: &protocol, extensions: &extensions },
        route,
    )?;
    let mark = environment.pending.len();
    environment.pending.add(PendingEvent::Open(socket), &environment.workers);
    environment.registers.set(Register::Mark, mark as f64);
    // The 101 is written together with what `open` sends: `lib/` runs that handler next, and hands the commands over
    // afterwards.
    Ok(env.from_number(socket.to_number()))
}

/// `resUpgradeAsAsked(response, protocol, compress, route)`: as `resUpgrade`, with the fields of the client's own
/// request. `protocol` is left out where the client does not offer it, because the client would have to fail the
/// connection (RFC 6455 §4.1); `undefined` is the first one that the client offers, an empty one is none.
pub(crate) fn upgrade_as_asked<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, wanted, compress) = (call.env(), call.optional_text(1)?, call.truthy(2));
    if let Some(wanted) = &wanted
        && !wanted.is_empty()
        && !is_token(wanted.as_bytes())
    {
        let text = "protocol must be a token: letters, digits and !#$%&'*+-.^_`|~";
        return Err(Misuse::invalid_http("ERR_INVALID_ARG_VALUE", text));
    }
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, exchange) = environment.live.response(call.number(0))?;
    let key = exchange.request_field(b"sec-websocket-key").unwrap_or_default().to_vec();
    let offered = exchange.joined_request_field(b"sec-websocket-protocol").unwrap_or_default();
    let offered = String::from_utf8_lossy(&offered).into_owned();
    let protocol = match wanted {
        None => offered,
        Some(wanted) if offered.split(',').any(|it| it.trim_matches([' ', '\t']) == wanted) => wanted,
        Some(_) => String::new(),
    };
    let extensions = compress.then(|| exchange.joined_request_field(b"sec-websocket-extensions")).flatten();
    let extensions = extensions.unwrap_or_default().into_owned();
    let route = call.number(3);
    let route = if route >= 0.0 { route as usize } else { usize::MAX };
    let offer = HandshakeOffer { key: &key, protocol: &protocol, extensions: &extensions };
    let socket = upgrade::upgrade(environment, handle, offer, route)?;
    let mark = environment.pending.len();
    environment.pending.add(PendingEvent::Open(socket), &environment.workers);
    environment.registers.set(Register::Mark, mark as f64);
    Ok(env.from_number(socket.to_number()))
}

/// `resAddress(response, proxied)`
pub(crate) fn address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.response(call.number(0))?.1.peer;
    Ok(of_peer::bytes(call, peer))
}

/// `resAddressText(response, proxied)`
pub(crate) fn address_text<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.response(call.number(0))?.1.peer;
    Ok(of_peer::text(call, peer))
}

/// `resRemoteAddress(response)`: the address of the peer; `undefined` if it has none or the response is over.
pub(crate) fn remote_address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.response(call.number(0)).ok().map(|(_, exchange)| exchange.peer);
    Ok(of_peer::canonical(call, peer))
}

/// `resClientAddress(response)`: the address of the client, as trusted proxies have noted it; that of the peer without
/// them; `undefined` if it is not known or the response is over.
pub(crate) fn client_address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, apps, .. } = &mut *guard;
    let Ok((_, exchange)) = live.response(call.number(0)) else { return Ok(Value::UNDEFINED) };
    let peer = exchange.peer.proxied.or(exchange.peer.address).map(|address| address.ip());
    let is_trusted = |proxy: &ProxySetup, address: Option<IpAddr>| {
        proxy.trust.includes(address.map_or(Origin::Unix, Origin::Address))
    };
    let proxy = apps.get(exchange.app.app).and_then(|app| app.setup.proxy.as_ref());
    let client = match proxy.and_then(|proxy| Some((proxy, proxy.forwarded?))) {
        Some((proxy, field)) if is_trusted(proxy, peer) => {
            let head = &exchange.head;
            let fields = exchange.request_fields.iter();
            let named = fields.filter(|it| it.name.of(head) == field.name().as_bytes());
            let values = named.map(|it| it.value.of(head));
            field.client(peer, values, |address| is_trusted(proxy, Some(address)))
        }
        Some(_) | None => peer,
    };
    let text = client.map(|client| client.to_canonical().to_string());
    Ok(text.map_or(Value::UNDEFINED, |text| call.env().string(text.as_bytes())))
}

/// `resPort(response, proxied)`
pub(crate) fn port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.response(call.number(0))?.1.peer;
    Ok(of_peer::port(call, peer))
}

/// `resCertificate(response)`: the certificate of the client in PEM; empty if the client has sent none.
pub(crate) fn certificate<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let tls_peer = environment.live.response(call.number(0))?.1.tls_peer.as_ref();
    let certificate = tls_peer.and_then(|tls_peer| tls_peer.certificate.as_deref());
    let pem = certificate.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap_or_default();
    Ok(call.env().string(pem.as_bytes()))
}

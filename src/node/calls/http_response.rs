//! `HttpResponse`, without its body: its head, closing it early, the upgrade, and address and certificate of the
//! client.

use std::net::IpAddr;
use std::ops::Range;

use crate::bridge::setup::ProxySetup;
use crate::io::worker::clock::present;
use crate::node::abi::Register;
use crate::node::calls::address as of_peer;
use crate::node::calls::response_body::refuse_announced;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::Stage;
use crate::node::state::pending::PendingEvent;
use crate::node::turn::upgrade::{self, HandshakeOffer};
use crate::node::turn::{pending, response};
use crate::protocol::http::head::{is_field_value, is_token};
use crate::protocol::http::response_head::{FieldFlags, is_status};
use crate::protocol::http::trailers::may_be_trailer;
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
    match append_field(call, Section::Head, &mut exchange.fields) {
        Ok(name) => {
            exchange.flags = exchange.flags | FieldFlags::of(&exchange.fields[name]);
            Ok(Value::UNDEFINED)
        }
        Err(misuse) => {
            exchange.fields.truncate(start);
            Err(misuse)
        }
    }
}

/// `resTrailer(response, name, value)`: a field that follows the body.
pub(crate) fn trailer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.live.response(call.number(0))?;
    refuse_announced(exchange, "writeTrailer")?;
    let start = exchange.trailers.len();
    if let Err(misuse) = append_field(call, Section::Trailers, &mut exchange.trailers) {
        exchange.trailers.truncate(start);
        return Err(misuse);
    }
    // What is cached has a length, and no trailers.
    exchange.recording = None;
    Ok(Value::UNDEFINED)
}

/// Appends the line of a field: argument 1 is its name, argument 2 its value. Returns where its name stands.
fn append_field(call: &Call<'_>, section: Section, lines: &mut Vec<u8>) -> Result<Range<usize>, Misuse> {
    let start = lines.len();
    call.append(1, lines)?;
    let name = start..lines.len();
    section.check_name(&lines[name.clone()])?;
    lines.extend_from_slice(b": ");
    let value = lines.len();
    call.append(2, lines)?;
    section.check_value(&lines[name.clone()], &lines[value..])?;
    lines.extend_from_slice(b"\r\n");
    Ok(name)
}

/// Where a field of a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Before the body.
    Head,
    /// Behind it.
    Trailers,
}

impl Section {
    /// What an application calls a field in it, and the code of a refusal.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Head => ("header", "ERR_HTTP_INVALID_HEADER"),
            Self::Trailers => ("trailer", "ERR_HTTP_INVALID_TRAILER"),
        }
    }

    /// Refuses a name that is none, or that has no place here.
    pub(crate) fn check_name(self, name: &[u8]) -> Result<(), Misuse> {
        let (what, code) = self.words();
        let shown = || String::from_utf8_lossy(name).chars().take(40).collect::<String>();
        if !is_token(name) {
            let text = format!("{what} name must be a token (RFC 9110 §5.6.2), got {:?}", shown());
            return Err(Misuse::invalid_http(code, text));
        }
        if self == Self::Trailers && !may_be_trailer(name) {
            let text =
                format!("{} cannot be a trailer: it has to precede the body (RFC 9110 §6.5.1)", shown());
            return Err(Misuse::invalid_http(code, text));
        }
        Ok(())
    }

    /// Refuses an invalid value; `name` is a token.
    pub(crate) fn check_value(self, name: &[u8], value: &[u8]) -> Result<(), Misuse> {
        if is_field_value(value) {
            return Ok(());
        }
        let (what, code) = self.words();
        let name = String::from_utf8_lossy(name).into_owned();
        let text = format!(
            "value of {what} {name} must not contain CR, LF or other control characters (RFC 9110 §5.5)"
        );
        Err(Misuse::invalid_http(code, text))
    }
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

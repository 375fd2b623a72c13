//! `HttpResponse`: one response, from the moment its request arrived until it is complete or aborted.

use std::borrow::Cow;
use std::rc::Rc;

use crate::bridge::command::{Command, HeadBytes, ResponseId};
use crate::bridge::event::Slice;
use crate::bridge::id::AppId;
use crate::bridge::ledger::Ledger;
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::node::abi::Register;
use crate::node::calls::address as of_peer;
use crate::node::calls::request_body::RequestBody;
use crate::node::calls::response_body::Output;
use crate::node::calls::websocket::Socket;
use crate::node::environment::{Call, Environment, Occupant};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::Handle;
use crate::node::state::pending::PendingEvent;
use crate::node::state::routes::cache::Recording;
use crate::node::state::routes::router::Params;
use crate::node::state::workers::Workers;
use crate::protocol::http::encode::{FieldFlags, Framing, ResponseHead, is_status, overridden};
use crate::protocol::http::head::{BodyLength, HeaderField, Span, Version, is_field_value, is_token};
use crate::protocol::websocket::extensions::has_broken_compression;
use crate::protocol::websocket::handshake::Additions;
use crate::protocol::websocket::{Agreement, Compression, handshake};

/// A request and its response. Reused, so that a request costs no allocation.
#[derive(Debug)]
pub struct Exchange {
    /// Where the response goes.
    pub to: ResponseId,
    /// Whose request it is.
    pub app: AppId,
    /// The other end.
    pub peer: Peer,
    /// What the other end has said in its TLS handshake.
    pub tls_peer: Option<Arc<TlsPeerInfo>>,
    /// The bytes of the request head.
    pub head: Vec<u8>,
    /// Its header fields.
    pub request_fields: Vec<HeaderField>,
    /// Its method, as received.
    pub method: Span,
    /// Its path, raw.
    pub path: Span,
    /// Its query, raw.
    pub query: Option<Span>,
    /// Parameters of the matched route.
    pub params: Params,
    /// The matched route.
    pub route: usize,
    /// How many candidates of the router have yielded.
    pub nth: usize,
    /// What the route handler is doing.
    pub handler: HandlerState,
    /// What has been sent.
    pub stage: Stage,
    /// The application has closed it, and its handler has not run yet.
    pub is_closing: bool,
    /// An abort handler is attached.
    pub abort_attached: bool,
    /// Its version.
    pub version: Version,
    /// How long its body was announced to be.
    pub body_length: BodyLength,
    /// The request body.
    pub body: RequestBody,
    /// Written down to be kept, if it is for a cached route.
    pub recording: Option<Recording>,
    pub(in crate::node) status: Vec<u8>,
    pub(in crate::node) fields: Vec<u8>,
    pub(in crate::node) flags: FieldFlags,
    /// The body of the response.
    pub output: Output,
}

/// What the route handler of a request is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerState {
    /// It has not returned yet, or its microtasks have not run: the request may be read, whatever became of the
    /// response.
    Running,
    /// The same, and it called `setYield(true)`.
    Yielding,
    /// It was not called, or has returned.
    Returned,
}

/// What has been sent of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing.
    Waiting,
    /// The head, and perhaps some of the body.
    Started,
    /// Everything, or nothing more can be: complete, aborted, closed or upgraded.
    Over,
}

impl Exchange {
    /// An exchange without content, to be filled by the dispatcher.
    #[must_use]
    pub fn empty(to: ResponseId, app: AppId) -> Self {
        Self {
            to,
            app,
            peer: Peer::default(),
            tls_peer: None,
            head: Vec::new(),
            request_fields: Vec::new(),
            method: Span::default(),
            path: Span::default(),
            query: None,
            params: Params::default(),
            route: 0,
            nth: 0,
            handler: HandlerState::Returned,
            stage: Stage::Waiting,
            is_closing: false,
            abort_attached: false,
            version: Version::Http11,
            body_length: BodyLength::None,
            body: RequestBody::new(BodyLength::None),
            recording: None,
            status: Vec::new(),
            fields: Vec::new(),
            flags: FieldFlags::NONE,
            output: Output::default(),
        }
    }

    /// Forgets the last request but keeps the buffers, unless one of them grew large.
    pub fn reset(&mut self, to: ResponseId, app: AppId) {
        let mut fresh = Self::empty(to, app);
        for (new, old) in [
            (&mut fresh.head, &mut self.head),
            (&mut fresh.status, &mut self.status),
            (&mut fresh.fields, &mut self.fields),
        ] {
            *new = std::mem::take(old);
            new.clear();
            new.shrink_to(KEPT_CAPACITY);
        }
        fresh.request_fields = std::mem::take(&mut self.request_fields);
        fresh.request_fields.clear();
        fresh.params = std::mem::take(&mut self.params);
        *self = fresh;
    }

    /// A header field of the request, by its lower-case name.
    #[must_use]
    pub fn request_field(&self, name: &[u8]) -> Option<&[u8]> {
        let field = self.request_fields.iter().find(|field| field.name.of(&self.head) == name)?;
        Some(field.value.of(&self.head))
    }

    /// What is agreed with this client about compression. A list that is malformed offers nothing: it is not the client's,
    /// which was checked, but the application's.
    fn agree(&self, compression: Compression, extensions: &[u8]) -> Option<Agreement> {
        let user_agent = self.request_field(b"user-agent").unwrap_or_default();
        if has_broken_compression(user_agent) {
            return None;
        }
        compression.negotiate(extensions).unwrap_or_default()
    }

    /// What is to be said of a response to this request that has a field about the framing of its body which is not true.
    pub(in crate::node) fn overridden(
        &self,
        head: &ResponseHead<'_>,
        framing: Framing,
    ) -> Option<Overridden> {
        let method = self.method.of(&self.head);
        let (name, value) = overridden(head, method, framing)?;
        let value: String = String::from_utf8_lossy(value).chars().take(40).collect();
        let (method, path) =
            (String::from_utf8_lossy(method), String::from_utf8_lossy(self.path.of(&self.head)));
        let text = format!(
            "The header {name}: {value} of the response to {method} {path} is left out: how a body is framed follows from the \
             calls that make it"
        );
        Some(Overridden { name, text })
    }

    /// The values of a header field that may be repeated, as one list (RFC 9110 §5.2).
    #[must_use]
    pub fn joined_request_field(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let fields = self.request_fields.iter().filter(|field| field.name.of(&self.head) == name);
        fields
            .map(|field| Cow::Borrowed(field.value.of(&self.head)))
            .reduce(|list, value| Cow::Owned([&list[..], b", ", &value].concat()))
    }
}

/// A field of the application that is left out.
#[derive(Debug)]
pub(in crate::node) struct Overridden {
    /// Its name.
    pub name: &'static str,
    /// What the program is told.
    pub text: String,
}

impl Environment {
    /// The response of a handle, if it may still be used.
    ///
    /// # Errors
    /// [`Misuse::response_closed`]
    pub fn response(&mut self, number: f64) -> Result<(Handle, &mut Exchange), Misuse> {
        let handle = Handle::from_number(number).ok_or_else(Misuse::response_closed)?;
        match self.exchanges.get_mut(handle) {
            Some(exchange) if exchange.stage != Stage::Over => Ok((handle, exchange)),
            Some(_) | None => Err(Misuse::response_closed()),
        }
    }

    /// The response is over: nothing that arrives for it is of interest any more, and nothing of JavaScript reaches it.
    /// Its request may be read until the handler has returned.
    pub fn finish_exchange(&mut self, handle: Handle) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        exchange.stage = Stage::Over;
        if let Occupant::Exchange { handle: occupant, .. } = self.occupants.get(exchange.to.connection)
            && occupant == handle
        {
            self.occupants.set(exchange.to.connection, Occupant::Nobody);
        }
        if exchange.handler == HandlerState::Returned {
            self.drop_exchange(handle);
        }
    }

    /// Refuses the handle from now on.
    pub fn drop_exchange(&mut self, handle: Handle) {
        if let Some(mut exchange) = self.exchanges.remove(handle)
            && self.spare_exchanges.len() < MAX_SPARES
        {
            exchange.recording = None;
            self.spare_exchanges.push(exchange);
        }
    }

    /// Lays out what has been written of the head for the worker, which makes the fields of `framing` itself.
    pub(in crate::node) fn take_head(
        &mut self,
        handle: Handle,
        framing: Framing,
    ) -> Option<(ResponseId, HeadBytes)> {
        let exchange = self.exchanges.get(handle)?;
        if exchange.flags.has(FRAMING_FIELDS) {
            let status = if exchange.status.is_empty() { &b"200"[..] } else { &exchange.status };
            let head = ResponseHead { status, fields: &exchange.fields, flags: exchange.flags };
            if let Some(notice) = exchange.overridden(&head, framing) {
                self.pending.warn_once(FRAMING_HEADER, notice.name, &self.workers, || notice.text);
            }
        }
        let exchange = self.exchanges.get_mut(handle)?;
        let worker = exchange.to.connection.worker;
        let status = self.workers.copy(worker, &exchange.status);
        let fields = self.workers.copy(worker, &exchange.fields);
        Some((exchange.to, HeadBytes { status, fields, flags: exchange.flags }))
    }

    /// The headers of its own that an application wants in the 101 response. Warns of those that are left out.
    fn handshake_additions(&mut self, handle: Handle, accept: &str, extensions: Option<&str>) -> Additions {
        let Some(exchange) = self.exchanges.get(handle) else { return Additions::default() };
        if exchange.fields.is_empty() && exchange.status.is_empty() {
            return Additions::default();
        }
        let additions = Additions::sort(&exchange.fields, accept, extensions);
        let status = String::from_utf8_lossy(&exchange.status).into_owned();
        for name in &additions.refused {
            self.pending.warn_once("FERROWS_HANDSHAKE_HEADER", name, &self.workers, || {
                format!("The header {name}, written before res.upgrade, is left out: it is for the handshake to say")
            });
        }
        if !status.is_empty() && !status.starts_with("101") {
            self.pending.warn_once("FERROWS_HANDSHAKE_HEADER", "status", &self.workers, || {
                format!("The status {status}, written before res.upgrade, is left out: a handshake is answered with 101")
            });
        }
        additions
    }

    /// Answers without JavaScript.
    pub fn answer(&mut self, handle: Handle, status: &str, fields: &[u8], body: &[u8], close: bool) {
        let Some(exchange) = self.exchanges.get(handle) else { return };
        let (to, worker) = (exchange.to, exchange.to.connection.worker);
        let head = HeadBytes {
            status: self.workers.copy(worker, status.as_bytes()),
            fields: self.workers.copy(worker, fields),
            flags: FieldFlags::NONE,
        };
        let body = self.workers.copy(worker, body);
        self.workers.push(worker, Command::Respond { to, head, body, close });
        self.finish_exchange(handle);
    }

    /// Drops the connection without an answer.
    pub fn abort_exchange(&mut self, handle: Handle) {
        let Some(exchange) = self.exchanges.get(handle) else { return };
        let to = exchange.to;
        self.workers.push(to.connection.worker, Command::AbortResponse { to });
        self.finish_exchange(handle);
    }

    /// Turns a response into a WebSocket of the route `route`.
    ///
    /// # Errors
    /// A key or subprotocol that must not be answered; more than 2^24 WebSockets.
    pub fn upgrade_exchange(
        &mut self,
        handle: Handle,
        key: &[u8],
        protocol: &str,
        extensions: &[u8],
        route: usize,
    ) -> Result<Handle, Misuse> {
        let Some(behavior) = self.routes.behavior(route) else {
            return Err(Misuse::invalid_type("context must be the one that the upgrade handler got"));
        };
        let (rules, compression) = (Arc::clone(&behavior.rules), behavior.compression);
        let accept = handshake::accept_key(key).ok_or_else(|| {
            Misuse::invalid_http(
                "ERR_INVALID_ARG_VALUE",
                "secWebSocketKey must be 24 characters of base64 (RFC 6455 §4.1)",
            )
        })?;
        // Programs pass the client's list as it is: one that cannot be answered selects nothing, rather than letting
        // a client make the handler throw.
        let protocol = handshake::first_subprotocol(protocol).unwrap_or_default();
        let exchange = self.exchanges.get(handle).ok_or_else(Misuse::response_closed)?;
        if exchange.stage != Stage::Waiting {
            return Err(Misuse::invalid_state("upgrade must come before the first write"));
        }
        // Only where the request came to another route: a `ws` route refuses such a handshake itself.
        handshake::check_request(exchange.version, exchange.body_length)
            .map_err(|error| Misuse::invalid_state(error.to_string()))?;
        let (to, app, peer) = (exchange.to, exchange.app, exchange.peer);
        let worker = to.connection.worker;
        let ledger = Arc::new(Ledger::default());
        let socket = Socket::new(to.connection, app, Rc::clone(behavior), Arc::clone(&ledger), peer);
        let socket =
            self.sockets.insert(socket).map_err(|_| Misuse::invalid_state("too many WebSockets are open"))?;
        let agreement = compression.and_then(|compression| exchange.agree(compression, extensions));
        let extensions = agreement.map(|agreement| agreement.answer());
        let additions = self.handshake_additions(handle, &accept, extensions.as_deref());
        let protocol = protocol.filter(|_| !additions.has_subprotocol);
        let accept = self.workers.copy(worker, accept.as_bytes());
        let protocol = self.workers.copy(worker, protocol.unwrap_or_default().as_bytes());
        let arena = self.workers.arena(worker);
        let start = arena.len();
        arena.extend_from_slice(&additions.lines);
        if let Some(extensions) = extensions {
            for part in ["Sec-WebSocket-Extensions: ", &extensions, "\r\n"] {
                arena.extend_from_slice(part.as_bytes());
            }
        }
        let fields = Slice::tail(arena, start);
        let command = Command::Upgrade { to, accept, protocol, fields, agreement, rules, ledger };
        self.workers.push(worker, command);
        if let Some(stats) = self.apps.stats(app) {
            stats.note_opened();
        }
        self.finish_exchange(handle);
        self.occupants.set(to.connection, Occupant::Socket(socket));
        Ok(socket)
    }
}

/// `resCheck(response)`: throws if it is over.
pub fn check<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.response(call.number(0))?;
    Ok(Value::UNDEFINED)
}

/// `resAttachAbort(response)`: an abort handler is attached.
pub fn attach_abort<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.response(call.number(0))?.1.abort_attached = true;
    Ok(Value::UNDEFINED)
}

/// `resStatus(response, status)`: the first call counts, and only before the first header.
pub fn status<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.response(call.number(0))?;
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

/// Refuses what is no status.
pub(in crate::node) fn check_status(status: &[u8]) -> Result<(), Misuse> {
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
pub fn header<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.response(call.number(0))?;
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

/// Refuses what is no name of a header.
pub(in crate::node) fn check_field_name(name: &[u8]) -> Result<(), Misuse> {
    if is_token(name) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(name).chars().take(40).collect::<String>();
    let text = format!("header name must be a token (RFC 9110 §5.6.2), got {shown:?}");
    Err(Misuse::invalid_http("ERR_HTTP_INVALID_HEADER", text))
}

/// Refuses what is no value of a header; `name` is a token.
pub(in crate::node) fn check_field_value(name: &[u8], value: &[u8]) -> Result<(), Misuse> {
    if is_field_value(value) {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name).into_owned();
    let text =
        format!("value of header {name} must not contain CR, LF or other control characters (RFC 9110 §5.5)");
    Err(Misuse::invalid_http("ERR_HTTP_INVALID_HEADER", text))
}

/// `resClose(response)`: drops the connection. Returns the place of the event for `told`. A response that is closed already,
/// and whose handler has not run yet, stays as it is: the application cannot know.
pub fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let mark = environment.pending.len();
    let handle = call.handle::<Handle>(0);
    let is_closing = handle.and_then(|it| environment.exchanges.get(it)).is_some_and(|it| it.is_closing);
    if !is_closing {
        let (handle, _) = environment.response(call.number(0))?;
        environment.abort_pending(handle);
    }
    Ok(call.env().from_number(mark as f64))
}

/// `resUpgrade(response, secWebSocketKey, secWebSocketProtocol, secWebSocketExtensions, route)`: returns the handle of the
/// WebSocket. Register 1 has the place of the event for `told`.
pub fn upgrade<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (env, key, protocol, extensions) = (call.env(), call.bytes(1)?, call.text(2)?, call.bytes(3)?);
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, _) = environment.response(call.number(0))?;
    let route = call.number(4);
    let route = if route >= 0.0 { route as usize } else { usize::MAX };
    let socket = environment.upgrade_exchange(handle, &key, &protocol, &extensions, route)?;
    let mark = environment.pending.len();
    environment.pending.add(PendingEvent::Open(socket), &environment.workers);
    environment.registers.set(Register::Mark, mark as f64);
    // The 101 leaves with what `open` sends: `lib/` runs it next, and settles afterwards.
    Ok(env.from_number(socket.to_number()))
}

/// `resAddress(response, proxied)`
pub fn address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.response(call.number(0))?.1.peer;
    Ok(of_peer::bytes(call, peer))
}

/// `resAddressText(response, proxied)`
pub fn address_text<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.response(call.number(0))?.1.peer;
    Ok(of_peer::text(call, peer))
}

/// `resPort(response, proxied)`
pub fn port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.response(call.number(0))?.1.peer;
    Ok(of_peer::port(call, peer))
}

/// `resCertificate(response)`: the certificate of the client in PEM; empty if it has sent none.
pub fn certificate<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let tls_peer = environment.response(call.number(0))?.1.tls_peer.as_ref();
    let certificate = tls_peer.and_then(|tls_peer| tls_peer.certificate.as_deref());
    let pem = certificate.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap_or_default();
    Ok(call.env().string(pem.as_bytes()))
}

/// Copies a text-or-data argument into the arena of the next command to `worker`.
pub fn append_payload(
    call: &Call<'_>,
    workers: &mut Workers,
    worker: crate::bridge::id::WorkerId,
    index: usize,
) -> Result<Slice, Misuse> {
    workers.flush_if_long();
    let arena = workers.arena(worker);
    let start = arena.len();
    call.append(index, arena)?;
    Ok(Slice::tail(arena, start))
}

/// The code of the warning about a field of [`FRAMING_FIELDS`].
pub(in crate::node) const FRAMING_HEADER: &str = "FERROWS_FRAMING_HEADER";
/// Fields that the application may write and that are sent only where they are true.
pub(in crate::node) const FRAMING_FIELDS: FieldFlags =
    FieldFlags::CONTENT_LENGTH.and(FieldFlags::TRANSFER_ENCODING);
/// Capacity of a request's buffers that is kept for the next one, in bytes.
const KEPT_CAPACITY: usize = 4096;
/// Exchanges kept for reuse: those of one batch, mostly. One keeps about a kilobyte of buffers.
const MAX_SPARES: usize = 64;

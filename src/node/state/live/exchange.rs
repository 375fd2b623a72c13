//! One request and its response, from the moment the request arrived until the response is complete or aborted.

use std::borrow::Cow;
use std::ops::Range;

use super::output::Output;
use super::request_body::RequestBody;
use crate::bridge::command::{Command, HeadBytes, LENT_FROM, LentCommand, ResponseId};
use crate::bridge::event::Slice;
use crate::bridge::id::AppId;
use crate::bridge::moment::Moment;
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::node::js::Payload;
use crate::node::state::pending::Pending;
use crate::node::state::routes::cache::Recording;
use crate::node::state::routes::router::Params;
use crate::node::state::workers::Workers;
use crate::protocol::http::head::{BodyLength, HeaderField, Span, Version};
use crate::protocol::http::response_framing::{Framing, overridden};
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::websocket::extensions::has_broken_compression;
use crate::protocol::websocket::{Agreement, Compression};

/// A request and its response. Reused, so that a request costs no allocation.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Where the response goes.
    pub to: ResponseId,
    /// The app that the request is for.
    pub app: AppId,
    /// When it arrived.
    pub arrived: Moment,
    /// Bytes of the request's body that have arrived.
    pub received: u64,
    /// The addresses of the peer.
    pub peer: Peer,
    /// Server name and certificate of the TLS handshake.
    pub tls_peer: Option<Arc<TlsPeerInfo>>,
    /// The number of the takeover by which the request came; 0 if its connection was accepted by a worker.
    pub(crate) ticket: u32,
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
    /// The state of the route handler.
    pub handler: HandlerState,
    /// What has been sent.
    pub stage: Stage,
    /// The application has closed it, and its abort handler has not run yet.
    pub is_closing: bool,
    /// An abort handler is attached.
    pub abort_attached: bool,
    /// The HTTP version of the request.
    pub version: Version,
    /// The length that the framing of the request announces for its body.
    pub body_length: BodyLength,
    /// The request body.
    pub body: RequestBody,
    /// The recording of the response, if its route is cached.
    pub recording: Option<Recording>,
    /// Status code, and perhaps a space and a reason phrase; empty means `200 OK`.
    pub status: Vec<u8>,
    /// Complete `Name: value\r\n` lines of the head.
    pub fields: Vec<u8>,
    /// Which fields that matter to framing are among them.
    pub flags: FieldFlags,
    /// The body of the response.
    pub output: Output,
    /// Complete `Name: value\r\n` lines that follow the body.
    pub trailers: Vec<u8>,
}

/// The state of the route handler of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandlerState {
    /// It has not returned yet, or its microtasks have not run: the request may be read, even if the response has
    /// ended.
    Running,
    /// As `Running`, and the handler called `setYield(true)`.
    Yielding,
    /// It was not called, or has returned.
    Returned,
}

/// What has been sent of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing.
    Waiting,
    /// The head, and perhaps some of the body.
    Started,
    /// Nothing more will be sent: it is complete, aborted, closed or upgraded.
    Over,
}

/// Its request.
impl Exchange {
    /// An empty exchange, which the dispatcher fills.
    #[must_use]
    pub(crate) fn empty(to: ResponseId, app: AppId) -> Self {
        Self {
            to,
            app,
            arrived: Moment::default(),
            received: 0,
            peer: Peer::default(),
            tls_peer: None,
            ticket: 0,
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
            trailers: Vec::new(),
        }
    }

    /// Forgets the last request but keeps the buffers, unless one of them grew large.
    pub(crate) fn reset(&mut self, to: ResponseId, app: AppId) {
        let mut fresh = Self::empty(to, app);
        for (new, old) in [
            (&mut fresh.head, &mut self.head),
            (&mut fresh.status, &mut self.status),
            (&mut fresh.fields, &mut self.fields),
            (&mut fresh.trailers, &mut self.trailers),
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
    pub(crate) fn request_field(&self, name: &[u8]) -> Option<&[u8]> {
        let field = self.request_fields.iter().find(|field| field.name.of(&self.head) == name)?;
        Some(field.value.of(&self.head))
    }

    /// Negotiates compression with the client. A malformed list of extensions offers nothing: it is the application's,
    /// since that of the client was checked.
    #[must_use]
    pub(crate) fn agree(&self, compression: Compression, extensions: &[u8]) -> Option<Agreement> {
        let user_agent = self.request_field(b"user-agent").unwrap_or_default();
        if has_broken_compression(user_agent) {
            return None;
        }
        compression.negotiate(extensions).unwrap_or_default()
    }

    /// The values of a header field that may be repeated, as one list (RFC 9110 §5.2).
    #[must_use]
    pub(crate) fn joined_request_field(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let fields = self.request_fields.iter().filter(|field| field.name.of(&self.head) == name);
        fields
            .map(|field| Cow::Borrowed(field.value.of(&self.head)))
            .reduce(|list, value| Cow::Owned([&list[..], b", ", &value].concat()))
    }
}

/// The head of its response.
impl Exchange {
    /// Serialises the head for the worker, which adds the fields of `framing` itself.
    pub(crate) fn lay_out_head(
        &self,
        framing: Framing,
        workers: &mut Workers,
        pending: &mut Pending,
    ) -> HeadBytes {
        let head = ResponseHead { status: &self.status, fields: &self.fields, flags: self.flags };
        self.warn_of_framing(&head, framing, workers, pending);
        let worker = self.to.connection.worker;
        let status = workers.copy(worker, &self.status);
        let fields = workers.copy(worker, &self.fields);
        HeadBytes { status, fields, flags: self.flags }
    }

    /// Warns of a framing field of the response (`Content-Length`, `Transfer-Encoding`) that contradicts the actual
    /// framing and is therefore left out. The status may be empty, as in [`HeadBytes`].
    pub(crate) fn warn_of_framing(
        &self,
        head: &ResponseHead<'_>,
        framing: Framing,
        workers: &Workers,
        pending: &mut Pending,
    ) {
        if !head.flags.has(FRAMING_FIELDS) {
            return;
        }
        let method = self.method.of(&self.head);
        let status = if head.status.is_empty() { &b"200"[..] } else { head.status };
        let head = ResponseHead { status, ..*head };
        let Some((name, value)) = overridden(&head, method, framing) else { return };
        pending.warn_once("FERROWS_FRAMING_HEADER", name, workers, || {
            let value: String = String::from_utf8_lossy(value).chars().take(40).collect();
            let (method, path) =
                (String::from_utf8_lossy(method), String::from_utf8_lossy(self.path.of(&self.head)));
            format!(
                "The header {name}: {value} of the response to {method} {path} is left out: how a body is framed follows \
                 from the calls that make it"
            )
        });
    }

    /// Sends the head, unless it was sent.
    pub(crate) fn start(&mut self, framing: Framing, workers: &mut Workers, pending: &mut Pending) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Started;
            let (to, head) = (self.to, self.lay_out_head(framing, workers, pending));
            workers.push(to.connection.worker, Command::StartResponse { to, head, framing });
        }
    }
}

/// The body of its response.
impl Exchange {
    /// Sends the head of a response whose body follows in pieces, unless it was sent.
    pub(crate) fn start_body(&mut self, framing: Framing, workers: &mut Workers, pending: &mut Pending) {
        self.start(framing, workers, pending);
        self.output.meter(self.to, workers);
    }

    /// Accepts a piece. `handler_serial` identifies the running handler (`Dispatcher::handler_serial`).
    pub(crate) fn write_piece(&mut self, data: Slice, handler_serial: u64, workers: &mut Workers) {
        self.record(data, workers);
        self.output.accept_piece(self.to, data, handler_serial, workers);
    }

    /// Accepts as much of a chunk as there is room for. Returns how many bytes that are.
    pub(crate) fn write_as_far_as_there_is_room(
        &mut self,
        chunk: &Payload<'_>,
        handler_serial: u64,
        workers: &mut Workers,
    ) -> u64 {
        let mut taken = 0;
        while taken < chunk.length() {
            let room = self.output.find_room(self.to, handler_serial, workers);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            if room == 0 {
                break;
            }
            let part = taken..chunk.length().min(taken.saturating_add(room));
            taken = part.end;
            if !self.lend_piece(chunk, &part, handler_serial, workers) {
                let data = self.copy_piece(chunk, &part, workers);
                self.write_piece(data, handler_serial, workers);
            }
        }
        taken as u64
    }

    /// Whether long data may be written from where it lies, rather than copied: Node's loop has to lead, and nothing to be
    /// recorded.
    #[must_use]
    pub(crate) fn may_lend(&self, length: usize, workers: &Workers) -> bool {
        length >= LENT_FROM && self.recording.is_none() && workers.is_led_by_node(self.to.connection.worker)
    }

    /// Accepts a long part of a chunk, and has it written from where it lies. Returns whether that was possible.
    fn lend_piece(
        &mut self,
        chunk: &Payload<'_>,
        part: &Range<usize>,
        handler_serial: u64,
        workers: &mut Workers,
    ) -> bool {
        let to = self.to;
        let is_written = self.may_lend(part.len(), workers)
            && chunk
                .lend(part, |data| workers.lend(to.connection.worker, LentCommand::WriteBody { to, data }))
                == Some(true);
        if is_written {
            self.output.accept_written(part.len() as u64, handler_serial, workers);
        }
        is_written
    }

    /// Copies a part of a chunk for the next command.
    pub(crate) fn copy_piece(
        &self,
        chunk: &Payload<'_>,
        part: &Range<usize>,
        workers: &mut Workers,
    ) -> Slice {
        workers.flush_if_long();
        let arena = workers.arena(self.to.connection.worker);
        let start = arena.len();
        chunk.append(part, arena);
        Slice::tail(arena, start)
    }

    /// Appends a piece that is sent to the recording, if the response may be cached.
    pub(crate) fn record(&mut self, data: Slice, workers: &mut Workers) {
        if let Some(recording) = &mut self.recording {
            recording.append(data.of(workers.arena(self.to.connection.worker)));
        }
    }
}

/// Its end.
impl Exchange {
    /// Whether fields are to follow the body, and the client's version of HTTP has a place for them.
    #[must_use]
    pub(crate) fn has_trailers(&self) -> bool {
        !self.trailers.is_empty() && self.version != Version::Http10
    }

    /// Tells the worker that the response is complete, once its head and body are sent.
    pub(crate) fn finish(&self, close: bool, workers: &mut Workers) {
        let worker = self.to.connection.worker;
        let trailers = workers.copy(worker, &self.trailers);
        workers.push(worker, Command::FinishResponse { to: self.to, trailers, close });
    }

    /// Closes the response for the application and has the worker drop the connection. Returns `false` if it was closed
    /// before.
    pub(crate) fn close(&mut self, workers: &mut Workers) -> bool {
        if std::mem::replace(&mut self.is_closing, true) {
            return false;
        }
        self.stage = Stage::Over;
        workers.push(self.to.connection.worker, Command::AbortResponse { to: self.to });
        true
    }
}

/// Fields that the application may write and that are sent only where they are true.
const FRAMING_FIELDS: FieldFlags = FieldFlags::CONTENT_LENGTH.and(FieldFlags::TRANSFER_ENCODING);
/// Capacity of a request's buffers that is kept for the next one, in bytes.
const KEPT_CAPACITY: usize = 4096;

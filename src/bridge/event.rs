//! The events that a worker reports to Node's thread. Events are named in the past tense; their payloads lie in one
//! arena per batch, so an event costs no allocation.

use std::ops::Range;

use super::capacity_hint::CapacityHint;
use super::connect::ConnectOutcome;
use super::id::{AppId, ClientId, ConnectionId, RequestNumber};
use super::moment::Moment;
use super::peer::Peer;
use super::sync::Arc;
use super::tls_peer::TlsPeerInfo;
use crate::protocol::cause::CloseCause;
use crate::protocol::http::head::{BodyLength, HeaderField, RequestHead, Span, Version};
use crate::protocol::websocket::MessageKind;

/// A piece of a batch's arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Slice {
    /// The bytes it names in `arena`.
    #[must_use]
    pub(crate) fn of(self, arena: &[u8]) -> &[u8] {
        &arena[self.range()]
    }

    /// Where they lie.
    #[must_use]
    pub(crate) const fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    /// Appends `bytes` to `arena` and names them. A batch is handed over long before 4 GiB: the worker stops
    /// reading at [`super::queue::HIGH_WATER`], and one message is at most `maxPayloadLength`, below 2^32.
    #[must_use]
    pub(crate) fn append(arena: &mut Vec<u8>, bytes: &[u8]) -> Self {
        let start = arena.len();
        arena.extend_from_slice(bytes);
        Self::tail(arena, start)
    }

    /// Names everything in `arena` from `start` on.
    #[must_use]
    pub(crate) fn tail(arena: &[u8], start: usize) -> Self {
        Self { start: narrow(start), len: narrow(arena.len() - start) }
    }
}

/// A payload: in the arena of a batch or, uncopied, where it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Its place in one of the two.
    slice: Slice,
    /// Whether that is [`EventBatch::buffer`].
    is_in_buffer: bool,
}

impl Payload {
    /// Number of bytes.
    #[must_use]
    pub(crate) const fn len(self) -> u32 {
        self.slice.len
    }

    /// The bytes.
    #[must_use]
    pub(crate) fn of(self, batch: &EventBatch) -> &[u8] {
        self.slice.of(if self.is_in_buffer { &batch.buffer } else { &batch.bytes })
    }

    /// Extends it by the bytes of `next`, if they follow it and both together are no longer than `longest`. Returns whether
    /// that is so.
    #[must_use]
    pub(crate) fn extend(&mut self, next: Self, longest: u32) -> bool {
        let Self { slice, is_in_buffer } = self;
        let follows = *is_in_buffer == next.is_in_buffer
            && slice.start + slice.len == next.slice.start
            && slice.len + next.slice.len <= longest;
        if follows {
            slice.len += next.slice.len;
        }
        follows
    }
}

/// A length inside an arena. Arenas stay below 4 GiB (see [`Slice::append`]).
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The number of an [`Event::BodyOffered`] of a worker. The offer holds until anything else is read from its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyOffer(u32);

impl BodyOffer {
    /// The offer that follows this one; none of the last 2^32 - 1 has the same number.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One fact about one connection, or about all of an app. In order per connection; nothing follows a connection's last
/// event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A connection of an app with a connection filter was accepted; if a PROXY header may come first, once it has been
    /// read or is known to be absent. First event of the connection.
    ConnectionOpened {
        /// Which connection.
        connection: ConnectionId,
        /// Position of its [`OpeningRecord`] in the batch.
        record: u32,
    },
    /// A connection for which `ConnectionOpened` was sent is closed. Its last event.
    ConnectionClosed {
        /// Which connection.
        connection: ConnectionId,
    },
    /// A TLS handshake asks for a server name that the app does not know, and is suspended: this connection has no
    /// events until [`super::command::Command::ResumeHandshake`].
    ServerNameRequested {
        /// Which connection.
        connection: ConnectionId,
        /// The app that listens where the connection came in.
        app: AppId,
        /// The name, as the client spells it.
        name: Slice,
    },
    /// A complete, valid request head arrived. Its body events follow, at least one.
    RequestReceived {
        /// Where it came in.
        connection: ConnectionId,
        /// Ordinal of the request on its connection.
        request: RequestNumber,
        /// Position of its [`RequestRecord`] in the batch.
        record: u32,
    },
    /// A piece of a request body arrived.
    BodyReceived {
        /// Where it came in.
        connection: ConnectionId,
        /// Whose body it is.
        request: RequestNumber,
        /// The bytes; may be empty when `last`.
        data: Payload,
        /// Whether the body is complete.
        last: bool,
    },
    /// Bytes of a request body of known length lie in the socket, and Node's thread may read them into memory of its own,
    /// by [`super::command::LentCommand::ReadBody`]. If it does not, the worker reads them in its next pass. Only where
    /// Node's loop leads.
    BodyOffered {
        /// Where it came in.
        connection: ConnectionId,
        /// Whose body it is.
        request: RequestNumber,
        /// The offer.
        offer: BodyOffer,
        /// How many bytes, not 0. They do not go beyond the end of the body.
        len: u32,
    },
    /// Most of the queued output of a response is written. Answers `NotifyWritable`.
    ResponseWritable {
        /// Which connection.
        connection: ConnectionId,
        /// Whose response.
        request: RequestNumber,
    },
    /// The connection ended before the response was complete. Last event of an HTTP connection.
    ResponseAborted {
        /// Which connection.
        connection: ConnectionId,
        /// The request whose response is incomplete.
        request: RequestNumber,
        /// Why.
        cause: CloseCause,
        /// That in words, UTF-8; empty for the text of the cause.
        reason: Slice,
    },
    /// Something happened to a WebSocket.
    WebSocket {
        /// Which connection.
        connection: ConnectionId,
        /// What happened.
        event: WebSocketEvent,
    },
    /// A connect has ended.
    ConnectEnded {
        /// Which one.
        client: ClientId,
        /// Position of its [`ConnectOutcome`] in the batch.
        record: u32,
    },
    /// A connection with this request was taken over, and the request refused: it breaks a rule or a limit, or its app
    /// has ended.
    TakeoverRefused {
        /// The number of the takeover.
        ticket: u32,
    },
    /// None of the connections that an app had on this worker at the time of `AwaitEnd` is left.
    AppEnded {
        /// Its number.
        app: u32,
    },
    /// The last connection of an app on this worker has closed, after `ShutDownApp`.
    AppShutDown {
        /// The app and the epoch that has ended.
        app: AppId,
        /// How many of its connections had to be dropped before they were finished.
        forced: u32,
    },
}

/// What happened to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebSocketEvent {
    /// A whole message arrived.
    MessageReceived {
        /// Text (checked UTF-8) or binary.
        kind: MessageKind,
        /// The message.
        payload: Payload,
    },
    /// A Ping arrived, and its Pong is already queued.
    PingReceived {
        /// At most 125 bytes.
        payload: Slice,
    },
    /// A Pong arrived.
    PongReceived {
        /// At most 125 bytes.
        payload: Slice,
    },
    /// A published message was not sent to this subscriber, because its backlog exceeds `maxBackpressure`. Sent only
    /// where there is a `dropped` handler, and only while Node's thread keeps up.
    MessageDropped {
        /// Text or binary.
        kind: MessageKind,
        /// The message. Shared by all subscribers for which it was dropped.
        payload: Slice,
        /// How many more messages this subscriber has missed since the last such event.
        unreported: u32,
    },
    /// Everything queued for the socket is written. Answers `NotifyDrain`.
    Drained,
    /// What was queued at the time of `AwaitWritten` is written.
    Written {
        /// How many of them this answers, in their order.
        count: u32,
    },
    /// The peer's Close frame arrived, or the connection ended without one. Last event of a WebSocket.
    Closed {
        /// The code for the close handler.
        code: u16,
        /// Why.
        cause: CloseCause,
        /// UTF-8; empty only where the application wants the peer's reason unchanged.
        reason: Slice,
    },
}

/// The app and the peer of an opened connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpeningRecord {
    /// The app that listens where the connection came in.
    pub app: AppId,
    /// The other end.
    pub peer: Peer,
}

/// The parts of a request head: `head` holds its bytes, the spans point into them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestRecord {
    /// The app that listens where the connection came in.
    pub app: AppId,
    /// The request line and header fields as received, names in lower case.
    pub head: Slice,
    /// First of its header fields in [`EventBatch::fields`].
    pub first_field: u32,
    /// Number of its header fields.
    pub field_count: u32,
    /// Method as received.
    pub method: Span,
    /// Path, raw.
    pub path: Span,
    /// Text after `?`, raw.
    pub query: Option<Span>,
    /// The HTTP version.
    pub version: Version,
    /// How long the body is.
    pub body: BodyLength,
    /// The other end of the connection.
    pub peer: Peer,
    /// Position of its client's entry in [`EventBatch::tls_peers`], if there is one.
    pub tls_peer: Option<u32>,
    /// The number of the takeover by which it came ([`super::takeover::Takeover`]); 0 if it came in by itself.
    pub(crate) ticket: u32,
}

/// The events of one pass of a worker, and their payloads.
#[derive(Debug, Default)]
pub(crate) struct EventBatch {
    /// When the pass started.
    pub moment: Moment,
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// The arena of all payloads and heads.
    pub bytes: Vec<u8>,
    /// One record for each [`Event::ConnectionOpened`].
    pub openings: Vec<OpeningRecord>,
    /// One for each [`Event::ConnectEnded`], until Node's thread has taken it.
    pub connects: Vec<Option<ConnectOutcome>>,
    /// One record for each [`Event::RequestReceived`].
    pub requests: Vec<RequestRecord>,
    /// TLS details of the clients of the requests; only where there are any.
    pub tls_peers: Vec<Arc<TlsPeerInfo>>,
    /// The header fields of all requests, in wire order.
    pub fields: Vec<HeaderField>,
    capacity_hint: CapacityHint,
    /// What sockets were read into, if payloads are left in it. An empty batch may have such a buffer for the next use.
    buffer: Vec<u8>,
    /// Up to where payloads lie in the buffer: in the one of the worker, until [`Self::take_buffer`].
    kept: usize,
    /// Where the buffer of the worker lies in memory while payloads may be left in it; only to be compared.
    reading: Range<usize>,
}

impl EventBatch {
    /// Whether there is nothing to hand over.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What the batch counts against [`super::queue::HIGH_WATER`]: its bytes, and its events at their own size.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len()
            + self.kept
            + self.events.len() * size_of::<Event>()
            + self.fields.len() * size_of::<HeaderField>()
            + self.requests.len() * size_of::<RequestRecord>()
            + self.openings.len() * size_of::<OpeningRecord>()
            + self.connects.len() * CONNECT_WEIGHT
    }

    /// From now on, long payloads are left where they are in `buffer`, which sockets are read into behind the first
    /// [`Self::kept`] bytes; without one they are copied.
    pub(crate) fn read_into(&mut self, buffer: Option<&[u8]>) {
        self.reading = buffer.map_or(0..0, |buffer| {
            let start = buffer.as_ptr().addr();
            start..start + buffer.len()
        });
    }

    /// Up to where payloads lie in the buffer that is being read into.
    #[must_use]
    pub(crate) const fn kept(&self) -> usize {
        self.kept
    }

    /// Takes over the buffer in which payloads were left, if any were, and gives the one of an earlier use for it, which
    /// may be empty.
    pub(crate) fn take_buffer(&mut self, buffer: &mut Vec<u8>) {
        if self.kept > 0 {
            std::mem::swap(&mut self.buffer, buffer);
        }
    }

    /// The opposite, for an empty batch: gives its buffer, if it has one of an earlier use and `buffer` is empty.
    pub(crate) fn give_buffer(&mut self, buffer: &mut Vec<u8>) {
        if buffer.is_empty() {
            *buffer = std::mem::take(&mut self.buffer);
        }
    }

    /// Frees the buffer of an empty batch.
    pub(crate) fn release_buffer(&mut self) {
        self.buffer = Vec::new();
    }

    /// Keeps a payload until the batch is cleared: a long one where it is, if it is in the buffer of the worker, and any
    /// other one in the arena.
    pub(crate) fn keep(&mut self, payload: &[u8]) -> Payload {
        let start = payload.as_ptr().addr();
        let end = start + payload.len();
        if payload.len() >= LEFT_FROM && self.reading.start <= start && end <= self.reading.end {
            let (start, end) = (start - self.reading.start, end - self.reading.start);
            self.kept = self.kept.max(end);
            let slice = Slice { start: narrow(start), len: narrow(payload.len()) };
            return Payload { slice, is_in_buffer: true };
        }
        Payload { slice: Slice::append(&mut self.bytes, payload), is_in_buffer: false }
    }

    /// Adds a piece of a request body: to the last event, if that has the preceding piece of the same body. Otherwise chunks
    /// of one byte would cost a call into JavaScript for every six bytes on the wire. That a request without a body is complete
    /// is told by the request itself.
    pub(crate) fn push_body(
        &mut self,
        connection: ConnectionId,
        request: RequestNumber,
        chunk: &[u8],
        is_last: bool,
    ) {
        if is_last && chunk.is_empty() && self.ends_with_bodiless(connection, request) {
            return;
        }
        let piece = self.keep(chunk);
        if let Some(Event::BodyReceived { connection: its_connection, request: its_request, data, last }) =
            self.events.last_mut()
            && *its_connection == connection
            && *its_request == request
            && data.extend(piece, MAX_JOINED)
        {
            *last = is_last;
        } else {
            self.events.push(Event::BodyReceived { connection, request, data: piece, last: is_last });
        }
    }

    /// Whether the last event is a request of which it says that it has no body.
    fn ends_with_bodiless(&self, connection: ConnectionId, request: RequestNumber) -> bool {
        let Some(Event::RequestReceived { connection: its_connection, request: its_request, record }) =
            self.events.last()
        else {
            return false;
        };
        *its_connection == connection
            && *its_request == request
            && self.requests[*record as usize].body == BodyLength::None
    }

    /// Adds the start of a connection.
    pub(crate) fn push_opening(&mut self, connection: ConnectionId, app: AppId, peer: Peer) {
        self.events.push(Event::ConnectionOpened { connection, record: narrow(self.openings.len()) });
        self.openings.push(OpeningRecord { app, peer });
    }

    /// Adds the end of a connect.
    pub(crate) fn push_connect(&mut self, client: ClientId, outcome: ConnectOutcome) {
        self.events.push(Event::ConnectEnded { client, record: narrow(self.connects.len()) });
        self.connects.push(Some(outcome));
    }

    /// Adds a request and its head.
    pub(crate) fn push_request(
        &mut self,
        connection: ConnectionId,
        request: RequestNumber,
        app: AppId,
        peer: Peer,
        head: &RequestHead,
        bytes: &[u8],
    ) {
        let record = RequestRecord {
            app,
            head: Slice::append(&mut self.bytes, bytes),
            first_field: narrow(self.fields.len()),
            field_count: narrow(head.fields.len()),
            method: head.method,
            path: head.path,
            query: head.query,
            version: head.version,
            body: head.body,
            peer,
            tls_peer: None,
            ticket: 0,
        };
        let fields = self.fields.len();
        self.fields.extend_from_slice(&head.fields);
        if let Some(authority) = head.authority {
            // RFC 9112 §3.2.2: the host of an absolute-form replaces the value of the Host field.
            let host = self.fields[fields..].iter_mut().find(|field| field.name.of(bytes) == b"host");
            host.into_iter().for_each(|host| host.value = authority);
        }
        self.events.push(Event::RequestReceived { connection, request, record: narrow(self.requests.len()) });
        self.requests.push(record);
    }

    /// Attaches TLS details of the client to the request that was added last.
    pub(crate) fn note_tls_peer(&mut self, tls_peer: &Arc<TlsPeerInfo>) {
        if let Some(request) = self.requests.last_mut() {
            request.tls_peer = Some(narrow(self.tls_peers.len()));
            self.tls_peers.push(Arc::clone(tls_peer));
        }
    }

    /// Records that the request which was added last was read elsewhere.
    pub(crate) fn note_takeover(&mut self, ticket: u32) {
        if let Some(request) = self.requests.last_mut() {
            request.ticket = ticket;
        }
    }

    /// Empties the batch for reuse.
    pub(crate) fn clear(&mut self) {
        self.tls_peers.clear();
        self.events.clear();
        self.requests.clear();
        self.openings.clear();
        self.connects.clear();
        self.fields.clear();
        self.kept = 0;
        self.capacity_hint.clear(&mut self.bytes);
    }
}

/// Payload length, in bytes, from which on it costs less to read further sockets into the rest of a buffer than to copy.
const LEFT_FROM: usize = 4096;

/// Bytes of one event with a piece of a request body: about what one read yields.
const MAX_JOINED: u32 = 128 * 1024;

/// Weight of a [`ConnectOutcome`], in bytes: a response head and its allocations.
const CONNECT_WEIGHT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_payloads_stay_in_the_buffer_that_was_read_into_and_cross_with_it() {
        let mut batch = EventBatch::default();
        let mut buffer: Vec<u8> = (0..3 * LEFT_FROM).map(|it| (it % 251) as u8).collect();
        let all = buffer.clone();
        batch.read_into(Some(&buffer));
        let long = batch.keep(&buffer[5..5 + LEFT_FROM]);
        let mut next = batch.keep(&buffer[5 + LEFT_FROM..5 + 2 * LEFT_FROM]);
        let short = batch.keep(&buffer[1..LEFT_FROM]);
        let elsewhere = batch.keep(&all[..2 * LEFT_FROM]);
        assert_eq!(batch.kept(), 5 + 2 * LEFT_FROM);
        let mut joined = long;
        assert!(!joined.extend(next, 2 * LEFT_FROM as u32 - 1), "too long");
        assert!(joined.extend(next, 2 * LEFT_FROM as u32));
        assert!(!next.extend(long, u32::MAX), "in the wrong order");
        assert!(!next.extend(short, u32::MAX), "elsewhere");
        batch.take_buffer(&mut buffer);
        assert!(buffer.is_empty(), "the worker needs another one");
        assert_eq!(joined.of(&batch), &all[5..5 + 2 * LEFT_FROM]);
        assert_eq!(next.of(&batch), &all[5 + LEFT_FROM..5 + 2 * LEFT_FROM]);
        assert_eq!(short.of(&batch), &all[1..LEFT_FROM]);
        assert_eq!(elsewhere.of(&batch), &all[..2 * LEFT_FROM]);
        assert!(batch.weight() >= 5 + 2 * LEFT_FROM + 3 * LEFT_FROM - 1);

        batch.clear();
        batch.give_buffer(&mut buffer);
        assert_eq!(buffer, all, "for the next use");
        batch.read_into(None);
        let copied = batch.keep(&all[..LEFT_FROM]);
        assert_eq!((batch.kept(), copied.of(&batch)), (0, &all[..LEFT_FROM]));
        batch.take_buffer(&mut buffer);
        assert_eq!(buffer, all, "no payload was left in it");
    }

    #[test]
    fn an_event_is_small() {
        // 64×20 pipelined messages in one pass must fit the second-level cache with room to spare.
        assert!(size_of::<Event>() <= 32, "{}", size_of::<Event>());
    }
}

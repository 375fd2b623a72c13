//! The connection of QUIC under HTTP/3: what has to be read, written and sent next. It knows nothing of HTTP.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{
    Connection, ConnectionError, ConnectionEvent, ConnectionHandle, Dir, EndpointEvent, ReadError,
    ReadableError, StreamEvent, VarInt, WriteError,
};

use crate::bridge::id::{ConnectionId, ListenerId};
use crate::io::connection::shell::Shell;
use crate::io::context::Context;
use crate::io::quic::congestion;
use crate::protocol::http::limits::Moment;
use crate::protocol::http3::error_code::ErrorCode;
use crate::protocol::http3::session::{Http3Session, OwnStream};
use crate::protocol::http3::stream_id::StreamId;
use crate::tls::quic::{Greeting, certificate_of, greeting_of};

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Quic {
    connection: Box<Connection>,
    handle: ConnectionHandle,
    listener: ListenerId,
    /// Streams of the client that may have something to read.
    readable: VecDeque<StreamId>,
    /// Streams that this side wants to open, and the client does not allow yet.
    unopened: Vec<OwnStream>,
    /// Streams whose end was written and not acknowledged.
    unacknowledged: HashMap<StreamId, ()>,
    /// Bytes that were written to streams, and not sent; about.
    ahead: usize,
    /// The deadline that was entered last.
    armed: Option<Instant>,
    /// The endpoint does not know it any more.
    has_left: bool,
}

/// What QUIC tells.
#[derive(Debug)]
pub(super) enum Event {
    /// The handshake is complete.
    Connected,
    /// The connection has ended.
    Lost(ConnectionError),
    /// The client does not want this side's half of a stream.
    Stopped(StreamId, ErrorCode),
    /// A stream takes bytes again.
    Writable(StreamId),
    /// The client allows more streams of this side.
    MayOpen,
}

/// What was read of a stream.
#[derive(Debug)]
pub(super) struct Read {
    /// Number of bytes.
    pub length: usize,
    /// How the stream ends behind them, if it does.
    pub end: Option<Told>,
    /// Whether there may be more.
    pub is_more: bool,
}

/// How the client's half of a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is complete.
    Fin,
    /// It was abandoned.
    Reset(ErrorCode),
}

impl Quic {
    /// A connection of which the first packet has arrived.
    pub(super) fn new(connection: Connection, handle: ConnectionHandle, listener: ListenerId) -> Self {
        Self {
            connection: Box::new(connection),
            handle,
            listener,
            readable: VecDeque::new(),
            unopened: Vec::new(),
            unacknowledged: HashMap::new(),
            ahead: 0,
            armed: None,
            has_left: false,
        }
    }

    /// Passes on what the endpoint has for it.
    pub(super) fn handle_event(&mut self, event: ConnectionEvent) {
        self.connection.handle_event(event);
    }

    /// A deadline may have come.
    pub(super) fn handle_deadline(&mut self, context: &Context) {
        let Some(ports) = &context.quic else { return };
        if self.armed.is_some_and(|armed| armed <= ports.now()) {
            self.armed = None;
        }
        if self.connection.poll_timeout().is_some_and(|deadline| deadline <= ports.now()) {
            self.connection.handle_timeout(ports.now());
        }
    }

    /// Enters the next deadline.
    pub(super) fn arm(&mut self, id: ConnectionId, context: &mut Context) {
        let (Some(ports), Some(deadline)) = (&mut context.quic, self.connection.poll_timeout()) else {
            return;
        };
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.armed = Some(deadline);
            ports.arm(id, deadline);
        }
    }

    /// The address of the client.
    pub(super) fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// What the client has said in the handshake, and its certificate in DER.
    pub(super) fn tls(&self) -> (Greeting, Option<Box<[u8]>>) {
        let session = self.connection.crypto_session();
        (greeting_of(session).unwrap_or_default(), certificate_of(session))
    }

    /// The server name that the handshake waits for.
    pub(super) fn unknown_server_name(&self) -> Option<Box<str>> {
        let greeting = greeting_of(self.connection.crypto_session())?;
        greeting.suspended.is_some().then_some(greeting.name).flatten()
    }

    /// Lets a handshake that waits go on.
    pub(super) fn resume_handshake(&self) {
        if let Some(suspended) = greeting_of(self.connection.crypto_session()).and_then(|it| it.suspended) {
            suspended.store(true, Ordering::Release);
        }
    }

    /// How long it takes at most until what the client has sent before it gets a message has arrived.
    pub(super) fn longest_round_trip(&self) -> Duration {
        (self.connection.rtt() * 3).clamp(SHORTEST_ROUND_TRIP, LONGEST_ROUND_TRIP)
    }

    /// What it tells next.
    pub(super) fn poll(&mut self) -> Option<Event> {
        loop {
            match self.connection.poll()? {
                quinn_proto::Event::Connected => return Some(Event::Connected),
                quinn_proto::Event::ConnectionLost { reason } => return Some(Event::Lost(reason)),
                quinn_proto::Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.note_readable(of_quic(id));
                    }
                }
                quinn_proto::Event::Stream(StreamEvent::Readable { id }) => self.note_readable(of_quic(id)),
                quinn_proto::Event::Stream(StreamEvent::Writable { id }) => {
                    return Some(Event::Writable(of_quic(id)));
                }
                quinn_proto::Event::Stream(StreamEvent::Finished { id }) => {
                    self.unacknowledged.remove(&of_quic(id));
                }
                quinn_proto::Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.unacknowledged.remove(&of_quic(id));
                    self.ahead = 0;
                    return Some(Event::Stopped(of_quic(id), ErrorCode(error_code.into_inner())));
                }
                quinn_proto::Event::Stream(StreamEvent::Available { dir: Dir::Uni }) => {
                    return Some(Event::MayOpen);
                }
                quinn_proto::Event::Stream(StreamEvent::Available { dir: Dir::Bi })
                | quinn_proto::Event::HandshakeDataReady
                | quinn_proto::Event::DatagramReceived
                | quinn_proto::Event::DatagramsUnblocked => {}
            }
        }
    }

    /// A stream of the client may have something to read.
    pub(super) fn note_readable(&mut self, stream: StreamId) {
        if !self.readable.contains(&stream) {
            self.readable.push_back(stream);
        }
    }

    /// Whether a stream may have something to read.
    pub(super) fn has_readable(&self) -> bool {
        !self.readable.is_empty()
    }

    /// The stream that is to be read next.
    pub(super) fn take_readable(&mut self) -> Option<StreamId> {
        self.readable.pop_front()
    }

    /// Reads at most `most` bytes of a stream into `chunks`. The client gets room for as many more.
    pub(super) fn read(&mut self, stream: StreamId, most: usize, chunks: &mut Vec<Bytes>) -> Read {
        let mut read = Read { length: 0, end: None, is_more: false };
        let mut receiving = self.connection.recv_stream(to_quic(stream));
        let mut source = match receiving.read(true) {
            Ok(source) => source,
            // It was stopped, or has ended.
            Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => return read,
        };
        loop {
            if read.length >= most {
                read.is_more = true;
                break;
            }
            match source.next(most - read.length) {
                Ok(Some(chunk)) => {
                    read.length += chunk.bytes.len();
                    chunks.push(chunk.bytes);
                }
                Ok(None) => {
                    read.end = Some(Told::Fin);
                    break;
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset(code)) => {
                    read.end = Some(Told::Reset(ErrorCode(code.into_inner())));
                    break;
                }
            }
        }
        // What follows is sent with the rest at the end of the pass.
        let _ = source.finalize();
        read
    }

    /// Opens a stream of this side, as soon as the client allows it.
    pub(super) fn open(&mut self, kind: OwnStream, session: &mut Http3Session) {
        match self.connection.streams().open(Dir::Uni) {
            Some(stream) => session.handle_opened(kind, of_quic(stream)),
            None => self.unopened.push(kind),
        }
    }

    /// The client allows more streams of this side.
    pub(super) fn open_waiting(&mut self, session: &mut Http3Session) {
        for kind in std::mem::take(&mut self.unopened) {
            self.open(kind, session);
        }
    }

    /// Abandons this side's half of a stream.
    pub(super) fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        self.unacknowledged.remove(&stream);
        self.ahead = 0;
        // Fails if the stream has ended, which is as well.
        let _ = self.connection.send_stream(to_quic(stream)).reset(number(code.0));
    }

    /// Asks the client to abandon its half of a stream.
    pub(super) fn stop_sending(&mut self, stream: StreamId, code: ErrorCode) {
        // Fails if the stream has ended, which is as well.
        let _ = self.connection.recv_stream(to_quic(stream)).stop(number(code.0));
    }

    /// Sends what is written to a stream before what is written to less urgent ones.
    pub(super) fn prioritize(&mut self, stream: StreamId, urgency: u8) {
        // Fails if the stream has ended, which is as well.
        let _ = self.connection.send_stream(to_quic(stream)).set_priority(-i32::from(urgency));
    }

    /// Writes what the session has to its streams, not much more than can be sent.
    pub(super) fn fill(&mut self, session: &mut Http3Session, moment: Moment<'_>) {
        while self.ahead < MOST_AHEAD {
            let Some(output) = session.next_output() else { return };
            let length = output.bytes.len();
            let written = self.write(output.stream, output.bytes);
            self.ahead += written;
            if written == length && output.is_fin {
                // Fails if the stream was stopped, which is told.
                if self.connection.send_stream(to_quic(output.stream)).finish().is_ok() {
                    self.unacknowledged.insert(output.stream, ());
                }
            }
            session.note_written(output.stream, written, moment);
            if written < length {
                session.note_blocked(output.stream, moment.now);
            }
        }
    }

    /// Writes what a stream takes. Returns how many bytes that were.
    fn write(&mut self, stream: StreamId, bytes: Bytes) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let (mut chunk, mut length) = ([bytes], 0);
        // Until it is blocked, as it tells only then when it is not any more.
        while !chunk[0].is_empty() {
            match self.connection.send_stream(to_quic(stream)).write_chunks(&mut chunk) {
                Ok(written) => length += written.bytes,
                Err(WriteError::Blocked | WriteError::Stopped(_) | WriteError::ClosedStream) => break,
            }
        }
        length
    }

    /// Sends what the network and the socket take now in one call of the kernel. Returns how many bytes that were.
    pub(super) fn transmit(&mut self, shell: &Shell, context: &mut Context) -> usize {
        let Some(ports) = &mut context.quic else { return 0 };
        let (now, mut buffer) = (ports.now(), std::mem::take(&mut ports.outgoing));
        let mut sent = 0;
        if let Some(port) = ports.get_mut(self.listener) {
            while let Some(event) = self.connection.poll_endpoint_events() {
                self.has_left |= event.is_drained();
                if let Some(event) = port.endpoint.handle_event(self.handle, event) {
                    self.connection.handle_event(event);
                }
            }
            buffer.clear();
            if self.connection.is_closed() {
                congestion::release(self.connection.congestion_state());
            }
            if port.is_blocked() {
                port.await_writable(shell.id);
            } else if let Some(transmit) =
                self.connection.poll_transmit(now, port.batch(self.connection.current_mtu()), &mut buffer)
            {
                sent = transmit.size;
                port.send(transmit, &buffer);
            }
            if self.has_left {
                port.set_place(self.handle, None);
            }
        }
        self.ahead = self.ahead.saturating_sub(sent);
        buffer.clear();
        ports.outgoing = buffer;
        if sent > 0 {
            context.tallies.count_sent(shell.app, sent as u64);
        }
        sent
    }

    /// Whether the client has not acknowledged the end of a stream.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Closes the connection. [`Self::transmit`] sends that.
    pub(super) fn close(&mut self, code: ErrorCode, reason: String, context: &Context) {
        if let Some(ports) = &context.quic {
            self.unacknowledged.clear();
            self.connection.close(ports.now(), number(code.0), reason.into_bytes().into());
        }
    }

    /// Whether nothing more will be answered.
    pub(super) fn has_ended(&self) -> bool {
        self.connection.is_drained()
    }

    /// The endpoint forgets the connection.
    pub(super) fn leave_endpoint(&mut self, context: &mut Context) {
        let port = context.quic.as_mut().and_then(|ports| ports.get_mut(self.listener));
        if let Some(port) = port
            && !std::mem::replace(&mut self.has_left, true)
        {
            port.set_place(self.handle, None);
            let _ = port.endpoint.handle_event(self.handle, EndpointEvent::drained());
        }
    }

    /// The socket.
    pub(super) const fn listener(&self) -> ListenerId {
        self.listener
    }
}

fn number(number: u64) -> VarInt {
    VarInt::from_u64(number).unwrap_or(VarInt::MAX)
}

fn of_quic(stream: quinn_proto::StreamId) -> StreamId {
    StreamId(VarInt::from(stream).into_inner())
}

fn to_quic(stream: StreamId) -> quinn_proto::StreamId {
    number(stream.0).into()
}

/// Bytes that are written to streams ahead of what can be sent: enough for the next call of the kernel to be a full one, and a
/// more urgent response need not wait behind more.
const MOST_AHEAD: usize = 128 * 1024;
/// Bounds of [`Quic::longest_round_trip`].
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(100);
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(1);

//! Target `http3`: a whole HTTP/3 connection. The input is a list of steps: a byte says what happens and on which stream,
//! and where the client sends something, a second one how much, whose highest bit ends the stream. The bytes follow.
//!
//! ```text
//!   b0 0xxx s…   the client sends on stream x: request streams, then unidirectional ones
//!   b0 1xxx      the application answers, the transport stops, time passes … (Application::act)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::protocol::http::head::{HeadLimits, RequestHead};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::pace::PaceLimit;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::limits::Http3Limits;
use crate::protocol::http3::session::{Action, Http3Session, Http3Sink, OwnStream, StreamEnd};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

/// Asserts of the connection in `data`:
/// - what the sink is told of each stream, and the broken rule, are the same for every split of the bytes, if the
///   application never answers;
/// - whatever the application and the transport do, and when, what is sent on each stream is a response: frames that are
///   well-formed, in order, and whole where the stream ends;
/// - a stream has one `request`, one last piece of its body at most, and nothing behind its end;
/// - streams that end are reported once, and nothing is asked of one that has ended before it was told so.
///
/// # Panics
/// If one of them does not hold.
pub fn http3(data: &[u8]) {
    let steps = steps_of(data);
    let whole = listen(&steps, usize::MAX);
    assert_eq!(listen(&steps, 1), whole, "byte by byte");
    assert_eq!(listen(&steps, 3), whole, "in threes");
    Application::play(&steps);
}

/// One step.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Send { stream: StreamId, bytes: &'a [u8], is_fin: bool },
    Act { what: u8, stream: StreamId },
}

fn steps_of(mut data: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    while let Some((&first, rest)) = data.split_first() {
        let stream = STREAMS[usize::from(first & 0x7)];
        data = rest;
        if first & 0x8 != 0 {
            steps.push(Step::Act { what: first >> 4, stream: STREAMS[usize::from(first & 0x3)] });
            continue;
        }
        let Some((&length, rest)) = data.split_first() else { break };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length & 0x7f)));
        data = rest;
        steps.push(Step::Send { stream, bytes, is_fin: length & 0x80 != 0 });
    }
    steps
}

/// Streams of the client.
const STREAMS: [StreamId; 8] = [
    StreamId(0),
    StreamId(4),
    StreamId(8),
    StreamId(12),
    StreamId(2),
    StreamId(6),
    StreamId(10),
    StreamId(14),
];

/// Small enough for the fuzzer to reach them.
fn http_limits() -> HttpLimits {
    HttpLimits {
        head: HeadLimits { max_head_bytes: 400, max_headers: 8 },
        max_body: 300,
        headers_timeout: Some(Duration::from_secs(3)),
        request_timeout: Some(Duration::from_secs(9)),
        keep_alive_timeout: Some(Duration::from_secs(4)),
        body_pace: Some(PaceLimit { every: Duration::from_secs(5), bytes: 16 }),
        response_pace: Some(PaceLimit { every: Duration::from_secs(6), bytes: 2 }),
        ..HttpLimits::default()
    }
}

fn limits() -> Http3Limits {
    Http3Limits { table_capacity: 200, max_blocked_streams: 2, ..Http3Limits::default() }
}

/// What the sink was told of each stream, with the pieces of a body joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recorder(BTreeMap<StreamId, Vec<Told>>);

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Request(Vec<u8>),
    Body(Vec<u8>, bool),
    Aborted(StreamEnd),
}

impl Http3Sink for Recorder {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], _is_tunnel: bool) {
        // Every span lies within the bytes.
        let spans = head.fields.iter().flat_map(|field| [field.name, field.value]);
        for span in spans.chain([head.method, head.target, head.path]).chain(head.query) {
            assert!(usize::from(span.start) + usize::from(span.len) <= bytes.len());
        }
        assert!(head.fields.len() <= http_limits().head.max_headers);
        let told = self.0.entry(stream).or_default();
        assert!(told.is_empty(), "a request behind {told:?}");
        told.push(Told::Request(head.target.of(bytes).to_vec()));
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        let told = self.0.entry(stream).or_default();
        match told.last_mut() {
            Some(Told::Body(data, is_last)) => {
                assert!(!*is_last, "a piece behind the last");
                data.extend_from_slice(chunk);
                *is_last = last;
            }
            Some(Told::Request(_)) => told.push(Told::Body(chunk.to_vec(), last)),
            Some(Told::Aborted(_)) | None => panic!("a body where no request is"),
        }
    }

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        let told = self.0.entry(stream).or_default();
        assert!(!matches!(told.last(), None | Some(Told::Aborted(_))), "an end where no request is");
        told.push(Told::Aborted(end));
    }
}

/// A connection on which the bytes arrive in pieces of this length, and whose application does nothing.
fn listen(steps: &[Step<'_>], length: usize) -> (Recorder, Option<Http3Error>) {
    let http = http_limits();
    let moment = Moment { now: Timestamp(1_000), date: &[b' '; 29], limits: &http };
    let (mut recorder, mut scratch) = (Recorder::default(), HeadScratch::default());
    let mut session = Http3Session::new(limits(), moment);
    let mut gone = BTreeSet::new();
    for step in steps {
        let Step::Send { stream, bytes, is_fin } = *step else { continue };
        let mut pieces: Vec<&[u8]> = bytes.chunks(length).collect();
        if pieces.is_empty() {
            pieces.push(b"");
        }
        for (place, piece) in pieces.iter().enumerate() {
            if gone.contains(&stream) {
                break;
            }
            let is_last = is_fin && place + 1 == pieces.len();
            let (room, sink) = (usize::MAX, &mut recorder);
            let result = session.handle_bytes(stream, piece, is_last, moment, &mut scratch, room, sink);
            if let Err(error) = result {
                assert!(session.is_closed() && session.is_idle());
                return (recorder, Some(error));
            }
            if is_last {
                gone.insert(stream);
            }
            gone.extend(std::iter::from_fn(|| session.poll_finished()));
        }
    }
    (recorder, None)
}

/// An application and a transport that do what the steps say.
struct Application {
    session: Http3Session,
    http: HttpLimits,
    now: Timestamp,
    scratch: HeadScratch,
    room: usize,
    recorder: Recorder,
    finished: BTreeSet<StreamId>,
    /// Streams of which the client has ended its half.
    ended: BTreeSet<StreamId>,
    received: BTreeMap<StreamId, Response>,
    is_full: bool,
}

impl Application {
    fn play(steps: &[Step<'_>]) {
        let http = http_limits();
        let moment = Moment { now: Timestamp(0), date: &[b' '; 29], limits: &http };
        let mut application = Self {
            session: Http3Session::new(limits(), moment),
            http,
            now: Timestamp(0),
            scratch: HeadScratch::default(),
            room: 3,
            recorder: Recorder::default(),
            finished: BTreeSet::new(),
            ended: BTreeSet::new(),
            received: BTreeMap::new(),
            is_full: false,
        };
        application.settle();
        for step in steps {
            match *step {
                Step::Send { stream, bytes, is_fin } => application.send(stream, bytes, is_fin),
                Step::Act { what, stream } => application.act(what, stream),
            }
            application.settle();
        }
        for (stream, told) in &application.recorder.0 {
            if let Some(Told::Aborted(_)) = told.last() {
                let response = application.received.get(stream);
                let is_sent = application.finished.contains(stream) || response.is_some();
                assert!(is_sent || application.is_full || application.session.queued(*stream) > 0);
            }
        }
    }

    /// Runs `act` on the session at this moment.
    fn with<R>(&mut self, act: impl FnOnce(&mut Http3Session, Moment<'_>, &mut Recorder) -> R) -> R {
        let moment = Moment { now: self.now, date: &[b' '; 29], limits: &self.http };
        act(&mut self.session, moment, &mut self.recorder)
    }

    fn is_open(&self, stream: StreamId) -> bool {
        !self.finished.contains(&stream) && !self.ended.contains(&stream)
    }

    fn send(&mut self, stream: StreamId, bytes: &[u8], is_fin: bool) {
        if self.is_open(stream) && self.session.wants_input(stream) {
            let moment = Moment { now: self.now, date: &[b' '; 29], limits: &self.http };
            let (scratch, sink) = (&mut self.scratch, &mut self.recorder);
            let _ = self.session.handle_bytes(stream, bytes, is_fin, moment, scratch, self.room, sink);
            if is_fin {
                self.ended.insert(stream);
            }
        }
    }

    fn act(&mut self, what: u8, id: StreamId) {
        let head = ResponseHead { status: b"200 OK", fields: b"A: b\r\n", flags: FieldFlags::NONE };
        match what {
            0 => self.with(|session, moment, _| session.respond(id, &head, &[b'r'; 50], moment)),
            1 => self.with(|session, moment, _| session.start_response(id, &head, Framing::Chunked, moment)),
            2 => self.with(|session, moment, _| session.write_body(id, &[b'w'; 20_000], moment)),
            3 => self.with(|session, moment, _| session.finish_response(id, b"T: t\r\n", moment)),
            4 => self.with(|session, moment, _| session.reset(id, ErrorCode::REQUEST_CANCELLED, moment.now)),
            5 => self.with(|session, moment, _| session.set_paused(id, true, moment.now)),
            6 => self.with(|session, moment, _| session.set_paused(id, false, moment.now)),
            7 => self.with(|session, moment, _| {
                session.open_tunnel(id, &head, moment);
            }),
            8 => self.with(|session, moment, _| session.leave_tunnel(id, moment)),
            9 if self.is_open(id) => self.with(|session, moment, recorder| {
                let _ = session.handle_reset(id, ErrorCode::REQUEST_CANCELLED, moment, recorder);
            }),
            10 if !self.finished.contains(&id) => self.with(|session, moment, recorder| {
                let _ = session.handle_stop_sending(id, ErrorCode::REQUEST_CANCELLED, moment, recorder);
            }),
            11 => {
                self.is_full = !self.is_full;
                for stream in STREAMS.into_iter().chain(OWN) {
                    self.session.handle_writable(stream);
                }
            }
            12 => self.room = (self.room + 1) % 4,
            13 if id.0 == 0 => {
                self.with(|session, moment, _| session.wind_down(Duration::from_secs(1), moment.now))
            }
            _ => {
                self.now.0 += 1_000;
                self.with(|session, moment, recorder| {
                    let _ = session.handle_timeout(moment, recorder);
                });
            }
        }
    }

    /// Does what the session asks, and lets the client read.
    fn settle(&mut self) {
        if self.session.unhandled() > 0 && self.room > 0 {
            let moment = Moment { now: self.now, date: &[b' '; 29], limits: &self.http };
            let _ = self.session.handle_pending(moment, &mut self.scratch, self.room, &mut self.recorder);
        }
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Open(OwnStream::Control) => {
                    self.session.handle_opened(OwnStream::Control, OWN[0]);
                }
                Action::Open(OwnStream::Decoder) => {
                    self.session.handle_opened(OwnStream::Decoder, OWN[1]);
                }
                Action::Reset { stream, .. } => {
                    let response = self.received.entry(stream).or_default();
                    assert!(!response.has_ended, "{stream:?} is reset behind its end");
                    response.has_ended = true;
                }
                Action::StopSending { stream, .. } => {
                    assert!(!self.ended.contains(&stream), "{stream:?} has ended");
                    self.ended.insert(stream);
                }
                Action::Read(stream) => assert!(!self.finished.contains(&stream)),
                Action::Prioritize { urgency, .. } => assert!(urgency < 8),
                Action::Close { .. } => assert!(self.session.is_closed()),
            }
        }
        while let Some(output) = self.session.next_output() {
            let length = if self.is_full { output.bytes.len() / 2 } else { output.bytes.len() };
            let is_all = length == output.bytes.len();
            let stream = output.stream;
            if !OWN.contains(&stream) {
                let response = self.received.entry(stream).or_default();
                response.take(&output.bytes[..length], output.is_fin && is_all);
            }
            self.with(|session, moment, _| {
                session.note_written(stream, length, moment);
                if !is_all {
                    session.note_blocked(stream, moment.now);
                }
            });
        }
        while let Some(id) = self.session.poll_finished() {
            assert!(self.finished.insert(id), "{id:?} has ended twice");
            assert_eq!(self.session.queued(id), 0);
        }
    }
}

/// This side's streams.
const OWN: [StreamId; 2] = [StreamId(3), StreamId(7)];

/// What a strict client reads of one stream.
#[derive(Debug, Default)]
struct Response {
    bytes: Vec<u8>,
    /// HEADERS behind which no interim response is.
    has_head: bool,
    has_trailers: bool,
    has_ended: bool,
}

impl Response {
    fn take(&mut self, bytes: &[u8], is_fin: bool) {
        assert!(!self.has_ended, "bytes behind the end");
        self.bytes.extend_from_slice(bytes);
        while let Some((kind, start, length)) = header_of(&self.bytes) {
            if self.bytes.len() < start + length {
                break;
            }
            let frame: Vec<u8> = self.bytes.drain(..start + length).collect();
            self.frame(kind, &frame[start..]);
        }
        if is_fin {
            assert!(self.bytes.is_empty(), "half a frame");
            assert!(self.has_head, "no head");
            self.has_ended = true;
        }
    }

    fn frame(&mut self, kind: u64, payload: &[u8]) {
        assert!(!self.has_trailers, "a frame behind the trailers");
        match kind {
            0 => assert!(self.has_head && !payload.is_empty(), "DATA before HEADERS, or of no bytes"),
            1 => {
                assert_eq!(payload[..2], [0, 0], "no insertion is needed");
                // `:status` 100 of the static table.
                let is_interim = payload[2..4] == [0xff, 0];
                self.has_trailers = self.has_head && !is_interim;
                self.has_head |= !is_interim;
            }
            other => panic!("frame {other} of a server"),
        }
    }
}

/// Type of a frame, where its payload starts, and the length of that.
fn header_of(bytes: &[u8]) -> Option<(u64, usize, usize)> {
    let (kind, first) = number_of(bytes)?;
    let (length, second) = number_of(&bytes[first..])?;
    Some((kind, first + second, usize::try_from(length).ok()?))
}

/// A number of variable length, and how many bytes it has.
fn number_of(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = 1 << (bytes.first()? >> 6);
    let bytes = bytes.get(..length)?;
    let value =
        bytes[1..].iter().fold(u64::from(bytes[0] & 0x3f), |value, &byte| value << 8 | u64::from(byte));
    Some((value, length))
}

//! Target `http2`: a whole HTTP/2 connection, the input being a [`Scenario`]. The preface and the first SETTINGS precede
//! the wire, which is nothing but frames. Each step is one byte: its lower three bits say what happens, the upper five on
//! which stream ([`Application::step`]).

use std::collections::HashMap;
use std::time::Duration;

use super::scenario::Scenario;
use crate::protocol::http::head::{HeadLimits, RequestHead};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::pace::PaceLimit;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::StreamId;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::http2::session::{Http2Session, Http2Sink, PREFACE, StreamEnd};
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

/// Asserts of the connection in `data`:
/// - what the sink is told, the output and the broken rule are the same for every split of the bytes, if the application
///   never answers;
/// - whatever the application does, and when, a strict client reads frames that are well-formed, belong to streams that
///   it has opened and that have not ended, and keep within the windows that it has given;
/// - a stream has one `request`, one last piece of its body at most, and nothing behind its end;
/// - streams that end are reported once.
///
/// # Panics
/// If one of them does not hold.
pub fn http2(data: &[u8]) {
    let scenario = Scenario::of(data);
    let whole = listen(&[scenario.wire]);
    assert_eq!(listen(&scenario.pieces()), whole, "cut by {:?}", scenario.steps);
    let single: Vec<&[u8]> = scenario.wire.chunks(1).collect();
    assert_eq!(listen(&single), whole, "byte by byte");
    Application::play(scenario);
}

/// What a client sends first.
fn preface() -> Vec<u8> {
    [&PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()
}

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

fn limits() -> Http2Limits {
    Http2Limits { max_concurrent_streams: 6, stream_window: 120, ..Http2Limits::default() }
}

/// What the sink was told, with the pieces of a body joined.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recorder(Vec<Told>);

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Request(StreamId, Vec<u8>),
    Body(StreamId, Vec<u8>, bool),
    Aborted(StreamId, StreamEnd),
}

impl Http2Sink for Recorder {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], _is_tunnel: bool) {
        // Every span lies within the bytes.
        let spans = head.fields.iter().flat_map(|field| [field.name, field.value]);
        for span in spans.chain([head.method, head.target, head.path]).chain(head.query) {
            assert!(usize::from(span.start) + usize::from(span.len) <= bytes.len());
        }
        assert!(head.fields.len() <= http_limits().head.max_headers);
        self.0.push(Told::Request(stream, head.target.of(bytes).to_vec()));
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        match self.0.last_mut() {
            Some(Told::Body(same, data, is_last)) if *same == stream => {
                assert!(!*is_last, "a piece behind the last");
                data.extend_from_slice(chunk);
                *is_last = last;
            }
            _ => self.0.push(Told::Body(stream, chunk.to_vec(), last)),
        }
    }

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        self.0.push(Told::Aborted(stream, end));
    }
}

/// A connection on which the pieces arrive, and whose application does nothing.
fn listen(pieces: &[&[u8]]) -> (Recorder, Vec<u8>, Option<Http2Error>) {
    let http = http_limits();
    let moment = Moment { now: Timestamp(1_000), date: &[b' '; 29], limits: &http };
    let (mut out, mut recorder) = (Vec::new(), Recorder::default());
    let mut session = Http2Session::new(limits(), moment, &mut out);
    let (mut unread, mut scratch) = (preface(), HeadScratch::default());
    // At least the preface arrives.
    for piece in [&b""[..]].iter().chain(pieces) {
        unread.extend_from_slice(piece);
        match session.handle_bytes(&unread, moment, &mut scratch, &mut out, usize::MAX, &mut recorder) {
            Ok(consumed) => drop(unread.drain(..consumed)),
            Err(error) => {
                assert!(session.is_closed() && !session.has_streams());
                return (recorder, out, Some(error));
            }
        }
    }
    (recorder, out, None)
}

/// An application that does what the steps say, and its client.
struct Application<'a> {
    session: Http2Session,
    http: HttpLimits,
    now: Timestamp,
    scratch: HeadScratch,
    /// What the client has yet to send.
    wire: &'a [u8],
    unread: Vec<u8>,
    out: Vec<u8>,
    recorder: Recorder,
    client: Client,
    finished: Vec<StreamId>,
}

impl<'a> Application<'a> {
    fn play(scenario: Scenario<'a>) {
        let http = http_limits();
        let mut out = Vec::new();
        let moment = Moment { now: Timestamp(0), date: &[b' '; 29], limits: &http };
        let session = Http2Session::new(limits(), moment, &mut out);
        let mut application = Self {
            session,
            http,
            now: Timestamp(0),
            scratch: HeadScratch::default(),
            wire: scenario.wire,
            unread: preface(),
            out,
            recorder: Recorder::default(),
            client: Client::default(),
            finished: Vec::new(),
        };
        application.client.send(&preface());
        for &step in scenario.steps {
            application.step(step);
        }
        application.receive(usize::MAX);
        application.settle();
        application.check_calls();
    }

    /// Runs `act` on the session at this moment.
    fn with(&mut self, act: impl FnOnce(&mut Http2Session, Moment<'_>, &mut Vec<u8>, &mut Recorder)) {
        let moment = Moment { now: self.now, date: &[b' '; 29], limits: &self.http };
        act(&mut self.session, moment, &mut self.out, &mut self.recorder);
    }

    fn step(&mut self, step: u8) {
        let id = StreamId(u32::from(step >> 3) * 2 + 1);
        let head = ResponseHead { status: b"200 OK", fields: b"A: b\r\n", flags: FieldFlags::NONE };
        match step & 7 {
            0 => self.receive(7),
            1 => self.receive(100),
            2 => self.with(|session, moment, out, _| session.respond(id, &head, &[b'r'; 50], moment, out)),
            3 if step & 8 == 0 => self.with(|session, moment, out, _| {
                session.start_response(id, &head, Framing::Chunked, moment, out);
            }),
            3 => self.with(|session, moment, out, _| {
                session.open_tunnel(id, &head, moment, out);
            }),
            4 => self.with(|session, moment, out, _| session.write_body(id, &[b'w'; 20_000], moment, out)),
            5 => self.with(|session, moment, out, _| session.finish_response(id, b"T: t\r\n", moment, out)),
            6 if step & 8 == 0 => self.with(|session, moment, out, _| {
                session.reset(id, ErrorCode::CANCEL, moment.now, out);
            }),
            6 => self.with(|session, moment, out, _| {
                session.set_paused(id, step & 16 == 0, moment.now, out);
            }),
            _ if step == 0xff => {
                self.with(|session, moment, out, _| session.wind_down("CLOSED: why", moment.now, out))
            }
            _ => {
                self.now.0 += 1_000;
                self.with(|session, moment, out, recorder| {
                    let _ = session.handle_timeout(moment, out, recorder);
                });
            }
        }
        self.settle();
    }

    /// The client sends so many bytes.
    fn receive(&mut self, length: usize) {
        let (piece, rest) = self.wire.split_at(length.min(self.wire.len()));
        self.wire = rest;
        self.client.send(piece);
        self.unread.extend_from_slice(piece);
        let moment = Moment { now: self.now, date: &[b' '; 29], limits: &self.http };
        let (scratch, out) = (&mut self.scratch, &mut self.out);
        let result =
            self.session.handle_bytes(&self.unread, moment, scratch, out, usize::MAX, &mut self.recorder);
        match result {
            Ok(consumed) => drop(self.unread.drain(..consumed)),
            Err(_) => self.unread.clear(),
        }
    }

    /// Writes, lets the client read, and notes the streams that have ended.
    fn settle(&mut self) {
        loop {
            self.with(|session, moment, out, _| {
                session.write_output(moment, out);
            });
            if self.out.is_empty() {
                break;
            }
            self.client.read(&std::mem::take(&mut self.out));
        }
        while let Some(id) = self.session.poll_finished() {
            assert!(!self.finished.contains(&id), "{id:?} has ended twice");
            self.finished.push(id);
            assert_eq!(self.session.queued(id), 0);
        }
    }

    /// The order of the calls of the sink, for each stream.
    fn check_calls(&self) {
        let mut streams: HashMap<StreamId, Vec<&Told>> = HashMap::new();
        for told in &self.recorder.0 {
            let (Told::Request(id, _) | Told::Body(id, ..) | Told::Aborted(id, _)) = told;
            streams.entry(*id).or_default().push(told);
        }
        for (id, calls) in streams {
            assert!(matches!(calls[0], Told::Request(..)), "{id:?} {calls:?}");
            for (call, next) in calls.iter().zip(&calls[1..]) {
                let is_over = matches!(call, Told::Aborted(..));
                let is_whole = matches!(call, Told::Body(_, _, true));
                assert!(!is_over && !matches!(next, Told::Request(..)), "{id:?} {calls:?}");
                assert!(!is_whole || matches!(next, Told::Aborted(..)), "{id:?} {calls:?}");
            }
            if let Some(Told::Aborted(..)) = calls.last() {
                assert!(self.finished.contains(&id), "{id:?}");
            }
        }
    }
}

/// A strict client: what it has sent, read plainly, and what it may receive by that.
#[derive(Default)]
struct Client {
    sent: Vec<u8>,
    /// Up to where `sent` has been read.
    position: usize,
    /// Windows that were given in all: by WINDOW_UPDATE for each stream, and the largest initial one.
    given: HashMap<u32, u64>,
    largest_initial: u64,
    /// DATA that was received.
    received: HashMap<u32, u64>,
    /// Streams that have had a head, and those that have ended.
    started: HashMap<u32, bool>,
    has_goaway: bool,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        self.position = self.position.max(PREFACE.len());
        while let Some(header) = self.sent.get(self.position..self.position + 9) {
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let (kind, stream) = (header[3], word(&header[5..9]) & 0x7fff_ffff);
            let Some(payload) = self.sent.get(self.position + 9..self.position + 9 + length) else { break };
            match (kind, length) {
                (8, 4) => {
                    *self.given.entry(stream).or_default() += u64::from(word(payload) & 0x7fff_ffff);
                }
                (4, _) => {
                    for setting in payload.chunks_exact(6).filter(|setting| setting[..2] == [0, 4]) {
                        let size = u64::from(word(&setting[2..]));
                        self.largest_initial = self.largest_initial.max(size);
                    }
                }
                _ => {}
            }
            self.position += 9 + length;
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while let Some((header, rest)) = bytes.split_at_checked(9) {
            assert!(!self.has_goaway, "a frame behind the last one");
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let (payload, rest) = rest.split_at(length);
            self.take(header[3], header[4], word(&header[5..9]), payload);
            bytes = rest;
        }
        assert!(bytes.is_empty(), "half a frame");
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            0 => {
                assert_eq!(self.started.get(&stream), Some(&false), "DATA on {stream}");
                for (id, initial) in [(0, 65_535), (stream, self.largest_initial.max(65_535))] {
                    let received = self.received.entry(id).or_default();
                    *received += payload.len() as u64;
                    let window = initial + self.given.get(&id).copied().unwrap_or(0);
                    assert!(*received <= window, "{received} bytes on {id}, whose window was {window}");
                }
            }
            1 => assert_ne!(self.started.get(&stream), Some(&true), "HEADERS on {stream}"),
            3 => {
                assert_eq!(payload.len(), 4);
                self.started.insert(stream, true);
                return;
            }
            4 => assert!(stream == 0 && payload.len().is_multiple_of(6)),
            6 => assert!(stream == 0 && payload.len() == 8),
            7 => {
                assert!(stream == 0 && payload.len() >= 8);
                self.has_goaway = payload[4..8] != [0; 4];
            }
            8 => assert!(payload.len() == 4 && word(payload) > 0),
            other => panic!("frame {other} of a server"),
        }
        if kind < 2 {
            *self.started.entry(stream).or_default() |= flags & 1 != 0;
        }
    }
}

/// Four bytes as a number.
fn word(bytes: &[u8]) -> u32 {
    bytes[..4].iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

//! The session as its caller sees it: bytes of streams in at every split point, requests and bytes for streams out.

mod blocked_streams;
mod every_rule;
mod floods;
mod leaving;
mod partial_heads;
mod priorities;
mod requests;
mod responses;
mod segmentation;
mod timeouts;
mod tunnels;

use std::collections::BTreeMap;

use super::{Action, Http3Session, Http3Sink, Http3Timeout, OwnStream, StreamEnd};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::frame::{FrameHeader, FrameType, append_frame};
use crate::protocol::http3::limits::Http3Limits;
use crate::protocol::http3::qpack::decoder::Decoder;
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::http3::varint;
use crate::protocol::multiplexed::event_log::EventLog;
use crate::protocol::multiplexed::integer;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// `200 OK` without fields.
const OK: ResponseHead<'static> = ResponseHead { status: b"200 OK", fields: b"", flags: FieldFlags::NONE };

/// A client and its connection.
#[derive(Debug)]
struct Client {
    session: Http3Session,
    limits: HttpLimits,
    now: Timestamp,
    scratch: HeadScratch,
    /// How many events the application takes per call.
    room: usize,
    log: EventLog,
    /// What has arrived of each stream of the server and is not read.
    received: BTreeMap<u64, Vec<u8>>,
}

impl Http3Sink for EventLog {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], _is_tunnel: bool) {
        self.note_request(stream.0, head, bytes);
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
        self.note_body(stream.0, chunk, last);
    }

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        let end = match end {
            StreamEnd::Reset(code) => format!("reset {}", code.name()),
            other => format!("{other:?}"),
        };
        self.note_abort(stream.0, &end);
    }
}

impl Client {
    /// A client that has connected and sent nothing, and whose transport has opened nothing.
    fn silent(limits: Http3Limits, http: HttpLimits) -> Self {
        let moment = Moment { now: Timestamp(0), date: DATE, limits: &http };
        let session = Http3Session::new(limits, moment);
        Self {
            session,
            limits: http,
            now: Timestamp(0),
            scratch: HeadScratch::default(),
            room: usize::MAX,
            log: EventLog::default(),
            received: BTreeMap::new(),
        }
    }

    /// A client that has sent empty SETTINGS, and has read those of the server.
    fn with_limits(limits: Http3Limits, http: HttpLimits) -> Self {
        let mut client = Self::silent(limits, http);
        client.session.handle_opened(OwnStream::Control, StreamId(3));
        client.session.handle_opened(OwnStream::Decoder, StreamId(7));
        client.send(CONTROL, &settings(&[])).unwrap();
        assert_eq!(client.read(), ["open Control", "open Decoder", "3 SETTINGS"]);
        client
    }

    fn new() -> Self {
        Self::with_limits(Http3Limits::default(), HttpLimits::default())
    }

    /// Runs `act` on the session at this moment.
    fn with<R>(&mut self, act: impl FnOnce(&mut Http3Session, Moment<'_>, &mut EventLog) -> R) -> R {
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        act(&mut self.session, moment, &mut self.log)
    }

    /// Sends bytes on a stream.
    fn send(&mut self, stream: u64, bytes: &[u8]) -> Result<(), Http3Error> {
        self.send_piece(stream, bytes, false)
    }

    /// Sends bytes on a stream, which ends behind them.
    fn send_last(&mut self, stream: u64, bytes: &[u8]) -> Result<(), Http3Error> {
        self.send_piece(stream, bytes, true)
    }

    fn send_piece(&mut self, stream: u64, bytes: &[u8], is_fin: bool) -> Result<(), Http3Error> {
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        let (scratch, sink) = (&mut self.scratch, &mut self.log);
        self.session.handle_bytes(StreamId(stream), bytes, is_fin, moment, scratch, self.room, sink)
    }

    /// The application takes further events.
    fn take_pending(&mut self) -> Result<(), Http3Error> {
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        self.session.handle_pending(moment, &mut self.scratch, self.room, &mut self.log)
    }

    /// Sends a request for `/` without a body.
    fn get(&mut self, stream: u64) {
        self.send_last(stream, &headers("GET", "/", &[])).unwrap();
    }

    /// Sends a request whose body follows.
    fn post(&mut self, stream: u64) {
        self.send(stream, &headers("POST", "/", &[])).unwrap();
    }

    /// Resets a stream.
    fn reset(&mut self, stream: u64) -> Result<(), Http3Error> {
        let code = ErrorCode::REQUEST_CANCELLED;
        self.with(|session, moment, log| session.handle_reset(StreamId(stream), code, moment, log))
    }

    /// Does not want the rest of a stream.
    fn stop(&mut self, stream: u64) -> Result<(), Http3Error> {
        let code = ErrorCode::REQUEST_CANCELLED;
        self.with(|session, moment, log| session.handle_stop_sending(StreamId(stream), code, moment, log))
    }

    /// The server answers with this body.
    fn answer(&mut self, stream: u64, body: &str) {
        self.with(|session, moment, _| session.respond(StreamId(stream), &OK, body.as_bytes(), moment));
    }

    /// The server starts a response of unknown length.
    fn start(&mut self, stream: u64) {
        self.with(|session, moment, _| {
            session.start_response(StreamId(stream), &OK, Framing::Chunked, moment);
        });
    }

    fn write(&mut self, stream: u64, data: &[u8]) {
        self.with(|session, moment, _| session.write_body(StreamId(stream), data, moment));
    }

    fn finish(&mut self, stream: u64) {
        self.with(|session, moment, _| session.finish_response(StreamId(stream), b"", moment));
    }

    /// Does what the session asks for, and reads what it sends: a line for each action, then one for each frame.
    fn read(&mut self) -> Vec<String> {
        let mut lines = self.actions();
        while let Some(output) = self.session.next_output() {
            let length = output.bytes.len();
            lines.extend(self.receive(output.stream.0, &output.bytes, output.is_fin));
            self.with(|session, moment, _| session.note_written(output.stream, length, moment));
        }
        lines.extend(self.actions());
        lines
    }

    /// What the session asks for, a line each.
    fn actions(&mut self) -> Vec<String> {
        let describe = |action| match action {
            Action::Open(kind) => format!("open {kind:?}"),
            Action::Reset { stream, code } => format!("{} RESET {}", stream.0, code.name()),
            Action::StopSending { stream, code } => format!("{} STOP {}", stream.0, code.name()),
            Action::Read(stream) => format!("{} read", stream.0),
            Action::Prioritize { stream, urgency } => format!("{} urgency {urgency}", stream.0),
            Action::Close { code, reason } => {
                format!("CLOSE {} {}", code.name(), reason.split(':').next().unwrap_or_default())
            }
        };
        std::iter::from_fn(|| self.session.poll_action()).map(describe).collect()
    }

    /// Takes bytes of a stream of the server, and reads the frames that are complete.
    fn receive(&mut self, stream: u64, bytes: &[u8], is_fin: bool) -> Vec<String> {
        let received = self.received.entry(stream).or_default();
        received.extend_from_slice(bytes);
        if let [0x00, 0x04, ..] = received[..]
            && stream == 3
        {
            received.remove(0);
        }
        if stream == 7 {
            if received.first() == Some(&0x03) {
                received.remove(0);
            }
            let bytes = std::mem::take(received);
            return if bytes.is_empty() { Vec::new() } else { vec![format!("7 {bytes:x?}")] };
        }
        let bytes = std::mem::take(received);
        let mut rest = &bytes[..];
        let mut lines = Vec::new();
        loop {
            let mut payload = rest;
            let Some(header) = FrameHeader::take(&mut payload) else { break };
            let Some((payload, following)) = payload.split_at_checked(header.length as usize) else { break };
            lines.push(format!("{stream} {}", describe(header, payload)));
            rest = following;
        }
        if is_fin {
            assert!(rest.is_empty(), "half a frame");
            lines.push(format!("{stream} end"));
        }
        self.received.insert(stream, rest.to_vec());
        lines
    }

    /// What the application was told since the last call.
    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.0)
    }

    /// Streams that have been closed since the last call.
    fn finished(&mut self) -> Vec<u64> {
        let mut streams: Vec<_> =
            std::iter::from_fn(|| self.session.poll_finished()).map(|id| id.0).collect();
        streams.sort_unstable();
        streams
    }

    fn pass_time(&mut self, millis: u64) -> Http3Timeout {
        self.now.0 += millis;
        self.with(|session, moment, log| session.handle_timeout(moment, log))
    }

    fn deadline(&self) -> Option<u64> {
        self.session.poll_deadline(&self.limits).map(|deadline| deadline.0)
    }
}

fn describe(header: FrameHeader, payload: &[u8]) -> String {
    match header.kind {
        FrameType::Data => format!("DATA {}", payload.len()),
        FrameType::Headers => {
            let mut text = "HEADERS".to_owned();
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let field = |name: &[u8], value: &[u8]| {
                if name != b"date" {
                    text += &format!(" {}={}", show(name), show(value));
                }
            };
            Decoder::new(0).decode(payload, field).unwrap();
            text
        }
        FrameType::Settings => "SETTINGS".to_owned(),
        FrameType::GoAway => format!("GOAWAY {}", varint::decode(&mut &payload[..]).unwrap()),
        other => panic!("{other:?} of a server"),
    }
}

/// A frame.
fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(kind, payload, &mut bytes);
    bytes
}

/// The beginning of a control stream.
fn settings(settings: &[(u64, u64)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for number in settings.iter().flat_map(|(name, value)| [*name, *value]) {
        varint::encode(number, &mut payload);
    }
    [&[0][..], &frame(SETTINGS, &payload)].concat()
}

/// A number of variable length.
fn number(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::encode(value, &mut bytes);
    bytes
}

/// A field section of literals.
fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        integer::encode(name.len(), 3, 0x20, &mut section);
        section.extend_from_slice(name.as_bytes());
        integer::encode(value.len(), 7, 0, &mut section);
        section.extend_from_slice(value.as_bytes());
    }
    section
}

/// The field section of a request.
fn request_section(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "a"), (":path", path)];
    section(&[&pseudo[..], fields].concat())
}

/// A HEADERS frame with a request.
fn headers(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, &request_section(method, path, fields))
}

/// A DATA frame.
fn data(payload: &[u8]) -> Vec<u8> {
    frame(DATA, payload)
}

/// The client's control stream.
const CONTROL: u64 = 2;
/// The client's encoder stream.
const ENCODER: u64 = 6;
/// The client's decoder stream.
const DECODER: u64 = 10;

const DATA: u64 = 0x0;
const HEADERS: u64 = 0x1;
const CANCEL_PUSH: u64 = 0x3;
const SETTINGS: u64 = 0x4;
const PUSH_PROMISE: u64 = 0x5;
const GOAWAY: u64 = 0x7;
const MAX_PUSH_ID: u64 = 0xd;
const PRIORITY_UPDATE: u64 = 0xf_0700;
const PUSH_PRIORITY_UPDATE: u64 = 0xf_0701;
/// A type that means nothing (RFC 9114 §7.2.8).
const GREASE: u64 = 0x21;

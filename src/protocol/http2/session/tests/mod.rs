//! The session as its caller sees it: frames in at every split point, requests and frames out.

mod every_rule;
mod floods;
mod flow_control;
mod leaving;
mod priorities;
mod requests;
mod responses;
mod segmentation;
mod timeouts;
mod tunnels;

use super::{Http2Session, Http2Sink, Http2Timeout, PREFACE, StreamEnd};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::Flush;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::{FrameHeader, FrameType, StreamId, flag, start_frame};
use crate::protocol::http2::hpack::decoder::Decoder;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::multiplexed::event_log::EventLog;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// `200 OK` without fields.
const OK: ResponseHead<'static> = ResponseHead { status: b"200 OK", fields: b"", flags: FieldFlags::NONE };

/// A client and its connection.
#[derive(Debug)]
struct Client {
    session: Http2Session,
    limits: HttpLimits,
    now: Timestamp,
    scratch: HeadScratch,
    /// Bytes that the session has not consumed.
    pending: Vec<u8>,
    /// Bytes that the session has written, and the client has not read.
    out: Vec<u8>,
    decoder: Decoder,
    log: EventLog,
}

impl Http2Sink for EventLog {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], _is_tunnel: bool) {
        self.note_request(stream.0.into(), head, bytes);
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
        self.note_body(stream.0.into(), chunk, last);
    }

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        let end = match end {
            StreamEnd::Reset(code) => format!("reset {}", code.name()),
            other => format!("{other:?}"),
        };
        self.note_abort(stream.0.into(), &end);
    }
}

impl Client {
    /// A client that has connected and sent nothing. What the server sends first is read.
    fn silent(limits: Http2Limits, http: HttpLimits) -> Self {
        let mut out = Vec::new();
        let moment = Moment { now: Timestamp(0), date: DATE, limits: &http };
        let session = Http2Session::new(limits, moment, &mut out);
        let mut client = Self {
            session,
            limits: http,
            now: Timestamp(0),
            scratch: HeadScratch::default(),
            pending: Vec::new(),
            out,
            decoder: Decoder::new(),
            log: EventLog::default(),
        };
        client.read();
        client
    }

    /// A client that has sent the preface and empty SETTINGS.
    fn with_limits(limits: Http2Limits, http: HttpLimits) -> Self {
        let mut client = Self::silent(limits, http);
        client.send(&preface()).unwrap();
        assert_eq!(client.read(), ["SETTINGS ack"]);
        client
    }

    fn new() -> Self {
        Self::with_limits(Http2Limits::default(), HttpLimits::default())
    }

    /// Runs `act` on the session at this moment.
    fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Http2Session, Moment<'_>, &mut Vec<u8>, &mut EventLog) -> R,
    ) -> R {
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        act(&mut self.session, moment, &mut self.out, &mut self.log)
    }

    /// Sends bytes, after those that were not consumed.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Http2Error> {
        self.pending.extend_from_slice(bytes);
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        let (out, sink) = (&mut self.out, &mut self.log);
        let result =
            self.session.handle_bytes(&self.pending, moment, &mut self.scratch, out, usize::MAX, sink);
        self.pending.drain(..result?);
        Ok(())
    }

    /// Sends a frame.
    fn send_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Http2Error> {
        self.send(&frame(kind, flags, stream, payload))
    }

    /// Sends a request for `/` without a body.
    fn get(&mut self, stream: u32) {
        self.request(stream, "GET", "/", &[], true);
    }

    /// Sends a request whose body follows.
    fn post(&mut self, stream: u32) {
        self.request(stream, "POST", "/", &[], false);
    }

    fn request(&mut self, stream: u32, method: &str, path: &str, fields: &[(&str, &str)], is_last: bool) {
        self.send(&headers(stream, method, path, fields, is_last)).unwrap();
    }

    /// The server answers with this body.
    fn answer(&mut self, stream: u32, body: &str) {
        self.with(|session, moment, out, _| {
            session.respond(StreamId(stream), &OK, body.as_bytes(), moment, out);
        });
    }

    /// The server starts a response of unknown length.
    fn start(&mut self, stream: u32) {
        self.with(|session, moment, out, _| {
            session.start_response(StreamId(stream), &OK, Framing::Chunked, moment, out);
        });
    }

    fn write(&mut self, stream: u32, data: &[u8]) {
        self.with(|session, moment, out, _| session.write_body(StreamId(stream), data, moment, out));
    }

    fn finish(&mut self, stream: u32) {
        self.with(|session, moment, out, _| session.finish_response(StreamId(stream), b"", moment, out));
    }

    /// Lets the session write, and reads the frames, a line each.
    fn read(&mut self) -> Vec<String> {
        self.with(|session, moment, out, _| {
            session.write_output(moment, out);
        });
        self.read_written()
    }

    /// Reads the frames that are written already.
    fn read_written(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.out);
        let (mut rest, mut lines) = (&bytes[..], Vec::new());
        while let Some((header, following)) = rest.split_first_chunk::<{ FrameHeader::LENGTH }>() {
            let header = FrameHeader::parse(*header);
            let (payload, following) = following.split_at(header.length);
            lines.push(self.describe(header, payload));
            rest = following;
        }
        assert!(rest.is_empty(), "half a frame");
        lines
    }

    fn describe(&mut self, header: FrameHeader, payload: &[u8]) -> String {
        let stream = header.stream.0;
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let end = if header.has(flag::END_STREAM) { " end" } else { "" };
        let ack = if header.has(flag::ACK) { " ack" } else { "" };
        match header.kind {
            FrameType::Data => format!("DATA {stream} {}{end}", payload.len()),
            FrameType::Headers => {
                assert!(header.has(flag::END_HEADERS));
                let mut text = format!("HEADERS {stream}{end}");
                let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let field = |name: &[u8], value: &[u8]| {
                    if name != b"date" {
                        text += &format!(" {}={}", show(name), show(value));
                    }
                };
                self.decoder.decode(payload, field).unwrap();
                text
            }
            FrameType::ResetStream => format!("RST_STREAM {stream} {}", ErrorCode(number(0)).name()),
            FrameType::Settings => format!("SETTINGS{ack}"),
            FrameType::Ping => format!("PING{ack}"),
            FrameType::GoAway => {
                let text = String::from_utf8_lossy(&payload[8..]);
                let code = text.split(':').next().unwrap_or_default();
                format!("GOAWAY {} {} {code}", number(0), ErrorCode(number(4)).name()).trim_end().to_owned()
            }
            FrameType::WindowUpdate => format!("WINDOW_UPDATE {stream} {}", number(0)),
            other => panic!("{other:?} of a server"),
        }
    }

    /// What the application was told since the last call.
    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.0)
    }

    /// Streams that have been closed since the last call.
    fn finished(&mut self) -> Vec<u32> {
        let mut streams: Vec<_> =
            std::iter::from_fn(|| self.session.poll_finished()).map(|id| id.0).collect();
        streams.sort_unstable();
        streams
    }

    fn pass_time(&mut self, millis: u64) -> Http2Timeout {
        self.now.0 += millis;
        self.with(|session, moment, out, log| session.handle_timeout(moment, out, log))
    }

    fn deadline(&self) -> Option<u64> {
        self.session.poll_deadline(&self.limits).map(|deadline| deadline.0)
    }

    fn flush(&mut self, flush: Flush) {
        self.with(|session, moment, _, _| session.handle_flush(flush, moment));
    }
}

/// A frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    start_frame(payload.len(), kind, flags, StreamId(stream), &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// The preface of a client with empty SETTINGS.
fn preface() -> Vec<u8> {
    [&PREFACE[..], &frame(SETTINGS, 0, 0, b"")].concat()
}

/// A header block of literals that are not indexed.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                length @ 0..127 => block.push(length as u8),
                length => {
                    let rest = length - 127;
                    assert!(rest < 1 << 14);
                    block.extend([127, (rest & 0x7f) as u8 | 0x80, (rest >> 7) as u8]);
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The header block of a request.
fn request_block(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "a"), (":path", path)];
    block(&[&pseudo[..], fields].concat())
}

/// A HEADERS frame with a request.
fn headers(stream: u32, method: &str, path: &str, fields: &[(&str, &str)], is_last: bool) -> Vec<u8> {
    let flags = flag::END_HEADERS | if is_last { flag::END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &request_block(method, path, fields))
}

/// A DATA frame.
fn data(stream: u32, payload: &[u8], is_last: bool) -> Vec<u8> {
    frame(DATA, if is_last { flag::END_STREAM } else { 0 }, stream, payload)
}

/// A WINDOW_UPDATE frame.
fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// A SETTINGS frame with one setting.
fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A RST_STREAM frame.
fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &ErrorCode::CANCEL.0.to_be_bytes())
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const WINDOW_UPDATE: u8 = 8;
const PRIORITY_UPDATE: u8 = 0x10;
/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW_SIZE: u16 = 4;
/// SETTINGS_MAX_FRAME_SIZE.
const MAX_FRAME_SIZE: u16 = 5;

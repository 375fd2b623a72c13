//! The HTTP layer as its caller sees it: bytes in at every split point, requests and bytes out.

mod every_rule;
mod properties;
mod responses;
mod rules;
mod timeouts;
mod winding_down;

use super::error::HttpError;
use super::exchange::{HttpExchange, HttpSink};
use super::head::{RequestHead, Span};
use super::limits::{HttpLimits, Moment};
use super::outcome::{Disposition, Flush, TimeoutOutcome};
use super::response_head::{FieldFlags, ResponseHead};
use crate::protocol::time::Timestamp;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// `200 OK` without fields.
const OK: ResponseHead<'static> = ResponseHead { status: b"200 OK", fields: b"", flags: FieldFlags::NONE };

/// One request as passed to the sink, with its body pieces joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ReceivedRequest {
    method: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    /// How many calls had `last` set.
    lasts: usize,
}

/// Records the requests that are passed to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RequestLog(Vec<ReceivedRequest>);

impl HttpSink for RequestLog {
    fn request(&mut self, head: &RequestHead, bytes: &[u8]) {
        let text = |span: Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
        self.0.push(ReceivedRequest {
            method: text(head.method),
            path: text(head.path),
            query: head.query.map(text),
            fields: head.fields.iter().map(|field| (text(field.name), text(field.value))).collect(),
            ..ReceivedRequest::default()
        });
    }

    fn body(&mut self, chunk: &[u8], last: bool) {
        let request = self.0.last_mut().expect("a request before its body");
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        assert_eq!(request.lasts, 0, "a piece after the last");
        request.body.extend_from_slice(chunk);
        request.lasts += usize::from(last);
    }
}

/// A connection with a caller that keeps unconsumed bytes, as the real one does.
struct Connection {
    exchange: HttpExchange,
    limits: HttpLimits,
    now: Timestamp,
    unconsumed: Vec<u8>,
    scratch: RequestHead,
    out: Vec<u8>,
    requests: RequestLog,
}

impl Connection {
    fn new() -> Self {
        Self::with(HttpLimits::default())
    }

    fn with(limits: HttpLimits) -> Self {
        let now = Timestamp(1_000);
        Self {
            exchange: HttpExchange::new(now),
            limits,
            now,
            unconsumed: Vec::new(),
            scratch: RequestHead::default(),
            out: Vec::new(),
            requests: RequestLog::default(),
        }
    }

    /// `bytes` arrive.
    fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), HttpError> {
        self.unconsumed.extend_from_slice(bytes.as_ref());
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        let consumed = self.exchange.handle_bytes(
            &mut self.unconsumed,
            moment,
            &mut self.scratch,
            &mut self.out,
            &mut self.requests,
        )?;
        self.unconsumed.drain(..consumed);
        Ok(())
    }

    /// Does something with the exchange at the current moment; returns the bytes it wrote.
    fn act(&mut self, action: impl FnOnce(&mut HttpExchange, Moment<'_>, &mut Vec<u8>)) -> String {
        let before = self.out.len();
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        action(&mut self.exchange, moment, &mut self.out);
        String::from_utf8_lossy(&self.out[before..]).into_owned()
    }

    /// A whole response.
    fn respond(&mut self, body: &[u8]) -> String {
        self.act(|exchange, moment, out| exchange.respond(&OK, body, false, moment, out))
    }

    /// Time passes and the timer fires.
    fn wait(&mut self, millis: u64) -> TimeoutOutcome {
        self.now = Timestamp(self.now.0 + millis);
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        self.exchange.handle_timeout(moment, &mut self.out)
    }

    /// Milliseconds until the deadline.
    fn deadline(&self) -> Option<u64> {
        let deadline = self.exchange.poll_deadline(&self.limits)?;
        Some(deadline.0.checked_sub(self.now.0).expect("a deadline in the future"))
    }

    fn is_closing(&self) -> bool {
        self.exchange.disposition() == Disposition::Close
    }

    fn flush(&mut self, flush: Flush) {
        let moment = Moment { now: self.now, date: DATE, limits: &self.limits };
        self.exchange.handle_flush(flush, moment);
    }
}

/// The result of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    requests: Vec<ReceivedRequest>,
    out: String,
    error: Option<HttpError>,
    unconsumed: usize,
}

/// A connection on which `input` arrives in pieces that end at `cuts`. Every complete request is answered at once, with
/// its path as body.
fn run(input: &[u8], cuts: &[usize]) -> Outcome {
    run_within(HttpLimits::default(), input, cuts)
}

/// [`run`], under these limits.
fn run_within(limits: HttpLimits, input: &[u8], cuts: &[usize]) -> Outcome {
    let mut connection = Connection::with(limits);
    let mut error = None;
    let mut start = 0;
    'pieces: for &end in cuts.iter().chain([&input.len()]) {
        let mut piece = &input[start..end];
        start = end;
        loop {
            if let Err(broken) = connection.receive(piece) {
                error = Some(broken);
                break 'pieces;
            }
            if connection.exchange.can_read() || connection.is_closing() {
                break;
            }
            let path = connection.requests.0.last().map(|request| request.path.clone()).unwrap_or_default();
            connection.respond(path.as_bytes());
            piece = b"";
        }
    }
    assert!(error.is_none() || connection.is_closing(), "an error closes");
    Outcome {
        requests: connection.requests.0,
        out: String::from_utf8_lossy(&connection.out).into_owned(),
        // After an error the number of unread bytes depends on the pieces and has no meaning.
        unconsumed: if error.is_some() { 0 } else { connection.unconsumed.len() },
        error,
    }
}

/// [`run`], asserted to be the same for every single cut and for single bytes.
fn run_all_ways(input: impl AsRef<[u8]>) -> Outcome {
    let input = input.as_ref();
    let whole = run(input, &[]);
    for cut in 0..=input.len() {
        assert_eq!(run(input, &[cut]), whole, "{} cut at {cut}", input.escape_ascii());
    }
    let every: Vec<usize> = (0..=input.len()).collect();
    assert_eq!(run(input, &every), whole, "{} byte by byte", input.escape_ascii());
    whole
}

/// The answer to an error, as bytes on the wire.
fn answer(error: HttpError) -> String {
    let mut out = Vec::new();
    error.encode_answer(DATE, &mut out);
    String::from_utf8(out).expect("ASCII")
}

/// The response to a request that is answered with its path.
fn ok(path: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: {}\r\n\r\n{path}",
        path.len()
    )
}

//! Target `exchange`: a whole HTTP connection, the input being a [`Scenario`] whose steps are those of
//! [`HttpApplication::play`].

use std::time::Duration;

use super::fuzz_head::reading;
use super::http_application::{DATE, HttpApplication};
use super::opinion::{Ask, Opinion};
use super::recorded_request::{RecordedRequest, RequestRecorder};
use super::scenario::Scenario;
use crate::protocol::http::error::HttpError;
use crate::protocol::http::exchange::HttpExchange;
use crate::protocol::http::head::{BodyLength, HeadLimits, RequestHead};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::Disposition;
use crate::protocol::http::pace::PaceLimit;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::time::Timestamp;

/// Asserts of the connection in `data`:
/// - the requests, the output and the number of unread bytes are the same for every split of the bytes, if every
///   complete request is answered at once;
/// - another parser reads every accepted head alike;
/// - the requests lie in the input one behind the other, each body where a plain reader of the length or of the chunks
///   finds it, with nothing between them but empty lines;
/// - an application that acts as the steps say gets the same requests, or the first of them: no call of it moves the
///   border between two requests;
/// - a strict client reads its responses as written, and the other assertions of [`HttpApplication`] hold.
///
/// # Panics
/// If one of them does not hold.
pub fn exchange(data: &[u8], ask: Ask) {
    let scenario = Scenario::of(data);
    let limits = tight_limits();
    let whole = answer_at_once(&[scenario.wire], &limits);
    assert_eq!(answer_at_once(&scenario.pieces(), &limits), whole, "cut by {:?}", scenario.steps);
    let single: Vec<&[u8]> = scenario.wire.chunks(1).collect();
    assert_eq!(answer_at_once(&single, &limits), whole, "byte by byte");

    for request in &whole.requests {
        assert_eq!(ask(&request.bytes), Opinion::Head(reading(&request.head, &request.bytes)));
    }
    assert_adjoining(scenario.wire, &whole.requests);

    let RequestRecorder(requests) = HttpApplication::play(scenario, &limits);
    assert!(requests.len() <= whole.requests.len(), "a request that is none");
    for (request, expected) in requests.iter().zip(&whole.requests) {
        assert!(request.is_prefix_of(expected), "{request:?}\nis not the start of\n{expected:?}");
    }
}

/// The result of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    requests: Vec<RecordedRequest>,
    out: Vec<u8>,
    error: Option<HttpError>,
    /// Bytes that were left unread; 0 after an error, because their number depends on the split then.
    unread: usize,
}

/// Small enough for the fuzzer to reach every one of them.
fn tight_limits() -> HttpLimits {
    HttpLimits {
        head: HeadLimits { max_head_bytes: 512, max_headers: 12 },
        max_body: 300,
        headers_timeout: Some(Duration::from_secs(3)),
        request_timeout: Some(Duration::from_secs(7)),
        keep_alive_timeout: Some(Duration::from_secs(4)),
        body_pace: Some(PaceLimit { every: Duration::from_secs(5), bytes: 16 }),
        response_pace: Some(PaceLimit { every: Duration::from_secs(6), bytes: 2 }),
        max_discard: 64,
        max_pipelined: 64,
        alternative: None,
    }
}

/// A connection on which the pieces arrive, and every complete request is answered at once with its path.
fn answer_at_once(pieces: &[&[u8]], limits: &HttpLimits) -> Outcome {
    let moment = Moment { now: Timestamp(1_000), date: DATE, limits };
    // Not 200, which would end HTTP on the connection in answer to a CONNECT.
    let not_found = ResponseHead { status: b"404 Not Found", fields: b"", flags: FieldFlags::NONE };
    let mut exchange = HttpExchange::new(moment.now);
    let (mut unread, mut scratch) = (Vec::new(), RequestHead::default());
    let (mut out, mut recorder) = (Vec::new(), RequestRecorder::default());
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            match exchange.handle_bytes(&mut unread, moment, &mut scratch, &mut out, &mut recorder) {
                Ok(consumed) => drop(unread.drain(..consumed)),
                Err(error) => {
                    assert_eq!(exchange.disposition(), Disposition::Close);
                    return Outcome { requests: recorder.0, out, error: Some(error), unread: 0 };
                }
            }
            if exchange.can_read() {
                break;
            }
            let path = recorder.0.last().map(|request| request.path().to_vec()).unwrap_or_default();
            exchange.respond(&not_found, &path, false, moment, &mut out);
        }
    }
    Outcome { requests: recorder.0, out, error: None, unread: unread.len() }
}

/// Finds the requests in the input once more.
fn assert_adjoining(mut wire: &[u8], requests: &[RecordedRequest]) {
    for request in requests {
        while let Some(rest) = wire.strip_prefix(b"\r\n") {
            wire = rest;
        }
        let Some((head, rest)) = wire.split_at_checked(request.bytes.len()) else {
            panic!("a head beyond the input")
        };
        assert!(head.eq_ignore_ascii_case(&request.bytes), "{}", head.escape_ascii());
        let (body, rest) = match request.head.body {
            _ if !request.is_whole => return,
            BodyLength::None => (Vec::new(), rest),
            BodyLength::Fixed(length) => {
                let (body, rest) = rest.split_at(usize::try_from(length).unwrap_or(usize::MAX));
                (body.to_vec(), rest)
            }
            BodyLength::Chunked => read_chunks(rest),
        };
        assert_eq!(request.body, body);
        wire = rest;
    }
}

/// The data of a complete chunked body, and what follows it. Reads line by line, and trusts the grammar of extensions
/// and trailers.
fn read_chunks(mut wire: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let line = take_line(&mut wire);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        assert!(matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')), "{}", line.escape_ascii());
        let size = str::from_utf8(&line[..digits]).map(|digits| usize::from_str_radix(digits, 16));
        let Ok(Ok(size)) = size else { panic!("no chunk: {}", line.escape_ascii()) };
        if size == 0 {
            break;
        }
        let (data, rest) = wire.split_at(size);
        body.extend_from_slice(data);
        wire = rest;
        assert_eq!(take_line(&mut wire), b"", "a chunk of the wrong size");
    }
    while !take_line(&mut wire).is_empty() {}
    (body, wire)
}

/// Takes a line and its CRLF.
fn take_line<'a>(wire: &mut &'a [u8]) -> &'a [u8] {
    let Some(end) = memchr::memmem::find(wire, b"\r\n") else { panic!("half a line") };
    let line = &wire[..end];
    assert!(!line.iter().any(|byte| b"\r\n\0".contains(byte)), "{}", line.escape_ascii());
    *wire = &wire[end + 2..];
    line
}

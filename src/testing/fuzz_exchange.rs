//! Target `exchange`: a whole HTTP connection, the input being a [`Scenario`] whose steps are those of
//! [`HttpApplication::play`].

use std::time::Duration;

use super::fuzz_head::reading;
use super::http_application::{DATE, HttpApplication};
use super::http_told::{Recorder, Told};
use super::opinion::{Ask, Opinion};
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
/// - what is told, written and left unread is the same however the bytes were cut, if every complete request is
///   answered at once;
/// - every head that is told reads the same to another parser;
/// - the requests lie in the input one behind the other, each body where a plain reader of the length or of the chunks
///   finds it, with nothing between them but empty lines;
/// - an application that answers as the steps say meets the same requests, or the first of them: whatever it does, it
///   cannot move the border between two requests;
/// - what it wrote is what a strict client reads, and the other promises of [`HttpApplication`].
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

    for told in &whole.told {
        assert_eq!(ask(&told.bytes), Opinion::Head(reading(&told.head, &told.bytes)));
    }
    assert_adjoining(scenario.wire, &whole.told);

    let Recorder(told) = HttpApplication::play(scenario, &limits);
    assert!(told.len() <= whole.told.len(), "a request that is none");
    for (told, expected) in told.iter().zip(&whole.told) {
        assert!(told.begins(expected), "{told:?}\nis not the start of\n{expected:?}");
    }
}

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    told: Vec<Told>,
    out: Vec<u8>,
    error: Option<HttpError>,
    /// Bytes that were left unread; 0 after an error, because that depends on the cuts and nobody reads them.
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
    }
}

/// A connection on which the pieces arrive, and every complete request is answered at once with its path.
fn answer_at_once(pieces: &[&[u8]], limits: &HttpLimits) -> Outcome {
    let moment = Moment { now: Timestamp(1_000), date: DATE, limits };
    // Not 200: to a CONNECT that would be the end of HTTP on the connection.
    let not_found = ResponseHead { status: b"404 Not Found", fields: b"", flags: FieldFlags::NONE };
    let mut exchange = HttpExchange::new(moment.now);
    let (mut unread, mut scratch) = (Vec::new(), RequestHead::default());
    let (mut out, mut told) = (Vec::new(), Recorder::default());
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            match exchange.handle_bytes(&mut unread, moment, &mut scratch, &mut out, &mut told) {
                Ok(consumed) => drop(unread.drain(..consumed)),
                Err(error) => {
                    assert_eq!(exchange.disposition(), Disposition::Close);
                    return Outcome { told: told.0, out, error: Some(error), unread: 0 };
                }
            }
            if exchange.can_read() {
                break;
            }
            let path = told.0.last().map(|told| told.path().to_vec()).unwrap_or_default();
            exchange.respond(&not_found, &path, false, moment, &mut out);
        }
    }
    Outcome { told: told.0, out, error: None, unread: unread.len() }
}

/// Finds the requests in the input once more.
fn assert_adjoining(mut wire: &[u8], told: &[Told]) {
    for told in told {
        while let Some(rest) = wire.strip_prefix(b"\r\n") {
            wire = rest;
        }
        let Some((head, rest)) = wire.split_at_checked(told.bytes.len()) else {
            panic!("a head beyond the input")
        };
        assert!(head.eq_ignore_ascii_case(&told.bytes), "{}", head.escape_ascii());
        let (body, rest) = match told.head.body {
            _ if !told.is_whole => return,
            BodyLength::None => (Vec::new(), rest),
            BodyLength::Fixed(length) => {
                let (body, rest) = rest.split_at(usize::try_from(length).unwrap_or(usize::MAX));
                (body.to_vec(), rest)
            }
            BodyLength::Chunked => read_chunks(rest),
        };
        assert_eq!(told.body, body);
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

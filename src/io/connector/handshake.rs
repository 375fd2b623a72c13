//! The opening handshake over a stream: sends the request, reads the response, and no byte more than came with it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::system_error::system_code;
use crate::protocol::connect::{ConnectCause, ConnectFailure, RefusedResponse, ResponseFields};
use crate::protocol::http::body::BodyDecoder;
use crate::protocol::http::head::BodyLength;
use crate::protocol::websocket::client_handshake::{ClientHandshake, Grant, LONGEST_HEAD};
use crate::tls::fault::TlsFault;

/// Returns what the server grants, and the bytes that came behind its response: they are frames.
pub(super) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    handshake: &ClientHandshake,
) -> Result<(Grant, Vec<u8>), ConnectFailure> {
    stream.write_all(handshake.request()).await.map_err(|error| ended(&error))?;
    stream.flush().await.map_err(|error| ended(&error))?;
    let mut bytes = Vec::with_capacity(USUAL_HEAD);
    let mut skipped = 0;
    let head = loop {
        match ClientHandshake::read(&bytes)? {
            Some(head) if head.is_interim() => {
                skipped += head.length;
                bytes.drain(..head.length);
                if skipped > LONGEST_HEAD {
                    return Err(ConnectFailure::new(ConnectCause::Response, "interim responses without end"));
                }
            }
            Some(head) => break head,
            None => receive(stream, &mut bytes).await?,
        }
    };
    bytes.drain(..head.length);
    match handshake.check(head) {
        Ok(grant) => Ok((grant, bytes)),
        Err(mut failure) => {
            if let Some(response) = &mut failure.response {
                // What does not come in time is left out: it is for a person to read.
                patiently(BODY_PATIENCE, read_body(stream, bytes, response)).await;
            }
            Err(failure)
        }
    }
}

/// Lets `act` go on for at most `patience`, a little at a time: if the process is stopped meanwhile, that counts as one step.
async fn patiently(patience: Duration, act: impl Future<Output = ()>) {
    let mut act = pin!(act);
    let mut left = patience;
    while !left.is_zero() {
        let step = left.min(STEP);
        left -= step;
        if tokio::time::timeout(step, act.as_mut()).await.is_ok() {
            return;
        }
    }
}

/// Adds what arrives next.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<(), ConnectFailure> {
    match stream.read_buf(bytes).await {
        Ok(0) => {
            let detail = if bytes.is_empty() { "nothing came" } else { "it is incomplete" };
            Err(ConnectFailure::new(ConnectCause::Ended, detail))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(ended(&error)),
    }
}

fn ended(error: &io::Error) -> ConnectFailure {
    // With TLS 1.3 a server refuses a client's certificate only when the client takes the handshake for complete.
    let cause = match TlsFault::of(error) {
        Some(TlsFault::Alert(_) | TlsFault::Invalid(_)) => ConnectCause::Tls,
        Some(_) | None => ConnectCause::Ended,
    };
    let failure = ConnectFailure::new(cause, error.to_string());
    ConnectFailure { system: system_code(error), ..failure }
}

/// Reads the start of the body into the response, until there is enough, the body or the connection ends.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, early: Vec<u8>, response: &mut RefusedResponse) {
    let mut body = Body::of(response.status, &response.fields);
    let mut input = early;
    while !body.take(&input, &mut response.body) {
        input.clear();
        if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

/// Where the body of a response ends (RFC 9112 §6.3).
enum Body {
    /// There is none.
    Absent,
    /// It says where.
    Framed(BodyDecoder),
    /// Where the connection ends.
    Rest,
}

impl Body {
    fn of(status: u16, fields: &ResponseFields) -> Self {
        if matches!(status, 100..=199 | 204 | 304) {
            return Self::Absent;
        }
        let value = |name| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
        let length = match (value("transfer-encoding"), value("content-length")) {
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Some(BodyLength::Chunked),
            (None, Some(digits)) => {
                std::str::from_utf8(digits).ok().and_then(|it| it.parse().ok()).map(BodyLength::Fixed)
            }
            (Some(_), _) | (None, None) => None,
        };
        match length.map(|length| BodyDecoder::new(length, u64::MAX)) {
            Some(Ok(None)) => Self::Absent,
            Some(Ok(Some(decoder))) => Self::Framed(decoder),
            Some(Err(_)) | None => Self::Rest,
        }
    }

    /// Adds what `input` holds of the body. Returns whether that was all that is wanted.
    fn take(&mut self, mut input: &[u8], body: &mut Vec<u8>) -> bool {
        let mut is_over = match self {
            Self::Absent => true,
            Self::Rest => {
                body.extend_from_slice(input);
                false
            }
            Self::Framed(decoder) => loop {
                // Framing that cannot be read is the end of what can be.
                let Ok(decoded) = decoder.decode(input) else { break true };
                body.extend_from_slice(&input[decoded.data]);
                input = &input[decoded.consumed..];
                if decoded.done || input.is_empty() {
                    break decoded.done;
                }
            },
        };
        if body.len() >= MAX_BODY {
            body.truncate(MAX_BODY);
            is_over = true;
        }
        is_over
    }
}

/// Bytes that most responses have, with their head.
const USUAL_HEAD: usize = 4096;
/// Bytes of body that are kept of a response that refuses: enough for the words of a person.
const MAX_BODY: usize = 4096;
/// How long a body may take that comes late, before it is done without.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait for it at a time.
const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::split::same_at_every_split;

    fn body_of(status: u16, fields: &[(&str, &str)], bytes: &[u8]) -> (Vec<u8>, bool) {
        let fields: ResponseFields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        same_at_every_split(bytes, |pieces| {
            let (mut body, mut out, mut is_over) = (Body::of(status, &fields), Vec::new(), false);
            for piece in pieces {
                is_over = is_over || body.take(piece, &mut out);
            }
            (out, is_over)
        })
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let whole = (b"no token".to_vec(), true);
        assert_eq!(body_of(401, &[("content-length", "8")], b"no token and more"), whole);
        let chunked = [("transfer-encoding", "chunked")];
        assert_eq!(body_of(503, &chunked, b"3\r\nno \r\n5;x=y\r\ntoken\r\n0\r\n\r\nmore"), whole);
        assert_eq!(body_of(400, &[], b"no token"), (b"no token".to_vec(), false));
        assert_eq!(body_of(400, &[("content-length", "9")], b"no token"), (b"no token".to_vec(), false));
    }

    #[test]
    fn a_response_may_have_no_body() {
        for (status, fields) in
            [(204, &[][..]), (304, &[("content-length", "8")]), (400, &[("content-length", "0")])]
        {
            assert_eq!(body_of(status, fields, b"no body"), (Vec::new(), true), "{status}");
        }
    }

    #[test]
    fn only_the_start_of_a_long_body_is_kept() {
        let (body, is_over) = body_of(500, &[], &[b'x'; MAX_BODY + 10]);
        assert_eq!((body.len(), is_over), (MAX_BODY, true));
    }
}

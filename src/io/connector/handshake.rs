//! The opening handshake over a stream: sends the request and reads the response. It never reads again once the
//! response is complete, so that only the bytes that arrived together with its end have to be passed on.

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

/// Returns what the server's response negotiates, and the bytes that were received after it: they belong to frames.
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
                // A body that does not arrive in time is cut off: it serves only to explain the refusal to a person.
                patiently(BODY_PATIENCE, read_body(stream, bytes, response)).await;
            }
            Err(failure)
        }
    }
}

/// Polls `act` for at most `patience`, in steps of [`STEP`]: time during which the process was stopped (SIGSTOP,
/// suspend) counts as one step.
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

/// Appends the bytes that arrive next. Fails if the connection ends instead.
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
    // With TLS 1.3 a server rejects the client's certificate only after the client has completed the handshake.
    let cause = match TlsFault::of(error) {
        Some(TlsFault::Alert(_) | TlsFault::Invalid(_)) => ConnectCause::Tls,
        Some(_) | None => ConnectCause::Ended,
    };
    let failure = ConnectFailure::new(cause, error.to_string());
    ConnectFailure { system: system_code(error), ..failure }
}

/// Reads the start of the body into `response`, until [`MAX_BODY`] bytes are there, or the body or the connection ends.
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

/// How the end of a response body is found (RFC 9112 §6.3).
enum Body {
    /// The response has no body.
    Absent,
    /// By `Content-Length` or the chunked coding.
    Framed(BodyDecoder),
    /// The body ends with the connection.
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

    /// Appends the body bytes of `input` to `body`. Returns whether the body is complete or [`MAX_BODY`] is reached.
    fn take(&mut self, mut input: &[u8], body: &mut Vec<u8>) -> bool {
        let mut is_over = match self {
            Self::Absent => true,
            Self::Rest => {
                body.extend_from_slice(input);
                false
            }
            Self::Framed(decoder) => loop {
                // Invalid framing ends the body: the bytes after it cannot be interpreted.
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

/// Initial capacity of the buffer, in bytes: most responses fit.
const USUAL_HEAD: usize = 4096;
/// How many bytes are kept of the body of a response that refuses the upgrade: enough for a message to a person.
const MAX_BODY: usize = 4096;
/// How long the body of such a response is waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
/// The longest single wait, see [`patiently`].
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

//! A stream that checks what a Redis server sends before the client parses it: the client would keep a string of
//! 512 MB in memory, and does not say of other protocols that they are others.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::broker::cause::{BrokerCause, BrokerFailure};

/// A stream that ends with an error when the server breaks a rule of the protocol.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: S,
    scanner: Scanner,
    verdict: Verdict,
}

/// Why a stream was ended; empty while it was not.
pub(super) type Verdict = Arc<OnceLock<BrokerFailure>>;

impl<S> Guard<S> {
    /// Checks a new stream, and writes the reason to `verdict` when it ends it.
    pub(super) fn new(stream: S, verdict: Verdict) -> Self {
        Self { stream, scanner: Scanner::default(), verdict }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        let failure = match &result {
            Err(error) => Some(BrokerFailure::new(BrokerCause::Closed, error)),
            Ok(()) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                Some(BrokerFailure::new(BrokerCause::Closed, "the server has closed the connection"))
            }
            Ok(()) => this.scanner.scan(&buffer.filled()[before..]).err(),
        };
        if let Some(failure) = failure {
            let is_violation = failure.cause != BrokerCause::Closed;
            let error = io::Error::new(io::ErrorKind::InvalidData, failure.detail.clone());
            this.verdict.get_or_init(|| failure);
            if is_violation {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Follows the framing of RESP 2 and 3.
#[derive(Debug, Default)]
struct Scanner {
    /// Bytes of a string, and the line end behind it, that are still to come.
    left: usize,
    /// The line that has begun.
    line: Vec<u8>,
}

impl Scanner {
    fn scan(&mut self, mut bytes: &[u8]) -> Result<(), BrokerFailure> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end..];
            if !self.line.first().is_some_and(|kind| KINDS.contains(kind)) {
                return Err(BrokerFailure::new(BrokerCause::Protocol, "the server does not speak RESP"));
            }
            if self.line.ends_with(b"\n") {
                self.end_line()?;
                self.line.clear();
            } else if self.line.len() > MAX_LINE {
                return Err(BrokerFailure::new(
                    BrokerCause::Protocol,
                    "the server has sent a line without an end",
                ));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), BrokerFailure> {
        let broken = || BrokerFailure::new(BrokerCause::Protocol, "the server has sent a malformed line");
        let [kind, text @ .., b'\r', b'\n'] = &self.line[..] else { return Err(broken()) };
        let is_string = matches!(kind, b'$' | b'=' | b'!');
        if !is_string && !matches!(kind, b'*' | b'>' | b'%' | b'~' | b'|') {
            return Ok(());
        }
        if text == b"-1" {
            return Ok(());
        }
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(broken)?;
        let limit = if is_string { MAX_STRING } else { MAX_ITEMS };
        if number > limit {
            let detail = format!("the server has announced {number} bytes or items; {limit} are accepted");
            return Err(BrokerFailure::new(BrokerCause::TooLarge, detail));
        }
        if is_string {
            // The limit fits.
            self.left = number as usize + 2;
        }
        Ok(())
    }
}

/// The first bytes of all values of RESP 2 and 3.
const KINDS: &[u8] = b"+-:$*_#,(!=%~>|";
/// Longest line, in bytes: of an error or a simple string.
const MAX_LINE: usize = 64 * 1024;
/// Longest string, in bytes.
pub(super) const MAX_STRING: u64 = 32 * 1024 * 1024;
/// Most items of an array, map or set.
const MAX_ITEMS: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8]) -> Option<BrokerCause> {
        let whole = Scanner::default().scan(bytes).err().map(|failure| failure.cause);
        let mut scanner = Scanner::default();
        let mut bytewise = None;
        for byte in bytes {
            bytewise = bytewise.or(scanner.scan(&[*byte]).err().map(|failure| failure.cause));
        }
        assert_eq!(whole, bytewise);
        whole
    }

    #[test]
    fn what_a_server_sends_passes() {
        for bytes in [
            &b"+OK\r\n:1\r\n-ERR no\r\n$-1\r\n*-1\r\n_\r\n"[..],
            b"*3\r\n$7\r\nmessage\r\n$9\r\nchat:news\r\n$5\r\na\r\nb\n\r\n+PONG\r\n",
            b">2\r\n+x\r\n$0\r\n\r\n%1\r\n+a\r\n#t\r\n,1.5\r\n",
        ] {
            assert_eq!(outcome(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn other_protocols_and_garbage_do_not() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"INFO {\"server_id\":\"x\"}\r\n",
            b"$x\r\n",
            b"$-5\r\n",
            b"*1.5\r\n",
            b"+OK\n",
            &[&b"+"[..], &[b'x'; MAX_LINE + 1]].concat(),
        ] {
            assert_eq!(outcome(bytes), Some(BrokerCause::Protocol), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_arrives() {
        assert_eq!(outcome(b"$536870912\r\n"), Some(BrokerCause::TooLarge));
        assert_eq!(
            outcome(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$33554433\r\n"),
            Some(BrokerCause::TooLarge)
        );
        assert_eq!(outcome(b"*1000000\r\n"), Some(BrokerCause::TooLarge));
        assert_eq!(outcome(b"$18446744073709551616\r\n"), Some(BrokerCause::Protocol));
    }
}

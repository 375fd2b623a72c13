//! The first bytes of a connection in plaintext that may be one of HTTP/2: a client that knows it begins with the
//! connection preface (RFC 9113 §3.3, §3.4), which no request of HTTP/1.1 begins with.

use super::http::Http;
use super::shell::Shell;
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::http2::session::PREFACE;

/// The stage in which the bytes do not tell yet which it is. HTTP receives none before its end, so the timeout of the
/// first request, which starts at the accept, covers it, too.
#[derive(Debug)]
pub(super) struct PrefaceStage {
    /// What an HTTP/2 connection is allowed.
    limits: Arc<Http2Limits>,
    /// The bytes so far: the beginning of a preface.
    received: Vec<u8>,
}

/// The stage after some input.
#[derive(Debug)]
pub(super) enum AfterPreface {
    /// The bytes do not tell yet.
    Preface(PrefaceStage),
    /// It is HTTP/1.1, which has got the bytes.
    Http,
    /// It is HTTP/2.
    Http2 {
        /// What it is allowed.
        limits: Arc<Http2Limits>,
        /// The bytes.
        input: Vec<u8>,
    },
}

impl PrefaceStage {
    /// One of which no byte has arrived.
    pub(super) const fn new(limits: Arc<Http2Limits>) -> Self {
        Self { limits, received: Vec::new() }
    }

    /// Whether no byte has arrived.
    pub(super) const fn is_silent(&self) -> bool {
        self.received.is_empty()
    }

    /// What would be lost with the connection.
    pub(super) const fn standing(&self) -> Standing {
        if self.is_silent() { Standing::Silent } else { Standing::Opening }
    }

    /// Takes bytes that were read.
    pub(super) fn handle_input(
        mut self,
        input: &[u8],
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> AfterPreface {
        self.received.extend_from_slice(input);
        let length = self.received.len().min(PREFACE.len());
        if self.received[..length] != PREFACE[..length] {
            http.handle_input(&mut self.received, shell, context);
            AfterPreface::Http
        } else if length < PREFACE.len() {
            AfterPreface::Preface(self)
        } else {
            AfterPreface::Http2 { limits: self.limits, input: self.received }
        }
    }
}

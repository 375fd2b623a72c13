//! The response to one request, whichever version of HTTP carries it.

use super::http::response::HttpResponse;
use super::http2::response::StreamResponse;
use super::http3::response::StreamResponse as Http3Response;
use crate::bridge::command::HeadBytes;
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::protocol::http::response_framing::Framing;

/// What the commands of Node's thread for a response are applied to.
#[derive(Debug)]
pub(crate) enum Response<'a> {
    /// Over HTTP/1.1.
    Http(HttpResponse<'a>),
    /// Over HTTP/2.
    Http2(StreamResponse<'a>),
    /// Over HTTP/3.
    Http3(Http3Response<'a>),
}

impl Response<'_> {
    /// `Command::Respond`.
    pub(crate) fn respond(
        &mut self,
        head: HeadBytes,
        body: &[u8],
        close: bool,
        arena: &[u8],
        context: &mut Context,
    ) {
        match self {
            Self::Http(it) => it.respond(head, body, close, arena, context),
            Self::Http2(it) => it.respond(head, body, arena, context),
            Self::Http3(it) => it.respond(head, body, arena, context),
        }
    }

    /// `Command::StartResponse`.
    pub(crate) fn start(&mut self, head: HeadBytes, framing: Framing, arena: &[u8], context: &mut Context) {
        match self {
            Self::Http(it) => it.start(head, framing, arena, context),
            Self::Http2(it) => it.start(head, framing, arena, context),
            Self::Http3(it) => it.start(head, framing, arena, context),
        }
    }

    /// `Command::WriteBody`.
    pub(crate) fn write_body(&mut self, data: &[u8], context: &mut Context) {
        match self {
            Self::Http(it) => it.write_body(data, context),
            Self::Http2(it) => it.write_body(data, context),
            Self::Http3(it) => it.write_body(data, context),
        }
    }

    /// `Command::FinishResponse`.
    pub(crate) fn finish(&mut self, trailers: &[u8], close: bool, context: &mut Context) {
        match self {
            Self::Http(it) => it.finish(trailers, close, context),
            Self::Http2(it) => it.finish(trailers, context),
            Self::Http3(it) => it.finish(trailers, context),
        }
    }

    /// `Command::AbortResponse`.
    pub(crate) fn abort(&mut self, context: &mut Context) {
        match self {
            Self::Http(it) => it.abort(context),
            Self::Http2(it) => it.abort(context),
            Self::Http3(it) => it.abort(context),
        }
    }

    /// `Command::MeterResponse`.
    pub(crate) fn start_meter(&mut self, ledger: Arc<Ledger>, context: &mut Context) {
        match self {
            Self::Http(it) => it.start_meter(ledger, context),
            Self::Http2(it) => it.start_meter(ledger, context),
            Self::Http3(it) => it.start_meter(ledger, context),
        }
    }

    /// `Command::NotifyWritable`.
    pub(crate) fn notify_writable(&mut self, context: &mut Context) {
        match self {
            Self::Http(it) => it.notify_writable(context),
            Self::Http2(it) => it.notify_writable(context),
            Self::Http3(it) => it.notify_writable(context),
        }
    }

    /// `Command::PauseReading` and `Command::ResumeReading`.
    pub(crate) fn set_paused(&mut self, is_paused: bool, context: &mut Context) {
        match self {
            Self::Http(it) => it.set_paused(is_paused, context),
            Self::Http2(it) => it.set_paused(is_paused, context),
            Self::Http3(it) => it.set_paused(is_paused, context),
        }
    }
}

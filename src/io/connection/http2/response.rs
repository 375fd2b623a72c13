//! The commands of Node's thread for the response on one stream.

use super::Http2;
use crate::bridge::command::HeadBytes;
use crate::bridge::id::ConnectionId;
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::io::connection::http::meter::Meter;
use crate::io::connection::http::response::{response_head, with_alternative};
use crate::io::connection::shell::Shell;
use crate::io::connection::streams::open_streams::{Kind, OpenStream};
use crate::io::context::Context;
use crate::io::stream_work::StreamNumber;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::ResponseHead;
use crate::protocol::http2::error::ErrorCode;
use crate::protocol::http2::frame::StreamId;
use crate::protocol::http2::session::Http2Session;

/// The response on a stream that is open. Whether its connection is to be closed has no meaning here (RFC 9113 §8.2.2).
#[derive(Debug)]
pub(crate) struct StreamResponse<'a> {
    stream: StreamNumber,
    http2: &'a mut Http2,
    shell: &'a mut Shell,
}

impl<'a> StreamResponse<'a> {
    /// The response on `stream`, if that has the name `id`, is served and has not become a tunnel.
    pub(crate) fn find(
        (stream, id): (StreamNumber, ConnectionId),
        http2: &'a mut Http2,
        shell: &'a mut Shell,
    ) -> Option<Self> {
        let open = http2.streams.get_mut(stream)?;
        let is_response = open.id == id && !matches!(open.kind, Kind::Tunnel { .. });
        (is_response && shell.is_serving()).then_some(Self { stream, http2, shell })
    }

    fn with_session(
        &mut self,
        context: &mut Context,
        act: impl FnOnce(&mut Http2Session, StreamId, Moment<'_>, &mut Vec<u8>),
    ) {
        let stream = self.stream.of_http2();
        self.http2.with_session(self.shell, context, |session, moment, out, _| {
            act(session, stream, moment, out);
        });
        self.shell.mark_dirty(context);
    }

    fn open(&mut self) -> Option<&mut OpenStream> {
        self.http2.streams.get_mut(self.stream)
    }

    /// `Command::Respond`.
    pub(crate) fn respond(&mut self, head: HeadBytes, body: &[u8], arena: &[u8], context: &mut Context) {
        let head = response_head(head, arena);
        self.with_session(context, |session, stream, moment, out| {
            let fields = with_alternative(head.fields, moment.limits);
            session.respond(stream, &ResponseHead { fields: &fields, ..head }, body, moment, out);
        });
    }

    /// `Command::StartResponse`.
    pub(crate) fn start(&mut self, head: HeadBytes, framing: Framing, arena: &[u8], context: &mut Context) {
        let head = response_head(head, arena);
        self.with_session(context, |session, stream, moment, out| {
            let fields = with_alternative(head.fields, moment.limits);
            session.start_response(stream, &ResponseHead { fields: &fields, ..head }, framing, moment, out);
        });
    }

    /// `Command::WriteBody`.
    pub(crate) fn write_body(&mut self, data: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment, out| {
            session.write_body(stream, data, moment, out);
        });
        if let Some(OpenStream { meter: Some(meter), .. }) = self.open() {
            meter.count_applied(data.len());
        }
    }

    /// `Command::FinishResponse`.
    pub(crate) fn finish(&mut self, trailers: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment, out| {
            session.finish_response(stream, trailers, moment, out);
        });
    }

    /// `Command::AbortResponse`: no event follows, as the abort handler of the application has run.
    pub(crate) fn abort(&mut self, context: &mut Context) {
        self.with_session(context, |session, stream, moment, out| {
            session.reset(stream, ErrorCode::CANCEL, moment.now, out);
        });
    }

    /// `Command::MeterResponse`.
    pub(crate) fn start_meter(&mut self, ledger: Arc<Ledger>, context: &mut Context) {
        if let Some(open) = self.open() {
            open.meter = Some(Meter::new(ledger));
        }
        self.shell.mark_dirty(context);
    }

    /// `Command::NotifyWritable`.
    pub(crate) fn notify_writable(&mut self, context: &mut Context) {
        if let Some(OpenStream { meter: Some(meter), .. }) = self.open() {
            meter.await_writable();
        }
        self.shell.mark_dirty(context);
    }

    /// `Command::PauseReading` and `Command::ResumeReading`: only the client of this stream waits.
    pub(crate) fn set_paused(&mut self, is_paused: bool, context: &mut Context) {
        self.with_session(context, |session, stream, moment, out| {
            session.set_paused(stream, is_paused, moment.now, out);
        });
    }
}

//! The commands of Node's thread for the response on one stream of HTTP/3.

use super::Http3;
use crate::bridge::command::HeadBytes;
use crate::bridge::id::ConnectionId;
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::io::connection::http::meter::Meter;
use crate::io::connection::http::response::response_head;
use crate::io::connection::shell::Shell;
use crate::io::connection::streams::open_streams::{Kind, OpenStream};
use crate::io::context::Context;
use crate::io::stream_work::StreamNumber;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http3::error_code::ErrorCode;
use crate::protocol::http3::session::Http3Session;
use crate::protocol::http3::stream_id::StreamId;

/// The response on a stream that is open. Whether its connection is to be closed has no meaning here (RFC 9114 §4.2).
#[derive(Debug)]
pub(crate) struct StreamResponse<'a> {
    stream: StreamNumber,
    http3: &'a mut Http3,
    shell: &'a mut Shell,
}

impl<'a> StreamResponse<'a> {
    /// The response on `stream`, if that has the name `id`, is served and has not become a tunnel.
    pub(crate) fn find(
        (stream, id): (StreamNumber, ConnectionId),
        http3: &'a mut Http3,
        shell: &'a mut Shell,
    ) -> Option<Self> {
        let open = http3.streams.get_mut(stream)?;
        let is_response = open.id == id && !matches!(open.kind, Kind::Tunnel { .. });
        (is_response && shell.is_serving()).then_some(Self { stream, http3, shell })
    }

    fn with_session(
        &mut self,
        context: &mut Context,
        act: impl FnOnce(&mut Http3Session, StreamId, Moment<'_>),
    ) {
        let stream = self.stream.into();
        self.http3.with_session(self.shell, context, |session, moment, _| act(session, stream, moment));
        if self.http3.has_readable() {
            context.again.push(self.shell.id);
        }
    }

    fn open(&mut self) -> Option<&mut OpenStream> {
        self.http3.streams.get_mut(self.stream)
    }

    /// `Command::Respond`.
    pub(crate) fn respond(&mut self, head: HeadBytes, body: &[u8], arena: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment| {
            session.respond(stream, &response_head(head, arena), body, moment);
        });
    }

    /// `Command::StartResponse`.
    pub(crate) fn start(&mut self, head: HeadBytes, framing: Framing, arena: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment| {
            session.start_response(stream, &response_head(head, arena), framing, moment);
        });
    }

    /// `Command::WriteBody`.
    pub(crate) fn write_body(&mut self, data: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment| {
            session.write_body(stream, data, moment);
        });
        if let Some(OpenStream { meter: Some(meter), .. }) = self.open() {
            meter.count_applied(data.len());
        }
    }

    /// `Command::FinishResponse`.
    pub(crate) fn finish(&mut self, trailers: &[u8], context: &mut Context) {
        self.with_session(context, |session, stream, moment| {
            session.finish_response(stream, trailers, moment);
        });
    }

    /// `Command::AbortResponse`: no event follows, as the abort handler of the application has run.
    pub(crate) fn abort(&mut self, context: &mut Context) {
        self.with_session(context, |session, stream, moment| {
            session.reset(stream, ErrorCode::REQUEST_CANCELLED, moment.now);
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
        self.with_session(context, |session, stream, moment| {
            session.set_paused(stream, is_paused, moment.now);
        });
    }
}

//! HTTP/2 on a connection: feeds the session, and keeps what that cannot take yet. `response` applies the commands of
//! Node's thread, `sink` passes on what the session tells (`connection/streams`).

pub(super) mod response;
mod sink;

use super::http::Http;
use super::http::meter::WRITABLE_BELOW;
use super::shell::Shell;
use super::streams::open_streams::{Kind, OpenStreams};
use super::streams::stream_sink::StreamSink;
use super::upgrade::Upgrade;
use crate::bridge::id::ConnectionId;
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::RefusalCause;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::io::stream_work::{StreamNumber, StreamWork};
use crate::io::tunnel::Parcel;
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::Flush;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead, lines};
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::StreamId;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::http2::session::leaving::farewell;
use crate::protocol::http2::session::timing::NO_REQUEST;
use crate::protocol::http2::session::{Http2Session, Http2Timeout};
use crate::protocol::time::Timestamp;

/// State of an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    session: Http2Session,
    /// What the app allows its clients.
    limits: Arc<HttpLimits>,
    streams: OpenStreams,
    /// Input that the session did not take: a frame that is not complete, or frames whose events would be too far ahead of
    /// Node's thread.
    pending: Vec<u8>,
    /// How much of it waits for Node's thread, as [`Context::unhandled`] counts it.
    unhandled: usize,
    /// The client.
    pub peer: Peer,
    /// Server name and certificate of the client's TLS handshake, if they matter to the application.
    tls_peer: Option<Arc<TlsPeerInfo>>,
    /// Nothing is read, because Node's thread lags.
    is_unread: bool,
    /// Why the connection ends by itself once its last stream has ended.
    leaving: &'static str,
    /// Bytes that the socket has taken in the current flush.
    written: u64,
    /// Bytes that waited after the last flush.
    backlog: u64,
}

impl Http2 {
    /// Follows HTTP/1.1, with which the connection was accepted and of which it has read nothing.
    pub(super) fn follow(
        http: &mut Http,
        limits: Http2Limits,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Self {
        let its_limits = http.limits();
        let moment = Moment { now: context.now, date: &context.date, limits: &its_limits };
        let session = Http2Session::new(limits, moment, shell.outbox.tail(&mut context.pool));
        shell.mark_dirty(context);
        Self {
            session,
            limits: its_limits,
            streams: OpenStreams::default(),
            pending: Vec::new(),
            unhandled: 0,
            peer: http.peer,
            tls_peer: http.tls_peer.take(),
            is_unread: false,
            leaving: CloseCause::PeerClosed.verdict().name,
            written: 0,
            backlog: http.replace_backlog(0),
        }
    }

    /// Bytes that may be read.
    pub(super) fn room(&self) -> usize {
        if self.session.is_closed() { 0 } else { usize::MAX }
    }

    /// Whether input waits that needs no further bytes.
    pub(super) const fn has_unhandled(&self) -> bool {
        self.unhandled > 0
    }

    /// The same as a number of bytes.
    pub(super) const fn unhandled(&self) -> usize {
        self.unhandled
    }

    /// When [`Self::handle_deadline`] is due.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.session.poll_deadline(&self.limits)
    }

    /// The deadline that remains while nothing is read.
    pub(super) fn writing_deadline(&self) -> Option<Timestamp> {
        self.session.writing_deadline(&self.limits)
    }

    /// Sets whether nothing is read because Node's thread lags. The timeouts of the client run while it is read.
    pub(super) fn set_unread(&mut self, is_unread: bool, now: Timestamp) {
        if self.is_unread != is_unread {
            self.is_unread = is_unread;
            if is_unread {
                self.session.pause(now);
            } else {
                self.session.resume(now);
            }
        }
    }

    /// Whether no stream is open.
    pub(super) fn is_idle(&self) -> bool {
        self.session.is_idle() && self.pending.is_empty()
    }

    /// What closing the connection would lose, and since when it waits for its client; `None` if a stream is open.
    pub(super) fn standing(&self) -> Option<(Standing, Timestamp)> {
        let since = self.session.waits_since()?;
        Some((if self.is_idle() { Standing::Idle } else { Standing::Opening }, since))
    }

    /// Bytes that wait in the streams, for flow control or for the socket.
    pub(super) fn queued(&self) -> usize {
        self.session.queued_in_all()
    }

    /// The streams with bytes that wait, how many, and since when none of them left.
    pub(super) fn backlogs(&self) -> impl Iterator<Item = (StreamId, usize, Timestamp)> {
        self.session.backlogs()
    }

    /// Sets the number of bytes that wait. Returns the previous one.
    pub(super) const fn replace_backlog(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.backlog, left)
    }

    /// Runs `act` on the session, and does what follows from it.
    fn with_session<R>(
        &mut self,
        shell: &mut Shell,
        context: &mut Context,
        act: impl FnOnce(&mut Http2Session, Moment<'_>, &mut Vec<u8>, &mut StreamSink<'_>) -> R,
    ) -> R {
        let out = shell.outbox.tail(&mut context.pool);
        let tally = context.tallies.of(shell.app);
        let mut sink = StreamSink {
            events: &mut context.events,
            names: &mut context.names,
            work: &mut context.stream_work,
            streams: &mut self.streams,
            socket: shell.id,
            app: shell.app,
            peer: self.peer,
            tally,
            tls_peer: self.tls_peer.as_ref(),
            calls: 0,
        };
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        let result = act(&mut self.session, moment, out, &mut sink);
        self.settle(context);
        shell.outbox.release(&mut context.pool);
        result
    }

    /// Forgets the streams that are closed.
    fn settle(&mut self, context: &mut Context) {
        while let Some(stream) = self.session.poll_finished() {
            self.streams.forget(stream.into(), &mut context.stream_work);
        }
    }

    /// Takes bytes that were read. What holds more events than the connection may add now is left for the next call.
    pub(super) fn handle_input(&mut self, input: &[u8], shell: &mut Shell, context: &mut Context) {
        let room = shell.event_room(context);
        context.unhandled -= std::mem::take(&mut self.unhandled);
        let mut pending = std::mem::take(&mut self.pending);
        let is_first = pending.is_empty();
        if !is_first {
            pending.extend_from_slice(input);
        }
        let bytes = if is_first { input } else { &pending[..] };
        let mut head = std::mem::take(&mut context.http2_head);
        let (result, calls) = self.with_session(shell, context, |session, moment, out, sink| {
            let result = session.handle_bytes(bytes, moment, &mut head, out, room, sink);
            (result, sink.calls)
        });
        context.http2_head = head;
        match result {
            Ok(taken) => {
                if is_first {
                    pending.extend_from_slice(&input[taken..]);
                } else {
                    pending.drain(..taken);
                }
                if calls >= room && !pending.is_empty() {
                    self.unhandled = pending.len();
                    context.unhandled += self.unhandled;
                }
                self.pending = if pending.is_empty() { Vec::new() } else { pending };
                self.leave_if_closed(shell, context);
            }
            Err(error) => {
                tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of HTTP/2");
                shell.tally(context).count_refusal(RefusalCause::Http2(error));
                shell.drain(error.code(), context);
            }
        }
    }

    /// Acts on [`Self::deadline`].
    pub(super) fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        let outcome = self.with_session(shell, context, |session, moment, out, sink| {
            session.handle_timeout(moment, out, sink)
        });
        match outcome {
            Http2Timeout::None => self.leave_if_closed(shell, context),
            Http2Timeout::Idle => shell.drain(NO_REQUEST, context),
            Http2Timeout::Headers => {
                shell.tally(context).count_refusal(RefusalCause::Http2(Http2Error::HeadersTimeout));
                shell.drain(Http2Error::HeadersTimeout.code(), context);
            }
            Http2Timeout::Response => shell.drop_after_flush(CloseCause::ResponseTimeout, context),
        }
    }

    /// Frames what waits in the streams for the next write. Returns whether that was all that can be sent now.
    pub(super) fn write_output(&mut self, shell: &mut Shell, context: &mut Context) -> bool {
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        let out = shell.outbox.tail(&mut context.pool);
        self.session.write_output(moment, out)
    }

    /// Counts what the socket takes in a flush.
    pub(super) const fn count_written(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// Follows a flush.
    pub(super) fn handle_flush(&mut self, shell: &mut Shell, context: &mut Context) {
        let flush = match (shell.backlog(), std::mem::take(&mut self.written)) {
            (0, _) => Flush::Drained,
            (_, 0) => Flush::Stuck,
            (_, written) => Flush::Progressed(written),
        };
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.session.handle_flush(flush, moment);
        let queued = |stream: StreamNumber| self.session.queued(stream.of_http2());
        self.streams.handle_flush(queued, WRITABLE_BELOW, &mut context.events, &mut context.stream_work);
        self.settle(context);
        self.leave_if_closed(shell, context);
    }

    /// Drains a connection whose session is closed.
    pub(super) fn leave_if_closed(&self, shell: &mut Shell, context: &mut Context) {
        if self.session.is_closed() {
            shell.drain(self.leaving, context);
        }
    }

    /// Closes the connection gracefully: requests that arrive before the client knows are served. The client is told `why`.
    pub(super) fn wind_down(
        &mut self,
        cause: CloseCause,
        why: &str,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        if self.session.is_winding_down() {
            return;
        }
        self.leaving = cause.verdict().name;
        self.with_session(shell, context, |session, moment, out, _| {
            session.wind_down(&format!("{}: {why}", cause.code()), moment.now, out);
        });
        shell.mark_dirty(context);
    }

    /// Has the WebSockets in streams ask their peers to reconnect, as the connection cannot last.
    pub(super) fn doom_tunnels(&self, cause: CloseCause, context: &mut Context) {
        self.streams.doom_tunnels(cause, &mut context.stream_work);
    }

    /// Tells the client why this side ends the connection, before the socket is closed: in a GOAWAY, if the kernel takes it.
    /// Of other ends it knows, or cannot be told.
    pub(super) fn take_leave(&mut self, cause: CloseCause, shell: &mut Shell, context: &mut Context) {
        let code = match cause {
            CloseCause::OutputLimit | CloseCause::ResponseTimeout => ErrorCode::ENHANCE_YOUR_CALM,
            CloseCause::AppClosed | CloseCause::ApplicationClosed | CloseCause::ServerShutdown => {
                ErrorCode::NO_ERROR
            }
            _ => return,
        };
        self.leave_at_once(code, &farewell(cause), shell, context);
    }

    /// The same, without a cause that programs know.
    pub(super) fn leave_at_once(
        &mut self,
        code: ErrorCode,
        why: &str,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        self.with_session(shell, context, |session, _, out, _| session.leave_at_once(code, why, out));
        shell.flush_at_once(context);
    }

    /// Aborts what is open on the connection, which ends.
    pub(super) fn abort(&mut self, cause: CloseCause, context: &mut Context) {
        let (session, streams) = (&mut self.session, &mut self.streams);
        session.abort(|stream| {
            if let Some(stream) = streams.get_mut(stream.into()) {
                stream.abort(cause, None, &mut context.events, &mut context.stream_work);
            }
        });
        self.settle(context);
    }

    /// `Command::Upgrade`: answers an extended CONNECT (RFC 8441 §5). Returns what has arrived behind it; `None` if there is
    /// none to answer, or if the stream cannot be a tunnel.
    pub(super) fn open_tunnel(
        &mut self,
        (number, id): (StreamNumber, ConnectionId),
        answer: &Upgrade<'_>,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Option<Vec<u8>> {
        let stream = number.of_http2();
        let known = self.streams.get_mut(number).filter(|known| known.id == id)?;
        let kind = std::mem::replace(&mut known.kind, Kind::Tunnel { is_full: false });
        let Kind::Handshake { early, has_ended } = kind else {
            // Requests other than an extended CONNECT cannot switch protocols, which Node's thread has checked.
            known.kind = kind;
            known.abort(CloseCause::InvalidHttp2, None, &mut context.events, &mut context.stream_work);
            self.reset(stream, ErrorCode::HTTP_1_1_REQUIRED, shell, context);
            return None;
        };
        let mut fields = Vec::new();
        answer.append_fields(&mut fields);
        let names = lines(&fields).map(|(name, _)| name);
        let flags = names.fold(FieldFlags::NONE, |flags, name| flags | FieldFlags::of(name));
        let head = ResponseHead { status: b"200", fields: &fields, flags };
        let is_open = self.with_session(shell, context, |session, moment, out, _| {
            session.open_tunnel(stream, &head, moment, out)
        });
        shell.mark_dirty(context);
        if !is_open {
            return None;
        }
        if has_ended {
            context.stream_work.push(StreamWork::Received { id, data: Vec::new(), is_last: true });
        }
        Some(early)
    }

    /// Passes on what a tunnel has for its stream. Returns how many bytes of it wait.
    pub(super) fn carry(
        &mut self,
        number: StreamNumber,
        parcel: &Parcel,
        shell: &mut Shell,
        context: &mut Context,
    ) -> usize {
        let stream = number.of_http2();
        let queued = self.with_session(shell, context, |session, moment, out, _| {
            session.write_body(stream, &parcel.data, moment, out);
            if parcel.is_finished {
                session.finish_response(stream, b"", moment, out);
            }
            if let Some(is_paused) = parcel.pause {
                session.set_paused(stream, is_paused, moment.now, out);
            }
            session.queued(stream)
        });
        if let Some(known) = self.streams.get_mut(number)
            && let Kind::Tunnel { is_full } = &mut known.kind
        {
            *is_full = queued > 0;
        }
        shell.mark_dirty(context);
        queued
    }

    /// The WebSocket in a tunnel is gone: sends its last bytes, and ends the stream if the client has not.
    pub(super) fn leave_tunnel(
        &mut self,
        stream: StreamNumber,
        data: &[u8],
        is_finished: bool,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let stream = stream.of_http2();
        self.with_session(shell, context, |session, moment, out, _| {
            session.write_body(stream, data, moment, out);
            if is_finished {
                session.leave_tunnel(stream, moment, out);
            } else {
                session.reset(stream, ErrorCode::CANCEL, moment.now, out);
            }
        });
        shell.mark_dirty(context);
    }

    /// Ends a stream whose client takes too little of what waits for it.
    pub(super) fn close_slow_stream(&mut self, stream: StreamId, shell: &mut Shell, context: &mut Context) {
        if let Some(open) = self.streams.get_mut(stream.into()) {
            open.abort(CloseCause::OutputLimit, None, &mut context.events, &mut context.stream_work);
        }
        self.reset(stream, ErrorCode::ENHANCE_YOUR_CALM, shell, context);
        self.leave_if_closed(shell, context);
    }

    /// Ends a stream at once.
    fn reset(&mut self, stream: StreamId, code: ErrorCode, shell: &mut Shell, context: &mut Context) {
        self.with_session(shell, context, |session, moment, out, _| {
            session.reset(stream, code, moment.now, out);
        });
        shell.mark_dirty(context);
    }
}

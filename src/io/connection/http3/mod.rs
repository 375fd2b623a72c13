//! HTTP/3 on a connection of QUIC: feeds the session with what arrives on the streams, and hands what it has to say to QUIC.
//! `quic` is the connection below; `response` applies the commands of Node's thread, `sink` passes on what the session
//! tells, `ends` says why connections end.
//!
//! ```text
//!   io/quic ─ events ─► Quic ─ readable ─► read ─► Http3Session ─► sink ─► events
//!                        ▲                            │
//!                        └── write_output ◄── actions, output
//! ```

mod ends;
mod quic;
pub(super) mod response;
mod sink;

use quinn_proto::{ConnectionEvent, ConnectionHandle};

use self::ends::{End, Ending};
use self::quic::{Quic, Read, Told};
use super::shell::Shell;
use super::stage::ConnectionStage;
use super::streams::open_streams::{Kind, OpenStreams};
use super::streams::stream_sink::StreamSink;
use super::upgrade::Upgrade;
use crate::bridge::event::{Event, Slice};
use crate::bridge::id::{ConnectionId, ListenerId};
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
use crate::protocol::http::response_head::{FieldFlags, ResponseHead, lines};
use crate::protocol::http3::error::Http3Error;
use crate::protocol::http3::error_code::ErrorCode;
use crate::protocol::http3::limits::Http3Limits;
use crate::protocol::http3::session::{Action, Http3Session, Http3Timeout};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::time::Timestamp;
use crate::tls::setup::Admission;

/// State of a connection of QUIC.
#[derive(Debug)]
pub(crate) struct Http3 {
    quic: Quic,
    /// Present until the handshake is complete.
    handshake: Option<Handshake>,
    /// Present from then on.
    session: Option<Box<Http3Session>>,
    limits: Arc<HttpLimits>,
    http3: Http3Limits,
    streams: OpenStreams,
    /// The client, at its current address.
    pub peer: Peer,
    /// Server name and certificate of the client's TLS handshake, if they matter to the application.
    tls_peer: Option<Arc<TlsPeerInfo>>,
    /// Input that waits for Node's thread, as [`Context::unhandled`] counts it.
    unhandled: usize,
    /// Nothing is read, because Node's thread lags.
    is_unread: bool,
    /// How the connection is closed.
    ending: Ending,
    /// Why it ends by itself once its last stream has ended.
    leaving: &'static str,
    /// Bytes that waited after the last flush.
    backlog: u64,
}

/// A handshake that is under way.
#[derive(Debug)]
struct Handshake {
    admission: Admission,
    /// Since when the client has time for it.
    since: Timestamp,
    /// Whether the handler for unknown server names was asked.
    has_asked: bool,
}

/// What a connection of QUIC is made of.
#[derive(Debug)]
pub(crate) struct QuicConfig {
    /// The connection, with the first packet of the client.
    pub connection: quinn_proto::Connection,
    /// Its number at the endpoint.
    pub handle: ConnectionHandle,
    /// The socket.
    pub listener: ListenerId,
    /// Counts its handshake.
    pub admission: Admission,
    /// What the app allows its clients.
    pub limits: Arc<HttpLimits>,
    /// The same over HTTP/3.
    pub http3: Http3Limits,
}

impl Http3 {
    /// A connection of which the first packet has arrived.
    pub(super) fn new(config: QuicConfig, now: Timestamp) -> Self {
        let QuicConfig { connection, handle, listener, admission, limits, http3 } = config;
        let peer = Peer { address: Some(connection.remote_address()), proxied: None };
        Self {
            quic: Quic::new(connection, handle, listener),
            handshake: Some(Handshake { admission, since: now, has_asked: false }),
            session: None,
            limits,
            http3,
            streams: OpenStreams::default(),
            peer,
            tls_peer: None,
            unhandled: 0,
            is_unread: false,
            ending: Ending::default(),
            leaving: CloseCause::PeerClosed.verdict().name,
            backlog: 0,
        }
    }

    /// Passes on what the endpoint has for the connection. Reading follows.
    pub(super) fn handle_event(&mut self, event: ConnectionEvent) {
        self.quic.handle_event(event);
    }

    /// A deadline of QUIC has come. Reading follows.
    pub(super) fn handle_quic_deadline(&mut self, context: &Context) {
        self.quic.handle_deadline(context);
    }

    /// Its UDP socket.
    pub(super) const fn listener(&self) -> ListenerId {
        self.quic.listener()
    }

    /// Whether the handshake is under way.
    pub(super) const fn is_handshaking(&self) -> bool {
        self.handshake.is_some()
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
        match &self.handshake {
            Some(handshake) => {
                handshake.admission.setup.limits.timeout.map(|timeout| handshake.since + timeout)
            }
            None => self.session.as_ref().and_then(|session| session.poll_deadline(&self.limits)),
        }
    }

    /// Sets whether nothing is read because Node's thread lags. The timeouts of the client run while it is read.
    pub(super) fn set_unread(&mut self, is_unread: bool, now: Timestamp) {
        if self.is_unread != is_unread
            && let Some(session) = &mut self.session
        {
            self.is_unread = is_unread;
            if is_unread {
                session.pause(now);
            } else {
                session.resume(now);
            }
        }
    }

    /// Whether no stream is open, and nothing waits for the client's acknowledgement.
    pub(super) fn is_idle(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.is_idle()) && !self.awaits_acknowledgement()
    }

    /// What closing the connection would lose, and since when it waits for its client; `None` if a stream is open.
    pub(super) fn standing(&self) -> Option<(Standing, Timestamp)> {
        match (&self.handshake, &self.session) {
            (Some(handshake), _) => Some((Standing::Opening, handshake.since)),
            (None, Some(session)) if !self.awaits_acknowledgement() => {
                Some((Standing::Idle, session.waits_since()?))
            }
            (None, _) => None,
        }
    }

    /// Bytes that wait in the streams for flow control, congestion control or the socket.
    pub(super) fn queued(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.queued_in_all())
    }

    /// Whether the client has not acknowledged all that was sent.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.quic.awaits_acknowledgement()
    }

    /// Sets the number of bytes that wait. Returns the previous one.
    pub(super) const fn replace_backlog(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.backlog, left)
    }

    /// Whether a stream can be read that is wanted.
    fn has_readable(&self) -> bool {
        self.quic.has_readable()
    }

    /// Runs `act` on the session, if there is one, and does what follows from it.
    fn with_session<R>(
        &mut self,
        shell: &mut Shell,
        context: &mut Context,
        act: impl FnOnce(&mut Http3Session, Moment<'_>, &mut StreamSink<'_>) -> R,
    ) -> Option<R> {
        let session = self.session.as_mut()?;
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
        let result = act(session, moment, &mut sink);
        self.settle(shell, context);
        Some(result)
    }

    /// Does what the session asks for, and forgets the streams that are closed.
    fn settle(&mut self, shell: &mut Shell, context: &mut Context) {
        self.perform_actions();
        self.forget_finished(context);
        let Some(session) = &mut self.session else { return };
        let unhandled = session.unhandled();
        context.unhandled = context.unhandled - self.unhandled + unhandled;
        self.unhandled = unhandled;
        shell.mark_dirty(context);
    }

    /// Does what the session asks for. Before anything else is read: what a stream still brings that the session has forgotten
    /// would be taken for a request.
    fn perform_actions(&mut self) {
        let Some(session) = &mut self.session else { return };
        while let Some(action) = session.poll_action() {
            match action {
                Action::Open(kind) => self.quic.open(kind, session),
                Action::Reset { stream, code } => self.quic.reset(stream, code),
                Action::StopSending { stream, code } => self.quic.stop_sending(stream, code),
                Action::Read(stream) => self.quic.note_readable(stream),
                Action::Prioritize { stream, urgency } => self.quic.prioritize(stream, urgency),
                Action::Close { code, reason } => self.ending = Ending::AtOnce(End { code, reason }),
            }
        }
    }

    /// Acts on a rule that the client broke.
    fn note_result(
        &mut self,
        result: Option<Result<(), Http3Error>>,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        if let Some(Err(error)) = result {
            tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of HTTP/3");
            shell.tally(context).count_refusal(RefusalCause::Http3(error));
            shell.drain(error.code(), context);
        }
    }

    /// Takes what QUIC tells, and reads the streams that can be read: until nothing is left, or reading has to wait for
    /// Node's thread or for the next pass.
    pub(super) fn read(&mut self, shell: &mut Shell, context: &mut Context) {
        self.listen(shell, context);
        let mut left = BYTES_PER_PASS;
        while self.session.is_some() && shell.is_serving() {
            let event_room = shell.event_room(context);
            if !self.has_unhandled() && !self.quic.has_readable() {
                return;
            }
            if context.choked {
                return shell.starve(context);
            }
            if event_room == 0 {
                return shell.await_progress(context);
            }
            if self.has_unhandled() {
                self.take_pending(event_room, shell, context);
                continue;
            }
            if context.is_full() {
                return shell.starve(context);
            }
            let Some(stream) = self.next_readable() else { return };
            if left == 0 {
                self.quic.note_readable(stream);
                context.again.push(shell.id);
                return;
            }
            left = left.saturating_sub(self.read_stream(stream, left, event_room, shell, context));
        }
    }

    /// The next stream that can be read and is wanted.
    fn next_readable(&mut self) -> Option<StreamId> {
        loop {
            let stream = self.quic.take_readable()?;
            if self.session.as_ref().is_some_and(|session| session.wants_input(stream)) {
                return Some(stream);
            }
        }
    }

    /// Goes on with what was read before, when there was no room for its events.
    fn take_pending(&mut self, event_room: usize, shell: &mut Shell, context: &mut Context) {
        let before = context.events.events.len();
        let mut head = std::mem::take(&mut context.http2_head);
        let result = self.with_session(shell, context, |session, moment, sink| {
            session.handle_pending(moment, &mut head, event_room, sink)
        });
        context.http2_head = head;
        shell.lead.add(context.events.events.len().saturating_sub(before), context.progress);
        self.note_result(result, shell, context);
    }

    /// Reads at most `most` bytes of a stream. Returns how many there were.
    fn read_stream(
        &mut self,
        stream: StreamId,
        most: usize,
        event_room: usize,
        shell: &mut Shell,
        context: &mut Context,
    ) -> usize {
        let mut chunks =
            context.quic.as_mut().map(|ports| std::mem::take(&mut ports.chunks)).unwrap_or_default();
        let Read { length, end, is_more } = self.quic.read(stream, most.min(BYTES_PER_STREAM), &mut chunks);
        let before = context.events.events.len();
        let mut head = std::mem::take(&mut context.http2_head);
        let result = self.with_session(shell, context, |session, moment, sink| {
            let last = chunks.len().checked_sub(1);
            for (position, chunk) in chunks.iter().enumerate() {
                let is_fin = Some(position) == last && end == Some(Told::Fin);
                let room = event_room.saturating_sub(sink.calls);
                session.handle_bytes(stream, chunk, is_fin, moment, &mut head, room, sink)?;
                if session.is_finished(stream) {
                    return Ok(());
                }
            }
            match end {
                Some(Told::Fin) if chunks.is_empty() => {
                    session.handle_bytes(stream, b"", true, moment, &mut head, event_room, sink)
                }
                Some(Told::Reset(code)) => session.handle_reset(stream, code, moment, sink),
                Some(Told::Fin) | None => Ok(()),
            }
        });
        context.http2_head = head;
        chunks.clear();
        if let Some(ports) = &mut context.quic {
            ports.chunks = chunks;
        }
        if is_more {
            self.quic.note_readable(stream);
        }
        shell.lead.add(context.events.events.len().saturating_sub(before), context.progress);
        self.note_result(result, shell, context);
        length
    }

    /// Acts on what QUIC tells.
    fn listen(&mut self, shell: &mut Shell, context: &mut Context) {
        while let Some(told) = self.quic.poll() {
            match told {
                quic::Event::Connected => self.complete_handshake(shell, context),
                quic::Event::Lost(error) => return self.handle_lost(&error, shell, context),
                quic::Event::Stopped(stream, code) => {
                    let result = self.with_session(shell, context, |session, moment, sink| {
                        session.handle_stop_sending(stream, code, moment, sink)
                    });
                    self.note_result(result, shell, context);
                }
                quic::Event::Writable(stream) => {
                    if let Some(session) = &mut self.session {
                        session.handle_writable(stream);
                    }
                }
                quic::Event::MayOpen => {
                    if let Some(session) = &mut self.session {
                        self.quic.open_waiting(session);
                    }
                }
            }
        }
        self.peer.address = Some(self.quic.remote_address());
        self.ask_for_certificate(shell, context);
    }

    /// Asks Node's thread for the certificate of a server name, if the handshake waits for that.
    fn ask_for_certificate(&mut self, shell: &Shell, context: &mut Context) {
        let Some(handshake) = self.handshake.as_mut().filter(|handshake| !handshake.has_asked) else {
            return;
        };
        if let Some(name) = self.quic.unknown_server_name() {
            handshake.has_asked = true;
            handshake.since = context.now;
            let name = Slice::append(&mut context.events.bytes, name.as_bytes());
            context.emit(Event::ServerNameRequested { connection: shell.id, app: shell.app, name });
        }
    }

    /// `Command::ResumeHandshake`: continues with the certificate that the server name has now.
    pub(super) fn resume_handshake(&mut self, now: Timestamp) {
        if let Some(handshake) = &mut self.handshake {
            handshake.since = now;
            self.quic.resume_handshake();
        }
    }

    /// The handshake is complete: HTTP/3 begins.
    fn complete_handshake(&mut self, shell: &mut Shell, context: &mut Context) {
        if self.handshake.take().is_none() {
            return;
        }
        let (greeting, certificate) = self.quic.tls();
        if greeting.domain.is_some() || certificate.is_some() {
            self.tls_peer = Some(Arc::new(TlsPeerInfo { domain: greeting.domain, certificate }));
        }
        tracing::debug!(name = greeting.name.as_deref(), protocol = "h3", "TLS handshake complete");
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.session = Some(Box::new(Http3Session::new(self.http3, moment)));
        self.settle(shell, context);
        shell.announce_opened(self.peer, context);
    }

    /// The connection is lost, or the client has closed it.
    fn handle_lost(
        &mut self,
        error: &quinn_proto::ConnectionError,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        self.ending = Ending::Over;
        // If it was this side that found an error, the client is told.
        self.quic.transmit(shell, context);
        if self.handshake.take().is_some() {
            let fault = ends::handshake_fault(error);
            if shell.is_serving() {
                count_failure(fault, error, shell, context);
            }
            return shell.leave(ConnectionStage::Gone, fault);
        }
        let (cause, is_regular) = ends::cause_of(error);
        if shell.is_serving() && cause == CloseCause::InvalidQuic {
            tracing::warn!(cause = cause.verdict().name, rule = %error, "peer broke a rule of QUIC");
        }
        let is_idle = self.streams.is_empty();
        let logged = if is_regular && is_idle { CloseCause::PeerClosed } else { cause };
        tracing::debug!(reason = %error, "QUIC connection ended");
        self.abort(cause, ends::reason_of(error, cause).as_deref(), shell, context);
        shell.leave(ConnectionStage::Gone, logged.verdict().name);
    }

    /// Acts on [`Self::deadline`].
    pub(super) fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        if self.handshake.take().is_some() {
            let fault = "ERR_TLS_HANDSHAKE_TIMEOUT";
            count_failure(fault, &"the time for the handshake is up", shell, context);
            return shell.leave(ConnectionStage::Gone, fault);
        }
        let outcome =
            self.with_session(shell, context, |session, moment, sink| session.handle_timeout(moment, sink));
        match outcome {
            Some(Http3Timeout::Idle) => shell.drain(NO_REQUEST, context),
            Some(Http3Timeout::Headers) => {
                shell.tally(context).count_refusal(RefusalCause::Http3(Http3Error::HeadersTimeout));
                shell.drain(Http3Error::HeadersTimeout.code(), context);
            }
            Some(Http3Timeout::None) | None => self.leave_if_closed(shell, context),
        }
    }

    /// Gives a handshake up in favour of others, or an idle connection.
    pub(super) fn abandon(&mut self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        if self.handshake.take().is_some() {
            count_failure(cause, &why, shell, context);
        }
        if matches!(self.ending, Ending::Gently { .. }) {
            let reason = format!("{cause}: {why}");
            self.ending = Ending::AtOnce(End { code: ErrorCode::NO_ERROR, reason });
        }
    }

    /// The process is about to exit: tells the client.
    pub(super) fn say_goodbye(&mut self, shell: &mut Shell, context: &mut Context) {
        if matches!(self.ending, Ending::Gently { .. }) {
            self.set_reason(CloseCause::ServerShutdown);
            self.close_quic(shell, context);
        }
    }

    /// Hands what waits to QUIC, and sends it as far as the client, the network and the socket allow. Returns whether
    /// nothing is left that was not acknowledged.
    pub(super) fn write_output(&mut self, shell: &mut Shell, context: &mut Context) -> bool {
        self.fill(context);
        let mut left = BYTES_PER_FLUSH;
        while left > 0 {
            let sent = self.quic.transmit(shell, context);
            if sent == 0 {
                return self.queued() == 0 && !self.awaits_acknowledgement();
            }
            left = left.saturating_sub(sent);
            self.fill(context);
        }
        context.again.push(shell.id);
        false
    }

    /// Hands what waits to QUIC. The end of a response may end its request, too.
    fn fill(&mut self, context: &Context) {
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        if let Some(session) = &mut self.session {
            self.quic.fill(session, moment);
        }
        self.perform_actions();
    }

    /// Follows a flush.
    pub(super) fn handle_flush(&mut self, shell: &mut Shell, context: &mut Context) {
        let Some(session) = &mut self.session else { return };
        let queued = |stream: StreamNumber| session.queued(stream.into());
        self.streams.handle_flush(queued, WRITABLE_BELOW, &mut context.events, &mut context.stream_work);
        self.forget_finished(context);
        self.leave_if_closed(shell, context);
    }

    /// Forgets the streams that are closed.
    fn forget_finished(&mut self, context: &mut Context) {
        let Some(session) = &mut self.session else { return };
        while let Some(stream) = session.poll_finished() {
            self.streams.forget(stream.into(), &mut context.stream_work);
        }
    }

    /// Drains a connection whose session is closed.
    pub(super) fn leave_if_closed(&self, shell: &mut Shell, context: &mut Context) {
        if self.session.as_ref().is_some_and(|session| session.is_closed()) {
            shell.drain(self.leaving, context);
        }
    }

    /// Whether a connection that is drained can be closed now: its client has acknowledged everything, or must not get it.
    pub(super) fn is_drained(&self) -> bool {
        !matches!(self.ending, Ending::Gently { .. }) || !self.quic.awaits_acknowledgement()
    }

    /// Closes the connection of QUIC, and sends that. Late packets of the client are answered with it for a while.
    pub(super) fn close_quic(&mut self, shell: &mut Shell, context: &mut Context) {
        let End { code, reason } = self.ending.take();
        self.quic.close(code, reason, context);
        // What proves the path of a client goes first.
        while self.quic.transmit(shell, context) > 0 {}
    }

    /// Whether the time is over in which late packets are answered.
    pub(super) fn has_ended(&self) -> bool {
        self.quic.has_ended()
    }

    /// The connection is dropped: tells the client and the endpoint.
    pub(super) fn drop_quic(&mut self, shell: &mut Shell, context: &mut Context) {
        if !matches!(self.ending, Ending::Over) {
            self.close_quic(shell, context);
        }
        self.quic.leave_endpoint(context);
    }

    /// Sets what the client is told when the connection is dropped.
    pub(super) fn set_reason(&mut self, cause: CloseCause) {
        if matches!(self.ending, Ending::Gently { .. }) {
            let code = match cause {
                CloseCause::TransportFailed => ErrorCode::INTERNAL_ERROR,
                CloseCause::ResponseTimeout | CloseCause::OutputLimit => ErrorCode::EXCESSIVE_LOAD,
                _ => ErrorCode::NO_ERROR,
            };
            self.ending = Ending::AtOnce(End { code, reason: cause.verdict().text.to_owned() });
        }
    }

    /// Closes the connection gracefully: requests that arrive before the client knows are served.
    /// `reason` is for people.
    pub(super) fn wind_down(
        &mut self,
        cause: CloseCause,
        reason: &str,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let Some(session) = &self.session else {
            // Nothing was asked for.
            self.set_reason(cause);
            return shell.leave(ConnectionStage::Gone, cause.verdict().name);
        };
        if session.is_winding_down() {
            return;
        }
        self.leaving = cause.verdict().name;
        if matches!(self.ending, Ending::Gently { .. }) {
            self.ending = Ending::Gently { reason: reason.to_owned() };
        }
        let round_trip = self.quic.longest_round_trip();
        self.with_session(shell, context, |session, moment, _| session.wind_down(round_trip, moment.now));
    }

    /// Aborts what is open on the connection, which ends. `reason` is that in words, where the client gave some.
    pub(super) fn abort(
        &mut self,
        cause: CloseCause,
        reason: Option<&str>,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        self.set_reason(cause);
        let (Some(session), streams) = (&mut self.session, &mut self.streams) else { return };
        session.abort(|stream| {
            if let Some(stream) = streams.get_mut(stream.into()) {
                stream.abort(cause, reason, &mut context.events, &mut context.stream_work);
            }
        });
        self.settle(shell, context);
    }

    /// `Command::Upgrade`: answers an extended CONNECT (RFC 9220). Returns what has arrived behind it; `None` if there is
    /// none to answer, or if the stream cannot be a tunnel.
    pub(super) fn open_tunnel(
        &mut self,
        (number, id): (StreamNumber, ConnectionId),
        answer: &Upgrade<'_>,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Option<Vec<u8>> {
        let stream = StreamId::from(number);
        let known = self.streams.get_mut(number).filter(|known| known.id == id)?;
        let kind = std::mem::replace(&mut known.kind, Kind::Tunnel { is_full: false });
        let Kind::Handshake { early, has_ended } = kind else {
            // Requests other than an extended CONNECT cannot switch protocols, which Node's thread has checked.
            known.kind = kind;
            known.abort(CloseCause::InvalidHttp3, None, &mut context.events, &mut context.stream_work);
            self.reset(stream, ErrorCode::VERSION_FALLBACK, shell, context);
            return None;
        };
        let mut fields = Vec::new();
        answer.append_fields(&mut fields);
        let names = lines(&fields).map(|(name, _)| name);
        let flags = names.fold(FieldFlags::NONE, |flags, name| flags | FieldFlags::of(name));
        let head = ResponseHead { status: b"200", fields: &fields, flags };
        let is_open = self
            .with_session(shell, context, |session, moment, _| session.open_tunnel(stream, &head, moment))
            .unwrap_or(false);
        if !is_open {
            return None;
        }
        context.again.push(shell.id);
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
        let stream = StreamId::from(number);
        let queued = self.with_session(shell, context, |session, moment, _| {
            session.write_body(stream, &parcel.data, moment);
            if parcel.is_finished {
                session.finish_response(stream, b"", moment);
            }
            if let Some(is_paused) = parcel.pause {
                session.set_paused(stream, is_paused, moment.now);
            }
            session.queued(stream)
        });
        let queued = queued.unwrap_or(0);
        if let Some(known) = self.streams.get_mut(number)
            && let Kind::Tunnel { is_full } = &mut known.kind
        {
            *is_full = queued > 0;
        }
        if parcel.pause == Some(false) {
            context.again.push(shell.id);
        }
        queued
    }

    /// The WebSocket in a tunnel is gone: sends its last bytes, and ends the stream if the client has not.
    pub(super) fn leave_tunnel(
        &mut self,
        number: StreamNumber,
        data: &[u8],
        is_finished: bool,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let stream = StreamId::from(number);
        self.with_session(shell, context, |session, moment, _| {
            session.write_body(stream, data, moment);
            if is_finished {
                session.leave_tunnel(stream, moment);
            } else {
                session.reset(stream, ErrorCode::REQUEST_CANCELLED, moment.now);
            }
        });
    }

    /// The streams with bytes that wait, how many, and since when QUIC has taken none of them.
    pub(super) fn backlogs(&self) -> impl Iterator<Item = (StreamId, usize, Timestamp)> {
        self.session.iter().flat_map(|session| session.backlogs())
    }

    /// Ends a stream whose client takes too little of what waits for it.
    pub(super) fn close_slow_stream(&mut self, stream: StreamId, shell: &mut Shell, context: &mut Context) {
        if let Some(open) = self.streams.get_mut(stream.into()) {
            open.abort(CloseCause::OutputLimit, None, &mut context.events, &mut context.stream_work);
        }
        self.reset(stream, ErrorCode::EXCESSIVE_LOAD, shell, context);
        self.leave_if_closed(shell, context);
    }

    /// Ends a stream at once.
    fn reset(&mut self, stream: StreamId, code: ErrorCode, shell: &mut Shell, context: &mut Context) {
        self.with_session(shell, context, |session, moment, _| session.reset(stream, code, moment.now));
    }

    /// Enters the next deadline of QUIC.
    pub(super) fn arm(&mut self, shell: &Shell, context: &mut Context) {
        self.quic.arm(shell.id, context);
    }
}

fn count_failure(cause: &'static str, why: &dyn std::fmt::Display, shell: &Shell, context: &Context) {
    shell.tally(context).tls_handshake_failures.add(1);
    tracing::warn!(cause, reason = %why, "QUIC handshake failed");
}

impl From<StreamId> for StreamNumber {
    fn from(stream: StreamId) -> Self {
        Self(stream.0)
    }
}

impl From<StreamNumber> for StreamId {
    fn from(stream: StreamNumber) -> Self {
        Self(stream.0)
    }
}

/// Bytes of one connection that are read per pass, so that one that always has some does not delay the others.
const BYTES_PER_PASS: usize = 512 * 1024;
/// Bytes of one stream that are read before the next one is.
const BYTES_PER_STREAM: usize = 64 * 1024;
/// Bytes that a flush of a connection sends, about: two full calls of the kernel. What is left waits for the next pass, so that
/// what has arrived meanwhile, and the application, are heard.
const BYTES_PER_FLUSH: usize = 120 * 1024;
/// Bytes of output at which a response that waits is continued: as many as one flush sends, as there is no buffer of the system
/// that keeps the network busy until more arrives.
const WRITABLE_BELOW: usize = 128 * 1024;
/// No further request arrived in time.
const NO_REQUEST: &str = "CLOSED_WITHOUT_REQUEST";

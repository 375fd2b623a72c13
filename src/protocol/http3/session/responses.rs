//! Responses.

use super::{Action, Http3Session};
use crate::protocol::http::head::Version;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::{Asked, BodyEncoding, Framing, FramingField, Plan};
use crate::protocol::http::response_head::ResponseHead;
use crate::protocol::http3::error::ErrorCode;
use crate::protocol::http3::frame::{append_headers, start_data};
use crate::protocol::http3::stream::{Sending, Stream};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::multiplexed::response_fields::{encode_response, encode_trailers, status_of};
use crate::protocol::time::Timestamp;

impl Http3Session {
    /// Sends a whole response.
    pub(crate) fn respond(&mut self, id: StreamId, head: &ResponseHead<'_>, body: &[u8], moment: Moment<'_>) {
        let framing = Framing::Length(body.len() as u64);
        let Some(plan) = self.plan(id, head, framing, moment) else { return };
        self.send_head(id, head, &plan, moment);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.sending = Sending::Ending;
        if let BodyEncoding::Length(1..) = plan.body {
            append_data(stream, body);
        }
    }

    /// Sends the head of a response whose body follows by [`Self::write_body`] and [`Self::finish_response`].
    pub(crate) fn start_response(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        framing: Framing,
        moment: Moment<'_>,
    ) {
        let Some(plan) = self.plan(id, head, framing, moment) else { return };
        self.send_head(id, head, &plan, moment);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.sending = Sending::Started(plan.body);
        }
    }

    /// Accepts an extended CONNECT (RFC 9220): the stream carries bytes in both directions from now on, which
    /// [`Self::write_body`] and [`Http3Sink::body`](super::Http3Sink::body) pass. Has no effect on another stream. Returns
    /// whether it is open.
    pub(crate) fn open_tunnel(&mut self, id: StreamId, head: &ResponseHead<'_>, moment: Moment<'_>) -> bool {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.is_tunnel) else { return false };
        let is_owed = matches!(stream.sending, Sending::Owed(_));
        if is_owed {
            stream.sending = Sending::Started(BodyEncoding::UntilClose);
            let plan = Plan { body: BodyEncoding::UntilClose, close: false, field: FramingField::None };
            self.send_head(id, &ResponseHead { status: b"200", ..*head }, &plan, moment);
            self.set_paused(id, false, moment.now);
        }
        is_owed
    }

    /// The application has left a tunnel in which it has nothing more to say: what is queued is sent, and the client is
    /// asked to stop sending unless it has ended its half.
    pub(crate) fn leave_tunnel(&mut self, id: StreamId, moment: Moment<'_>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.is_tunnel = false;
        // Nothing more is taken, so nothing can be late.
        stream.paused.get_or_insert(moment.now);
        if matches!(stream.sending, Sending::Ended) {
            self.close_response(id, moment.now);
        } else {
            self.finish_response(id, b"", moment);
        }
    }

    /// Sends a piece of the body. Bytes beyond the announced length are dropped, as is a body that the response must not
    /// have (HEAD, 204, 304).
    pub(crate) fn write_body(&mut self, id: StreamId, data: &[u8], _moment: Moment<'_>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(body) = stream.body() else { return };
        let length = match body {
            BodyEncoding::Dropped => 0,
            BodyEncoding::Length(left) => {
                let length = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= length as u64;
                length
            }
            BodyEncoding::Chunked | BodyEncoding::UntilClose => data.len(),
        };
        if length > 0 {
            append_data(stream, &data[..length]);
        }
    }

    /// Completes a response that was started. `trailers` are lines as those of a response head; none if it is empty. A
    /// response that is shorter than its Content-Length resets the stream, because the client would take it for
    /// malformed.
    pub(crate) fn finish_response(&mut self, id: StreamId, trailers: &[u8], moment: Moment<'_>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        match stream.body() {
            None => {}
            Some(BodyEncoding::Length(1..)) => self.reset(id, ErrorCode::INTERNAL_ERROR, moment.now),
            Some(_) => {
                stream.sending = Sending::Ending;
                if !trailers.is_empty() {
                    self.section.clear();
                    encode_trailers(trailers, &mut self.encoder, &mut self.section);
                    append_headers(&self.section, stream.output.tail());
                }
            }
        }
    }

    /// Ends a stream at once, both halves; no call of the sink follows.
    pub(crate) fn reset(&mut self, id: StreamId, code: ErrorCode, now: Timestamp) {
        if self.streams.get(id).is_some_and(|stream| stream.is_announced) {
            self.abandon(id, code, now);
        }
    }

    /// The application has paused the request body, or takes it again. The client's timeout stops meanwhile.
    pub(crate) fn set_paused(&mut self, id: StreamId, is_paused: bool, now: Timestamp) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if is_paused {
            stream.paused.get_or_insert(now);
        } else if let Some(paused) = stream.paused.take() {
            stream.restart_clock(paused, now);
            if stream.wants_input() {
                self.actions.push_back(Action::Read(id));
            }
        }
    }

    /// The framing of a response that has not started; `None` if there is none to send.
    fn plan(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        framing: Framing,
        moment: Moment<'_>,
    ) -> Option<Plan> {
        let stream = self.streams.get_mut(id)?;
        let Sending::Owed(method) = stream.sending else { return None };
        if stream.is_tunnel {
            // An extended CONNECT that is answered otherwise than by a tunnel is a request like any other, of whose body
            // nobody takes anything.
            stream.is_tunnel = false;
        }
        if status_of(head)[0] == b'1' {
            // RFC 9114 §4.5: there is no 101. A program that wants to switch protocols needs HTTP/1.1.
            self.reset(id, ErrorCode::VERSION_FALLBACK, moment.now);
            return None;
        }
        let asked = Asked { method, version: Version::Multiplexed, keep_alive: true };
        Some(Plan::new(head, asked, framing))
    }

    /// Appends HEADERS to the output of a stream.
    pub(super) fn send_head(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        plan: &Plan,
        moment: Moment<'_>,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        self.section.clear();
        encode_response(head, plan, moment.date, &mut self.encoder, &mut self.section);
        append_headers(&self.section, stream.output.tail());
    }

    /// The transport has all of the response. RFC 9114 §4.1: if the request is not complete, the client is asked to stop
    /// sending it. A tunnel has two halves that end each by itself.
    pub(super) fn close_response(&mut self, id: StreamId, now: Timestamp) {
        if self.streams.get(id).is_some_and(|stream| !stream.is_tunnel) {
            self.stop_sending(id, ErrorCode::NO_ERROR);
        }
        self.close_if_both_ended(id, now);
    }

    /// Closes a stream that both sides have ended.
    pub(super) fn close_if_both_ended(&mut self, id: StreamId, now: Timestamp) {
        if let Some(stream) = self.streams.get(id)
            && stream.has_ended()
            && matches!(stream.sending, Sending::Ended)
        {
            self.remove(id, now);
        }
    }
}

/// Appends a DATA frame to the output of a stream.
fn append_data(stream: &mut Stream, data: &[u8]) {
    let out = stream.output.tail();
    // The header has at most nine bytes.
    out.reserve(data.len() + 9);
    start_data(data.len(), out);
    out.extend_from_slice(data);
}

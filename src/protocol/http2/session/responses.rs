//! Responses.

use super::Http2Session;
use crate::protocol::http::head::Version;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::{Asked, BodyEncoding, Framing, FramingField, Plan};
use crate::protocol::http::response_head::ResponseHead;
use crate::protocol::http2::error::ErrorCode;
use crate::protocol::http2::frame::{StreamId, append_reset, finish_headers, reserve_header, start_data};
use crate::protocol::http2::settings::MIN_FRAME_SIZE;
use crate::protocol::http2::stream::{Sending, Stream};
use crate::protocol::multiplexed::response_fields::{encode_response, encode_trailers, status_of};
use crate::protocol::time::Timestamp;

impl Http2Session {
    /// Sends a whole response.
    pub(crate) fn respond(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        body: &[u8],
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let framing = Framing::Length(body.len() as u64);
        let Some(plan) = self.plan(id, head, framing, moment, out) else { return };
        let body = if let BodyEncoding::Length(_) = plan.body { body } else { b"" };
        self.send_head(id, head, &plan, body.is_empty(), moment, out);
        let Some(stream) = self.streams.get_mut(id) else { return };
        if body.is_empty() {
            stream.sending = Sending::Ended;
            self.close_response(id, moment.now, out);
        } else {
            stream.sending = Sending::Ending(None);
            self.send_body(id, body, moment, out);
        }
    }

    /// Sends the head of a response whose body follows by [`Self::write_body`] and [`Self::finish_response`].
    pub(crate) fn start_response(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        framing: Framing,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(plan) = self.plan(id, head, framing, moment, out) else { return };
        self.send_head(id, head, &plan, false, moment, out);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.sending = Sending::Started(plan.body);
        }
    }

    /// Accepts an extended CONNECT (RFC 8441 §5): the stream carries bytes in both directions from now on, which
    /// [`Self::write_body`] and [`Http2Sink::body`] pass. Has no effect on another stream. Returns whether it is open.
    pub(crate) fn open_tunnel(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.is_tunnel) else { return false };
        let is_owed = matches!(stream.sending, Sending::Owed(_));
        if is_owed {
            stream.sending = Sending::Started(BodyEncoding::UntilClose);
            let plan = Plan { body: BodyEncoding::UntilClose, close: false, field: FramingField::None };
            self.send_head(id, &ResponseHead { status: b"200", ..*head }, &plan, false, moment, out);
            self.set_paused(id, false, moment.now, out);
        }
        is_owed
    }

    /// The application has left a tunnel in which it has nothing more to say: what is queued is sent, and then the stream is
    /// reset unless the client has ended its half.
    pub(crate) fn leave_tunnel(&mut self, id: StreamId, moment: Moment<'_>, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.is_tunnel = false;
        // Nothing more is taken, so nothing can be late.
        stream.paused.get_or_insert(moment.now);
        if matches!(stream.sending, Sending::Ended) {
            self.reset(id, ErrorCode::NO_ERROR, moment.now, out);
        } else {
            self.finish_response(id, b"", moment, out);
        }
    }

    /// Sends a piece of the body. What cannot be sent now is kept. Bytes beyond the announced length are dropped, as is
    /// a body that the response must not have (HEAD, 204, 304).
    pub(crate) fn write_body(&mut self, id: StreamId, data: &[u8], moment: Moment<'_>, out: &mut Vec<u8>) {
        let Some(body) = self.streams.get_mut(id).and_then(Stream::body) else { return };
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
            self.send_body(id, &data[..length], moment, out);
        }
    }

    /// Completes a response that was started. `trailers` are lines as those of a response head; none if it is empty. They
    /// are dropped if the response must not have a body (HEAD, 204, 304), as over HTTP/1.1. A response that is shorter than
    /// its Content-Length resets the stream, because the client would take it for malformed.
    pub(crate) fn finish_response(
        &mut self,
        id: StreamId,
        trailers: &[u8],
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        match stream.body() {
            None => {}
            Some(BodyEncoding::Length(1..)) => self.reset(id, ErrorCode::INTERNAL_ERROR, moment.now, out),
            Some(body) => {
                let has_trailers = *body != BodyEncoding::Dropped && !trailers.is_empty();
                let trailers = has_trailers.then(|| trailers.into());
                stream.sending = Sending::Ending(trailers);
                if stream.output.is_empty() {
                    self.send_frame(id, moment, out);
                }
            }
        }
    }

    /// Ends a stream at once; no call of the sink follows.
    pub(crate) fn reset(&mut self, id: StreamId, code: ErrorCode, now: Timestamp, out: &mut Vec<u8>) {
        if self.remove(id, now) {
            self.note_closed_here(id);
            append_reset(id, code, out);
        }
    }

    /// The application has paused the request body, or takes it again. The client's timeout stops meanwhile.
    pub(crate) fn set_paused(&mut self, id: StreamId, is_paused: bool, now: Timestamp, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if is_paused {
            stream.paused.get_or_insert(now);
        } else if let Some(paused) = stream.paused.take() {
            stream.restart_clock(paused, now);
            self.replenish(id, out);
        }
    }

    /// The framing of a response that has not started; `None` if there is none to send.
    pub(super) fn plan(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        framing: Framing,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Plan> {
        let stream = self.streams.get_mut(id)?;
        let Sending::Owed(method) = stream.sending else { return None };
        // An extended CONNECT that is answered otherwise than by a tunnel is a request like any other.
        stream.is_tunnel = false;
        if status_of(head)[0] == b'1' {
            // RFC 9113 §8.6: there is no 101. A program that wants to switch protocols needs HTTP/1.1.
            self.reset(id, ErrorCode::HTTP_1_1_REQUIRED, moment.now, out);
            return None;
        }
        Some(Plan::new(head, Asked { method, version: Version::Http11, keep_alive: true }, framing))
    }

    /// Appends HEADERS.
    pub(super) fn send_head(
        &mut self,
        id: StreamId,
        head: &ResponseHead<'_>,
        plan: &Plan,
        is_last: bool,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let start = reserve_header(out);
        encode_response(head, plan, moment.date, &mut self.encoder, out);
        finish_headers(start, self.peer.max_frame_size as usize, is_last, id, out);
    }

    /// Sends as much of `data` as can be sent without passing others that wait, and queues the rest.
    fn send_body(&mut self, id: StreamId, data: &[u8], moment: Moment<'_>, out: &mut Vec<u8>) {
        let mut rest = data;
        if !self.streams.have_output() {
            while !rest.is_empty() && out.len() < self.limits.framed_ahead {
                let length = self.sendable(id, rest.len());
                if length == 0 {
                    break;
                }
                let (piece, following) = rest.split_at(length);
                rest = following;
                let is_end = self.append_data_header(id, length, rest.is_empty(), moment, out);
                out.extend_from_slice(piece);
                if is_end {
                    return self.close_response(id, moment.now, out);
                }
            }
        }
        if let Some(stream) = self.streams.get_mut(id)
            && !rest.is_empty()
        {
            if stream.output.is_empty() {
                stream.progress = moment.now;
            }
            stream.output.append(rest);
        }
    }

    /// How many of `length` bytes fit the next frame.
    fn sendable(&self, id: StreamId, length: usize) -> usize {
        let window = self.streams.get(id).map_or(0, |stream| stream.send_window.available());
        length.min(window).min(self.send_window.available()).min(MIN_FRAME_SIZE as usize)
    }

    /// Appends the header of a DATA frame of `length` bytes; `is_all`: nothing is queued behind it. Returns whether it
    /// is the last one of the stream.
    fn append_data_header(
        &mut self,
        id: StreamId,
        length: usize,
        is_all: bool,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.send_window.take(length);
        self.idle_frames.earn(FRAMES_PER_DATA);
        self.streams.note_turn(id);
        let Some(stream) = self.streams.get_mut(id) else { return false };
        stream.send_window.take(length);
        stream.progress = moment.now;
        if let Some(stall) = &mut stream.stall {
            stall.count(length as u64, moment.limits.response_pace, moment.now);
        }
        let is_last = is_all && matches!(stream.sending, Sending::Ending(None));
        if is_last {
            stream.sending = Sending::Ended;
        }
        start_data(length, is_last, id, out);
        is_last
    }

    /// Sends one frame of a stream that can send: DATA, or the end.
    pub(super) fn send_frame(&mut self, id: StreamId, moment: Moment<'_>, out: &mut Vec<u8>) {
        let queued = self.queued(id);
        if queued == 0
            && let Some(stream) = self.streams.get_mut(id)
            && let Sending::Ending(Some(trailers)) = &mut stream.sending
        {
            let trailers = std::mem::take(trailers);
            stream.sending = Sending::Ended;
            let start = reserve_header(out);
            encode_trailers(&trailers, &mut self.encoder, out);
            finish_headers(start, self.peer.max_frame_size as usize, true, id, out);
            return self.close_response(id, moment.now, out);
        }
        let length = self.sendable(id, queued);
        let is_end = self.append_data_header(id, length, length == queued, moment, out);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.output.move_to(length, out);
        }
        if is_end {
            self.close_response(id, moment.now, out);
        }
    }

    /// The response is sent. RFC 9113 §8.1: if the request is not complete, the client is asked to stop sending it. A
    /// tunnel has two halves that end each by itself.
    fn close_response(&mut self, id: StreamId, now: Timestamp, out: &mut Vec<u8>) {
        let is_half_open =
            self.streams.get(id).is_some_and(|stream| !stream.has_ended() && !stream.is_tunnel);
        if is_half_open {
            self.reset(id, ErrorCode::NO_ERROR, now, out);
        } else {
            self.close_if_both_ended(id, now);
        }
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

/// A DATA frame gives cause for two WINDOW_UPDATE frames: of its stream, and of the connection.
const FRAMES_PER_DATA: u32 = 2;

//! How streams end before their response is complete.

use super::{Action, Http3Session, Http3Sink, Input, StreamEnd};
use crate::protocol::http::error::{HttpError, refusal_body};
use crate::protocol::http::head::Version;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::{Asked, AskedMethod, BodyEncoding, Framing, Plan};
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http3::error::{ErrorCode, Http3Error, Scope};
use crate::protocol::http3::frame::start_data;
use crate::protocol::http3::stream::{Input as StreamInput, Receiving, Sending};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::time::Timestamp;

impl Http3Session {
    /// Ends a stream on which the client broke a rule.
    pub(super) fn end_broken(
        &mut self,
        id: StreamId,
        error: Http3Error,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        if error.scope() == Scope::Connection {
            return Err(error);
        }
        let now = context.moment.now;
        if self.abandon(id, error.error_code(), now) {
            context.room = context.room.saturating_sub(1);
            context.sink.aborted(id, StreamEnd::Broken(error));
        }
        self.note_reset(now)
    }

    /// The client has ended a half of a stream before its time.
    pub(super) fn end_by_client(
        &mut self,
        id: StreamId,
        code: ErrorCode,
        answer: ErrorCode,
        now: Timestamp,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        if !id.is_request() {
            return Ok(());
        }
        if self.streams.get(id).is_none() {
            // No byte of it has arrived.
            self.next_request = self.next_request.max(StreamId(id.0.saturating_add(4)));
            self.actions.push_back(Action::Reset { stream: id, code: answer });
            self.finished.push(id);
            return self.note_reset(now);
        }
        if self.abandon(id, answer, now) {
            sink.aborted(id, StreamEnd::Reset(code));
        }
        self.note_reset(now)
    }

    /// Ends both halves of a stream at once. Returns whether the sink has to know.
    pub(super) fn abandon(&mut self, id: StreamId, code: ErrorCode, now: Timestamp) -> bool {
        let Some(stream) = self.streams.get(id) else { return false };
        let is_announced = stream.is_announced;
        if !matches!(stream.sending, Sending::Ended) {
            self.actions.push_back(Action::Reset { stream: id, code });
        }
        self.stop_sending(id, code);
        self.remove(id, now);
        is_announced
    }

    /// Takes no more of a request.
    pub(super) fn stop_sending(&mut self, id: StreamId, code: ErrorCode) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.has_ended() {
            return;
        }
        stream.receiving = Receiving::Ended;
        let input = std::mem::take(&mut stream.input);
        if !input.has_fin {
            self.actions.push_back(Action::StopSending { stream: id, code });
        }
        // RFC 9204 §2.2.2.2: field sections may have been among what is not read.
        let is_complete = input.has_fin && input.bytes.is_empty();
        if !is_complete {
            self.decoder.cancel(id, &mut self.decoder_stream.bytes);
        }
        stream.input = StreamInput { has_fin: true, ..StreamInput::default() };
    }

    /// Answers the request of a stream whose body exceeds a limit, unless a response has started, and ends it.
    pub(super) fn refuse_body(
        &mut self,
        id: StreamId,
        error: HttpError,
        end: StreamEnd,
        moment: Moment<'_>,
        sink: &mut impl Http3Sink,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if let Sending::Owed(method) = stream.sending {
            stream.is_announced = false;
            self.answer(id, method, digits(error.status()), &refusal_body(&error), moment);
            self.stop_sending(id, ErrorCode::NO_ERROR);
        } else {
            self.abandon(id, ErrorCode::REQUEST_CANCELLED, moment.now);
        }
        sink.aborted(id, end);
    }

    /// Sends a whole response of this layer's own to a stream that no response has started on.
    pub(super) fn answer(
        &mut self,
        id: StreamId,
        method: AskedMethod,
        status: [u8; 3],
        body: &str,
        moment: Moment<'_>,
    ) {
        let fields = b"Content-Type: text/plain\r\n";
        let head = ResponseHead { status: &status, fields, flags: FieldFlags::NONE };
        let asked = Asked { method, version: Version::Multiplexed, keep_alive: true };
        let plan = Plan::new(&head, asked, Framing::Length(body.len() as u64));
        self.send_head(id, &head, &plan, moment);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.is_tunnel = false;
        stream.sending = Sending::Ending;
        if plan.body != BodyEncoding::Dropped {
            start_data(body.len(), stream.output.tail());
            stream.output.tail().extend_from_slice(body.as_bytes());
        }
    }

    /// Refuses a request behind the last one that is served.
    pub(super) fn reject(&mut self, id: StreamId, is_fin: bool, now: Timestamp) -> Result<(), Http3Error> {
        let code = Http3Error::RequestAfterGoAway.error_code();
        self.actions.push_back(Action::Reset { stream: id, code });
        if !is_fin {
            self.actions.push_back(Action::StopSending { stream: id, code });
        }
        self.decoder.cancel(id, &mut self.decoder_stream.bytes);
        self.finished.push(id);
        self.note_idle_frame(now)
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: StreamId, now: Timestamp) {
        if self.streams.remove(id).is_some() {
            self.finished.push(id);
            self.since = now;
        }
    }
}

/// A status of three digits as text.
pub(super) fn digits(status: u16) -> [u8; 3] {
    [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + (digit % 10) as u8)
}

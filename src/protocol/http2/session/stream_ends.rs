//! How streams end before their response is complete.

use super::{Http2Session, Http2Sink, Input, StreamEnd};
use crate::protocol::http::error::{HttpError, refusal_body};
use crate::protocol::http::head::Version;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::response_framing::{Asked, AskedMethod, BodyEncoding, Framing, Plan};
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::http2::error::{ErrorCode, Http2Error, Scope};
use crate::protocol::http2::frame::{StreamId, append_reset, start_data};
use crate::protocol::http2::stream::Sending;
use crate::protocol::time::Timestamp;

impl Http2Session {
    /// Ends a stream on which the client broke a rule.
    pub(super) fn end_broken(
        &mut self,
        id: StreamId,
        error: Http2Error,
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        if error.scope() == Scope::Connection || self.is_unopened(id) {
            // RFC 9113 §6.4: there is no RST_STREAM for an idle stream.
            return Err(error);
        }
        append_reset(id, error.error_code(), context.out);
        self.note_closed_here(id);
        if self.remove(id, context.moment.now) {
            context.room = context.room.saturating_sub(1);
            context.sink.aborted(id, StreamEnd::Broken(error));
        }
        self.note_reset(context.moment.now)
    }

    /// Answers the request of a stream whose body exceeds a limit, unless a response has started, and ends it.
    pub(super) fn refuse_body(
        &mut self,
        id: StreamId,
        error: HttpError,
        end: StreamEnd,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let owed = self.streams.get(id).and_then(|stream| match stream.sending {
            Sending::Owed(method) => Some(method),
            Sending::Started(_) | Sending::Ending(_) | Sending::Ended => None,
        });
        if let Some(method) = owed {
            self.answer(id, method, digits(error.status()), &refusal_body(&error), moment, out);
        }
        let is_silent = owed.is_some() && end == StreamEnd::BodyTooLarge;
        let code = if is_silent { ErrorCode::NO_ERROR } else { ErrorCode::CANCEL };
        self.reset(id, code, moment.now, out);
    }

    /// Appends a whole response that ends its stream, which need not be in the table. Its body is short, and is sent
    /// only if it fits the windows.
    pub(super) fn answer(
        &mut self,
        id: StreamId,
        method: AskedMethod,
        status: [u8; 3],
        body: &str,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let initial = self.peer.initial_window as usize;
        let window = self.streams.get(id).map_or(initial, |stream| stream.send_window.available());
        let body = if body.len() <= window.min(self.send_window.available()) { body } else { "" };
        let fields = b"Content-Type: text/plain\r\n";
        let head = ResponseHead { status: &status, fields, flags: FieldFlags::NONE };
        let asked = Asked { method, version: Version::Http11, keep_alive: true };
        let plan = Plan::new(&head, asked, Framing::Length(body.len() as u64));
        let body = if plan.body == BodyEncoding::Dropped { "" } else { body };
        self.send_head(id, &head, &plan, body.is_empty(), moment, out);
        if !body.is_empty() {
            self.send_window.take(body.len());
            start_data(body.len(), true, id, out);
            out.extend_from_slice(body.as_bytes());
        }
    }

    /// Resets a stream that is not in the table.
    pub(super) fn reset_unopened(&mut self, id: StreamId, code: ErrorCode, out: &mut Vec<u8>) {
        append_reset(id, code, out);
        self.note_closed_here(id);
    }

    /// Remembers that this side has closed a stream: frames that the client sends before it knows are ignored
    /// (RFC 9113 §5.4.2).
    pub(super) fn note_closed_here(&mut self, id: StreamId) {
        if self.closed_here.len() == MAX_CLOSED_HERE {
            self.closed_here.pop_front();
        }
        self.closed_here.push_back(id);
    }

    /// Removes a stream. Returns whether it was there.
    pub(super) fn remove(&mut self, id: StreamId, now: Timestamp) -> bool {
        let is_known = self.streams.remove(id).is_some();
        if is_known {
            self.finished.push(id);
            self.since = now;
        }
        is_known
    }
}

/// A status of three digits as text.
pub(super) fn digits(status: u16) -> [u8; 3] {
    [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + (digit % 10) as u8)
}
/// Streams that are remembered after this side has closed them. A client learns of it within a round trip, in which it
/// may have opened others.
const MAX_CLOSED_HERE: usize = 128;

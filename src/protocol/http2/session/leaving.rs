//! How the connection ends.

use super::{Http2Session, Http2Sink, Leaving, Reading, StreamEnd};
use crate::protocol::cause::CloseCause;
use crate::protocol::http::error::refusal_body;
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::{StreamId, append_goaway, append_ping};
use crate::protocol::time::Timestamp;

impl Http2Session {
    /// Closes the connection gracefully: requests that the client sends before it has learnt of it are served, later ones
    /// are refused with REFUSED_STREAM, so that it may send them again elsewhere. The client is told `why`.
    pub(crate) fn wind_down(&mut self, why: &str, now: Timestamp, out: &mut Vec<u8>) {
        if self.leaving == Leaving::No && !self.is_closed() {
            self.leaving = Leaving::Announced(now);
            self.farewell = shortened(why).into();
            append_goaway(StreamId::MAX, ErrorCode::NO_ERROR, &self.farewell, out);
            append_ping(LEAVING, false, out);
        }
    }

    /// Tells the client `why` this side ends the connection now, whatever is open. The caller calls [`Self::abort`] next.
    pub(crate) fn leave_at_once(&mut self, code: ErrorCode, why: &str, out: &mut Vec<u8>) {
        if self.reading != Reading::Closed {
            append_goaway(self.last_served(), code, shortened(why), out);
            self.reading = Reading::Closed;
        }
    }

    /// Whether [`Self::wind_down`] was called, or the client has sent GOAWAY.
    #[must_use]
    pub(crate) fn is_winding_down(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Aborts all streams; the connection is lost.
    pub(crate) fn abort(&mut self, mut aborted: impl FnMut(StreamId)) {
        for stream in std::mem::take(&mut self.streams).iter() {
            self.finished.push(stream.id);
            aborted(stream.id);
        }
        self.block = None;
        self.reading = Reading::Closed;
    }

    /// Sends the GOAWAY that names the last stream which is served.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) {
        self.leaving = Leaving::Final;
        self.last_served = self.last_stream;
        append_goaway(self.last_served, ErrorCode::NO_ERROR, &self.farewell, out);
    }

    /// The last stream for a GOAWAY. RFC 9113 §6.8: it never rises from one to the next.
    pub(super) fn last_served(&self) -> StreamId {
        self.last_stream.min(self.last_served)
    }

    /// Ends the connection after an error.
    pub(super) fn fail(&mut self, error: Http2Error, out: &mut Vec<u8>, sink: &mut impl Http2Sink) {
        append_goaway(self.last_served(), error.error_code(), refusal_body(&error).trim_end(), out);
        self.abort(|id| sink.aborted(id, StreamEnd::Broken(error)));
    }
}

/// What a GOAWAY says to people of the cause for which this side ends a connection.
#[must_use]
pub(crate) fn farewell(cause: CloseCause) -> String {
    refusal_body(&cause).trim_end().to_owned()
}

/// The start of a text, as long as a GOAWAY may be for any client.
fn shortened(text: &str) -> &str {
    let mut length = text.len().min(MAX_FAREWELL);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text[..length]
}

/// The data of the PING that follows a GOAWAY.
pub(super) const LEAVING: [u8; 8] = *b"goingout";
/// Bytes of the text of a GOAWAY.
const MAX_FAREWELL: usize = 1024;

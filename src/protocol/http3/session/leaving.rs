//! How the connection ends.

use std::time::Duration;

use super::{Action, Http3Session, Http3Sink, Leaving, StreamEnd};
use crate::protocol::http::error::refusal_body;
use crate::protocol::http3::error::Http3Error;
use crate::protocol::http3::frame::append_goaway;
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::http3::varint;
use crate::protocol::time::Timestamp;

impl Http3Session {
    /// Closes the connection gracefully: requests that the client sends before it has learnt of it are served, later ones
    /// are refused with H3_REQUEST_REJECTED, so that it may send them again elsewhere. `round_trip` is how long it takes,
    /// at most, until what it sent before has arrived.
    pub(crate) fn wind_down(&mut self, round_trip: Duration, now: Timestamp) {
        if self.leaving == Leaving::No && !self.is_closed {
            self.leaving = Leaving::Announced(now + round_trip);
            // The highest number of a request stream.
            append_goaway(varint::MAX - 3, &mut self.control.bytes);
        }
    }

    /// Whether [`Self::wind_down`] was called.
    #[must_use]
    pub(crate) fn is_winding_down(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Aborts all streams; the connection is lost.
    pub(crate) fn abort(&mut self, mut aborted: impl FnMut(StreamId)) {
        for stream in std::mem::take(&mut self.streams).iter() {
            self.finished.push(stream.id);
            if stream.is_announced {
                aborted(stream.id);
            }
        }
        self.is_closed = true;
    }

    /// Sends the GOAWAY that names the first stream which is not served.
    pub(super) fn leave(&mut self) {
        self.leaving = Leaving::Final;
        self.refused_from = self.next_request;
        append_goaway(self.next_request.0, &mut self.control.bytes);
    }

    /// Ends the connection after an error.
    pub(super) fn fail(&mut self, error: Http3Error, sink: &mut impl Http3Sink) {
        let reason = refusal_body(&error).trim_end().to_owned();
        self.actions.push_back(Action::Close { code: error.error_code(), reason });
        self.abort(|id| sink.aborted(id, StreamEnd::Broken(error)));
    }
}

//! Deadlines.

use std::time::Duration;

use super::leaving::farewell;
use super::{Http2Session, Http2Sink, Http2Timeout, Leaving, StreamEnd};
use crate::protocol::cause::CloseCause;
use crate::protocol::http::error::HttpError;
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::pace::Pace;
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::StreamId;
use crate::protocol::time::Timestamp;

impl Http2Session {
    /// The caller pauses reading. The client's timeouts stop until [`Self::resume`].
    pub(crate) fn pause(&mut self, now: Timestamp) {
        self.paused.get_or_insert(now);
    }

    /// The caller reads again; the timers restart.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let Some(paused) = self.paused.take() else { return };
        self.since = now;
        if let Some(block) = &mut self.block {
            block.since = now;
        }
        for stream in self.streams.iter_mut() {
            if stream.paused.is_none() {
                stream.restart_clock(paused, now);
            }
            // A WINDOW_UPDATE may have been among what was not read.
            stream.stall = stream.stall.map(|_| Pace::new(now));
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub(crate) fn poll_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        let reading = if self.paused.is_some() { None } else { self.reading_deadline(limits) };
        reading.into_iter().chain(self.writing_deadline(limits)).min()
    }

    /// When the client has accepted pending output too slowly.
    #[must_use]
    pub(crate) fn writing_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        self.output_pace.and_then(|pace| pace.deadline(limits.response_pace))
    }

    /// When the client's time for what it has to send is over.
    fn reading_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.is_closed() {
            return None;
        }
        let streams = self.streams.iter().filter_map(|stream| stream.deadline(limits)).min();
        let leaving = match self.leaving {
            Leaving::Announced(since) => Some(since + ROUND_TRIP),
            Leaving::No | Leaving::Final => None,
        };
        let headers = self.headers_deadline(limits);
        let idle = self.idle_deadline(limits);
        [streams, leaving, headers, idle].into_iter().flatten().min()
    }

    /// When the time for the first request, or for the rest of a header block, is over.
    fn headers_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        let since = match &self.block {
            Some(block) => block.since,
            None if self.is_new() => self.since,
            None => return None,
        };
        limits.headers_timeout.map(|timeout| since + timeout)
    }

    /// When the time for the next request is over. The client is not idle while it still receives the last response.
    fn idle_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        let waits = self.is_idle() && !self.is_new();
        limits.keep_alive_timeout.filter(|_| waits).map(|timeout| self.since + timeout)
    }

    /// Whether no request has arrived.
    fn is_new(&self) -> bool {
        self.last_stream == StreamId::CONNECTION
    }

    /// Acts on deadlines that have passed.
    pub(crate) fn handle_timeout(
        &mut self,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
        sink: &mut impl Http2Sink,
    ) -> Http2Timeout {
        let (now, limits) = (moment.now, moment.limits);
        let has_passed = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        if has_passed(self.writing_deadline(limits)) {
            self.output_pace = None;
            let why = farewell(CloseCause::ResponseTimeout);
            self.leave_at_once(ErrorCode::ENHANCE_YOUR_CALM, &why, out);
            self.abort(|id| sink.aborted(id, StreamEnd::ResponseTimeout));
            return Http2Timeout::Response;
        }
        if self.paused.is_some() || self.is_closed() {
            return Http2Timeout::None;
        }
        let late: Vec<_> = self
            .streams
            .iter()
            .filter(|stream| has_passed(stream.deadline(limits)))
            .map(|stream| (stream.id, has_passed(stream.body_deadline(limits))))
            .collect();
        for (id, is_body) in late {
            let end = if is_body { StreamEnd::BodyTimeout } else { StreamEnd::ResponseTimeout };
            if is_body {
                self.refuse_body(id, HttpError::RequestTimeout, end, moment, out);
            } else {
                self.reset(id, ErrorCode::CANCEL, now, out);
            }
            sink.aborted(id, end);
        }
        if let Leaving::Announced(since) = self.leaving
            && since + ROUND_TRIP <= now
        {
            self.leave(out);
        }
        if has_passed(self.headers_deadline(limits)) {
            self.fail(Http2Error::HeadersTimeout, out, sink);
            return Http2Timeout::Headers;
        }
        if has_passed(self.idle_deadline(limits)) {
            let why = format!("{NO_REQUEST}: no request arrived in time");
            self.leave_at_once(ErrorCode::NO_ERROR, &why, out);
            return Http2Timeout::Idle;
        }
        Http2Timeout::None
    }
}

/// The name of the end of a connection that was idle for too long.
pub(crate) const NO_REQUEST: &str = "CLOSED_WITHOUT_REQUEST";
/// How long to wait for its answer: the longest round trips are below 1 s.
const ROUND_TRIP: Duration = Duration::from_secs(1);

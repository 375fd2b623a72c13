//! Deadlines.

use super::stream_ends::digits;
use super::{Http3Session, Http3Sink, Http3Timeout, Leaving, StreamEnd};
use crate::protocol::http::error::{HttpError, refusal_body};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::pace::Pace;
use crate::protocol::http::response_framing::AskedMethod;
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::time::Timestamp;

/// What was too slow on a stream.
#[derive(Clone, Copy, Debug)]
enum Late {
    Head,
    Body,
    Response,
}

impl Http3Session {
    /// The caller pauses reading of all streams. The client's timeouts stop until [`Self::resume`].
    pub(crate) fn pause(&mut self, now: Timestamp) {
        self.paused.get_or_insert(now);
    }

    /// The caller reads again; the timers restart.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        let Some(paused) = self.paused.take() else { return };
        self.since = now;
        for stream in self.streams.iter_mut() {
            if stream.paused.is_none() {
                stream.restart_clock(paused, now);
            }
            // Credit may have been among what was not read.
            stream.stall = stream.stall.map(|_| Pace::new(now));
        }
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub(crate) fn poll_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.paused.is_some() || self.is_closed() {
            return None;
        }
        let streams = self.streams.iter().filter_map(|stream| stream.deadline(limits)).min();
        let leaving = match self.leaving {
            Leaving::Announced(until) => Some(until),
            Leaving::No | Leaving::Final => None,
        };
        [streams, leaving, self.waiting_deadline(limits)].into_iter().flatten().min()
    }

    /// When the time for the first request, or for the next one, is over.
    fn waiting_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        let timeout = if self.is_new() { limits.headers_timeout } else { limits.keep_alive_timeout };
        timeout.filter(|_| self.streams.is_empty()).map(|timeout| self.since + timeout)
    }

    /// Whether no request has arrived.
    fn is_new(&self) -> bool {
        self.next_request == StreamId(0)
    }

    /// Acts on deadlines that have passed.
    pub(crate) fn handle_timeout(&mut self, moment: Moment<'_>, sink: &mut impl Http3Sink) -> Http3Timeout {
        let (now, limits) = (moment.now, moment.limits);
        let has_passed = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        if self.paused.is_some() || self.is_closed() {
            return Http3Timeout::None;
        }
        let is_late = has_passed(self.waiting_deadline(limits));
        let late: Vec<_> = self
            .streams
            .iter()
            .filter(|stream| has_passed(stream.deadline(limits)))
            .map(|stream| {
                let late = if has_passed(stream.head_deadline(limits)) {
                    Late::Head
                } else if has_passed(stream.body_deadline(limits)) {
                    Late::Body
                } else {
                    Late::Response
                };
                (stream.id, late)
            })
            .collect();
        for (id, late) in late {
            self.end_late(id, late, moment, sink);
        }
        if let Leaving::Announced(until) = self.leaving
            && until <= now
        {
            self.leave();
        }
        if !is_late {
            return Http3Timeout::None;
        }
        let (error, timeout) = if self.is_new() {
            (Http3Error::HeadersTimeout, Http3Timeout::Headers)
        } else {
            (Http3Error::NoRequest, Http3Timeout::Idle)
        };
        self.fail(error, sink);
        timeout
    }

    fn end_late(&mut self, id: StreamId, late: Late, moment: Moment<'_>, sink: &mut impl Http3Sink) {
        match late {
            Late::Head => {
                let error = HttpError::RequestTimeout;
                self.answer(id, AskedMethod::Other, digits(error.status()), &refusal_body(&error), moment);
                self.stop_sending(id, ErrorCode::REQUEST_CANCELLED);
            }
            Late::Body => {
                self.refuse_body(id, HttpError::RequestTimeout, StreamEnd::BodyTimeout, moment, sink);
            }
            Late::Response => {
                if self.abandon(id, ErrorCode::REQUEST_CANCELLED, moment.now) {
                    sink.aborted(id, StreamEnd::ResponseTimeout);
                }
            }
        }
    }
}

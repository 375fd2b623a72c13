//! The state of one HTTP connection: one request and its response at a time, pipelined requests in turn
//! (RFC 9112 §9.3.2).
//!
//! | `Reading` | `Writing` | state of the connection |
//! |---|---|---|
//! | `Head` | `Nothing` | between two requests, or within a head |
//! | `Body` | `Owed`, `Started` | the body arrives; the response may have started |
//! | `Complete` | `Owed`, `Started` | the handler runs or streams: nothing is read, nothing times out |
//! | `Discard` | `Nothing` | the response is over, the rest of the body is read and dropped |
//! | `Left`, `Closed` | `Nothing` | no longer HTTP, or over |
//!
//! The caller owns the socket and the bytes. Call order: [`HttpExchange::handle_bytes`] with the bytes read and not
//! consumed, the response calls in the order the application made them, [`HttpExchange::handle_flush`] after every
//! attempt to write output, [`HttpExchange::poll_deadline`] after any of these and [`HttpExchange::handle_timeout`]
//! when it is due; [`HttpExchange::disposition`] says whether the connection persists once all output is written. After
//! a response has completed, present the unconsumed bytes again: they may hold the next request. To close the
//! connection gracefully, call [`HttpExchange::wind_down`], and [`HttpExchange::close_if_idle`] whenever all received
//! input has been presented.
//!
//! A response call that does not fit the state has no effect: Node's thread made it before the end of the request was
//! reported to it.

use std::time::Duration;

use super::body::BodyDecoder;
use super::encode::{AFTER_CHUNK, encode_head, start_chunk};
use super::error::HttpError;
use super::head::{RequestHead, parse_head};
use super::limits::{HttpLimits, Moment};
use super::outcome::{Disposition, Flush, TimeoutOutcome};
use super::pace::Pace;
use super::reading::{BodyTiming, HeadPhase, PendingHead, Reading, earlier};
use super::response_framing::{Asked, AskedMethod, BodyEncoding, Framing, Plan};
use super::response_head::ResponseHead;
use crate::protocol::time::Timestamp;

/// Receives the requests. The calls of one request: `request` once, then `body` until `last`, which comes exactly once
/// unless the request breaks off or its response is complete before.
pub(crate) trait HttpSink {
    /// A valid request head. The spans of `head` refer to `bytes`.
    fn request(&mut self, head: &RequestHead, bytes: &[u8]);
    /// A piece of the body. It is empty only with `last`, and always if the request has no body.
    fn body(&mut self, chunk: &[u8], last: bool);
}

/// One HTTP connection. See the top of the file for the order of calls.
#[derive(Debug)]
pub(crate) struct HttpExchange {
    /// What the next byte of the client belongs to.
    reading: Reading,
    /// What this side owes the client.
    writing: Writing,
    /// The rate at which the client accepts pending output; `None` if no output is pending.
    output_pace: Option<Pace>,
    /// When the caller paused reading; the client's timeouts do not run while it is set.
    paused: Option<Timestamp>,
    /// The next response is the last one.
    is_winding_down: bool,
}

/// The framing of a piece of a body, see [`HttpExchange::frame_body`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramedPiece {
    /// How many bytes of the piece to write.
    pub length: usize,
    /// The bytes to write after them.
    pub after: &'static [u8],
}

impl FramedPiece {
    /// Writes nothing.
    pub(crate) const NOTHING: Self = Self { length: 0, after: b"" };
}

/// What this side owes the client.
#[derive(Clone, Copy, Debug)]
enum Writing {
    /// Nothing.
    Nothing,
    /// A response to this request.
    Owed(Asked),
    /// The rest of a response. `close`: the connection ends after it.
    Started { body: BodyEncoding, close: bool },
}

impl HttpExchange {
    /// A connection accepted at `now`.
    #[must_use]
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self {
            reading: Reading::Head(PendingHead::new(HeadPhase::New, now)),
            writing: Writing::Nothing,
            output_pace: None,
            paused: None,
            is_winding_down: false,
        }
    }

    /// Whether [`Self::handle_bytes`] can consume anything: false while a complete request awaits its response, and
    /// after [`Self::upgrade`]. If the caller reads in that state, it has to keep the bytes.
    #[must_use]
    pub(crate) const fn can_read(&self) -> bool {
        !matches!(self.reading, Reading::Complete | Reading::Left)
    }

    /// Whether closing loses nothing: no request is in progress, and no output is pending.
    #[must_use]
    pub(crate) const fn is_idle(&self) -> bool {
        let is_between = matches!(
            self.reading,
            Reading::Head(PendingHead { phase: HeadPhase::New | HeadPhase::Idle, .. })
        );
        is_between && self.output_pace.is_none()
    }

    /// When this side started to wait for a request head, or for the rest of one; `None` if it does not wait for one.
    #[must_use]
    pub(crate) const fn waits_since(&self) -> Option<Timestamp> {
        match &self.reading {
            Reading::Head(opening) => Some(opening.since),
            Reading::Body { .. }
            | Reading::Discard { .. }
            | Reading::Complete
            | Reading::Left
            | Reading::Closed => None,
        }
    }

    /// Whether a request was passed to the sink and its response is not complete.
    #[must_use]
    pub(crate) const fn has_outstanding_response(&self) -> bool {
        matches!(self.writing, Writing::Owed(_) | Writing::Started { .. })
    }

    /// What to do with the connection once all output is written.
    #[must_use]
    pub(crate) const fn disposition(&self) -> Disposition {
        match self.reading {
            Reading::Closed => Disposition::Close,
            Reading::Head(_)
            | Reading::Body { .. }
            | Reading::Discard { .. }
            | Reading::Complete
            | Reading::Left => Disposition::KeepAlive,
        }
    }

    /// Processes `input`: all bytes received and not consumed, in order. Returns how many of them were consumed. At
    /// most one unanswered request is passed to `sink`; those behind it stay unconsumed until its response is complete.
    /// `scratch` may be shared by all connections.
    ///
    /// `Expect: 100-continue` is answered with `100 Continue` in `out` before the request is passed on.
    ///
    /// # Errors
    /// The rule that the client broke. The answer that names it is in `out` unless a response has started, and the
    /// disposition is to close. If a response was outstanding, abort it with [`HttpError::cause`]: once the request has
    /// been passed on, only its body can break a rule.
    pub(crate) fn handle_bytes(
        &mut self,
        input: &mut [u8],
        moment: Moment<'_>,
        scratch: &mut RequestHead,
        out: &mut Vec<u8>,
        sink: &mut impl HttpSink,
    ) -> Result<usize, HttpError> {
        let mut consumed = 0;
        loop {
            let rest = &mut input[consumed..];
            let step = match &self.reading {
                Reading::Head(_) => self.read_head(rest, moment, scratch, out, sink),
                Reading::Body { .. } => self.read_body(rest, moment, sink),
                Reading::Discard { .. } => self.discard_body(rest, moment),
                Reading::Complete | Reading::Left => Ok(0),
                Reading::Closed => return Ok(input.len()),
            };
            match step {
                Ok(0) => return Ok(consumed),
                Ok(len) => consumed += len,
                Err(error) => {
                    self.refuse(error, &input[consumed..], moment, out);
                    return Err(error);
                }
            }
        }
    }

    /// Bytes of a body of known length that are still to come, and nothing but which can come next; 0 if the next byte belongs
    /// to anything else.
    #[must_use]
    pub(crate) const fn expected_body(&self) -> u64 {
        match &self.reading {
            Reading::Body { decoder, .. } => match decoder.remaining() {
                Some(remaining) => remaining,
                None => 0,
            },
            Reading::Head(_)
            | Reading::Discard { .. }
            | Reading::Complete
            | Reading::Left
            | Reading::Closed => 0,
        }
    }

    /// Takes note of `len` bytes, at most [`Self::expected_body`], that the caller has taken itself. Returns whether the body is
    /// complete.
    pub(crate) fn skip_body(&mut self, len: usize, moment: Moment<'_>) -> bool {
        let Reading::Body { decoder, timing } = &mut self.reading else { return false };
        let is_complete = decoder.skip(len);
        timing.count(len, moment.limits, moment.now);
        if is_complete {
            self.reading = Reading::Complete;
        }
        is_complete
    }

    /// Writes the head of a response whose body follows by [`Self::frame_body`] and [`Self::finish_response`].
    pub(crate) fn start_response(
        &mut self,
        head: &ResponseHead<'_>,
        framing: Framing,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let Writing::Owed(asked) = self.writing else { return };
        let Plan { body, close, .. } =
            encode_head(head, asked, framing, self.is_winding_down, moment.date, out);
        self.writing = Writing::Started { body, close };
    }

    /// Frames and writes a piece of the body in one step, for tests. Production calls [`Self::frame_body`] and writes
    /// the data itself, without a copy.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn write_body(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let piece = self.frame_body(data.len(), out);
        out.extend_from_slice(&data[..piece.length]);
        out.extend_from_slice(piece.after);
    }

    /// Frames a piece of the body of `length` bytes: as it is, or as one chunk. Appends the bytes that precede the data
    /// to `out`. The caller then writes as many bytes of the data as the result says, and the bytes that follow them.
    /// Bytes beyond the announced length are dropped, as is a body that the response must not have (HEAD, 204, 304). An
    /// empty piece writes nothing.
    pub(crate) fn frame_body(&mut self, length: usize, out: &mut Vec<u8>) -> FramedPiece {
        let Writing::Started { body, .. } = &mut self.writing else { return FramedPiece::NOTHING };
        match body {
            _ if length == 0 => FramedPiece::NOTHING,
            BodyEncoding::Dropped => FramedPiece::NOTHING,
            BodyEncoding::Length(remaining) => {
                let length = usize::try_from(*remaining).map_or(length, |remaining| remaining.min(length));
                *remaining -= length as u64;
                FramedPiece { length, after: b"" }
            }
            BodyEncoding::Chunked => {
                start_chunk(length, out);
                FramedPiece { length, after: AFTER_CHUNK }
            }
            BodyEncoding::UntilClose => FramedPiece { length, after: b"" },
        }
    }

    /// Completes a response that was started; `close`: the connection closes after it. A response that is shorter than
    /// its Content-Length closes the connection too, because the client cannot detect the end otherwise. `trailers` are
    /// lines as those of a response head; they are dropped unless the body is chunked (RFC 9112 §7.1.2).
    pub(crate) fn finish_response(
        &mut self,
        trailers: &[u8],
        close: bool,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let Writing::Started { body, close: planned } = self.writing else { return };
        let is_short = match body {
            BodyEncoding::Length(remaining) => remaining > 0,
            BodyEncoding::Chunked => {
                out.extend_from_slice(b"0\r\n");
                out.extend_from_slice(trailers);
                out.extend_from_slice(b"\r\n");
                false
            }
            BodyEncoding::Dropped | BodyEncoding::UntilClose => false,
        };
        self.complete_response(close || planned || is_short, moment);
    }

    /// Writes a whole response in one step, for tests. Production calls [`Self::frame_response`] and writes the body itself.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn respond(
        &mut self,
        head: &ResponseHead<'_>,
        body: &[u8],
        close: bool,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) {
        let length = self.frame_response(head, body.len(), close, moment, out);
        out.extend_from_slice(&body[..length]);
    }

    /// Writes a whole response but for its body of `length` bytes. The caller then writes as many bytes of that as the
    /// result says: none of a body that the response must not have (HEAD, 204, 304).
    #[must_use]
    pub(crate) fn frame_response(
        &mut self,
        head: &ResponseHead<'_>,
        length: usize,
        close: bool,
        moment: Moment<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        let Writing::Owed(asked) = self.writing else { return 0 };
        let close = close || self.is_winding_down || !self.reading.can_discard(moment.limits);
        let framing = Framing::Length(length as u64);
        let plan = encode_head(head, asked, framing, close, moment.date, out);
        self.complete_response(plan.close, moment);
        if let BodyEncoding::Length(_) = plan.body { length } else { 0 }
    }

    /// Upgrades the connection (RFC 9110 §7.8): the caller writes the `101` and owns all unconsumed bytes. Has no
    /// effect and returns false unless a complete request awaits its response.
    #[must_use]
    pub(crate) const fn upgrade(&mut self) -> bool {
        let may_leave = matches!((&self.reading, &self.writing), (Reading::Complete, Writing::Owed(_)));
        if may_leave {
            self.reading = Reading::Left;
            self.writing = Writing::Nothing;
        }
        may_leave
    }

    /// Closes the connection gracefully. The next response that starts has `Connection: close` and is the last one:
    /// requests behind it are not processed (RFC 9112 §9.6). A response that has started without it is completed, and
    /// then [`Self::close_if_idle`] decides. A new connection has only a short time left for its first request.
    pub(crate) const fn wind_down(&mut self) {
        self.is_winding_down = true;
    }

    /// Whether [`Self::wind_down`] was called.
    #[must_use]
    pub(crate) const fn is_winding_down(&self) -> bool {
        self.is_winding_down
    }

    /// Closes a connection that is winding down if it waits for a further request. Call it when all received bytes have
    /// been presented. If the client sends another request at the same time, it has to retry it on a new connection
    /// (RFC 9112 §9.5). Returns whether the connection closed.
    pub(crate) const fn close_if_idle(&mut self) -> bool {
        let waits = matches!(self.reading, Reading::Head(PendingHead { phase: HeadPhase::Idle, .. }));
        let closes = self.is_winding_down && waits;
        if closes {
            self.close();
        }
        closes
    }

    /// The caller pauses reading (`res.pause()`, or Node's thread lags). The client's timeouts stop until
    /// [`Self::resume`], which may come after the end of the response.
    pub(crate) fn pause(&mut self, now: Timestamp) {
        self.paused.get_or_insert(now);
    }

    /// The caller reads again; the timer of the head or body being read restarts.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        if let Some(paused) = self.paused.take() {
            self.reading.restart(paused, now);
        }
    }

    /// The caller tried to write the output.
    pub(crate) fn handle_flush(&mut self, flush: Flush, moment: Moment<'_>) {
        let now = moment.now;
        match flush {
            Flush::Drained if self.output_pace.take().is_some() => {
                // The client did not have the end of the response before, so its idle time starts now.
                if let Reading::Head(PendingHead { phase: HeadPhase::Idle, since, .. }) = &mut self.reading {
                    *since = now;
                }
            }
            Flush::Drained => {}
            Flush::Progressed(len) => {
                let pace = self.output_pace.get_or_insert(Pace::new(now));
                pace.count(len, moment.limits.response_pace, now);
            }
            Flush::Stuck => {
                self.output_pace.get_or_insert(Pace::new(now));
            }
        }
    }

    /// When [`Self::handle_timeout`] is due; `None` while no timer runs, for example while a handler runs.
    #[must_use]
    pub(crate) fn poll_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        earlier(self.writing_deadline(limits), self.reading_deadline(limits))
    }

    /// When the client has accepted pending output too slowly. The timer runs while output is pending, even if the
    /// connection is closing.
    #[must_use]
    pub(crate) fn writing_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        self.output_pace.and_then(|pace| pace.deadline(limits.response_pace))
    }

    /// Closes the connection if a deadline has passed. The caller flushes `out`, then closes the socket.
    pub(crate) fn handle_timeout(&mut self, moment: Moment<'_>, out: &mut Vec<u8>) -> TimeoutOutcome {
        let has_passed =
            |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= moment.now);
        if has_passed(self.writing_deadline(moment.limits)) {
            self.close();
            self.output_pace = None;
            return TimeoutOutcome::ResponseTimeout;
        }
        if !has_passed(self.reading_deadline(moment.limits)) {
            return TimeoutOutcome::NotYet;
        }
        match &self.reading {
            Reading::Head(PendingHead { phase: HeadPhase::Partial, .. }) => {
                self.refuse(HttpError::RequestTimeout, b"", moment, out);
                TimeoutOutcome::Answered408
            }
            Reading::Body { .. } => {
                self.refuse(HttpError::RequestTimeout, b"", moment, out);
                TimeoutOutcome::BodyTimeout
            }
            Reading::Head(_)
            | Reading::Discard { .. }
            | Reading::Complete
            | Reading::Left
            | Reading::Closed => {
                self.close();
                TimeoutOutcome::CloseSilently
            }
        }
    }

    /// Reads one empty line, or one head, and passes the head to the sink.
    fn read_head(
        &mut self,
        input: &mut [u8],
        moment: Moment<'_>,
        scratch: &mut RequestHead,
        out: &mut Vec<u8>,
        sink: &mut impl HttpSink,
    ) -> Result<usize, HttpError> {
        let Reading::Head(opening) = &mut self.reading else { return Ok(0) };
        match input {
            [] | [b'\r'] => return Ok(0),
            [b'\r', b'\n', ..] => return opening.skip_empty_line(),
            [b'\r', ..] => return Err(HttpError::BareCr),
            [b'\n', ..] => return Err(HttpError::BareLf),
            _ => {}
        }
        let scanned = usize::from(opening.scanned);
        let parsed = parse_head(input, scanned, &moment.limits.head, scratch);
        let Some(len) = parsed.map_err(|error| opening.explain(error, input))? else {
            opening.wait_for_more(input.len(), moment.now);
            return Ok(0);
        };

        let decoder = BodyDecoder::new(scratch.body, moment.limits.max_body)?;
        let started = opening.started_at(moment.now);
        let bytes = &input[..len];
        let method = AskedMethod::of(scratch.method.of(bytes));
        self.writing =
            Writing::Owed(Asked { method, version: scratch.version, keep_alive: scratch.keep_alive });
        if scratch.expects_continue {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        sink.request(scratch, bytes);
        self.reading = if let Some(decoder) = decoder {
            Reading::Body { decoder, timing: BodyTiming { started, pace: Pace::new(moment.now) } }
        } else {
            sink.body(b"", true);
            Reading::Complete
        };
        Ok(len)
    }

    /// Passes the next piece of the body to the sink.
    fn read_body(
        &mut self,
        input: &[u8],
        moment: Moment<'_>,
        sink: &mut impl HttpSink,
    ) -> Result<usize, HttpError> {
        let Reading::Body { decoder, timing } = &mut self.reading else { return Ok(0) };
        let step = decoder.decode(input)?;
        let data = &input[step.data];
        if !data.is_empty() || step.done {
            sink.body(data, step.done);
        }
        timing.count(data.len(), moment.limits, moment.now);
        if step.done {
            self.reading = Reading::Complete;
        }
        Ok(step.consumed)
    }

    /// Discards the next piece of the body.
    fn discard_body(&mut self, input: &[u8], moment: Moment<'_>) -> Result<usize, HttpError> {
        let Reading::Discard { decoder, timing, budget } = &mut self.reading else { return Ok(0) };
        let step = decoder.decode(input)?;
        timing.count(step.data.len(), moment.limits, moment.now);
        if step.done {
            self.reading = Reading::Head(PendingHead::new(HeadPhase::Idle, moment.now));
        } else {
            match u32::try_from(step.consumed).ok().and_then(|consumed| budget.checked_sub(consumed)) {
                Some(left) => *budget = left,
                None => self.close(),
            }
        }
        Ok(step.consumed)
    }

    /// Writes the answer to a broken rule, unless another response has started, and closes the connection. `input` has
    /// the bytes that broke the rule and those received after them.
    fn refuse(&mut self, error: HttpError, input: &[u8], moment: Moment<'_>, out: &mut Vec<u8>) {
        let method = match (&self.reading, &self.writing) {
            (Reading::Head(_), _) => input.split(|&byte| byte == b' ').next().map(AskedMethod::of),
            (_, Writing::Owed(asked)) => Some(asked.method),
            (_, Writing::Started { .. } | Writing::Nothing) => None,
        };
        match method {
            Some(AskedMethod::Head) => drop(error.encode_answer_head(moment.date, out)),
            Some(AskedMethod::Connect | AskedMethod::Other) => error.encode_answer(moment.date, out),
            None => {}
        }
        self.close();
    }

    /// The response is complete: the next request is read, or the connection closes.
    fn complete_response(&mut self, close: bool, moment: Moment<'_>) {
        if close || !self.reading.can_discard(moment.limits) {
            self.close();
            return;
        }
        self.writing = Writing::Nothing;
        let idle = Reading::Head(PendingHead::new(HeadPhase::Idle, moment.now));
        self.reading = match std::mem::replace(&mut self.reading, idle) {
            Reading::Body { decoder, timing } => {
                Reading::Discard { decoder, timing, budget: moment.limits.max_discard }
            }
            Reading::Complete => return,
            other @ (Reading::Head(_) | Reading::Discard { .. } | Reading::Left | Reading::Closed) => other,
        };
    }

    /// Ends reading and writing.
    const fn close(&mut self) {
        self.reading = Reading::Closed;
        self.writing = Writing::Nothing;
    }

    /// When the client's time to send the head or body being read is over.
    fn reading_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.paused.is_some() {
            return None;
        }
        let deadline = self.reading.deadline(limits, self.output_pace.is_some());
        match &self.reading {
            Reading::Head(PendingHead { phase: HeadPhase::New, since, .. }) if self.is_winding_down => {
                let grace = *since + FIRST_REQUEST_GRACE;
                Some(deadline.map_or(grace, |deadline| deadline.min(grace)))
            }
            _ => deadline,
        }
    }
}

/// How long after its accept a connection that is winding down is kept for its first request: a client that has just
/// connected nearly always sends one at once. The longest round trips are below 1 s.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

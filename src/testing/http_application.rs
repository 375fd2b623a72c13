//! An application that answers at the wrong moment, in the wrong order, or not at all, on a connection whose socket and
//! clock are as irregular. It asserts that an exchange keeps the rules of HTTP towards the client nevertheless.

use super::http_reply::{Outlook, Reply};
use super::recorded_request::RequestRecorder;
use super::scenario::Scenario;
use crate::protocol::http::error::HttpError;
use crate::protocol::http::exchange::HttpExchange;
use crate::protocol::http::head::RequestHead;
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::{Disposition, Flush, TimeoutOutcome};
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{FieldFlags, ResponseHead};
use crate::protocol::time::Timestamp;

/// The date of every response.
pub(crate) const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// One connection, and its state as seen from the outside.
pub(crate) struct HttpApplication<'a> {
    /// The bytes that the client has not sent yet.
    wire: &'a [u8],
    /// Received bytes that were not consumed.
    unconsumed: Vec<u8>,
    exchange: HttpExchange,
    limits: &'a HttpLimits,
    now: Timestamp,
    scratch: RequestHead,
    /// Everything that was written.
    out: Vec<u8>,
    requests: RequestRecorder,
    /// The application's reply to each request in `requests`.
    replies: Vec<Reply>,
    /// The error that ended the connection, and whether the client gets an answer that names it.
    refusal: Option<(HttpError, Answered)>,
}

/// Whether a refusal has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    /// It must have one.
    Yes,
    /// It must not: a response had started.
    No,
    /// It must not if the rest of an answered request was being dropped, which cannot be seen from here.
    Perhaps,
}

impl<'a> HttpApplication<'a> {
    /// Plays the steps, then sends the rest and answers it, and asserts that the output has the responses of the
    /// application. Returns the requests that the exchange passed on.
    ///
    /// | step | argument | |
    /// |---|---|---|
    /// | `r` | status line and fields | a whole response; `R` closes the connection |
    /// | `s` | the same, and the framing | the head of a response |
    /// | `w` | its length | a piece of the body |
    /// | `f`, `F` | | the end of the response; `F` closes the connection |
    /// | `U` | | the connection is upgraded |
    /// | `p`, `u` | | the caller pauses reading, resumes it |
    /// | `W`, `i` | | the connection winds down; ends if it is idle |
    /// | `d`, `g`, `k` | | output was written, partly written, could not be written |
    /// | `t` | tenths of a second | time passes |
    /// | `T` | | time passes up to the deadline |
    /// | any other | | this many bytes arrive |
    ///
    /// # Panics
    /// If an assertion about [`HttpExchange`] does not hold.
    #[must_use]
    pub(crate) fn play(scenario: Scenario<'a>, limits: &'a HttpLimits) -> RequestRecorder {
        let mut application = Self {
            wire: scenario.wire,
            unconsumed: Vec::new(),
            exchange: HttpExchange::new(Timestamp(1_000)),
            limits,
            now: Timestamp(1_000),
            scratch: RequestHead::default(),
            out: Vec::new(),
            requests: RequestRecorder::default(),
            replies: Vec::new(),
            refusal: None,
        };
        let mut steps = scenario.steps.iter().copied();
        while let Some(step) = steps.next() {
            application.step(step, &mut steps);
        }
        application.receive(application.wire.len());
        while application.exchange.has_outstanding_response() {
            if application.is_started() {
                application.finish(false);
            } else {
                application.respond(0, false);
            }
        }
        application.assert_output();
        application.requests
    }

    /// Plays one step, which may take its argument from those behind it.
    fn step(&mut self, step: u8, steps: &mut impl Iterator<Item = u8>) {
        let mut argument = || steps.next().unwrap_or_default();
        match step {
            b'r' => self.respond(argument(), false),
            b'R' => self.respond(argument(), true),
            b's' => self.start(argument()),
            b'w' => self.write(argument()),
            b'f' => self.finish(false),
            b'F' => self.finish(true),
            b'U' => self.upgrade(),
            b'p' => self.exchange.pause(self.now),
            b'u' => self.exchange.resume(self.now),
            b'W' => self.exchange.wind_down(),
            b'i' => self.leave_if_idle(),
            b'd' => self.flush(Flush::Drained),
            b'g' => self.flush(Flush::Progressed(1)),
            b'k' => self.flush(Flush::Stuck),
            b't' => self.wait(Timestamp(self.now.0 + 100 * u64::from(argument()))),
            b'T' => self.wait(self.exchange.poll_deadline(self.limits).unwrap_or(self.now).max(self.now)),
            len => self.receive(len.into()),
        }
    }

    /// The caller tried to write the output.
    fn flush(&mut self, flush: Flush) {
        let moment = Moment { now: self.now, date: DATE, limits: self.limits };
        self.exchange.handle_flush(flush, moment);
    }

    /// The next `len` bytes of the client arrive.
    fn receive(&mut self, len: usize) {
        let (arrived, rest) = self.wire.split_at(len.min(self.wire.len()));
        self.unconsumed.extend_from_slice(arrived);
        self.wire = rest;
        self.read();
    }

    /// Presents the unconsumed bytes.
    fn read(&mut self) {
        let could_read = self.exchange.can_read();
        let had_outstanding = self.exchange.has_outstanding_response();
        let answered = if had_outstanding {
            if self.is_started() { Answered::No } else { Answered::Yes }
        } else if self.requests.0.last().is_none_or(|request| request.is_whole) {
            Answered::Yes
        } else {
            Answered::Perhaps
        };
        let (requests, body_bytes) = (self.requests.0.len(), self.requests.body_bytes());
        let mut input = std::mem::take(&mut self.unconsumed);

        let growth_before = self.out.len();
        let result = self.act(|exchange, moment, scratch, out, recorder| {
            exchange.handle_bytes(&mut input, moment, scratch, out, recorder)
        });
        assert!(self.out.len() - growth_before <= MAX_GROWTH, "what a client sends is not amplified");
        match self.requests.0.len() - requests {
            0 => assert!(
                had_outstanding || self.requests.body_bytes() == body_bytes,
                "a body nobody waits for"
            ),
            1 => {
                assert!(!had_outstanding, "a request while another one is being answered");
                self.replies.push(Reply::default());
            }
            more => panic!("{more} requests at once"),
        }
        match result {
            Ok(consumed) => {
                assert!(could_read || consumed == 0, "consumed what it could not read");
                input.drain(..consumed);
                self.unconsumed = input;
            }
            Err(error) => {
                assert_eq!(self.exchange.disposition(), Disposition::Close);
                // If the same call passed a request on, it is the one whose body broke the rule.
                let answered = if self.requests.0.len() > requests { Answered::Yes } else { answered };
                self.refusal = Some((error, answered));
            }
        }
    }

    /// Everything that has arrived was presented.
    fn leave_if_idle(&mut self) {
        let may_leave = self.exchange.is_winding_down() && !self.exchange.has_outstanding_response();
        let was_closing = self.exchange.disposition() == Disposition::Close;
        let closes = self.act(|exchange, _, _, _, _| exchange.close_if_idle());
        assert!(!closes || (may_leave && !was_closing), "something is under way");
        assert_eq!(closes || was_closing, self.exchange.disposition() == Disposition::Close);
    }

    /// A whole response.
    fn respond(&mut self, argument: u8, close: bool) {
        let outlook = self.outlook();
        let is_due = self.exchange.has_outstanding_response() && !self.is_started();
        let (head, body) = (&HEADS[usize::from(argument) % HEADS.len()], &BODY[..usize::from(argument / 8)]);
        self.change(is_due, |exchange, moment, out| exchange.respond(head, body, close, moment, out));
        let closes = self.exchange.disposition() == Disposition::Close;
        if let (true, Some(reply)) = (is_due, self.replies.last_mut()) {
            let length = Some(body.len() as u64);
            *reply = Reply {
                is_started: true,
                is_finished: true,
                length,
                written: body.to_vec(),
                is_last: closes,
                outlook,
            };
            assert!(closes || !close, "the application wanted to close");
        }
        self.read();
    }

    /// The head of a response.
    fn start(&mut self, argument: u8) {
        let outlook = self.outlook();
        let is_due = self.exchange.has_outstanding_response() && !self.is_started();
        let head = &HEADS[usize::from(argument) % HEADS.len()];
        let framing = match argument / 8 {
            0..8 => Framing::Chunked,
            8..16 => Framing::None,
            length => Framing::Length(u64::from(length) - 16),
        };
        self.change(is_due, |exchange, moment, out| exchange.start_response(head, framing, moment, out));
        if let (true, Some(reply)) = (is_due, self.replies.last_mut()) {
            let length = match framing {
                Framing::Length(length) => Some(length),
                // `endWithoutBody()` has no body, and the exchange drops data written after it.
                Framing::None => Some(0),
                Framing::Chunked => None,
            };
            *reply = Reply { is_started: true, length, outlook, ..Reply::default() };
        }
    }

    /// A piece of the body.
    fn write(&mut self, len: u8) {
        let is_due = self.exchange.has_outstanding_response() && self.is_started();
        let data = &BODY[..usize::from(len)];
        self.change(is_due, |exchange, _, out| exchange.write_body(data, out));
        if let (true, Some(reply)) = (is_due, self.replies.last_mut()) {
            reply.written.extend_from_slice(data);
        }
    }

    /// The end of a response.
    fn finish(&mut self, close: bool) {
        let is_due = self.exchange.has_outstanding_response() && self.is_started();
        self.change(is_due, |exchange, moment, out| exchange.finish_response(b"", close, moment, out));
        let closes = self.exchange.disposition() == Disposition::Close;
        if let (true, Some(reply)) = (is_due, self.replies.last_mut()) {
            reply.is_finished = true;
            reply.is_last = closes;
            assert!(closes || !close, "the application wanted to close");
        }
        self.read();
    }

    /// Upgrades the connection.
    fn upgrade(&mut self) {
        let is_whole = self.requests.0.last().is_some_and(|request| request.is_whole);
        let may_leave = self.exchange.has_outstanding_response() && !self.is_started() && is_whole;
        assert_eq!(self.exchange.upgrade(), may_leave);
        if may_leave {
            assert!(!self.exchange.can_read() && !self.exchange.has_outstanding_response());
        }
    }

    /// The timer fires at `now`, which may be before or after its deadline.
    fn wait(&mut self, now: Timestamp) {
        self.now = now;
        let is_due = self.exchange.poll_deadline(self.limits).is_some_and(|deadline| deadline <= now);
        let is_started = self.is_started();
        let before = self.out.len();
        let outcome = self.act(|exchange, moment, _, out, _| exchange.handle_timeout(moment, out));
        assert_eq!(outcome != TimeoutOutcome::NotYet, is_due, "{outcome:?}");
        assert!(!is_due || self.exchange.disposition() == Disposition::Close);
        match outcome {
            TimeoutOutcome::NotYet | TimeoutOutcome::CloseSilently | TimeoutOutcome::ResponseTimeout => {
                assert_eq!(self.out.len(), before);
            }
            TimeoutOutcome::Answered408 => {
                self.refusal = Some((HttpError::RequestTimeout, Answered::Yes));
            }
            TimeoutOutcome::BodyTimeout => {
                let answered = if is_started { Answered::No } else { Answered::Yes };
                self.refusal = Some((HttpError::RequestTimeout, answered));
            }
        }
    }

    /// Whether the connection persists.
    const fn outlook(&self) -> Outlook {
        if self.exchange.is_winding_down() { Outlook::Ending } else { Outlook::Open }
    }

    /// Whether the response to the last request has started and is not finished.
    fn is_started(&self) -> bool {
        self.replies.last().is_some_and(|reply| reply.is_started && !reply.is_finished)
    }

    /// A call of the application, which must have no effect unless it is due.
    fn change(&mut self, is_due: bool, call: impl FnOnce(&mut HttpExchange, Moment<'_>, &mut Vec<u8>)) {
        let state = |application: &Self| (application.out.len(), format!("{:?}", application.exchange));
        let before = (!is_due).then(|| state(self));
        self.act(|exchange, moment, _, out, _| call(exchange, moment, out));
        if let Some(before) = before {
            assert_eq!(state(self), before, "a call out of order");
        }
    }

    /// Any call. Asserts that it has no effect if the connection was closing before.
    fn act<R>(
        &mut self,
        call: impl FnOnce(
            &mut HttpExchange,
            Moment<'_>,
            &mut RequestHead,
            &mut Vec<u8>,
            &mut RequestRecorder,
        ) -> R,
    ) -> R {
        let was_closing = self.exchange.disposition() == Disposition::Close;
        let (len, requests) = (self.out.len(), self.requests.0.len());
        let moment = Moment { now: self.now, date: DATE, limits: self.limits };
        let result = call(&mut self.exchange, moment, &mut self.scratch, &mut self.out, &mut self.requests);
        let is_closing = self.exchange.disposition() == Disposition::Close;
        assert!(is_closing || !was_closing, "closed, and open again");
        assert!(!is_closing || !self.exchange.has_outstanding_response(), "closed, and a response is owed");
        if was_closing {
            assert_eq!((self.out.len(), self.requests.0.len()), (len, requests), "closed, and it goes on");
        }
        result
    }

    /// Asserts that the output has the application's response to each request, then the refusal if there is one, and no
    /// more bytes.
    fn assert_output(&self) {
        let mut rest = &self.out[..];
        for (request, reply) in self.requests.0.iter().zip(&self.replies) {
            if request.head.expects_continue {
                let Some(following) = rest.strip_prefix(CONTINUE) else { panic!("no 100 Continue") };
                rest = following;
            }
            if reply.is_started {
                reply.assert_read(&mut rest, request.method());
            }
        }
        let Some((error, answered)) = self.refusal else {
            assert_eq!(rest, b"", "output that nobody owes");
            return;
        };
        let mut answer = Vec::new();
        // A malformed head may have been that of a HEAD request, so both forms are accepted.
        let body = error.encode_answer_head(DATE, &mut answer);
        let rest = if let Some(head) = rest.strip_suffix(body.as_bytes()) { head } else { rest };
        match answered {
            Answered::Yes => assert_eq!(rest.escape_ascii().to_string(), answer.escape_ascii().to_string()),
            Answered::No => assert_eq!(rest, b""),
            Answered::Perhaps => assert!(rest.is_empty() || rest == answer),
        }
    }
}

/// The interim response before the response to a request that expects it.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How many bytes one read may add to the output: a 100 and the answer to a broken rule.
const MAX_GROWTH: usize = 512;

/// The body that the application writes.
const BODY: &[u8; 255] = &[b'x'; 255];

/// Status lines and fields of the application's responses, some with fields that the exchange replaces.
const HEADS: [ResponseHead<'static>; 8] = [
    ResponseHead { status: b"200 OK", fields: b"", flags: FieldFlags::NONE },
    ResponseHead { status: b"404 Not Found", fields: b"X: y\r\nZ: \r\n", flags: FieldFlags::NONE },
    ResponseHead { status: b"204 No Content", fields: b"", flags: FieldFlags::NONE },
    ResponseHead {
        status: b"304 Not Modified",
        fields: b"Content-Length: 7\r\n",
        flags: FieldFlags::CONTENT_LENGTH,
    },
    ResponseHead {
        status: b"200 OK",
        fields: b"transfer-encoding: gzip\r\nA: b\r\nTransfer-Encoding: identity\r\n",
        flags: FieldFlags::TRANSFER_ENCODING,
    },
    ResponseHead {
        status: b"500 Oh",
        fields: b"Connection: close\r\nContent-Length: 99\r\n",
        flags: FieldFlags::from_bits(FieldFlags::CONNECTION.bits() | FieldFlags::CONTENT_LENGTH.bits()),
    },
    ResponseHead {
        status: b"200 OK",
        fields: b"Date: yesterday\r\nConnection: keep-alive\r\n",
        flags: FieldFlags::from_bits(FieldFlags::CONNECTION.bits() | FieldFlags::DATE.bits()),
    },
    ResponseHead { status: b"103 Early Hints", fields: b"", flags: FieldFlags::NONE },
];

//! The state of one HTTP/3 connection: its streams, and what both sides have agreed upon.
//!
//! The caller owns the connection of QUIC. Call order: [`Http3Session::handle_bytes`] with what was read of a stream, as
//! long as [`Http3Session::wants_input`] says so, [`Http3Session::handle_reset`] and
//! [`Http3Session::handle_stop_sending`] when the client breaks a half of one off; the calls for responses in the order in
//! which the application made them. After any of these, and after [`Http3Session::handle_timeout`]:
//!
//! * [`Http3Session::poll_action`] until it returns nothing,
//! * [`Http3Session::next_output`] until it returns nothing, each followed by [`Http3Session::note_written`] with what the
//!   transport has taken, and, if that was not all, by [`Http3Session::note_blocked`];
//! * [`Http3Session::poll_finished`] until it returns nothing,
//! * [`Http3Session::poll_deadline`].
//!
//! The caller closes the connection when [`Action::Close`] says so, or, with H3_NO_ERROR, when
//! [`Http3Session::is_closed`] says so and the client has acknowledged all that was written.
//!
//! A call for a stream that is closed has no effect: Node's thread made it before the end of the stream was reported to
//! it.
//!
//! | what the peer does not let through | waits in | and stops |
//! |---|---|---|
//! | credit for a stream or for all, packets | the output of that stream | its application, by the ledger of the response |
//! | what the application does not take of a body | the client: its stream is not read | nobody else |
//! | an entry of the dynamic table that was lost on the way | the input of that stream | that stream |

mod control;
mod input;
mod leaving;
mod output;
mod requests;
mod responses;
mod stream_ends;
mod timing;
mod unidirectional;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;

use super::client_streams::ClientStreams;
use super::error::{ErrorCode, Http3Error};
use super::frame::append_settings;
use super::limits::Http3Limits;
use super::qpack::decoder::Decoder;
use super::qpack::encoder::Encoder;
use super::settings::own_settings;
use super::stream::WaitsFor;
use super::stream_id::StreamId;
use super::streams::Streams;
use super::varint;
use crate::protocol::http::head::RequestHead;
use crate::protocol::http::limits::Moment;
use crate::protocol::multiplexed::allowance::{Allowance, IdleFrames};
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

/// Receives the requests. The calls for one stream: `request` once, then `body` until `last`, which comes exactly once
/// unless `aborted` comes before, or the response is complete before.
pub(crate) trait Http3Sink {
    /// A valid request head. The spans of `head` refer to `bytes`. Of an extended CONNECT it says what the opening
    /// handshake of a WebSocket would (`is_tunnel`); [`Http3Session::open_tunnel`] accepts it, and any other response
    /// refuses it. Until then its stream is not wanted ([`Http3Session::wants_input`]).
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], is_tunnel: bool);
    /// A piece of the body, or of what a tunnel carries. It is empty only with `last`.
    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool);
    /// The stream has ended before its response was complete. Its last call.
    fn aborted(&mut self, stream: StreamId, end: StreamEnd);
}

/// Why a stream has ended before its response was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The client has reset it, or does not want the response (STOP_SENDING).
    Reset(ErrorCode),
    /// The client broke a rule of HTTP/3, on this stream or on the connection.
    Broken(Http3Error),
    /// The body exceeds a limit.
    BodyTooLarge,
    /// The body arrived too slowly.
    BodyTimeout,
    /// The client did not give the credit that the response needs.
    ResponseTimeout,
}

/// What [`Http3Session::handle_timeout`] found. Streams that were too slow have been ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http3Timeout {
    /// The connection goes on.
    None,
    /// No request came in time: [`Action::Close`] follows.
    Idle,
    /// The first request did not arrive in time: the same.
    Headers,
}

/// The streams that this side opens (RFC 9114 §6.2, RFC 9204 §4.2). There is no encoder stream, because responses are
/// encoded without the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnStream {
    /// The control stream.
    Control,
    /// The decoder stream of QPACK.
    Decoder,
}

/// What the transport has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open a unidirectional stream, as soon as the client allows it, and tell its number by
    /// [`Http3Session::handle_opened`].
    Open(OwnStream),
    /// Abandon the sending half of a stream (RESET_STREAM). What was not sent is discarded.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The code.
        code: ErrorCode,
    },
    /// Abandon the receiving half of a stream (STOP_SENDING).
    StopSending {
        /// The stream.
        stream: StreamId,
        /// The code.
        code: ErrorCode,
    },
    /// Read a stream that was not wanted for a while ([`Http3Session::wants_input`]).
    Read(StreamId),
    /// Send what the transport holds of this stream before, or after, what it holds of others.
    Prioritize {
        /// The stream.
        stream: StreamId,
        /// 0 is the most urgent, 7 the least (RFC 9218 §4.1).
        urgency: u8,
    },
    /// Close the connection at once (CONNECTION_CLOSE of the application).
    Close {
        /// The code.
        code: ErrorCode,
        /// The rule that was broken, for people.
        reason: String,
    },
}

/// Bytes for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The stream.
    pub stream: StreamId,
    /// The bytes; none if only the end is left.
    pub bytes: Bytes,
    /// Nothing follows them: the sending half ends (FIN) once they are written.
    pub is_fin: bool,
}

/// One HTTP/3 connection. See the top of the file for the order of calls.
#[derive(Debug)]
pub(crate) struct Http3Session {
    limits: Http3Limits,
    actions: VecDeque<Action>,
    /// The client's unidirectional streams.
    client_streams: ClientStreams,
    control: OwnOutput,
    decoder_stream: OwnOutput,
    decoder: Decoder,
    encoder: Encoder,
    streams: Streams,
    /// The first request stream behind all that the client has opened.
    next_request: StreamId,
    /// The first request stream that is not served.
    refused_from: StreamId,
    /// Streams that are closed, and of which the caller does not know it yet.
    finished: Vec<StreamId>,
    /// Priorities of streams that are not open yet.
    early_priorities: Vec<(StreamId, Priority)>,
    resets: Allowance,
    idle_frames: IdleFrames,
    leaving: Leaving,
    is_closed: bool,
    /// When the connection was accepted, or when its last stream ended.
    since: Timestamp,
    /// When the caller paused reading; the client's timeouts do not run while it is set.
    paused: Option<Timestamp>,
    /// A field section; reused.
    section: Vec<u8>,
}

/// What waits for a stream that this side has opened.
#[derive(Debug, Default)]
struct OwnOutput {
    /// Its number, once it is open.
    stream: Option<StreamId>,
    bytes: Vec<u8>,
    is_blocked: bool,
}

/// How far a graceful end has come (RFC 9114 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Not begun.
    No,
    /// A GOAWAY which refuses nothing was sent; by then, what the client had sent before it knew has arrived.
    Announced(Timestamp),
    /// A GOAWAY with the first stream that is not served was sent.
    Final,
}

/// What the methods share that take input.
struct Input<'a, S> {
    moment: Moment<'a>,
    scratch: &'a mut HeadScratch,
    sink: &'a mut S,
    /// How many more calls the sink may get.
    room: usize,
}

impl Http3Session {
    /// A connection whose handshake is complete at `moment`.
    #[must_use]
    pub(crate) fn new(limits: Http3Limits, moment: Moment<'_>) -> Self {
        let now = moment.now;
        let mut control = OwnOutput::default();
        varint::encode(CONTROL_STREAM, &mut control.bytes);
        append_settings(&own_settings(&limits, moment.limits.head.max_head_bytes), &mut control.bytes);
        let mut decoder_stream = OwnOutput::default();
        varint::encode(DECODER_STREAM, &mut decoder_stream.bytes);
        Self {
            limits,
            actions: [OwnStream::Control, OwnStream::Decoder].map(Action::Open).into(),
            client_streams: ClientStreams::default(),
            control,
            decoder_stream,
            decoder: Decoder::new(limits.table_capacity as usize),
            encoder: Encoder::default(),
            streams: Streams::default(),
            next_request: StreamId(0),
            refused_from: StreamId(u64::MAX),
            finished: Vec::new(),
            early_priorities: Vec::new(),
            resets: Allowance::new(limits.resets, now),
            idle_frames: IdleFrames::new(limits.idle_frames, now),
            leaving: Leaving::No,
            is_closed: false,
            since: now,
            paused: None,
            section: Vec::new(),
        }
    }

    /// A stream that [`Action::Open`] asked for is open.
    pub(crate) const fn handle_opened(&mut self, kind: OwnStream, stream: StreamId) {
        let output = match kind {
            OwnStream::Control => &mut self.control,
            OwnStream::Decoder => &mut self.decoder_stream,
        };
        output.stream = Some(stream);
    }
}

/// What the caller asks.
impl Http3Session {
    /// Whether closing loses nothing: no stream is open.
    #[must_use]
    pub(crate) const fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// Since when this side waits for a request; `None` if a stream is open.
    #[must_use]
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        self.streams.is_empty().then_some(self.since)
    }

    /// Whether the connection ends once all output is acknowledged: after an error, or because it is leaving and the last
    /// stream has ended.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed || (self.leaving == Leaving::Final && self.streams.is_empty())
    }

    /// Bytes of a response that were accepted and that the transport has not taken.
    #[must_use]
    pub(crate) fn queued(&self, stream: StreamId) -> usize {
        self.streams.get(stream).map_or(0, |stream| stream.output.len())
    }

    /// The same of all streams.
    #[must_use]
    pub(crate) fn queued_in_all(&self) -> usize {
        self.streams.iter().map(|stream| stream.output.len()).sum()
    }

    /// The streams with output that waits for the transport: how many bytes, and since when it has taken none.
    pub(crate) fn backlogs(&self) -> impl Iterator<Item = (StreamId, usize, Timestamp)> {
        let waiting = self.streams.iter().filter(|stream| !stream.output.is_empty());
        waiting.map(|stream| (stream.id, stream.output.len(), stream.progress))
    }

    /// Bytes of the client, and ends of streams, that wait for [`Self::handle_pending`].
    #[must_use]
    pub(crate) fn unhandled(&self) -> usize {
        let waiting = self.streams.iter().filter(|stream| stream.input.waits_for == WaitsFor::Room);
        waiting.map(|stream| stream.input.bytes.len() + usize::from(stream.input.has_fin)).sum()
    }

    /// Whether a stream of the client is to be read now. If not, [`Action::Read`] follows when it is again, unless the
    /// stream ends.
    #[must_use]
    pub(crate) fn wants_input(&self, stream: StreamId) -> bool {
        !self.is_closed && self.streams.get(stream).is_none_or(|stream| stream.wants_input())
    }

    /// A stream of the client that is closed and was not returned before: it is not read any more, and nothing but what
    /// the transport has taken is sent. It must not be named again.
    #[must_use]
    pub(crate) fn poll_finished(&mut self) -> Option<StreamId> {
        self.finished.pop()
    }

    /// Whether [`Self::poll_finished`] will return this stream: bytes of it that were read before do not concern anybody.
    #[must_use]
    pub(crate) fn is_finished(&self, stream: StreamId) -> bool {
        self.finished.contains(&stream)
    }

    /// What the transport has to do next.
    #[must_use]
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

/// What the parts share.
impl Http3Session {
    /// Counts a frame that asks for nothing.
    fn note_idle_frame(&mut self, now: Timestamp) -> Result<(), Http3Error> {
        let is_allowed = self.idle_frames.take(self.limits.idle_frames, now);
        if is_allowed { Ok(()) } else { Err(Http3Error::TooManyIdleFrames) }
    }

    /// Counts a stream that has ended in error.
    fn note_reset(&mut self, now: Timestamp) -> Result<(), Http3Error> {
        if self.resets.take(self.limits.resets, now) { Ok(()) } else { Err(Http3Error::TooManyResets) }
    }
}

/// RFC 9114 §6.2.1.
const CONTROL_STREAM: u64 = 0x0;
/// RFC 9114 §6.2.2.
const PUSH_STREAM: u64 = 0x1;
/// RFC 9204 §4.2.
const ENCODER_STREAM: u64 = 0x2;
/// RFC 9204 §4.2.
const DECODER_STREAM: u64 = 0x3;

//! The state of one HTTP/2 connection: its streams, and what both sides have agreed upon.
//!
//! The caller owns the socket and the bytes. Call order: [`Http2Session::handle_bytes`] with the bytes read and not
//! consumed; the calls for responses in the order in which the application made them; [`Http2Session::write_output`]
//! before every attempt to write, and [`Http2Session::handle_flush`] after it; [`Http2Session::poll_finished`] until it
//! returns nothing, and [`Http2Session::poll_deadline`], after any of these; [`Http2Session::handle_timeout`] when it is
//! due. The connection ends when [`Http2Session::is_closed`] says so and all output is written.
//!
//! A call for a stream that is closed has no effect: Node's thread made it before the end of the stream was reported to
//! it.
//!
//! | what the peer does not let through | waits in | and stops |
//! |---|---|---|
//! | the window of a stream | the output of that stream | its application, by the ledger of the response |
//! | the window of the connection, the socket | the same | all of them |
//! | what the application does not take of a body | the client: its stream gets no room | nobody else |

mod control;
mod data;
mod headers;
pub(crate) mod leaving;
mod output;
mod responses;
mod stream_ends;
pub(crate) mod timing;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::error::{ErrorCode, Http2Error};
use super::frame::{FrameHeader, FrameType, StreamId, append_settings, append_window_update, flag};
use super::hpack::decoder::Decoder;
use super::hpack::encoder::Encoder;
use super::limits::Http2Limits;
use super::settings::{MIN_FRAME_SIZE, PeerSettings, own_settings};
use super::streams::Streams;
use super::window::{DEFAULT_WINDOW, ReceiveWindow, SendWindow};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::pace::Pace;
use crate::protocol::multiplexed::allowance::{Allowance, IdleFrames};
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;

/// Receives the requests. The calls for one stream: `request` once, then `body` until `last`, which comes exactly once
/// unless `aborted` comes before, or the response is complete before.
pub(crate) trait Http2Sink {
    /// A valid request head. The spans of `head` refer to `bytes`. Of an extended CONNECT it says what the opening
    /// handshake of a WebSocket would (`is_tunnel`); [`Http2Session::open_tunnel`] accepts it, and any other response
    /// refuses it. Until then its client gets no room beyond the first window.
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], is_tunnel: bool);
    /// A piece of the body, or of what a tunnel carries. It is empty only with `last`.
    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool);
    /// The stream has ended before its response was complete. Its last call.
    fn aborted(&mut self, stream: StreamId, end: StreamEnd);
}

/// Why a stream has ended before its response was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The client has reset it.
    Reset(ErrorCode),
    /// The client broke a rule of HTTP/2, on this stream or on the connection.
    Broken(Http2Error),
    /// The body exceeds a limit.
    BodyTooLarge,
    /// The body arrived too slowly.
    BodyTimeout,
    /// The client did not open the window that the response needs.
    ResponseTimeout,
}

/// What [`Http2Session::handle_timeout`] found. Streams that were too slow have been ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http2Timeout {
    /// The connection goes on.
    None,
    /// No request came in time: a GOAWAY is in the output, and the connection is closed.
    Idle,
    /// The first request, or the rest of a header block, did not arrive in time: the same.
    Headers,
    /// The client does not read: drop the connection. Its streams have been aborted, and a GOAWAY is in the output.
    Response,
}

/// One HTTP/2 connection. See the top of the file for the order of calls.
#[derive(Debug)]
pub(crate) struct Http2Session {
    limits: Http2Limits,
    reading: Reading,
    /// A header block that is not complete.
    block: Option<Box<Block>>,
    /// The client's first SETTINGS have arrived.
    has_settings: bool,
    peer: PeerSettings,
    decoder: Decoder,
    encoder: Encoder,
    streams: Streams,
    /// The highest stream that the client has opened.
    last_stream: StreamId,
    /// The highest stream that a GOAWAY of this side has named.
    last_served: StreamId,
    /// Streams that this side has closed, newest last: the client may not know it yet.
    closed_here: VecDeque<StreamId>,
    /// Streams that are closed, and of which the caller does not know it yet.
    finished: Vec<StreamId>,
    /// Priorities of streams that are not open yet.
    early_priorities: Vec<(StreamId, Priority)>,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    resets: Allowance,
    idle_frames: IdleFrames,
    leaving: Leaving,
    /// Why this side leaves, which its GOAWAY says.
    farewell: Box<str>,
    /// When the connection was accepted, or when its last stream ended.
    since: Timestamp,
    /// When the caller paused reading; the client's timeouts do not run while it is set.
    paused: Option<Timestamp>,
    /// The rate at which the socket takes pending output; `None` if none is pending.
    output_pace: Option<Pace>,
}

/// What the next byte of the client belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The client connection preface.
    Preface,
    /// The header of a frame.
    Frame,
    /// The payload of a DATA frame. `stream` is `None` if it is discarded.
    Data { stream: Option<StreamId>, data: usize, padding: usize, is_last: bool },
    /// The rest of a payload that is ignored.
    Skip(usize),
    /// Nothing: further bytes are discarded.
    Closed,
}

/// A header block whose last frame has not arrived.
#[derive(Debug)]
struct Block {
    stream: StreamId,
    is_last: bool,
    purpose: Purpose,
    bytes: Vec<u8>,
    continuations: u32,
    since: Timestamp,
}

/// What a header block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It opens a stream.
    Request,
    /// It ends the request of a stream.
    Trailers,
    /// The stream is closed, which the client did not know.
    Nothing,
    /// Its stream breaks a rule.
    Fault(Http2Error),
}

/// How far a graceful end has come (RFC 9113 §6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Not begun.
    No,
    /// A GOAWAY which refuses nothing was sent at this time, and a PING: when that is answered, what the client had sent
    /// before it knew has arrived.
    Announced(Timestamp),
    /// A GOAWAY with the last stream that is served was sent.
    Final,
}

/// What the methods share that take input.
struct Input<'a, S> {
    moment: Moment<'a>,
    scratch: &'a mut HeadScratch,
    out: &'a mut Vec<u8>,
    sink: &'a mut S,
    /// How many more calls the sink may get.
    room: usize,
}

impl Http2Session {
    /// A connection accepted at `moment`. Appends this side's half of the preface (RFC 9113 §3.4).
    #[must_use]
    pub(crate) fn new(limits: Http2Limits, moment: Moment<'_>, out: &mut Vec<u8>) -> Self {
        let now = moment.now;
        append_settings(&own_settings(&limits, moment.limits.head.max_head_bytes), out);
        if let Some(more) = limits.connection_window.checked_sub(DEFAULT_WINDOW).filter(|more| *more > 0) {
            append_window_update(StreamId::CONNECTION, more, out);
        }
        Self {
            limits,
            reading: Reading::Preface,
            block: None,
            has_settings: false,
            peer: PeerSettings::default(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            streams: Streams::default(),
            last_stream: StreamId::CONNECTION,
            last_served: StreamId::MAX,
            closed_here: VecDeque::new(),
            finished: Vec::new(),
            early_priorities: Vec::new(),
            send_window: SendWindow::new(DEFAULT_WINDOW),
            receive_window: ReceiveWindow::new(limits.connection_window.max(DEFAULT_WINDOW)),
            resets: Allowance::new(limits.resets, now),
            idle_frames: IdleFrames::new(limits.idle_frames, now),
            leaving: Leaving::No,
            farewell: "".into(),
            since: now,
            paused: None,
            output_pace: None,
        }
    }
}

/// What the caller asks.
impl Http2Session {
    /// Whether a stream is open whose response is not complete.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) const fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether closing loses nothing: no stream is open, and no output is pending.
    #[must_use]
    pub(crate) const fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.block.is_none() && self.output_pace.is_none()
    }

    /// Since when this side waits for a request; `None` if a stream is open.
    #[must_use]
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        self.streams.is_empty().then_some(self.since)
    }

    /// Whether the connection ends once all output is written: after an error, or because one side is leaving and the last
    /// stream has ended.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        let has_left = self.leaving == Leaving::Final && self.streams.is_empty() && self.block.is_none();
        has_left || self.reading == Reading::Closed
    }

    /// Bytes of a response that were accepted and wait for a window or for the socket.
    #[must_use]
    pub(crate) fn queued(&self, stream: StreamId) -> usize {
        self.streams.get(stream).map_or(0, |stream| stream.output.len())
    }

    /// The same of all streams.
    #[must_use]
    pub(crate) fn queued_in_all(&self) -> usize {
        self.streams.iter().map(|stream| stream.output.len()).sum()
    }

    /// The streams with output that waits for a window or for the socket: how many bytes, and since when none of them left.
    pub(crate) fn backlogs(&self) -> impl Iterator<Item = (StreamId, usize, Timestamp)> {
        let waiting = self.streams.iter().filter(|stream| !stream.output.is_empty());
        waiting.map(|stream| (stream.id, stream.output.len(), stream.progress))
    }

    /// A stream that is closed and was not returned before. Its number is never used again.
    #[must_use]
    pub(crate) fn poll_finished(&mut self) -> Option<StreamId> {
        self.finished.pop()
    }
}

/// Input.
impl Http2Session {
    /// Processes `input`: all bytes received and not consumed, in order. Returns how many of them were consumed; a frame
    /// that is not complete stays, unless it is DATA. After `max_events` calls of the sink, or one more, the rest stays
    /// unconsumed, too.
    ///
    /// # Errors
    /// The rule that the client broke. A GOAWAY that names it is in `out`, all streams have been aborted, and the
    /// connection is closed.
    pub(crate) fn handle_bytes(
        &mut self,
        input: &[u8],
        moment: Moment<'_>,
        scratch: &mut HeadScratch,
        out: &mut Vec<u8>,
        max_events: usize,
        sink: &mut impl Http2Sink,
    ) -> Result<usize, Http2Error> {
        let mut context = Input { moment, scratch, out, sink, room: max_events };
        let mut consumed = 0;
        while consumed < input.len() && context.room > 0 {
            match self.read(&input[consumed..], &mut context) {
                Ok(0) => break,
                Ok(length) => consumed += length,
                Err(error) => {
                    self.fail(error, context.out, context.sink);
                    return Err(error);
                }
            }
        }
        Ok(consumed)
    }

    /// Reads one frame, or a part of one. Returns 0 if more bytes are needed.
    fn read(&mut self, input: &[u8], context: &mut Input<'_, impl Http2Sink>) -> Result<usize, Http2Error> {
        match self.reading {
            Reading::Preface => {
                let length = input.len().min(PREFACE.len());
                if input[..length] != PREFACE[..length] {
                    return Err(Http2Error::InvalidPreface);
                }
                if length < PREFACE.len() {
                    return Ok(0);
                }
                self.reading = Reading::Frame;
                Ok(length)
            }
            Reading::Frame => self.read_frame(input, context),
            Reading::Data { stream, data, padding, is_last } => {
                let length = input.len().min(data);
                let padded = (input.len() - length).min(padding);
                let is_all = length == data;
                if let Some(id) = stream {
                    self.take_data(id, &input[..length], is_last && is_all, context);
                    if !is_last {
                        self.replenish(id, context.out);
                    }
                }
                self.reading = match (data - length, padding - padded) {
                    (0, 0) => Reading::Frame,
                    // The end is reported once.
                    (0, padding) => Reading::Skip(padding),
                    (data, padding) => Reading::Data { stream, data, padding, is_last },
                };
                Ok(length + padded)
            }
            Reading::Skip(rest) => {
                let length = input.len().min(rest);
                self.reading = if length == rest { Reading::Frame } else { Reading::Skip(rest - length) };
                Ok(length)
            }
            Reading::Closed => Ok(input.len()),
        }
    }

    /// Reads the header of a frame, and its payload unless it is DATA or ignored.
    fn read_frame(
        &mut self,
        input: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<usize, Http2Error> {
        let Some((header, rest)) = input.split_first_chunk::<{ FrameHeader::LENGTH }>() else { return Ok(0) };
        let header = FrameHeader::parse(*header);
        self.check_order(header)?;
        if header.length > MIN_FRAME_SIZE as usize {
            return Err(Http2Error::FrameTooLong);
        }
        match header.kind {
            FrameType::Data => return self.read_data_header(header, rest, context),
            FrameType::Unknown => {
                self.note_idle_frame(context.moment.now)?;
                if header.length > 0 {
                    self.reading = Reading::Skip(header.length);
                }
                return Ok(FrameHeader::LENGTH);
            }
            _ => {}
        }
        let Some(payload) = rest.get(..header.length) else { return Ok(0) };
        match header.kind {
            FrameType::Headers => self.handle_headers(header, payload, context)?,
            FrameType::Continuation => self.handle_continuation(header, payload, context)?,
            FrameType::Priority => self.handle_priority(header, payload, context)?,
            FrameType::ResetStream => self.handle_reset(header, payload, context)?,
            FrameType::Settings => self.handle_settings(header, payload, context)?,
            FrameType::Ping => self.handle_ping(header, payload, context)?,
            FrameType::GoAway => self.handle_goaway(header, payload, context.moment.now)?,
            FrameType::WindowUpdate => self.handle_window_update(header, payload, context)?,
            FrameType::PriorityUpdate => self.handle_priority_update(header, payload, context)?,
            FrameType::PushPromise => return Err(Http2Error::PushPromise),
            FrameType::Data | FrameType::Unknown => {}
        }
        Ok(FrameHeader::LENGTH + header.length)
    }

    /// Whether a frame may come now.
    fn check_order(&self, header: FrameHeader) -> Result<(), Http2Error> {
        if !self.has_settings && (header.kind != FrameType::Settings || header.has(flag::ACK)) {
            return Err(Http2Error::ExpectedSettings);
        }
        let continues = header.kind == FrameType::Continuation;
        match &self.block {
            Some(block) if continues && header.stream == block.stream => Ok(()),
            Some(_) => Err(Http2Error::ExpectedContinuation),
            None if continues => Err(Http2Error::UnexpectedContinuation),
            None => Ok(()),
        }
    }

    /// Counts a frame that asks for nothing.
    fn note_idle_frame(&mut self, now: Timestamp) -> Result<(), Http2Error> {
        let is_allowed = self.idle_frames.take(self.limits.idle_frames, now);
        if is_allowed { Ok(()) } else { Err(Http2Error::TooManyIdleFrames) }
    }

    /// Counts a stream that has ended in error.
    fn note_reset(&mut self, now: Timestamp) -> Result<(), Http2Error> {
        if self.resets.take(self.limits.resets, now) { Ok(()) } else { Err(Http2Error::TooManyResets) }
    }

    /// Whether the client has not opened a stream yet.
    const fn is_unopened(&self, id: StreamId) -> bool {
        id.0 > self.last_stream.0 || !id.is_of_client()
    }
}

/// RFC 9113 §3.4. It reads as a request of HTTP/1.1 that no server answers.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

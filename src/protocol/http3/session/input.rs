//! What arrives on the streams of the client.

use super::requests::longest_section;
use super::{Action, Http3Session, Http3Sink, Input, StreamEnd};
use crate::protocol::http::limits::Moment;
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::frame::{FrameHeader, FrameType};
use crate::protocol::http3::held::Held;
use crate::protocol::http3::stream::{Reading, Receiving, Stream, WaitsFor};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::multiplexed::request_head::HeadScratch;

impl Http3Session {
    /// Takes bytes that were read of a stream of the client, in order; `is_fin`: it ends behind them. All of them are
    /// taken: what holds more than `max_events` calls of the sink, or one more, is kept for [`Self::handle_pending`]. A
    /// number that was not seen before is that of a new stream.
    ///
    /// # Errors
    /// The rule that the client broke. [`Action::Close`] names it, and all streams have been aborted.
    #[expect(clippy::too_many_arguments, reason = "as those of the other sessions, and the stream")]
    pub(crate) fn handle_bytes(
        &mut self,
        stream: StreamId,
        input: &[u8],
        is_fin: bool,
        moment: Moment<'_>,
        scratch: &mut HeadScratch,
        max_events: usize,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        if self.is_closed {
            return Ok(());
        }
        let mut context = Input { moment, scratch, sink, room: max_events };
        let result = if stream.is_request() {
            self.take_request_bytes(stream, input, is_fin, &mut context)
        } else {
            self.take_client_bytes(stream, input, is_fin, &mut context)
        };
        self.conclude(result, context.sink)
    }

    /// Goes on with what [`Self::handle_bytes`] has kept because of its `max_events`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn handle_pending(
        &mut self,
        moment: Moment<'_>,
        scratch: &mut HeadScratch,
        max_events: usize,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        let mut context = Input { moment, scratch, sink, room: max_events };
        let result = self.resume_streams(|waits_for| waits_for == WaitsFor::Room, &mut context);
        self.conclude(result, context.sink)
    }

    /// The client has abandoned its half of a stream (RESET_STREAM).
    ///
    /// # Errors
    /// As [`Self::handle_bytes`].
    pub(crate) fn handle_reset(
        &mut self,
        stream: StreamId,
        code: ErrorCode,
        moment: Moment<'_>,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        if self.is_closed {
            return Ok(());
        }
        let result = if stream.is_request() {
            self.end_by_client(stream, code, ErrorCode::REQUEST_CANCELLED, moment.now, sink)
        } else {
            self.end_client_stream(stream)
        };
        self.conclude(result, sink)
    }

    /// The client does not want this side's half of a stream (STOP_SENDING).
    ///
    /// # Errors
    /// As [`Self::handle_bytes`].
    pub(crate) fn handle_stop_sending(
        &mut self,
        stream: StreamId,
        code: ErrorCode,
        moment: Moment<'_>,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        if self.is_closed {
            return Ok(());
        }
        let is_own = [self.control.stream, self.decoder_stream.stream].contains(&Some(stream));
        let result = if is_own {
            Err(Http3Error::ClosedCriticalStream)
        } else {
            // RFC 9000 §3.5: the code is copied.
            self.end_by_client(stream, code, code, moment.now, sink)
        };
        self.conclude(result, sink)
    }

    /// Ends the connection if a rule was broken that concerns it.
    fn conclude(
        &mut self,
        result: Result<(), Http3Error>,
        sink: &mut impl Http3Sink,
    ) -> Result<(), Http3Error> {
        if let Err(error) = result {
            self.fail(error, sink);
        }
        result
    }

    /// Bytes of a request stream.
    fn take_request_bytes(
        &mut self,
        id: StreamId,
        input: &[u8],
        is_fin: bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        if self.streams.get(id).is_none() {
            if id >= self.refused_from {
                return self.reject(id, is_fin, context.moment.now);
            }
            self.open_stream(id, context);
        }
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        stream.input.has_fin |= is_fin;
        if stream.input.waits_for == WaitsFor::Bytes {
            return self.go_on(id, input, context);
        }
        stream.input.bytes.extend_from_slice(input);
        self.check_partial_heads(id, context)
    }

    /// Ends a stream that waits for the rest of its head or trailers, or for the table that these refer to, if all that do have
    /// too much. What waits for room is not the client's fault.
    fn check_partial_heads(
        &mut self,
        id: StreamId,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let waits_for_client = |stream: &&Stream| stream.input.waits_for != WaitsFor::Room;
        let has_some = |stream: &&Stream| !stream.input.bytes.is_empty();
        let Some(stream) = self.streams.get(id).filter(has_some).filter(waits_for_client) else {
            return Ok(());
        };
        // Of one whose application knows of it, the client must not believe that it was not processed.
        let error = Http3Error::TooLongPartialHeads;
        let code = if stream.is_announced { ErrorCode::EXCESSIVE_LOAD } else { error.error_code() };
        let held: usize =
            self.streams.iter().filter(waits_for_client).map(|stream| stream.input.bytes.len()).sum();
        if held as u64 <= PARTIAL_HEADS * longest_section(context.moment.limits) {
            return Ok(());
        }
        if self.abandon(id, code, context.moment.now) {
            context.room = context.room.saturating_sub(1);
            context.sink.aborted(id, StreamEnd::Broken(error));
        }
        self.note_reset(context.moment.now)
    }

    fn open_stream(&mut self, id: StreamId, context: &Input<'_, impl Http3Sink>) {
        self.next_request = self.next_request.max(StreamId(id.0.saturating_add(4)));
        let early = self.early_priorities.iter().position(|(early, _)| *early == id);
        let early = early.map(|position| self.early_priorities.swap_remove(position).1);
        self.streams.insert(Stream::new(id, early, context.moment.now));
    }

    /// Goes on with all streams whose input waits for something that is there now.
    pub(super) fn resume_streams(
        &mut self,
        is_ready: impl Fn(WaitsFor) -> bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let ready = self.streams.iter().filter(|stream| is_ready(stream.input.waits_for));
        for id in ready.map(|stream| stream.id).collect::<Vec<_>>() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            if context.room == 0 {
                stream.input.waits_for = WaitsFor::Room;
                continue;
            }
            stream.input.waits_for = WaitsFor::Bytes;
            self.go_on(id, b"", context)?;
            if self.streams.get(id).is_some_and(Stream::wants_input) {
                self.actions.push_back(Action::Read(id));
            }
        }
        Ok(())
    }

    /// Processes the input of a stream, to which `more` is added, and keeps what it cannot process yet.
    fn go_on(
        &mut self,
        id: StreamId,
        more: &[u8],
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        let held = Held::new(std::mem::take(&mut stream.input.bytes), more);
        let consumed = self.read_request(id, held.bytes(), context)?;
        let Some(stream) = self.streams.get_mut(id).filter(|stream| !stream.has_ended()) else {
            return Ok(());
        };
        let rest = held.rest(consumed);
        let input = &mut stream.input;
        if rest.is_empty() && input.reading == Reading::Frame {
            return if input.has_fin { self.end_request(id, context) } else { Ok(()) };
        }
        let has_more = !rest.is_empty() || input.has_fin;
        input.bytes = rest;
        if input.waits_for == WaitsFor::Bytes {
            if context.room == 0 && has_more {
                input.waits_for = WaitsFor::Room;
            } else if input.has_fin {
                return Err(Http3Error::TruncatedFrame);
            }
        }
        self.check_partial_heads(id, context)
    }

    /// Reads frames of a request stream. Returns how many bytes were consumed.
    fn read_request(
        &mut self,
        id: StreamId,
        input: &[u8],
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<usize, Http3Error> {
        let mut rest = input;
        while context.room > 0
            && let Some(stream) = self.streams.get_mut(id)
            && !stream.has_ended()
        {
            match stream.input.reading {
                Reading::Data(left) | Reading::Skip(left) => {
                    let length = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    if length == 0 {
                        break;
                    }
                    let (piece, following) = rest.split_at(length);
                    rest = following;
                    let left = left - length as u64;
                    let is_data = matches!(stream.input.reading, Reading::Data(_));
                    stream.input.reading = match (left, is_data) {
                        (0, _) => Reading::Frame,
                        (left, true) => Reading::Data(left),
                        (left, false) => Reading::Skip(left),
                    };
                    if is_data {
                        self.take_data(id, piece, false, context);
                    }
                }
                Reading::Frame => {
                    let mut payload = rest;
                    let Some(header) = FrameHeader::take(&mut payload) else { break };
                    match self.read_frame(id, header, payload, context)? {
                        Some(length) => rest = &payload[length..],
                        None => break,
                    }
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Reads the frame whose payload starts `payload`, or the beginning of it. Returns how many bytes of it were consumed;
    /// `None` if something is missing.
    fn read_frame(
        &mut self,
        id: StreamId,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<Option<usize>, Http3Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        match header.kind {
            FrameType::Data => {
                let receiving = match stream.receiving {
                    Receiving::Head { .. } => Err(Http3Error::ExpectedHeaders),
                    _ if stream.input.has_trailers => Err(Http3Error::FrameAfterTrailers),
                    _ => Ok(()),
                };
                receiving.and_then(|()| self.read_data_header(id, header.length, context))?;
                Ok(Some(0))
            }
            FrameType::Headers => {
                if stream.input.has_trailers {
                    return Err(Http3Error::FrameAfterTrailers);
                }
                self.read_headers(id, header.length, payload, context)
            }
            FrameType::Unknown => {
                if header.length > 0 {
                    stream.input.reading = Reading::Skip(header.length);
                }
                self.note_idle_frame(context.moment.now)?;
                Ok(Some(0))
            }
            FrameType::PushPromise => Err(Http3Error::PushPromise),
            FrameType::Reserved => Err(Http3Error::ReservedFrame),
            FrameType::CancelPush
            | FrameType::Settings
            | FrameType::GoAway
            | FrameType::MaxPushId
            | FrameType::PriorityUpdate
            | FrameType::PushPriorityUpdate => Err(Http3Error::UnexpectedFrame),
        }
    }
}

/// Heads that have arrived in part may take up as much, on all streams of a connection together, as so many of the longest.
/// Those of a client that sends what it has are complete within a round trip, but for the packet that was lost.
const PARTIAL_HEADS: u64 = 8;

//! HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10).

use super::control::depends_on;
use super::stream_ends::digits;
use super::{Block, Http2Session, Http2Sink, Input, Leaving, Purpose};
use crate::protocol::http::error::{HttpError, refusal_body};
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::{FrameHeader, StreamId, finish_headers, flag, reserve_header};
use crate::protocol::http2::settings::MIN_FRAME_SIZE;
use crate::protocol::http2::stream::{Output, Receiving, Sending, Stream};
use crate::protocol::http2::window::{ReceiveWindow, SendWindow};
use crate::protocol::multiplexed::body::Body;
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::multiplexed::request_head::{HeadBuilder, HeadFault, Meaning, check_trailer};
use crate::protocol::multiplexed::response_fields::encode_status;
use crate::protocol::time::Timestamp;

impl Http2Session {
    pub(super) fn handle_headers(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        let id = header.stream;
        if id == StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        if !id.is_of_client() {
            return Err(Http2Error::InvalidStreamId);
        }
        let mut fragment = payload;
        let mut padding = 0;
        if header.has(flag::PADDED) {
            let (length, rest) = fragment.split_first().ok_or(Http2Error::InvalidFrameLength)?;
            (padding, fragment) = (usize::from(*length), rest);
        }
        let mut purpose = self.purpose_of(id, header.has(flag::END_STREAM))?;
        if header.has(flag::PRIORITY) {
            let (dependency, rest) =
                fragment.split_first_chunk::<5>().ok_or(Http2Error::InvalidFrameLength)?;
            fragment = rest;
            if depends_on(*dependency) == id {
                purpose = Purpose::Fault(Http2Error::SelfDependency);
            }
        }
        let length = fragment.len().checked_sub(padding).ok_or(Http2Error::InvalidPadding)?;
        let fragment = &fragment[..length];
        let is_last = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.handle_block(id, is_last, purpose, fragment, context);
        }
        let bytes = fragment.to_vec();
        let since = context.moment.now;
        self.block = Some(Box::new(Block { stream: id, is_last, purpose, bytes, continuations: 0, since }));
        Ok(())
    }

    /// What a header block on this stream is for.
    fn purpose_of(&mut self, id: StreamId, is_last: bool) -> Result<Purpose, Http2Error> {
        if let Some(stream) = self.streams.get(id) {
            return Ok(match stream.receiving {
                Receiving::Ended => Purpose::Fault(Http2Error::StreamEnded),
                Receiving::Body(_) if !is_last => Purpose::Fault(Http2Error::UnfinishedTrailers),
                Receiving::Body(_) => Purpose::Trailers,
            });
        }
        if id <= self.last_stream {
            if self.closed_here.contains(&id) {
                return Ok(Purpose::Nothing);
            }
            // RFC 9113 §5.1.1 and §5.1: the first was never opened, as far as this side remembers.
            let is_reused = id == self.last_stream;
            return Err(if is_reused { Http2Error::StreamClosed } else { Http2Error::InvalidStreamId });
        }
        self.last_stream = id;
        let is_full = self.streams.len() >= self.limits.max_concurrent_streams as usize;
        let is_refused = is_full || self.leaving == Leaving::Final;
        Ok(if is_refused { Purpose::Fault(Http2Error::TooManyStreams) } else { Purpose::Request })
    }

    pub(super) fn handle_continuation(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        let Some(mut block) = self.block.take() else { return Err(Http2Error::UnexpectedContinuation) };
        block.continuations += 1;
        let max_length = 2 * context.moment.limits.head.max_head_bytes + MIN_FRAME_SIZE as usize;
        let is_too_long = block.bytes.len() + payload.len() > max_length;
        if is_too_long || block.continuations > self.limits.max_continuations {
            return Err(Http2Error::HeaderBlockTooLong);
        }
        block.bytes.extend_from_slice(payload);
        if header.has(flag::END_HEADERS) {
            return self.handle_block(block.stream, block.is_last, block.purpose, &block.bytes, context);
        }
        self.block = Some(block);
        Ok(())
    }

    /// Acts on a complete header block.
    fn handle_block(
        &mut self,
        id: StreamId,
        is_last: bool,
        purpose: Purpose,
        block: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        match purpose {
            Purpose::Request => self.handle_request(id, is_last, block, context),
            Purpose::Trailers => {
                let mut result = Ok(());
                self.decode(block, |name, value| {
                    if result.is_ok() {
                        result = check_trailer(name, value);
                    }
                })?;
                match result {
                    Ok(()) => self.end_body(id, context),
                    Err(rule) => self.end_broken(id, rule.into(), context),
                }
            }
            Purpose::Nothing => {
                self.decode(block, |_, _| {})?;
                self.note_idle_frame(context.moment.now)
            }
            Purpose::Fault(error) => {
                self.decode(block, |_, _| {})?;
                self.end_broken(id, error, context)
            }
        }
    }

    fn decode(&mut self, block: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<(), Http2Error> {
        self.decoder.decode(block, field).map_err(|_| Http2Error::InvalidHeaderBlock)
    }

    /// A request: opens its stream and passes it on, or refuses it.
    fn handle_request(
        &mut self,
        id: StreamId,
        is_last: bool,
        block: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        let moment = context.moment;
        let mut builder = HeadBuilder::new(context.scratch, &moment.limits.head);
        self.decoder
            .decode(block, |name, value| builder.add(name, value))
            .map_err(|_| Http2Error::InvalidHeaderBlock)?;
        let method = builder.asked_method();
        let result = builder.conclude(is_last).and_then(|meaning| {
            let is_too_large = meaning.content_length.is_some_and(|length| length > moment.limits.max_body);
            if is_too_large { Err(HeadFault::Refused(HttpError::BodyTooLarge)) } else { Ok(meaning) }
        });
        let meaning = match result {
            Ok(meaning) => meaning,
            Err(HeadFault::Malformed(rule)) => {
                let error = Http2Error::from(rule);
                self.note_reset(moment.now)?;
                let status = if error == Http2Error::UnknownProtocol { *b"501" } else { *b"400" };
                self.answer(id, method, status, &refusal_body(&error), moment, context.out);
                self.reset_unopened(id, error.error_code(), context.out);
                return Ok(());
            }
            Err(HeadFault::Refused(error)) => {
                self.note_reset(moment.now)?;
                self.answer(id, method, digits(error.status()), &refusal_body(&error), moment, context.out);
                if !is_last {
                    self.reset_unopened(id, ErrorCode::NO_ERROR, context.out);
                }
                return Ok(());
            }
        };
        self.open_stream(id, is_last, meaning, moment.now);
        if meaning.expects_continue {
            let start = reserve_header(context.out);
            encode_status(*b"100", &mut self.encoder, context.out);
            finish_headers(start, self.peer.max_frame_size as usize, false, id, context.out);
        }
        context.room = context.room.saturating_sub(1);
        context.sink.request(id, &context.scratch.head, &context.scratch.bytes, meaning.is_tunnel);
        if is_last || meaning.content_length == Some(0) {
            context.sink.body(id, b"", true);
        }
        Ok(())
    }

    fn open_stream(&mut self, id: StreamId, is_last: bool, meaning: Meaning, now: Timestamp) {
        self.idle_frames.earn(FRAMES_PER_REQUEST);
        let early = self.early_priorities.iter().position(|(early, _)| *early == id);
        // RFC 9218 §7: the frame is newer than the field.
        let early = early.map(|position| self.early_priorities.swap_remove(position).1);
        self.early_priorities.retain(|(early, _)| *early > id);
        let receiving =
            if is_last { Receiving::Ended } else { Receiving::Body(Body::new(meaning.content_length, now)) };
        self.streams.insert(Stream {
            id,
            receiving,
            receive_window: ReceiveWindow::new(self.limits.stream_window),
            paused: meaning.is_tunnel.then_some(now),
            sending: Sending::Owed(meaning.method),
            send_window: SendWindow::new(self.peer.initial_window),
            output: Output::default(),
            progress: now,
            priority: early.or(meaning.priority).unwrap_or(Priority::UNSAID),
            turn: 0,
            stall: None,
            is_tunnel: meaning.is_tunnel,
        });
    }

    /// The request of a stream is complete by its trailers.
    fn end_body(&mut self, id: StreamId, context: &mut Input<'_, impl Http2Sink>) -> Result<(), Http2Error> {
        if let Some(stream) = self.streams.get(id)
            && let Receiving::Body(body) = stream.receiving
            && body.is_wrong()
        {
            return self.end_broken(id, Http2Error::ContentLengthMismatch, context);
        }
        self.take_data(id, b"", true, context);
        Ok(())
    }
}

/// Browsers widen the window of each stream, and say once or twice how urgent it is.
const FRAMES_PER_REQUEST: u32 = 4;

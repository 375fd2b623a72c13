//! HEADERS and DATA of requests (RFC 9114 §4.1).

use super::stream_ends::digits;
use super::{Action, Http3Session, Http3Sink, Input, StreamEnd};
use crate::protocol::http::error::{HttpError, refusal_body};
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http::response_framing::AskedMethod;
use crate::protocol::http3::error::{ErrorCode, Http3Error};
use crate::protocol::http3::frame::append_headers;
use crate::protocol::http3::stream::{Reading, Receiving, Sending, WaitsFor};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::multiplexed::body::Body;
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::multiplexed::request_head::{HeadBuilder, HeadFault, Meaning, check_trailer};
use crate::protocol::multiplexed::response_fields::encode_status;

impl Http3Session {
    /// HEADERS. Returns how many bytes were consumed; `None` if something is missing.
    pub(super) fn read_headers(
        &mut self,
        id: StreamId,
        length: u64,
        payload: &[u8],
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<Option<usize>, Http3Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        if stream.is_tunnel {
            // RFC 9114 §4.4.
            return Err(Http3Error::UnexpectedFrame);
        }
        let is_head = matches!(stream.receiving, Receiving::Head { .. });
        if length > longest_section(context.moment.limits) {
            return if is_head {
                self.refuse_head(id, HttpError::HeadTooLong, AskedMethod::Other, context)
            } else {
                self.skip_trailers(id, length, context)
            };
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(section) = payload.get(..length) else { return Ok(None) };
        let required = self.decoder.required(section).map_err(|_| Http3Error::InvalidFieldSection)?;
        if required > self.decoder.inserted() {
            if self.streams.count_blocked() >= self.limits.max_blocked_streams as usize {
                return Err(Http3Error::TooManyBlockedStreams);
            }
            if let Some(stream) = self.streams.get_mut(id) {
                stream.input.waits_for = WaitsFor::Insertions(required);
            }
            return Ok(None);
        }
        if is_head {
            let is_last = stream_ends_here(self, id, payload.len() == length);
            self.handle_request(id, section, required, is_last, context)?;
        } else {
            self.handle_trailers(id, section, required, context)?;
        }
        Ok(Some(length))
    }

    /// A request: passes it on, or refuses it.
    fn handle_request(
        &mut self,
        id: StreamId,
        section: &[u8],
        required: u64,
        is_last: bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let moment = context.moment;
        let mut builder = HeadBuilder::new(context.scratch, &moment.limits.head);
        self.decoder
            .decode(section, |name, value| builder.add(name, value))
            .map_err(|_| Http3Error::InvalidFieldSection)?;
        self.decoder.acknowledge_section(id, required, &mut self.decoder_stream.bytes);
        self.check_own_output()?;
        let method = builder.asked_method();
        let result = builder.conclude(is_last).and_then(|meaning| {
            let is_too_large = meaning.content_length.is_some_and(|length| length > moment.limits.max_body);
            if is_too_large { Err(HeadFault::Refused(HttpError::BodyTooLarge)) } else { Ok(meaning) }
        });
        let meaning = match result {
            Ok(meaning) => meaning,
            Err(HeadFault::Malformed(rule)) => {
                let error = Http3Error::from(rule);
                self.note_reset(moment.now)?;
                let status = if error == Http3Error::UnknownProtocol { *b"501" } else { *b"400" };
                self.answer(id, method, status, &refusal_body(&error), moment);
                self.stop_sending(id, error.error_code());
                return Ok(());
            }
            Err(HeadFault::Refused(error)) => {
                return self.refuse_head(id, error, method, context).map(|_| ());
            }
        };
        self.start_request(id, is_last, meaning, context);
        context.room = context.room.saturating_sub(1);
        context.sink.request(id, &context.scratch.head, &context.scratch.bytes, meaning.is_tunnel);
        if is_last || meaning.content_length == Some(0) {
            context.sink.body(id, b"", true);
        }
        Ok(())
    }

    fn start_request(
        &mut self,
        id: StreamId,
        is_last: bool,
        meaning: Meaning,
        context: &mut Input<'_, impl Http3Sink>,
    ) {
        self.idle_frames.earn(FRAMES_PER_REQUEST);
        let now = context.moment.now;
        let Some(stream) = self.streams.get_mut(id) else { return };
        // RFC 9218 §7: a frame is newer than the field.
        if let Some(priority) = meaning.priority
            && !matches!(stream.receiving, Receiving::Head { has_priority: true, .. })
        {
            stream.priority = priority;
        }
        stream.receiving =
            if is_last { Receiving::Ended } else { Receiving::Body(Body::new(meaning.content_length, now)) };
        stream.sending = Sending::Owed(meaning.method);
        stream.is_announced = true;
        stream.is_tunnel = meaning.is_tunnel;
        stream.paused = meaning.is_tunnel.then_some(now);
        let urgency = stream.priority.urgency;
        if urgency != Priority::UNSAID.urgency {
            self.actions.push_back(Action::Prioritize { stream: id, urgency });
        }
        if meaning.expects_continue {
            self.section.clear();
            encode_status(*b"100", &mut self.encoder, &mut self.section);
            append_headers(&self.section, stream.output.tail());
        }
    }

    /// Answers a request whose head exceeds a limit.
    fn refuse_head(
        &mut self,
        id: StreamId,
        error: HttpError,
        method: AskedMethod,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<Option<usize>, Http3Error> {
        let moment = context.moment;
        self.note_reset(moment.now)?;
        self.answer(id, method, digits(error.status()), &refusal_body(&error), moment);
        self.stop_sending(id, ErrorCode::NO_ERROR);
        Ok(Some(0))
    }

    /// Trailers, which are checked and not passed on.
    fn handle_trailers(
        &mut self,
        id: StreamId,
        section: &[u8],
        required: u64,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        let mut result = Ok(());
        self.decoder
            .decode(section, |name, value| {
                if result.is_ok() {
                    result = check_trailer(name, value);
                }
            })
            .map_err(|_| Http3Error::InvalidFieldSection)?;
        self.decoder.acknowledge_section(id, required, &mut self.decoder_stream.bytes);
        self.check_own_output()?;
        if let Err(rule) = result {
            return self.end_broken(id, rule.into(), context);
        }
        if let Some(stream) = self.streams.get_mut(id) {
            stream.input.has_trailers = true;
        }
        Ok(())
    }

    /// Trailers that are too long to be looked at.
    fn skip_trailers(
        &mut self,
        id: StreamId,
        length: u64,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<Option<usize>, Http3Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        stream.input.has_trailers = true;
        stream.input.reading = Reading::Skip(length);
        self.note_idle_frame(context.moment.now)?;
        Ok(Some(0))
    }

    /// The header of a DATA frame.
    pub(super) fn read_data_header(
        &mut self,
        id: StreamId,
        length: u64,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        if length == 0 {
            return self.note_idle_frame(context.moment.now);
        }
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        let Receiving::Body(body) = &mut stream.receiving else { return Ok(()) };
        let received = body.receive(length);
        if body.is_too_long() {
            return self.end_broken(id, Http3Error::ContentLengthMismatch, context);
        }
        if received > context.moment.limits.max_body && !stream.is_tunnel {
            self.refuse_body(
                id,
                HttpError::BodyTooLarge,
                StreamEnd::BodyTooLarge,
                context.moment,
                context.sink,
            );
            context.room = context.room.saturating_sub(1);
            return Ok(());
        }
        stream.input.reading = Reading::Data(length);
        Ok(())
    }

    /// Passes a piece of a body on, which ends the stream if `is_last`.
    pub(super) fn take_data(
        &mut self,
        id: StreamId,
        data: &[u8],
        is_last: bool,
        context: &mut Input<'_, impl Http3Sink>,
    ) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Receiving::Body(body) = &mut stream.receiving else { return };
        if let Some(ends) = body.pass(data.len(), is_last, context.moment.limits, context.moment.now) {
            context.room = context.room.saturating_sub(1);
            context.sink.body(id, data, ends);
        }
        if is_last {
            stream.receiving = Receiving::Ended;
            self.close_if_both_ended(id, context.moment.now);
        }
    }

    /// The stream has ended behind a whole frame.
    pub(super) fn end_request(
        &mut self,
        id: StreamId,
        context: &mut Input<'_, impl Http3Sink>,
    ) -> Result<(), Http3Error> {
        match self.streams.get(id).map(|stream| stream.receiving) {
            Some(Receiving::Head { .. }) => self.end_broken(id, Http3Error::IncompleteRequest, context),
            Some(Receiving::Body(body)) if body.is_wrong() => {
                self.end_broken(id, Http3Error::ContentLengthMismatch, context)
            }
            Some(Receiving::Body(_)) => {
                self.take_data(id, b"", true, context);
                Ok(())
            }
            Some(Receiving::Ended) | None => Ok(()),
        }
    }
}

/// Bytes of a field section, at most: what fits a header list is at most twice as long when it is coded.
pub(super) const fn longest_section(limits: &HttpLimits) -> u64 {
    2 * limits.head.max_head_bytes as u64 + 1024
}

/// Whether nothing follows a frame on its stream; `is_all`: nothing has arrived behind it.
fn stream_ends_here(session: &Http3Session, id: StreamId, is_all: bool) -> bool {
    is_all && session.streams.get(id).is_some_and(|stream| stream.input.has_fin)
}

/// Browsers say once or twice how urgent a request is.
const FRAMES_PER_REQUEST: u32 = 4;

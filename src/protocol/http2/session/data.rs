//! DATA (RFC 9113 §6.1).

use super::{Http2Session, Http2Sink, Input, Reading, StreamEnd};
use crate::protocol::http::error::HttpError;
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::{FrameHeader, StreamId, append_reset, append_window_update, flag};
use crate::protocol::http2::stream::Receiving;

impl Http2Session {
    pub(super) fn read_data_header(
        &mut self,
        header: FrameHeader,
        rest: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<usize, Http2Error> {
        if header.stream == StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        if self.is_unopened(header.stream) {
            return Err(Http2Error::IdleStream);
        }
        let (padding, before) = if header.has(flag::PADDED) {
            if header.length == 0 {
                return Err(Http2Error::InvalidFrameLength);
            }
            let Some(&padding) = rest.first() else { return Ok(0) };
            (usize::from(padding), 1)
        } else {
            (0, 0)
        };
        let data = header.length.checked_sub(before + padding).ok_or(Http2Error::InvalidPadding)?;
        // RFC 9113 §6.9.1: all of the payload counts, padding included, on a closed stream, too.
        if !self.receive_window.receive(header.length) {
            return Err(Http2Error::ConnectionWindowExceeded);
        }
        if let Some(increment) = self.receive_window.replenish() {
            append_window_update(StreamId::CONNECTION, increment, context.out);
        }
        let is_last = header.has(flag::END_STREAM);
        if data == 0 && !is_last {
            self.note_idle_frame(context.moment.now)?;
        }
        let stream = self.admit_data(header, data, is_last, context)?;
        self.reading = Reading::Data { stream, data, padding, is_last };
        if data == 0 {
            match stream {
                Some(id) if is_last => self.take_data(id, b"", true, context),
                Some(id) => self.replenish(id, context.out),
                None => {}
            }
            self.reading = if padding > 0 { Reading::Skip(padding) } else { Reading::Frame };
        }
        Ok(FrameHeader::LENGTH + before)
    }

    /// Checks a DATA frame against its stream. Returns the stream, or `None` if the payload is discarded.
    fn admit_data(
        &mut self,
        header: FrameHeader,
        data: usize,
        is_last: bool,
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<Option<StreamId>, Http2Error> {
        let id = header.stream;
        let Some(stream) = self.streams.get_mut(id) else {
            // As much as its window may be on its way to a stream that this side has closed.
            if !self.closed_here.contains(&id) {
                append_reset(id, ErrorCode::STREAM_CLOSED, context.out);
                self.note_idle_frame(context.moment.now)?;
            }
            return Ok(None);
        };
        let Receiving::Body(body) = &mut stream.receiving else {
            self.end_broken(id, Http2Error::StreamEnded, context)?;
            return Ok(None);
        };
        if !stream.receive_window.receive(header.length) {
            self.end_broken(id, Http2Error::WindowExceeded, context)?;
            return Ok(None);
        }
        let received = body.receive(data as u64);
        if body.is_too_long() || (is_last && body.is_wrong()) {
            self.end_broken(id, Http2Error::ContentLengthMismatch, context)?;
            return Ok(None);
        }
        if received > context.moment.limits.max_body && !stream.is_tunnel {
            self.refuse_body(
                id,
                HttpError::BodyTooLarge,
                StreamEnd::BodyTooLarge,
                context.moment,
                context.out,
            );
            context.sink.aborted(id, StreamEnd::BodyTooLarge);
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Passes a piece of a body on, which ends the stream if `is_last`.
    pub(super) fn take_data(
        &mut self,
        id: StreamId,
        data: &[u8],
        is_last: bool,
        context: &mut Input<'_, impl Http2Sink>,
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

    /// Gives the sender of a body room for more, unless the application has paused it.
    pub(super) fn replenish(&mut self, id: StreamId, out: &mut Vec<u8>) {
        if let Some(stream) = self.streams.get_mut(id)
            && stream.paused.is_none()
            && !stream.has_ended()
            && let Some(increment) = stream.receive_window.replenish()
        {
            append_window_update(id, increment, out);
        }
    }
}

//! The frames of the connection, and those that do not carry a message.

use super::leaving::LEAVING;
use super::{Http2Session, Http2Sink, Input, Leaving, StreamEnd};
use crate::protocol::http2::error::{ErrorCode, Http2Error};
use crate::protocol::http2::frame::{FrameHeader, StreamId, append_ping, append_settings_ack, flag};
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::time::Timestamp;

impl Http2Session {
    /// PRIORITY (RFC 9113 §6.3): RFC 7540's priorities are not used any more, only checked.
    pub(super) fn handle_priority(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        self.note_idle_frame(context.moment.now)?;
        if header.stream == StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        match <[u8; 5]>::try_from(payload) {
            Ok(dependency) if depends_on(dependency) == header.stream => {
                self.end_broken(header.stream, Http2Error::SelfDependency, context)
            }
            Ok(_) => Ok(()),
            Err(_) => self.end_broken(header.stream, Http2Error::InvalidPriorityLength, context),
        }
    }

    /// RST_STREAM (RFC 9113 §6.4).
    pub(super) fn handle_reset(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        if header.stream == StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        let code = <[u8; 4]>::try_from(payload).map_err(|_| Http2Error::InvalidFrameLength)?;
        if self.is_unopened(header.stream) {
            return Err(Http2Error::IdleStream);
        }
        if !self.remove(header.stream, context.moment.now) {
            return self.note_idle_frame(context.moment.now);
        }
        context.room = context.room.saturating_sub(1);
        context.sink.aborted(header.stream, StreamEnd::Reset(ErrorCode(u32::from_be_bytes(code))));
        self.note_reset(context.moment.now)
    }

    /// SETTINGS (RFC 9113 §6.5).
    pub(super) fn handle_settings(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        if header.stream != StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        let is_ack = header.has(flag::ACK);
        if !payload.len().is_multiple_of(6) || (is_ack && !payload.is_empty()) {
            return Err(Http2Error::InvalidFrameLength);
        }
        if std::mem::replace(&mut self.has_settings, true) {
            self.note_idle_frame(context.moment.now)?;
        }
        if is_ack {
            return Ok(());
        }
        let before = self.peer.initial_window;
        self.peer.update(payload)?;
        self.encoder.set_max(self.peer.header_table_size as usize);
        let delta = i64::from(self.peer.initial_window) - i64::from(before);
        for stream in self.streams.iter_mut() {
            // RFC 9113 §6.9.2.
            stream.send_window.change(delta).map_err(|_| Http2Error::ConnectionWindowTooLarge)?;
        }
        append_settings_ack(context.out);
        Ok(())
    }

    /// PING (RFC 9113 §6.7).
    pub(super) fn handle_ping(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        if header.stream != StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        let data = <[u8; 8]>::try_from(payload).map_err(|_| Http2Error::InvalidFrameLength)?;
        self.note_idle_frame(context.moment.now)?;
        if !header.has(flag::ACK) {
            append_ping(data, true, context.out);
        } else if data == LEAVING && matches!(self.leaving, Leaving::Announced(_)) {
            self.leave(context.out);
        }
        Ok(())
    }

    /// GOAWAY (RFC 9113 §6.8): the client opens no further streams. Those that are open are served.
    pub(super) fn handle_goaway(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<(), Http2Error> {
        self.note_idle_frame(now)?;
        if header.stream != StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        if payload.len() < 8 {
            return Err(Http2Error::InvalidFrameLength);
        }
        self.leaving = Leaving::Final;
        Ok(())
    }

    /// WINDOW_UPDATE (RFC 9113 §6.9).
    pub(super) fn handle_window_update(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        let increment = <[u8; 4]>::try_from(payload).map_err(|_| Http2Error::InvalidFrameLength)?;
        let increment = StreamId::parse(increment).0;
        self.note_idle_frame(context.moment.now)?;
        let id = header.stream;
        if id == StreamId::CONNECTION {
            if increment == 0 {
                return Err(Http2Error::EmptyConnectionWindowUpdate);
            }
            let result = self.send_window.change(increment.into());
            return result.map_err(|_| Http2Error::ConnectionWindowTooLarge);
        }
        if self.is_unopened(id) {
            return Err(Http2Error::IdleStream);
        }
        // A stream that is closed: the client did not know it.
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        if increment == 0 {
            return self.end_broken(id, Http2Error::EmptyWindowUpdate, context);
        }
        match stream.send_window.change(increment.into()) {
            Ok(()) => Ok(()),
            Err(_) => self.end_broken(id, Http2Error::WindowTooLarge, context),
        }
    }

    /// PRIORITY_UPDATE (RFC 9218 §7.1).
    pub(super) fn handle_priority_update(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        context: &mut Input<'_, impl Http2Sink>,
    ) -> Result<(), Http2Error> {
        self.note_idle_frame(context.moment.now)?;
        if header.stream != StreamId::CONNECTION {
            return Err(Http2Error::InvalidStream);
        }
        let (id, value) = payload.split_first_chunk::<4>().ok_or(Http2Error::InvalidFrameLength)?;
        let id = StreamId::parse(*id);
        if !id.is_of_client() {
            return Err(Http2Error::InvalidPriorityUpdate);
        }
        let priority = Priority::parse(value);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.priority = priority;
        } else if id > self.last_stream {
            self.early_priorities.retain(|(early, _)| *early != id);
            if self.early_priorities.len() < MAX_EARLY_PRIORITIES {
                self.early_priorities.push((id, priority));
            }
        }
        Ok(())
    }
}

/// The stream that a stream depends on, by the first four bytes of five (RFC 9113 §6.3).
pub(super) const fn depends_on([one, two, three, four, _]: [u8; 5]) -> StreamId {
    StreamId::parse([one, two, three, four])
}
/// Priorities that are kept for streams which are not open yet.
const MAX_EARLY_PRIORITIES: usize = 32;

//! The frames of the control stream (RFC 9114 §7.2).

use super::{Action, Http3Session};
use crate::protocol::http3::error::Http3Error;
use crate::protocol::http3::frame::{FrameHeader, FrameType};
use crate::protocol::http3::settings::check_settings;
use crate::protocol::http3::stream::{Reading, Receiving};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::http3::varint;
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::time::Timestamp;

impl Http3Session {
    /// Reads frames of the control stream. Returns how many bytes were consumed.
    pub(super) fn read_control(&mut self, input: &[u8], now: Timestamp) -> Result<usize, Http3Error> {
        let mut rest = input;
        loop {
            if let Reading::Skip(left) = self.client_streams.state.reading {
                let length = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                rest = &rest[length..];
                let left = left - length as u64;
                self.client_streams.state.reading =
                    if left > 0 { Reading::Skip(left) } else { Reading::Frame };
                if left > 0 {
                    break;
                }
            }
            let mut payload = rest;
            let Some(header) = FrameHeader::take(&mut payload) else { break };
            self.check_order(header.kind)?;
            if header.kind == FrameType::Unknown {
                self.note_idle_frame(now)?;
                self.client_streams.state.reading = Reading::Skip(header.length);
                rest = payload;
                continue;
            }
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            if length > MAX_CONTROL_FRAME {
                return Err(Http3Error::FrameTooLong);
            }
            let Some((frame, following)) = payload.split_at_checked(length) else { break };
            self.handle_control_frame(header.kind, frame, now)?;
            rest = following;
        }
        Ok(input.len() - rest.len())
    }

    /// Whether a frame may come now.
    const fn check_order(&self, kind: FrameType) -> Result<(), Http3Error> {
        match kind {
            FrameType::Settings if self.client_streams.state.has_settings => {
                Err(Http3Error::RepeatedSettings)
            }
            FrameType::Settings => Ok(()),
            _ if !self.client_streams.state.has_settings => Err(Http3Error::ExpectedSettings),
            FrameType::Data | FrameType::Headers => Err(Http3Error::UnexpectedFrame),
            FrameType::PushPromise => Err(Http3Error::PushPromise),
            FrameType::Reserved => Err(Http3Error::ReservedFrame),
            FrameType::CancelPush
            | FrameType::GoAway
            | FrameType::MaxPushId
            | FrameType::PriorityUpdate
            | FrameType::PushPriorityUpdate
            | FrameType::Unknown => Ok(()),
        }
    }

    fn handle_control_frame(
        &mut self,
        kind: FrameType,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<(), Http3Error> {
        if kind == FrameType::Settings {
            check_settings(payload)?;
            self.client_streams.state.has_settings = true;
            return Ok(());
        }
        self.note_idle_frame(now)?;
        match kind {
            FrameType::GoAway => {
                let number = only_number(payload)?;
                let state = &mut self.client_streams.state;
                if state.goaway.is_some_and(|before| number > before) {
                    return Err(Http3Error::InvalidGoAway);
                }
                // It names pushes, of which there are none.
                state.goaway = Some(number);
                Ok(())
            }
            FrameType::MaxPushId => {
                let number = only_number(payload)?;
                let state = &mut self.client_streams.state;
                if state.max_push.is_some_and(|before| number < before) {
                    return Err(Http3Error::InvalidPushId);
                }
                state.max_push = Some(number);
                Ok(())
            }
            // Nothing was promised.
            FrameType::CancelPush => only_number(payload).and(Err(Http3Error::InvalidPushId)),
            FrameType::PushPriorityUpdate => Err(Http3Error::InvalidPushId),
            FrameType::PriorityUpdate => self.handle_priority_update(payload),
            FrameType::Data
            | FrameType::Headers
            | FrameType::Settings
            | FrameType::PushPromise
            | FrameType::Reserved
            | FrameType::Unknown => Ok(()),
        }
    }

    /// PRIORITY_UPDATE (RFC 9218 §7.2).
    fn handle_priority_update(&mut self, payload: &[u8]) -> Result<(), Http3Error> {
        let mut value = payload;
        let id = varint::decode(&mut value).map(StreamId).ok_or(Http3Error::InvalidFrameLength)?;
        if !id.is_request() {
            return Err(Http3Error::InvalidPriorityUpdate);
        }
        let priority = Priority::parse(value);
        if let Some(stream) = self.streams.get_mut(id) {
            if let Receiving::Head { has_priority, .. } = &mut stream.receiving {
                *has_priority = true;
            } else if stream.priority.urgency != priority.urgency {
                self.actions.push_back(Action::Prioritize { stream: id, urgency: priority.urgency });
            }
            stream.priority = priority;
        } else if id >= self.next_request {
            self.early_priorities.retain(|(early, _)| *early != id);
            if self.early_priorities.len() < MAX_EARLY_PRIORITIES {
                self.early_priorities.push((id, priority));
            }
        }
        Ok(())
    }
}

/// The number that is all of a payload.
fn only_number(mut payload: &[u8]) -> Result<u64, Http3Error> {
    match varint::decode(&mut payload) {
        Some(number) if payload.is_empty() => Ok(number),
        _ => Err(Http3Error::InvalidFrameLength),
    }
}

/// Bytes of a frame of the control stream: a hundred settings or so.
const MAX_CONTROL_FRAME: usize = 2048;
/// Priorities that are kept for streams which are not open yet.
const MAX_EARLY_PRIORITIES: usize = 32;

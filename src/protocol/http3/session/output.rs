//! What leaves, in the order of the priorities.

use bytes::Bytes;

use super::{Http3Session, Output};
use crate::protocol::http::limits::Moment;
use crate::protocol::http::pace::Pace;
use crate::protocol::http3::stream::{Sending, Stream};
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::time::Timestamp;

impl Http3Session {
    /// What is to be written next, in the order of the priorities; `None` if nothing can be written now. The caller
    /// offers it to the transport and calls [`Self::note_written`].
    #[must_use]
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        for own in [&self.control, &self.decoder_stream] {
            if let Some(stream) = own.stream
                && !own.is_blocked
                && !own.bytes.is_empty()
            {
                return Some(Output { stream, bytes: Bytes::copy_from_slice(&own.bytes), is_fin: false });
            }
        }
        let stream = self.streams.next_sender()?;
        let max = if stream.priority.incremental { MAX_TURN } else { usize::MAX };
        let (bytes, is_all) = stream.output.peek(max);
        let is_fin = is_all && matches!(stream.sending, Sending::Ending);
        Some(Output { stream: stream.id, bytes, is_fin })
    }

    /// The transport has taken the first `length` bytes of what [`Self::next_output`] returned, and its end if these were
    /// all of them.
    pub(crate) fn note_written(&mut self, id: StreamId, length: usize, moment: Moment<'_>) {
        for own in [&mut self.control, &mut self.decoder_stream] {
            if own.stream == Some(id) {
                own.bytes.drain(..length.min(own.bytes.len()));
                return;
            }
        }
        self.streams.note_turn(id);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.output.advance(length);
        if length > 0 {
            stream.progress = moment.now;
        }
        if !stream.output.is_empty() {
            if let Some(stall) = &mut stream.stall {
                stall.count(length as u64, moment.limits.response_pace, moment.now);
            }
            return;
        }
        stream.stall = None;
        if matches!(stream.sending, Sending::Ending) {
            stream.sending = Sending::Ended;
            self.close_response(id, moment.now);
        }
    }

    /// The transport takes no more of a stream: until [`Self::handle_writable`], it is not offered any.
    pub(crate) fn note_blocked(&mut self, id: StreamId, now: Timestamp) {
        self.set_blocked(id, true);
        if let Some(stream) = self.streams.get_mut(id)
            && stream.stall.is_none()
        {
            stream.stall = Some(Pace::new(now));
            stream.progress = now;
        }
    }

    /// The transport takes bytes of a stream again.
    pub(crate) fn handle_writable(&mut self, id: StreamId) {
        self.set_blocked(id, false);
    }

    fn set_blocked(&mut self, id: StreamId, is_blocked: bool) {
        let of_own = [&mut self.control, &mut self.decoder_stream];
        if let Some(own) = of_own.into_iter().find(|own| own.stream == Some(id)) {
            own.is_blocked = is_blocked;
        } else if let Some(Stream { is_blocked: flag, .. }) = self.streams.get_mut(id) {
            *flag = is_blocked;
        }
    }
}

/// Bytes of an incremental response after which it is the turn of others.
const MAX_TURN: usize = 16 * 1024;

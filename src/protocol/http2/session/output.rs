//! What leaves, in the order of the priorities.

use super::Http2Session;
use crate::protocol::http::limits::Moment;
use crate::protocol::http::outcome::Flush;
use crate::protocol::http::pace::Pace;

impl Http2Session {
    /// Moves what waits in the streams to `out`, in the order of their priorities, as far as the windows allow and until
    /// `out` has [`Http2Limits::framed_ahead`] bytes. Returns whether that is all that can be sent now.
    ///
    /// [`Http2Limits::framed_ahead`]: crate::protocol::http2::limits::Http2Limits::framed_ahead
    pub(crate) fn write_output(&mut self, moment: Moment<'_>, out: &mut Vec<u8>) -> bool {
        if self.streams.is_empty() {
            return true;
        }
        let mut is_all = false;
        while out.len() < self.limits.framed_ahead {
            let has_window = self.send_window.available() > 0;
            let Some(id) = self.streams.next_sender(has_window) else {
                is_all = true;
                break;
            };
            self.send_frame(id, moment, out);
        }
        let has_room = out.len() < self.limits.framed_ahead;
        for stream in self.streams.iter_mut() {
            // What still waits then waits for the client to open a window.
            if stream.output.is_empty() || !has_room {
                stream.stall = None;
            } else {
                stream.stall.get_or_insert(Pace::new(moment.now));
            }
        }
        is_all
    }

    /// The caller tried to write the output.
    pub(crate) fn handle_flush(&mut self, flush: Flush, moment: Moment<'_>) {
        let now = moment.now;
        match flush {
            Flush::Drained => {
                if self.output_pace.take().is_some() && self.streams.is_empty() {
                    // The client did not have the end of the response before, so its idle time starts now.
                    self.since = now;
                }
            }
            Flush::Progressed(length) => {
                let pace = self.output_pace.get_or_insert(Pace::new(now));
                pace.count(length, moment.limits.response_pace, now);
            }
            Flush::Stuck => {
                self.output_pace.get_or_insert(Pace::new(now));
            }
        }
    }
}

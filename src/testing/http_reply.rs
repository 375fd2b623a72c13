//! The reply of an application to one request, and how its client must read it.

use super::http_response::{Ending, take_response};

/// The reply of the application to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// It wrote the head.
    pub is_started: bool,
    /// It wrote the end.
    pub is_finished: bool,
    /// The length it announced, if it announced one.
    pub length: Option<u64>,
    /// The body that it wrote.
    pub written: Vec<u8>,
    /// Whether the connection closes after the response.
    pub is_last: bool,
    /// Whether the connection persisted when the head was written.
    pub outlook: Outlook,
}

/// Whether further requests may follow a response, as far as its server is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// They may.
    #[default]
    Open,
    /// The connection winds down.
    Ending,
}

impl Reply {
    /// Takes this reply from the front of `rest`, as the client of a request of this method reads it.
    ///
    /// # Panics
    /// If the client reads another response than the application wrote.
    pub(crate) fn assert_read(&self, rest: &mut &[u8], method: &[u8]) {
        let response = take_response(rest, method);
        let announced = self.length.map_or(self.written.len(), |length| {
            usize::try_from(length).map_or(self.written.len(), |length| length.min(self.written.len()))
        });
        let expected = match response.ending {
            Ending::NoBody => b"",
            Ending::Length | Ending::LastChunk | Ending::WithConnection => &self.written[..announced],
        };
        assert_eq!(response.body, expected);
        let is_short = self.length.is_some_and(|length| length > self.written.len() as u64);
        match response.ending {
            Ending::NoBody => {}
            Ending::Length => assert_eq!(response.is_complete, !is_short),
            Ending::LastChunk => assert_eq!(response.is_complete, self.is_finished),
            Ending::WithConnection => assert!(response.says_close),
        }
        let must_be_last = self.outlook == Outlook::Ending;
        assert!(response.says_close || !must_be_last, "the client cannot know that it is the last one");
        if self.is_finished {
            assert!(self.is_last || !must_be_last, "no request may follow the last response");
            assert!(self.is_last || !response.says_close, "said close and did not");
            assert!(self.is_last || response.is_complete, "the client cannot know where the next one begins");
        }
    }
}

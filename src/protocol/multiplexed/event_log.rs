//! For the tests of the sessions: what a sink was called with, a line per call; pieces of a body are joined.

use crate::protocol::http::head::{RequestHead, Span};

/// See the top of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct EventLog(pub Vec<String>);

impl EventLog {
    /// `1 GET /path`.
    pub(in crate::protocol) fn note_request(&mut self, stream: u64, head: &RequestHead, bytes: &[u8]) {
        let text = |span: Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
        self.0.push(format!("{stream} {} {}", text(head.method), text(head.target)));
    }

    /// `1 body abc`, with a `|` behind the last piece.
    pub(in crate::protocol) fn note_body(&mut self, stream: u64, chunk: &[u8], last: bool) {
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        let prefix = format!("{stream} body ");
        let text = String::from_utf8_lossy(chunk);
        let end = if last { "|" } else { "" };
        match self.0.last_mut() {
            Some(line) if line.starts_with(&prefix) => {
                assert!(!line.ends_with('|'), "a piece after the last");
                *line += &format!("{text}{end}");
            }
            _ => self.0.push(format!("{prefix}{text}{end}")),
        }
    }

    /// `1 aborted BodyTimeout`.
    pub(in crate::protocol) fn note_abort(&mut self, stream: u64, end: &str) {
        self.0.push(format!("{stream} aborted {end}"));
    }
}

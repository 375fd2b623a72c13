//! A sink that records the requests of an exchange.

use crate::protocol::http::exchange::HttpSink;
use crate::protocol::http::head::{BodyLength, RequestHead};

/// One request, as passed to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedRequest {
    /// The bytes to which the spans of `head` refer.
    pub bytes: Vec<u8>,
    /// The head.
    pub head: RequestHead,
    /// The pieces of the body, joined.
    pub body: Vec<u8>,
    /// Whether the last piece has arrived.
    pub is_whole: bool,
}

impl RecordedRequest {
    /// The method.
    #[must_use]
    pub(crate) fn method(&self) -> &[u8] {
        self.head.method.of(&self.bytes)
    }

    /// The path.
    #[must_use]
    pub(crate) fn path(&self) -> &[u8] {
        self.head.path.of(&self.bytes)
    }

    /// Whether this is `other` or the start of it: the same head, and a prefix of its body.
    #[must_use]
    pub(crate) fn is_prefix_of(&self, other: &Self) -> bool {
        (&self.bytes, &self.head) == (&other.bytes, &other.head) && other.body.starts_with(&self.body)
    }
}

/// Records requests, and asserts the order of calls that [`HttpSink`] specifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestRecorder(pub Vec<RecordedRequest>);

impl RequestRecorder {
    /// Bytes of all bodies.
    #[must_use]
    pub(crate) fn body_bytes(&self) -> usize {
        self.0.iter().map(|request| request.body.len()).sum()
    }
}

impl HttpSink for RequestRecorder {
    fn request(&mut self, head: &RequestHead, bytes: &[u8]) {
        self.0.push(RecordedRequest {
            bytes: bytes.to_vec(),
            head: head.clone(),
            body: Vec::new(),
            is_whole: false,
        });
    }

    fn body(&mut self, chunk: &[u8], last: bool) {
        let Some(request) = self.0.last_mut() else { panic!("a body without a request") };
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        assert!(!request.is_whole, "a piece after the last");
        request.body.extend_from_slice(chunk);
        request.is_whole = last;

        let arrived = request.body.len() as u64;
        match request.head.body {
            BodyLength::None => assert!(last && chunk.is_empty(), "a body that was not announced"),
            BodyLength::Fixed(length) => assert_eq!(last, arrived == length, "{arrived} of {length}"),
            BodyLength::Chunked => {}
        }
    }
}

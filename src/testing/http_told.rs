//! What an exchange tells of the requests it reads.

use crate::protocol::http::exchange::HttpSink;
use crate::protocol::http::head::{BodyLength, RequestHead};

/// One request as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// What the spans of `head` refer to.
    pub bytes: Vec<u8>,
    /// The head.
    pub head: RequestHead,
    /// The pieces of the body, joined.
    pub body: Vec<u8>,
    /// The last piece came.
    pub is_whole: bool,
}

impl Told {
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

    /// Whether this is a shorter telling of `other`: the same head, and no more of the body.
    #[must_use]
    pub(crate) fn begins(&self, other: &Self) -> bool {
        (&self.bytes, &self.head) == (&other.bytes, &other.head) && other.body.starts_with(&self.body)
    }
}

/// Remembers what it is told, and insists on the order that [`HttpSink`] promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorder(pub Vec<Told>);

impl Recorder {
    /// Bytes of all bodies.
    #[must_use]
    pub(crate) fn body_bytes(&self) -> usize {
        self.0.iter().map(|told| told.body.len()).sum()
    }
}

impl HttpSink for Recorder {
    fn request(&mut self, head: &RequestHead, bytes: &[u8]) {
        self.0.push(Told { bytes: bytes.to_vec(), head: head.clone(), body: Vec::new(), is_whole: false });
    }

    fn body(&mut self, chunk: &[u8], last: bool) {
        let Some(told) = self.0.last_mut() else { panic!("a body without a request") };
        assert!(!chunk.is_empty() || last, "an empty piece that is not the last");
        assert!(!told.is_whole, "a piece after the last");
        told.body.extend_from_slice(chunk);
        told.is_whole = last;

        let arrived = told.body.len() as u64;
        match told.head.body {
            BodyLength::None => assert!(last && chunk.is_empty(), "a body that was not announced"),
            BodyLength::Fixed(length) => assert_eq!(last, arrived == length, "{arrived} of {length}"),
            BodyLength::Chunked => {}
        }
    }
}

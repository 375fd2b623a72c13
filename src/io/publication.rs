//! One published message on its way to the subscribers of a worker.

use bytes::Bytes;

use crate::protocol::websocket::{Codecs, Form, MessageKind, encode_compressed, encode_message};

/// A published message, in every form that a recipient has needed so far. Each is made once, whatever the number of
/// recipients.
#[derive(Debug)]
pub(crate) struct Publication<'a> {
    /// Text or binary.
    pub kind: MessageKind,
    /// The message.
    pub payload: &'a [u8],
    /// Whether to compress it for the recipients that have negotiated compression.
    pub compress: bool,
    plain: Option<Bytes>,
    /// Compressed frames by window size: few sizes are in use, mostly one.
    compressed: Vec<(u8, Bytes)>,
}

impl<'a> Publication<'a> {
    /// A message of which no frame has been made yet. An empty one is not compressed.
    #[must_use]
    pub(crate) const fn new(kind: MessageKind, payload: &'a [u8], compress: bool) -> Self {
        let compress = compress && !payload.is_empty();
        Self { kind, payload, compress, plain: None, compressed: Vec::new() }
    }

    /// A message whose uncompressed frame is there already.
    #[must_use]
    pub(crate) fn with_frame(kind: MessageKind, payload: &'a [u8], compress: bool, frame: Bytes) -> Self {
        Self { plain: Some(frame), ..Self::new(kind, payload, compress) }
    }

    /// The frame for a recipient that needs this form; `None` if it must be made for it alone.
    pub(crate) fn frame(&mut self, form: Form, codecs: &mut Codecs) -> Option<&Bytes> {
        match form {
            Form::Plain => Some(self.plain()),
            Form::Compressed { window_bits } => Some(self.compressed(window_bits, codecs)),
            Form::Own => None,
        }
    }

    /// The message alone, in memory that all recipients share.
    pub(crate) fn shared_payload(&mut self) -> Bytes {
        let length = self.payload.len();
        let frame = self.plain();
        frame.slice(frame.len() - length..)
    }

    fn plain(&mut self) -> &Bytes {
        let (kind, payload) = (self.kind, self.payload);
        self.plain.get_or_insert_with(|| {
            let mut frame = Vec::with_capacity(payload.len() + LONGEST_HEADER);
            encode_message(kind, payload, &mut frame);
            frame.into()
        })
    }

    fn compressed(&mut self, window_bits: u8, codecs: &mut Codecs) -> &Bytes {
        if let Some(place) = self.compressed.iter().position(|(bits, _)| *bits == window_bits) {
            return &self.compressed[place].1;
        }
        let Some(compressed) = codecs.compress_alone(self.payload, window_bits) else { return self.plain() };
        let mut frame = Vec::with_capacity(compressed.len() + LONGEST_HEADER);
        encode_compressed(self.kind, compressed, &mut frame);
        self.compressed.push((window_bits, frame.into()));
        &self.compressed[self.compressed.len() - 1].1
    }
}

/// Bytes of the longest frame header a server sends (RFC 6455 §5.2).
const LONGEST_HEADER: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_made_once() {
        let mut codecs = Codecs::default();
        let text = "the same words, the same words, the same words".as_bytes();
        let mut publication = Publication::new(MessageKind::Text, text, true);
        let forms = [Form::Plain, Form::Compressed { window_bits: 15 }, Form::Compressed { window_bits: 9 }];
        let first = forms.map(|form| publication.frame(form, &mut codecs).unwrap().clone());
        let second = forms.map(|form| publication.frame(form, &mut codecs).unwrap().clone());
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.as_ptr(), second.as_ptr(), "not the same memory");
        }
        assert_eq!(first.each_ref().map(|frame| frame[0]), [0x81, 0xc1, 0xc1]);
        assert!(first[1].len() < first[0].len());
        assert_eq!(publication.frame(Form::Own, &mut codecs), None);
    }

    #[test]
    fn an_empty_message_is_not_compressed() {
        assert!(!Publication::new(MessageKind::Text, b"", true).compress);
        assert!(Publication::new(MessageKind::Text, b"x", true).compress);
    }
}

//! Assembles messages from received bytes: parses frames, unmasks their payloads, validates text, and buffers
//! incomplete frames and messages.
//!
//! An unfragmented message that lies completely in the input is returned as a slice of the input, without a copy. Every
//! other message is collected in a buffer, which is freed when the message is complete.

use std::borrow::Cow;
use std::mem;

use super::frame::{Announced, ControlKind, FrameKind, FrameRules, Header, MAX_HEADER_SIZE, MessageKind};
use super::{mask, utf8};
use crate::protocol::cause::CloseCause;

/// A complete message or control frame. The payload is unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// A message, with the payloads of all its frames. A text is valid UTF-8.
    Message(MessageKind, Cow<'a, [u8]>),
    /// A message that is still compressed. A text is not validated yet.
    Compressed(MessageKind, Cow<'a, [u8]>),
    /// A control frame, at most 125 bytes of payload.
    Control(ControlKind, Cow<'a, [u8]>),
}

/// Assembles messages. It has the size of a pointer, and allocates memory only while something is incomplete.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// Boxed because most connections, most of the time, have nothing incomplete.
    incomplete: Option<Box<Incomplete>>,
}

impl Assembler {
    /// Whether no frame or message is incomplete.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn is_vacant(&self) -> bool {
        self.incomplete.is_none()
    }

    /// Consumes `input` up to the end of the next message or control frame, and returns that; `None` once the input is
    /// used up. The input is unmasked in place.
    ///
    /// A message longer than the `rules` allow is refused by its header, so no more than the limit is buffered. After
    /// an error the stream cannot be parsed any further: the buffer is freed, and the assembler must not be used again.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        rules: FrameRules,
    ) -> Result<Option<Received<'a>>, CloseCause> {
        let mut incomplete = match self.incomplete.take() {
            Some(incomplete) => incomplete,
            None if input.is_empty() => return Ok(None),
            None => match take_whole_frame(input, rules)? {
                Some(received) => return Ok(Some(received)),
                None => Box::default(),
            },
        };
        let received = incomplete.advance(input, rules)?;
        if !incomplete.is_vacant() {
            self.incomplete = Some(incomplete);
        }
        Ok(received)
    }
}

/// The common case: an unfragmented frame that lies completely in the input. In any other case `None`, and the input is
/// unchanged.
fn take_whole_frame<'a>(
    input: &mut &'a mut [u8],
    rules: FrameRules,
) -> Result<Option<Received<'a>>, CloseCause> {
    let Some(header) = Header::parse(input, None, rules)? else { return Ok(None) };
    if !header.is_final || input.len() - header.size < header.length {
        return Ok(None);
    }
    take(input, header.size);
    let payload = take(input, header.length);
    mask::unmask(payload, header.key, 0);
    match header.kind {
        FrameKind::Control(control) => Ok(Some(Received::Control(control, Cow::Borrowed(payload)))),
        FrameKind::Data(Announced { kind, compressed: true, .. }) => {
            Ok(Some(Received::Compressed(kind, Cow::Borrowed(payload))))
        }
        FrameKind::Data(Announced { kind: MessageKind::Text, .. })
            if rules.checks_utf8 && !utf8::is_valid(payload) =>
        {
            Err(CloseCause::InvalidUtf8)
        }
        FrameKind::Data(message) => Ok(Some(Received::Message(message.kind, Cow::Borrowed(payload)))),
    }
}

/// The parts of a header, a frame and a fragmented message that have arrived.
#[derive(Debug, Default)]
struct Incomplete {
    /// The position within a frame at which the input ended.
    position: Position,
    /// What the frames of the current message have declared; `None` if there is no current message. Control frames
    /// between its fragments do not change it.
    announced: Option<Announced>,
    /// How many frames that message has had.
    fragments: u32,
    /// The unmasked payload of that message so far.
    payload: Vec<u8>,
    /// The UTF-8 validator of `payload`, if the message is an uncompressed text.
    text: utf8::Validator,
}

/// A position within a frame.
#[derive(Debug)]
enum Position {
    /// Before or within a header.
    Header(PartialHeader),
    /// Within the payload of a data frame.
    Data {
        /// The frame's header.
        header: Header,
        /// Bytes of the payload that have arrived.
        arrived: usize,
    },
    /// Within the payload of a control frame.
    Control {
        /// The frame's header.
        header: Header,
        /// Which control frame it is.
        kind: ControlKind,
        /// The payload so far. The control frame may interrupt a fragmented message, whose payload stays in
        /// [`Incomplete`].
        arrived: Vec<u8>,
    },
}

impl Default for Position {
    fn default() -> Self {
        Self::Header(PartialHeader::default())
    }
}

impl Incomplete {
    /// Whether the input ended between messages, so that no state has to be kept.
    fn is_vacant(&self) -> bool {
        match &self.position {
            Position::Header(partial) => partial.length == 0 && self.announced.is_none(),
            Position::Data { .. } | Position::Control { .. } => false,
        }
    }

    /// Consumes `input` until a message or control frame is complete. `None` if the input ends first.
    fn advance<'a>(
        &mut self,
        input: &mut &mut [u8],
        rules: FrameRules,
    ) -> Result<Option<Received<'a>>, CloseCause> {
        loop {
            match &mut self.position {
                Position::Header(partial) => {
                    let Some(header) = partial.complete(input, self.announced, rules)? else {
                        return Ok(None);
                    };
                    self.start_payload(header, rules)?;
                }
                Position::Data { header, arrived } => {
                    let chunk = take_payload(input, header, *arrived);
                    *arrived += chunk.len();
                    let (is_complete, is_final) = (*arrived == header.length, header.is_final);
                    self.append(chunk, rules)?;
                    if !is_complete {
                        return Ok(None);
                    }
                    self.position = Position::default();
                    if is_final && let Some(message) = self.announced.take() {
                        return self.finish(message).map(Some);
                    }
                }
                Position::Control { header, kind, arrived } => {
                    let chunk = take_payload(input, header, arrived.len());
                    arrived.extend_from_slice(chunk);
                    if arrived.len() < header.length {
                        return Ok(None);
                    }
                    let received = Received::Control(*kind, Cow::Owned(mem::take(arrived)));
                    self.position = Position::default();
                    return Ok(Some(received));
                }
            }
        }
    }

    /// Starts the payload of a frame whose header is complete.
    fn start_payload(&mut self, header: Header, rules: FrameRules) -> Result<(), CloseCause> {
        self.position = match header.kind {
            FrameKind::Control(kind) => Position::Control { header, kind, arrived: Vec::new() },
            FrameKind::Data(announced) => {
                self.fragments = self.fragments.saturating_add(1);
                if rules.max_fragments.is_some_and(|max| self.fragments > max.get()) {
                    return Err(CloseCause::TooManyFragments);
                }
                self.announced = Some(announced);
                Position::Data { header, arrived: 0 }
            }
        };
        Ok(())
    }

    /// Appends unmasked bytes to the current message, and validates them if it is an uncompressed text.
    ///
    /// The buffer doubles as bytes arrive, up to the declared length. So a peer cannot make this end allocate memory
    /// with headers alone, and a complete message has no unused capacity.
    fn append(&mut self, chunk: &[u8], rules: FrameRules) -> Result<(), CloseCause> {
        let Some(Announced { kind, compressed, length: declared }) = self.announced else { return Ok(()) };
        if kind == MessageKind::Text && !compressed && rules.checks_utf8 {
            self.text.push(chunk).map_err(|utf8::InvalidUtf8| CloseCause::InvalidUtf8)?;
        }
        let needed = self.payload.len() + chunk.len();
        if needed > self.payload.capacity() {
            let capacity = needed.max((2 * self.payload.capacity()).min(declared as usize));
            self.payload.reserve_exact(capacity - self.payload.len());
        }
        self.payload.extend_from_slice(chunk);
        Ok(())
    }

    /// Returns the current message, whose last byte has arrived.
    fn finish<'a>(&mut self, message: Announced) -> Result<Received<'a>, CloseCause> {
        mem::take(&mut self.text).finish().map_err(|utf8::InvalidUtf8| CloseCause::InvalidUtf8)?;
        let payload = Cow::Owned(mem::take(&mut self.payload));
        self.fragments = 0;
        let Announced { kind, compressed, .. } = message;
        Ok(if compressed { Received::Compressed(kind, payload) } else { Received::Message(kind, payload) })
    }
}

/// The start of a header whose rest has not arrived.
#[derive(Debug, Default)]
struct PartialHeader {
    /// Its bytes. Those from `length` on have no meaning.
    bytes: [u8; MAX_HEADER_SIZE],
    /// How many bytes have arrived, 0–13.
    length: usize,
}

impl PartialHeader {
    /// Consumes the bytes of `input` that belong to the header, and returns it. `None` if it is still incomplete, and
    /// all of the input is consumed then.
    fn complete(
        &mut self,
        input: &mut &mut [u8],
        in_progress: Option<Announced>,
        rules: FrameRules,
    ) -> Result<Option<Header>, CloseCause> {
        let more = input.len().min(MAX_HEADER_SIZE - self.length);
        let candidate = &mut self.bytes[..self.length + more];
        candidate[self.length..].copy_from_slice(&input[..more]);
        let header = Header::parse(candidate, in_progress, rules)?;
        // Not below zero: the earlier bytes alone were not a complete header.
        take(input, header.map_or(more, |header| header.size - self.length));
        self.length += more;
        Ok(header)
    }
}

/// Consumes and unmasks the bytes of `input` that belong to a payload of which `arrived` bytes have arrived before.
fn take_payload<'a>(input: &mut &'a mut [u8], header: &Header, arrived: usize) -> &'a mut [u8] {
    let length = input.len().min(header.length - arrived);
    let chunk = take(input, length);
    mask::unmask(chunk, header.key, arrived);
    chunk
}

/// Splits the first `length` bytes off `input`, which must have as many.
fn take<'a>(input: &mut &'a mut [u8], length: usize) -> &'a mut [u8] {
    let (front, rest) = mem::take(input).split_at_mut(length);
    *input = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::frame::Masking;
    use crate::testing::split::same_at_every_split;

    const LIMIT: FrameRules = FrameRules::new(1 << 24, true, Masking::Required);

    /// Everything that the assembler returns for `pieces`, and its error, if there was one.
    fn assemble(pieces: &[&[u8]]) -> (Vec<Received<'static>>, Option<CloseCause>) {
        let mut assembler = Assembler::default();
        let mut all = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            loop {
                match assembler.next(&mut input, LIMIT) {
                    Ok(Some(Received::Message(kind, payload))) => {
                        all.push(Received::Message(kind, Cow::Owned(payload.into_owned())));
                    }
                    Ok(Some(Received::Compressed(kind, payload))) => {
                        all.push(Received::Compressed(kind, Cow::Owned(payload.into_owned())));
                    }
                    Ok(Some(Received::Control(kind, payload))) => {
                        all.push(Received::Control(kind, Cow::Owned(payload.into_owned())));
                    }
                    Ok(None) => break,
                    Err(cause) => return (all, Some(cause)),
                }
            }
            assert!(input.is_empty(), "all input is taken");
        }
        (all, None)
    }

    fn text(payload: &str) -> Received<'static> {
        Received::Message(MessageKind::Text, Cow::Owned(payload.as_bytes().to_vec()))
    }

    fn control(kind: ControlKind, payload: &[u8]) -> Received<'static> {
        Received::Control(kind, Cow::Owned(payload.to_vec()))
    }

    /// The capacity of the assembler's buffer, in bytes.
    fn capacity(assembler: &Assembler) -> usize {
        assembler.incomplete.as_ref().map_or(0, |incomplete| incomplete.payload.capacity())
    }

    #[test]
    fn a_whole_frame_is_handed_on_where_it_lies() {
        let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let mut input = &mut bytes[..];
        let mut assembler = Assembler::default();
        let received = assembler.next(&mut input, LIMIT).unwrap();
        let Some(Received::Message(MessageKind::Text, Cow::Borrowed(payload))) = received else {
            panic!("{received:?}");
        };
        assert_eq!(payload, b"Hello");
        assert!(assembler.incomplete.is_none());
        assert_eq!(assembler.next(&mut input, LIMIT), Ok(None));
        assert!(assembler.incomplete.is_none());
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6455 §5.7, masked; a ping between the fragments.
        let bytes = b"\x01\x83\0\0\0\0Hel\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x80\x82\0\0\0\0lo";
        let (received, error) = same_at_every_split(bytes, assemble);
        assert_eq!(received, [control(ControlKind::Ping, b"Hello"), text("Hello")]);
        assert_eq!(error, None);
    }

    #[test]
    fn empty_frames_and_empty_fragments() {
        let bytes =
            b"\x81\x80abcd\x01\x80abcd\x00\x80abcd\x8a\x80abcd\x80\x80abcd\x01\x80abcd\x80\x81\0\0\0\0x";
        let (received, error) = same_at_every_split(bytes, assemble);
        assert_eq!(received, [text(""), control(ControlKind::Pong, b""), text(""), text("x")]);
        assert_eq!(error, None);
    }

    #[test]
    fn a_character_may_span_fragments() {
        let bytes = b"\x01\x81\0\0\0\0\xf0\x00\x82\0\0\0\0\x9f\x98\x80\x82\0\0\0\0\x80!";
        assert_eq!(same_at_every_split(bytes, assemble), (vec![text("😀!")], None));
    }

    #[test]
    fn a_compressed_message_is_not_looked_into() {
        let compressed =
            |payload: &[u8]| Received::Compressed(MessageKind::Text, Cow::Owned(payload.to_vec()));
        let bytes = b"\xc1\x82\0\0\0\0\xff\xfe\x41\x81\0\0\0\0\xff\x89\x80\0\0\0\0\x80\x81\0\0\0\0\xf0\x81\x81\0\0\0\0a";
        let ping = control(ControlKind::Ping, b"");
        let expected = vec![compressed(b"\xff\xfe"), ping, compressed(b"\xff\xf0"), text("a")];
        assert_eq!(same_at_every_split(bytes, assemble), (expected, None));
    }

    #[test]
    fn one_text_does_not_spoil_the_next() {
        let bytes = b"\x02\x81\0\0\0\0\xf0\x80\x80\0\0\0\0\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b";
        let binary = Received::Message(MessageKind::Binary, Cow::Owned(vec![0xf0]));
        assert_eq!(same_at_every_split(bytes, assemble), (vec![binary, text("ab")], None));
    }

    #[test]
    fn nothing_is_kept_between_messages() {
        let mut assembler = Assembler::default();
        for piece in [&b"\x81"[..], b"\x81\0\0\0", b"\0", b"a\x89", b"\x80\0\0\0\0"] {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            while assembler.next(&mut input, LIMIT).unwrap().is_some() {}
        }
        assert!(assembler.incomplete.is_none());
        assert_eq!(size_of::<Assembler>(), size_of::<usize>());
    }

    #[test]
    fn a_header_that_declares_16_megabytes_costs_nothing() {
        let mut header = *b"\x82\xff\0\0\0\0\x01\0\0\0\x01\x02\x03\x04";
        let mut assembler = Assembler::default();
        assert_eq!(assembler.next(&mut &mut header[..], LIMIT), Ok(None));
        assert_eq!(capacity(&assembler), 0);
        assert!(size_of::<Incomplete>() <= 160, "{}", size_of::<Incomplete>());
    }

    #[test]
    fn the_buffer_grows_with_what_arrives_and_has_no_slack_at_the_end() {
        let length = 100_000;
        let mut bytes = b"\x02\xff\0\0\0\0\0\x01\x86\xa0\0\0\0\0".to_vec();
        let mut assembler = Assembler::default();
        assert_eq!(assembler.next(&mut &mut bytes[..], LIMIT), Ok(None));
        let (mut arrived, mut reallocations) = (0, 0);
        // No piece but the last fills the buffer exactly.
        for piece in std::iter::once(700).chain([1000; 99]).chain([300]) {
            let before = capacity(&assembler);
            assert_eq!(assembler.next(&mut &mut vec![7; piece][..], LIMIT), Ok(None));
            arrived += piece;
            assert!((arrived..=2 * arrived).contains(&capacity(&assembler)));
            reallocations += usize::from(capacity(&assembler) != before);
        }
        assert_eq!(capacity(&assembler), length);
        assert!(reallocations <= 8, "{reallocations}");
        let mut last = *b"\x80\x80\0\0\0\0";
        let received = assembler.next(&mut &mut last[..], LIMIT);
        assert_eq!(received, Ok(Some(Received::Message(MessageKind::Binary, Cow::Owned(vec![7; length])))));
        assert!(assembler.incomplete.is_none());
    }

    #[test]
    fn text_fails_before_its_frame_is_complete() {
        let mut assembler = Assembler::default();
        let mut bytes = *b"\x81\xfe\x10\x00\0\0\0\0\xf4";
        assert_eq!(assembler.next(&mut &mut bytes[..], LIMIT), Ok(None));
        assert_eq!(assembler.next(&mut &mut [0x90][..], LIMIT), Err(CloseCause::InvalidUtf8));
        assert!(assembler.incomplete.is_none(), "what was kept is freed");
    }

    #[test]
    fn text_must_not_end_within_a_character() {
        for bytes in [&b"\x81\x81\0\0\0\0\xf4"[..], b"\x01\x81\0\0\0\0\xf4\x80\x80\0\0\0\0"] {
            assert_eq!(same_at_every_split(bytes, assemble), (vec![], Some(CloseCause::InvalidUtf8)));
        }
    }
}

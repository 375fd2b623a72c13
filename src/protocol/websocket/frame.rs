//! One frame on the wire: the parser of frame headers, which checks every rule about them, and the encoder.
//!
//! ```text
//!    byte 0              byte 1            0, 2 or 8 bytes      4 bytes      length bytes
//!   ┌───┬───────┬──────┐┌──────┬──────────┐┌──────────────────┐┌──────────┐┌─ ─ ─ ─ ─ ─
//!   │FIN│RSV 1-3│opcode││ MASK │length, or││ length, if 126   ││ mask key ││ payload …
//!   │   │ *000  │      ││  1   │126 or 127││ or 127 stood here││          ││
//!   └───┴───────┴──────┘└──────┴──────────┘└──────────────────┘└──────────┘└─ ─ ─ ─ ─ ─
//! ```
//! (RFC 6455 §5.2; frames of a server have no mask. * RSV1: the message is compressed, RFC 7692 §6.)

use std::num::NonZeroU32;

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::protocol::cause::CloseCause;

/// The largest header, in bytes: two, an extended length of eight, a mask key of four.
pub(crate) const MAX_HEADER_SIZE: usize = 14;
/// The largest payload of a control frame, in bytes (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL_LENGTH: usize = 125;

/// Byte 0: the final frame of a message.
const FIN: u8 = 0x80;
/// Byte 0: RSV1, RSV2 and RSV3.
const RESERVED_BITS: u8 = 0x70;
/// Byte 0: RSV1, the message is compressed.
const COMPRESSED: u8 = 0x40;
/// Byte 0: the opcode.
const OPCODE: u8 = 0x0f;
/// Byte 1: a mask key follows.
const MASK: u8 = 0x80;
/// Byte 1: the payload length, or 126 or 127 for an extended one.
const LENGTH: u8 = 0x7f;
/// In the seven-bit length: the next two bytes are the length.
const LENGTH_OF_TWO: u8 = 126;
/// In the seven-bit length: the next eight bytes are the length.
const LENGTH_OF_EIGHT: u8 = 127;

/// The type of a message: the opcode of its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

impl From<MessageKind> for OpCode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Data(Data::Text),
            MessageKind::Binary => Self::Data(Data::Binary),
        }
    }
}

/// The type of a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlKind {
    /// The peer starts or completes the closing handshake (RFC 6455 §5.5.1).
    Close,
    /// The peer expects a pong (RFC 6455 §5.5.2).
    Ping,
    /// An answer to our ping, or unsolicited (RFC 6455 §5.5.3).
    Pong,
}

/// What the frame headers of a message have declared so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The opcode of the first frame.
    pub kind: MessageKind,
    /// Whether the message is compressed: RSV1 of the first frame.
    pub compressed: bool,
    /// The sum of the declared lengths of its frames, in bytes; at most [`FrameRules::longest`].
    pub length: u32,
}

/// Which frames the peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRules {
    /// The longest message, in bytes, counted over all its frames. Control frames are exempt.
    pub max_payload_length: u32,
    /// Whether permessage-deflate was negotiated.
    pub deflate: bool,
    /// Whether the peer must mask its frames.
    pub masking: Masking,
    /// Whether text must be UTF-8 (RFC 6455 §8.1), which an application may leave unchecked.
    pub checks_utf8: bool,
    /// The most data frames that a message may have; `None`: any number.
    pub max_fragments: Option<NonZeroU32>,
}

/// Whether the peer must mask its frames (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masking {
    /// It is a client: "a client MUST mask all frames that it sends to the server".
    Required,
    /// It is a server: "a server MUST NOT mask any frames that it sends to the client".
    Forbidden,
}

impl Masking {
    /// Checks the MASK bit in the second byte of a frame.
    const fn check(self, second: u8) -> Result<(), CloseCause> {
        match (self, second & MASK != 0) {
            (Self::Required, true) | (Self::Forbidden, false) => Ok(()),
            (Self::Required, false) => Err(CloseCause::UnmaskedFrame),
            (Self::Forbidden, true) => Err(CloseCause::MaskedFrame),
        }
    }
}

impl FrameRules {
    /// The rules of RFC 6455 for the frames of a peer.
    #[must_use]
    pub(crate) const fn new(max_payload_length: u32, deflate: bool, masking: Masking) -> Self {
        Self { max_payload_length, deflate, masking, checks_utf8: true, max_fragments: None }
    }

    /// The largest sum of the payload lengths of a message's frames, in bytes. Compressing incompressible data makes it
    /// longer, so a compressed message may exceed the limit by zlib's worst case. The decompressed message may not.
    const fn longest(self, compressed: bool) -> u32 {
        let slack = if compressed { self.max_payload_length / 8 + 64 } else { 0 };
        self.max_payload_length.saturating_add(slack)
    }
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A data frame, with what it and the message's frames before it have declared.
    Data(Announced),
    /// A control frame.
    Control(ControlKind),
}

/// A valid frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type of the frame.
    pub kind: FrameKind,
    /// Whether FIN is set: this is the final frame of its message. Always true for control frames.
    pub is_final: bool,
    /// Payload length in bytes, at most [`FrameRules::longest`] (data) or [`MAX_CONTROL_LENGTH`] (control).
    pub length: usize,
    /// The mask key; zeros, which leave the payload unchanged, if there is none.
    pub key: [u8; 4],
    /// Length of the header itself, 2–14 bytes.
    pub size: usize,
}

impl Header {
    /// Parses the header at the start of `bytes`; `None` while it is incomplete and violates no rule so far.
    ///
    /// `in_progress` is the fragmented message to which this frame may belong, if there is one.
    ///
    /// Each rule is checked as soon as the bytes that it concerns have arrived, in the order of those bytes. So the result
    /// does not depend on how the header is split. One exception: the order of fragments is checked together with the
    /// length, although the first byte would suffice.
    pub(crate) fn parse(
        bytes: &[u8],
        in_progress: Option<Announced>,
        rules: FrameRules,
    ) -> Result<Option<Self>, CloseCause> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = parse_first_byte(first, rules.deflate)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        // RFC 6455 §5.1: "a server MUST close the connection upon receiving a frame that is not masked", and "a client
        // MUST close a connection if it detects a masked frame".
        rules.masking.check(second)?;
        // Checked before an extended length is read: any extended length is too long for a control frame.
        if matches!(opcode, Opcode::Control(_)) && usize::from(second & LENGTH) > MAX_CONTROL_LENGTH {
            return Err(CloseCause::ControlTooLong);
        }
        let Some((length, key_at)) = parse_length(second & LENGTH, bytes)? else { return Ok(None) };
        let kind = announce(opcode, length, in_progress, rules)?;
        let (key, size) = match rules.masking {
            Masking::Forbidden => ([0; 4], key_at),
            Masking::Required => {
                let Some(&key) = bytes.get(key_at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                (key, key_at + key.len())
            }
        };
        // Lossless: `announce` has compared the length with a limit of 32 bits.
        let length = length as usize;
        Ok(Some(Self { kind, is_final: first & FIN != 0, length, key, size }))
    }
}

/// An opcode that is not reserved.
enum Opcode {
    /// A continuation frame.
    Continuation,
    /// The first frame of a message, and whether the message is compressed.
    Message(MessageKind, bool),
    /// A control frame.
    Control(ControlKind),
}

/// Parses the first byte and checks the rules about it.
fn parse_first_byte(byte: u8, deflate: bool) -> Result<Opcode, CloseCause> {
    // RFC 6455 §5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values".
    let reserved = if deflate { RESERVED_BITS & !COMPRESSED } else { RESERVED_BITS };
    if byte & reserved != 0 {
        return Err(CloseCause::ReservedBits);
    }
    let compressed = byte & COMPRESSED != 0;
    let control = match OpCode::from(byte & OPCODE) {
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            return Err(CloseCause::ReservedOpcode);
        }
        OpCode::Data(Data::Continue) if compressed => return Err(CloseCause::MisplacedCompression),
        OpCode::Data(Data::Continue) => return Ok(Opcode::Continuation),
        OpCode::Data(Data::Text) => return Ok(Opcode::Message(MessageKind::Text, compressed)),
        OpCode::Data(Data::Binary) => return Ok(Opcode::Message(MessageKind::Binary, compressed)),
        OpCode::Control(Control::Close) => ControlKind::Close,
        OpCode::Control(Control::Ping) => ControlKind::Ping,
        OpCode::Control(Control::Pong) => ControlKind::Pong,
    };
    // RFC 7692 §6: control frames are never compressed.
    if compressed {
        return Err(CloseCause::MisplacedCompression);
    }
    // RFC 6455 §5.5: control frames are never fragmented. Checked before the length is read.
    if byte & FIN == 0 {
        return Err(CloseCause::FragmentedControl);
    }
    Ok(Opcode::Control(control))
}

/// Returns the payload length and the offset of the mask key; `None` while the length is incomplete. `short` is the
/// seven-bit field.
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, CloseCause> {
    // RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length".
    match short {
        LENGTH_OF_TWO => {
            let Some(&field) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            let length = u16::from_be_bytes(field);
            if length < u16::from(LENGTH_OF_TWO) {
                return Err(CloseCause::NonMinimalLength);
            }
            Ok(Some((length.into(), 4)))
        }
        LENGTH_OF_EIGHT => {
            // RFC 6455 §5.2: "the most significant bit MUST be 0". The first byte of the length has it.
            if bytes.get(2).is_some_and(|&byte| byte & 0x80 != 0) {
                return Err(CloseCause::LengthOverflow);
            }
            let Some(&field) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            let length = u64::from_be_bytes(field);
            if length <= u16::MAX.into() {
                return Err(CloseCause::NonMinimalLength);
            }
            Ok(Some((length, 10)))
        }
        length => Ok(Some((length.into(), 2))),
    }
}

/// Checks the rules that depend on earlier frames: the order of fragments (RFC 6455 §5.4) and the length of the message.
/// They concern the header only, so they are checked before the payload has arrived.
fn announce(
    opcode: Opcode,
    length: u64,
    in_progress: Option<Announced>,
    rules: FrameRules,
) -> Result<FrameKind, CloseCause> {
    let (kind, compressed, before) = match (opcode, in_progress) {
        (Opcode::Control(control), _) => return Ok(FrameKind::Control(control)),
        (Opcode::Continuation, None) => return Err(CloseCause::UnexpectedContinuation),
        (Opcode::Message(..), Some(_)) => return Err(CloseCause::ExpectedContinuation),
        (Opcode::Continuation, Some(message)) => (message.kind, message.compressed, message.length),
        (Opcode::Message(kind, compressed), None) => (kind, compressed, 0),
    };
    let longest = rules.longest(compressed);
    let length = match u32::try_from(length) {
        Ok(length) if length <= longest => length,
        _ => return Err(CloseCause::FrameTooBig),
    };
    match before.checked_add(length) {
        Some(length) if length <= longest => Ok(FrameKind::Data(Announced { kind, compressed, length })),
        _ => Err(CloseCause::MessageTooBig),
    }
}

/// Appends an unfragmented message as one unmasked frame. The bytes are the same for every client, so a published message
/// is encoded once.
pub(crate) fn encode_message(kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    encode(kind.into(), payload, out);
}

/// Appends a compressed message as one unmasked frame with RSV1 set (RFC 7692 §6).
pub(crate) fn encode_compressed(kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    encode_first(COMPRESSED | u8::from(OpCode::from(kind)), payload, out);
}

/// Appends an unmasked frame with FIN set. The caller keeps control payloads within [`MAX_CONTROL_LENGTH`].
pub(crate) fn encode(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    encode_first(u8::from(opcode), payload, out);
}

/// Appends the header of the frame of [`encode_message`], for a payload of `length` bytes that the caller writes behind it.
pub(crate) fn encode_message_header(kind: MessageKind, length: usize, out: &mut Vec<u8>) {
    encode_header(OpCode::from(kind).into(), length, out);
}

/// Appends an unmasked frame with FIN set, whose first byte is otherwise `first`.
fn encode_first(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + MAX_HEADER_SIZE);
    encode_header(first, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends the header of an unmasked frame with FIN set, whose first byte is otherwise `first`.
fn encode_header(first: u8, length: usize, out: &mut Vec<u8>) {
    let first = FIN | first;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < LENGTH_OF_TWO => out.extend_from_slice(&[first, short]),
        (_, Ok(medium)) => {
            let [high, low] = medium.to_be_bytes();
            out.extend_from_slice(&[first, LENGTH_OF_TWO, high, low]);
        }
        (_, Err(_)) => {
            out.extend_from_slice(&[first, LENGTH_OF_EIGHT]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

    fn rules(max_payload_length: u32) -> FrameRules {
        FrameRules::new(max_payload_length, false, Masking::Required)
    }

    /// Parses header bytes with default rules.
    fn parse(bytes: &[u8]) -> Result<Option<Header>, CloseCause> {
        Header::parse(bytes, None, rules(1 << 20))
    }

    fn text(length: u32) -> Announced {
        Announced { kind: MessageKind::Text, compressed: false, length }
    }

    /// Asserts that the header is refused for `cause` with its first `decided_by` bytes and any more, but not with fewer.
    fn assert_refused(bytes: &[u8], in_progress: Option<Announced>, decided_by: usize, cause: CloseCause) {
        for length in 0..bytes.len() {
            let expected = if length < decided_by { Ok(None) } else { Err(cause) };
            assert_eq!(
                Header::parse(&bytes[..length], in_progress, rules(1000)),
                expected,
                "{length} of {bytes:x?}"
            );
        }
        assert_eq!(Header::parse(bytes, in_progress, rules(1000)), Err(cause), "{bytes:x?}");
    }

    #[test]
    fn a_short_header() {
        let header = parse(b"\x81\x85\x01\x02\x03\x04hello");
        let kind = FrameKind::Data(text(5));
        assert_eq!(header, Ok(Some(Header { kind, is_final: true, length: 5, key: [1, 2, 3, 4], size: 6 })));
    }

    #[test]
    fn a_header_is_incomplete_until_its_last_byte() {
        let headers: [&[u8]; 4] = [
            b"\x82\x80\x01\x02\x03\x04",
            b"\x89\xfd\x01\x02\x03\x04",
            b"\x02\xfe\x00\x7e\x01\x02\x03\x04",
            b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04",
        ];
        for bytes in headers {
            for length in 0..bytes.len() {
                assert_eq!(parse(&bytes[..length]), Ok(None), "{length} of {bytes:x?}");
            }
            let header = parse(bytes).unwrap().unwrap();
            assert_eq!(header.size, bytes.len());
            assert_eq!(header.key, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn lengths_at_the_borders_of_their_forms() {
        for length in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000, 1 << 20] {
            let header = FrameHeader {
                opcode: OpCode::Data(Data::Binary),
                mask: Some([9, 8, 7, 6]),
                ..FrameHeader::default()
            };
            let mut bytes = Vec::new();
            header.format(length, &mut bytes).unwrap();
            let parsed = parse(&bytes).unwrap().unwrap();
            assert_eq!(parsed.length as u64, length);
            assert_eq!(parsed.size, bytes.len());
        }
    }

    #[test]
    fn the_first_byte_decides() {
        for byte in 0..=255u8 {
            let (reserved, is_final, opcode) = (byte & 0x70 != 0, byte & 0x80 != 0, byte & 0x0f);
            let expected = match opcode {
                _ if reserved => Some(CloseCause::ReservedBits),
                3..=7 | 11..=15 => Some(CloseCause::ReservedOpcode),
                8..=10 if !is_final => Some(CloseCause::FragmentedControl),
                _ => None,
            };
            match expected {
                Some(cause) => assert_refused(&[byte, 0x7f, 0xff, 0xff], None, 1, cause),
                None => assert_eq!(parse(&[byte]), Ok(None)),
            }
        }
    }

    #[test]
    fn the_first_byte_decides_where_messages_may_be_compressed() {
        let rules = FrameRules::new(1000, true, Masking::Required);
        for byte in 0..=255u8 {
            let (compressed, opcode) = (byte & 0x40 != 0, byte & 0x0f);
            let expected = match opcode {
                _ if byte & 0x30 != 0 => Err(CloseCause::ReservedBits),
                3..=7 | 11..=15 => Err(CloseCause::ReservedOpcode),
                0 | 8..=10 if compressed => Err(CloseCause::MisplacedCompression),
                8..=10 if byte & 0x80 == 0 => Err(CloseCause::FragmentedControl),
                _ => Ok(None),
            };
            assert_eq!(Header::parse(&[byte], None, rules), expected, "{byte:x}");
        }
    }

    #[test]
    fn a_message_is_compressed_if_its_first_frame_says_so() {
        let rules = FrameRules::new(1000, true, Masking::Required);
        let announced = |compressed, length| Announced { kind: MessageKind::Text, compressed, length };
        for (first, compressed) in [(0x01, false), (0x41, true)] {
            let header = Header::parse(&[first, 0x82, 0, 0, 0, 0], None, rules).unwrap().unwrap();
            assert_eq!(header.kind, FrameKind::Data(announced(compressed, 2)));
            let next = Header::parse(&[0x80, 0x83, 0, 0, 0, 0], Some(announced(compressed, 2)), rules);
            assert_eq!(next.unwrap().unwrap().kind, FrameKind::Data(announced(compressed, 5)));
        }
    }

    #[test]
    fn what_cannot_be_compressed_may_be_longer_on_the_wire() {
        let rules = FrameRules::new(1000, true, Masking::Required);
        let parse = |first, length: u16| {
            let [high, low] = length.to_be_bytes();
            Header::parse(&[first, 0xfe, high, low, 0, 0, 0, 0], None, rules).map(|header| header.is_some())
        };
        assert_eq!((parse(0x82, 1000), parse(0x82, 1001)), (Ok(true), Err(CloseCause::FrameTooBig)));
        assert_eq!((parse(0xc2, 1189), parse(0xc2, 1190)), (Ok(true), Err(CloseCause::FrameTooBig)));
    }

    #[test]
    fn the_second_byte_decides() {
        assert_refused(b"\x81\x05hello", None, 2, CloseCause::UnmaskedFrame);
        assert_refused(b"\x89\x7f\xff", None, 2, CloseCause::UnmaskedFrame);
        assert_refused(b"\x89\xfe\x00\x05", None, 2, CloseCause::ControlTooLong);
        assert_refused(b"\x88\xff\xff\xff", None, 2, CloseCause::ControlTooLong);
    }

    #[test]
    fn lengths_must_be_minimal() {
        assert_refused(b"\x82\xfe\x00\x7d\x00\x00\x00\x00", None, 4, CloseCause::NonMinimalLength);
        assert_refused(b"\x82\xfe\x00\x00\x00\x00\x00\x00", None, 4, CloseCause::NonMinimalLength);
        assert_refused(b"\x82\xff\0\0\0\0\0\0\xff\xff\x00\x00", None, 10, CloseCause::NonMinimalLength);
    }

    #[test]
    fn a_length_has_63_bits() {
        assert_refused(b"\x82\xff\x80\0\0\0\0\0\0\0", None, 3, CloseCause::LengthOverflow);
        assert_refused(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", None, 3, CloseCause::LengthOverflow);
        assert_refused(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None, 10, CloseCause::FrameTooBig);
    }

    #[test]
    fn fragments_come_in_order() {
        assert_refused(b"\x80\x81\0\0\0\0", None, 2, CloseCause::UnexpectedContinuation);
        assert_refused(b"\x00\x81\0\0\0\0", None, 2, CloseCause::UnexpectedContinuation);
        assert_refused(b"\x81\x81\0\0\0\0", Some(text(1)), 2, CloseCause::ExpectedContinuation);
        assert_refused(b"\x02\x81\0\0\0\0", Some(text(1)), 2, CloseCause::ExpectedContinuation);
        let ping = Header::parse(b"\x89\x80\0\0\0\0", Some(text(1)), rules(1000)).unwrap().unwrap();
        assert_eq!(ping.kind, FrameKind::Control(ControlKind::Ping));
    }

    #[test]
    fn sizes_are_judged_by_what_is_declared() {
        assert_refused(b"\x82\xfe\x03\xe9\0\0\0\0", None, 4, CloseCause::FrameTooBig);
        assert_refused(b"\x80\xfe\x03\xe9\0\0\0\0", Some(text(1)), 4, CloseCause::FrameTooBig);
        assert_refused(b"\x80\x82\0\0\0\0", Some(text(999)), 2, CloseCause::MessageTooBig);
        let full = Header::parse(b"\x80\x81\0\0\0\0", Some(text(999)), rules(1000)).unwrap().unwrap();
        assert_eq!(full.kind, FrameKind::Data(text(1000)));
        let max = Some(text(u32::MAX));
        assert_eq!(Header::parse(b"\x80\x81", max, rules(u32::MAX)), Err(CloseCause::MessageTooBig));
    }

    #[test]
    fn control_frames_are_exempt_from_the_payload_limit() {
        let close = Header::parse(b"\x88\xfd\0\0\0\0", None, rules(16)).unwrap().unwrap();
        assert_eq!((close.kind, close.length), (FrameKind::Control(ControlKind::Close), 125));
    }

    #[test]
    fn the_first_broken_rule_wins() {
        // Each case violates the named rule and every later one.
        let cases: [(&[u8], CloseCause); 6] = [
            (b"\x7b\x7f\xff", CloseCause::ReservedBits),
            (b"\x0b\x7f\xff", CloseCause::ReservedOpcode),
            (b"\x08\x7f\xff", CloseCause::FragmentedControl),
            (b"\x88\x7f\xff", CloseCause::UnmaskedFrame),
            (b"\x88\xff\xff", CloseCause::ControlTooLong),
            (b"\x80\xfe\x00\x01", CloseCause::NonMinimalLength),
        ];
        for (bytes, cause) in cases {
            assert_eq!(parse(bytes), Err(cause), "{bytes:x?}");
        }
    }

    #[test]
    fn a_compressed_message_differs_in_one_bit() {
        let (mut plain, mut compressed) = (Vec::new(), Vec::new());
        encode_message(MessageKind::Text, b"deflated", &mut plain);
        encode_compressed(MessageKind::Text, b"deflated", &mut compressed);
        plain[0] |= 0x40;
        assert_eq!(plain, compressed);
    }

    #[test]
    fn encoded_frames_are_what_tungstenite_reads() {
        for length in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 100_000] {
            for kind in [MessageKind::Text, MessageKind::Binary] {
                let mut bytes = vec![0xaa];
                encode_message(kind, &vec![7; length], &mut bytes);
                let mut cursor = Cursor::new(&bytes[1..]);
                let (header, parsed) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
                assert_eq!(header, FrameHeader { opcode: kind.into(), ..FrameHeader::default() });
                assert_eq!(parsed, length as u64);
                assert_eq!(cursor.position(), header.len(parsed) as u64);
                assert!(bytes[1 + header.len(parsed)..].iter().all(|&byte| byte == 7));
                assert_eq!(bytes.len(), 1 + header.len(parsed) + length);
            }
        }
    }
}

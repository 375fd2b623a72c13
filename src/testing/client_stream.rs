//! A plain and slow parser of a client's frames by the letter of RFC 6455, for a complete stream: the reference for the
//! receiving half of a session.

use super::plain_inflate::PlainInflate;
use super::websocket_application::SinkCall;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// How a stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// At the end of the bytes, without an error.
    Open,
    /// At a Close frame with this payload.
    Close(Vec<u8>),
    /// At a broken rule.
    Broken(CloseCause),
}

/// The limits for a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientTerms {
    /// The longest message, in bytes.
    pub max_length: usize,
    /// Whether messages may be compressed, and refer to those before them (RFC 7692).
    pub deflate: bool,
}

/// Messages, pings and pongs in a stream up to its end.
#[must_use]
pub(crate) fn read_stream(mut wire: &[u8], terms: ClientTerms) -> (Vec<SinkCall>, StreamEnd) {
    let mut events = Vec::new();
    let mut message = None;
    let mut inflate = PlainInflate::default();
    loop {
        match read_frame(&mut wire, &mut message, &mut inflate, terms) {
            Ok(Some(Read::SinkCall(event))) => events.push(event),
            Ok(Some(Read::Fragment)) => {}
            Ok(Some(Read::Close(payload))) => return (events, StreamEnd::Close(payload)),
            Ok(None) => return (events, StreamEnd::Open),
            Err(cause) => return (events, StreamEnd::Broken(cause)),
        }
    }
}

/// The result of one frame.
enum Read {
    /// The end of a message, a ping or a pong.
    SinkCall(SinkCall),
    /// A fragment that is not the last of its message.
    Fragment,
    /// A Close frame with this payload.
    Close(Vec<u8>),
}

/// A message of which not all fragments have been read.
struct Message {
    kind: MessageKind,
    compressed: bool,
    payload: Vec<u8>,
}

/// Takes one frame from the front of `wire`. `None` if the wire ends first and no rule is broken up to there.
fn read_frame(
    wire: &mut &[u8],
    message: &mut Option<Message>,
    inflate: &mut PlainInflate,
    terms: ClientTerms,
) -> Result<Option<Read>, CloseCause> {
    let Some(header) = read_header(wire, message.as_ref(), terms)? else { return Ok(None) };
    let Header { opcode, compressed, is_final, length, key } = header;
    let (arrived, rest) = wire.split_at(length.min(wire.len()));
    let payload = arrived.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
    let is_whole = arrived.len() == length;
    *wire = rest;
    match opcode {
        _ if opcode >= 8 && !is_whole => return Ok(None),
        8 => return Ok(Some(Read::Close(payload.collect()))),
        9 => return Ok(Some(Read::SinkCall(SinkCall::Ping(payload.collect())))),
        10 => return Ok(Some(Read::SinkCall(SinkCall::Pong(payload.collect())))),
        _ => {}
    }

    let kind = if opcode == 1 { MessageKind::Text } else { MessageKind::Binary };
    let Message { kind, compressed, payload } = {
        let message = message.get_or_insert(Message { kind, compressed, payload: Vec::new() });
        message.payload.extend(payload);
        message
    };
    let is_end = is_whole && is_final;
    if *compressed {
        if !is_end {
            return Ok(is_whole.then_some(Read::Fragment));
        }
        *payload = inflate.message(payload, terms.max_length, 15)?;
    }
    if *kind == MessageKind::Text
        && str::from_utf8(payload).is_err_and(|error| is_end || error.error_len().is_some())
    {
        return Err(CloseCause::InvalidUtf8);
    }
    if is_end {
        let (kind, payload) = (*kind, std::mem::take(payload));
        *message = None;
        return Ok(Some(Read::SinkCall(SinkCall::Message(kind, payload))));
    }
    Ok(is_whole.then_some(Read::Fragment))
}

/// The header of a frame.
struct Header {
    opcode: u8,
    compressed: bool,
    is_final: bool,
    length: usize,
    key: [u8; 4],
}

/// Takes a header from the front of `wire`.
fn read_header(
    wire: &mut &[u8],
    message: Option<&Message>,
    terms: ClientTerms,
) -> Result<Option<Header>, CloseCause> {
    let Some(&first) = wire.first() else { return Ok(None) };
    let (is_final, opcode) = (first >= 0x80, first % 16);
    let compressed = first / 64 % 2 == 1;
    if first / 16 % 4 != 0 || compressed && !terms.deflate {
        return Err(CloseCause::ReservedBits);
    }
    if ![0, 1, 2, 8, 9, 10].contains(&opcode) {
        return Err(CloseCause::ReservedOpcode);
    }
    if compressed && ![1, 2].contains(&opcode) {
        return Err(CloseCause::MisplacedCompression);
    }
    if opcode >= 8 && !is_final {
        return Err(CloseCause::FragmentedControl);
    }
    let Some(&second) = wire.get(1) else { return Ok(None) };
    let Some(short) = second.checked_sub(0x80) else { return Err(CloseCause::UnmaskedFrame) };
    if opcode >= 8 && short > 125 {
        return Err(CloseCause::ControlTooLong);
    }
    let (size, min) = match short {
        126 => (2, 126),
        127 => (8, 1 << 16),
        _ => (0, 0),
    };
    if size == 8 && wire.get(2).is_some_and(|&byte| byte >= 0x80) {
        return Err(CloseCause::LengthOverflow);
    }
    let Some(field) = wire.get(2..2 + size) else { return Ok(None) };
    let length = field.iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
    let length = if size == 0 { u64::from(short) } else { length };
    if length < min {
        return Err(CloseCause::NonMinimalLength);
    }
    match (opcode, message) {
        (0, None) => return Err(CloseCause::UnexpectedContinuation),
        (1 | 2, Some(_)) => return Err(CloseCause::ExpectedContinuation),
        _ => {}
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if opcode < 8 {
        // Incompressible data becomes longer.
        let compressed = message.map_or(compressed, |message| message.compressed);
        let max_length = terms.max_length + if compressed { terms.max_length / 8 + 64 } else { 0 };
        if length > max_length {
            return Err(CloseCause::FrameTooBig);
        }
        if message.is_some_and(|message| message.payload.len() + length > max_length) {
            return Err(CloseCause::MessageTooBig);
        }
    }
    let Some((key, rest)) = wire[2 + size..].split_first_chunk() else { return Ok(None) };
    *wire = rest;
    Ok(Some(Header { opcode, compressed, is_final, length, key: *key }))
}

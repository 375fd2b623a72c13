//! Frames (RFC 9113 §4, §6).
//!
//! ```text
//!   0        3      4       5                    9
//!  ┌────────┬──────┬───────┬─┬──────────────────┬─────────────┐
//!  │ length │ type │ flags │R│ stream           │ payload …   │
//!  └────────┴──────┴───────┴─┴──────────────────┴─────────────┘
//! ```

use super::error::ErrorCode;

/// The number of a stream: odd for those that a client opens, 0 for the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub u32);

impl StreamId {
    /// The connection.
    pub(super) const CONNECTION: Self = Self(0);
    /// The largest one: that of a GOAWAY which refuses nothing yet.
    pub(super) const MAX: Self = Self(0x7fff_ffff);

    /// The id in four bytes, without the reserved bit.
    pub(super) const fn parse(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes) & Self::MAX.0)
    }

    /// Whether a client may open a stream with this number (RFC 9113 §5.1.1).
    pub(super) const fn is_of_client(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameType {
    /// RFC 9113 §6.1
    Data,
    /// RFC 9113 §6.2
    Headers,
    /// RFC 9113 §6.3
    Priority,
    /// RFC 9113 §6.4
    ResetStream,
    /// RFC 9113 §6.5
    Settings,
    /// RFC 9113 §6.6
    PushPromise,
    /// RFC 9113 §6.7
    Ping,
    /// RFC 9113 §6.8
    GoAway,
    /// RFC 9113 §6.9
    WindowUpdate,
    /// RFC 9113 §6.10
    Continuation,
    /// RFC 9218 §7.1
    PriorityUpdate,
    /// Ignored (RFC 9113 §5.5).
    Unknown,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of the payload, below 2^24.
    pub length: usize,
    /// Its type.
    pub kind: FrameType,
    /// Its flags; a flag without a meaning for the type is ignored.
    pub flags: u8,
    /// The stream.
    pub stream: StreamId,
}

impl FrameHeader {
    /// Bytes of a header.
    pub(super) const LENGTH: usize = 9;

    /// Reads a header.
    pub(super) fn parse(bytes: [u8; Self::LENGTH]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = bytes;
        let length = [0, high, middle, low];
        let kind = match kind {
            0x0 => FrameType::Data,
            0x1 => FrameType::Headers,
            0x2 => FrameType::Priority,
            0x3 => FrameType::ResetStream,
            0x4 => FrameType::Settings,
            0x5 => FrameType::PushPromise,
            0x6 => FrameType::Ping,
            0x7 => FrameType::GoAway,
            0x8 => FrameType::WindowUpdate,
            0x9 => FrameType::Continuation,
            0x10 => FrameType::PriorityUpdate,
            _ => FrameType::Unknown,
        };
        Self { length: u32::from_be_bytes(length) as usize, kind, flags, stream: StreamId::parse(stream) }
    }

    /// Whether a flag is set.
    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The flags (RFC 9113 §6).
pub(super) mod flag {
    /// Of SETTINGS and PING.
    pub(in crate::protocol::http2) const ACK: u8 = 0x1;
    /// Of DATA and HEADERS.
    pub(in crate::protocol::http2) const END_STREAM: u8 = 0x1;
    /// Of HEADERS and CONTINUATION.
    pub(in crate::protocol::http2) const END_HEADERS: u8 = 0x4;
    /// Of DATA and HEADERS.
    pub(in crate::protocol::http2) const PADDED: u8 = 0x8;
    /// Of HEADERS.
    pub(in crate::protocol::http2) const PRIORITY: u8 = 0x20;
}

/// Appends the header of a frame with a payload of `length` bytes, below 2^24.
pub(super) fn start_frame(length: usize, kind: u8, flags: u8, stream: StreamId, out: &mut Vec<u8>) {
    let [_, length @ ..] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let [one, two, three, four] = stream.0.to_be_bytes();
    out.extend_from_slice(&[length[0], length[1], length[2], kind, flags, one, two, three, four]);
}

/// Appends the header of a DATA frame.
pub(super) fn start_data(length: usize, is_last: bool, stream: StreamId, out: &mut Vec<u8>) {
    start_frame(length, 0x0, if is_last { flag::END_STREAM } else { 0 }, stream, out);
}

/// Turns what stands behind `start` into a HEADERS frame with this header block, and as many CONTINUATION frames as
/// its length needs. `start` is where room for the first header was left by [`reserve_header`].
pub(super) fn finish_headers(
    start: usize,
    max_length: usize,
    is_last: bool,
    stream: StreamId,
    out: &mut Vec<u8>,
) {
    let block = start + FrameHeader::LENGTH;
    let length = out.len() - block;
    let end_stream = if is_last { flag::END_STREAM } else { 0 };
    let end_headers = if length <= max_length { flag::END_HEADERS } else { 0 };
    let mut header = Vec::with_capacity(FrameHeader::LENGTH);
    start_frame(length.min(max_length), 0x1, end_stream | end_headers, stream, &mut header);
    out[start..block].copy_from_slice(&header);
    if length > max_length {
        // Longer than 16 KiB: rare enough to be copied.
        let rest = out.split_off(block + max_length);
        let count = rest.len().div_ceil(max_length);
        for (number, piece) in rest.chunks(max_length).enumerate() {
            let flags = if number + 1 == count { flag::END_HEADERS } else { 0 };
            start_frame(piece.len(), 0x9, flags, stream, out);
            out.extend_from_slice(piece);
        }
    }
}

/// Leaves room for the header of a frame whose length is not known yet. Returns where it starts.
pub(super) fn reserve_header(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FrameHeader::LENGTH]);
    start
}

/// Appends a RST_STREAM frame.
pub(super) fn append_reset(stream: StreamId, code: ErrorCode, out: &mut Vec<u8>) {
    start_frame(4, 0x3, 0, stream, out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends a SETTINGS frame.
pub(super) fn append_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    start_frame(settings.len() * 6, 0x4, 0, StreamId::CONNECTION, out);
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of a SETTINGS frame.
pub(super) fn append_settings_ack(out: &mut Vec<u8>) {
    start_frame(0, 0x4, flag::ACK, StreamId::CONNECTION, out);
}

/// Appends a PING frame, or the answer to one.
pub(super) fn append_ping(data: [u8; 8], is_ack: bool, out: &mut Vec<u8>) {
    start_frame(8, 0x6, if is_ack { flag::ACK } else { 0 }, StreamId::CONNECTION, out);
    out.extend_from_slice(&data);
}

/// Appends a GOAWAY frame; `text` explains it to people.
pub(super) fn append_goaway(last: StreamId, code: ErrorCode, text: &str, out: &mut Vec<u8>) {
    start_frame(8 + text.len(), 0x7, 0, StreamId::CONNECTION, out);
    out.extend_from_slice(&last.0.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a WINDOW_UPDATE frame; `increment` is 1 to 2^31-1.
pub(super) fn append_window_update(stream: StreamId, increment: u32, out: &mut Vec<u8>) {
    start_frame(4, 0x8, 0, stream, out);
    out.extend_from_slice(&increment.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let mut out = Vec::new();
        start_frame(0x12_3456, 0x1, 0x25, StreamId(0x7fff_fffe), &mut out);
        let header = FrameHeader::parse(out[..].try_into().unwrap());
        let expected = FrameHeader {
            length: 0x12_3456,
            kind: FrameType::Headers,
            flags: 0x25,
            stream: StreamId(0x7fff_fffe),
        };
        assert_eq!(header, expected);
        assert!(header.has(flag::END_HEADERS) && !header.has(flag::PADDED));
    }

    #[test]
    fn the_reserved_bit_is_ignored_and_types_are_told_apart() {
        let kinds = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0xa, 0xff]
            .map(|kind| FrameHeader::parse([0, 0, 0, kind, 0, 0x80, 0, 0, 1]))
            .map(|header| {
                assert_eq!(header.stream, StreamId(1));
                header.kind
            });
        let unknown = kinds.iter().filter(|kind| **kind == FrameType::Unknown).count();
        assert_eq!((kinds[5], kinds[10], unknown), (FrameType::PushPromise, FrameType::PriorityUpdate, 2));
    }

    #[test]
    fn a_long_header_block_is_continued() {
        for (length, expected) in [(0, vec![0]), (10, vec![10]), (11, vec![10, 1]), (30, vec![10, 10, 10])] {
            let mut out = b"before".to_vec();
            let start = reserve_header(&mut out);
            out.extend((0..length).map(|byte| byte as u8));
            finish_headers(start, 10, true, StreamId(3), &mut out);
            let (mut rest, mut block, mut lengths) = (&out[6..], Vec::new(), Vec::new());
            while let Some((header, following)) = rest.split_first_chunk() {
                let header = FrameHeader::parse(*header);
                let is_first = lengths.is_empty();
                assert_eq!(header.kind, if is_first { FrameType::Headers } else { FrameType::Continuation });
                assert_eq!(header.has(flag::END_STREAM), is_first);
                assert_eq!(header.has(flag::END_HEADERS), header.length == following.len());
                assert_eq!(header.stream, StreamId(3));
                block.extend_from_slice(&following[..header.length]);
                lengths.push(header.length);
                rest = &following[header.length..];
            }
            assert_eq!(lengths, expected);
            assert_eq!(block, (0..length).map(|byte| byte as u8).collect::<Vec<_>>());
        }
    }
}

//! Frames (RFC 9114 §7): a type and a length, both of variable length, and the payload.

use super::varint;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameType {
    /// RFC 9114 §7.2.1
    Data,
    /// RFC 9114 §7.2.2
    Headers,
    /// RFC 9114 §7.2.3
    CancelPush,
    /// RFC 9114 §7.2.4
    Settings,
    /// RFC 9114 §7.2.5
    PushPromise,
    /// RFC 9114 §7.2.6
    GoAway,
    /// RFC 9114 §7.2.7
    MaxPushId,
    /// RFC 9218 §7.2, for a request
    PriorityUpdate,
    /// RFC 9218 §7.2, for a push
    PushPriorityUpdate,
    /// A type of HTTP/2 that HTTP/3 does not have (RFC 9114 §7.2.8).
    Reserved,
    /// Ignored (RFC 9114 §9).
    Unknown,
}

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Its type.
    pub kind: FrameType,
    /// Bytes of the payload.
    pub length: u64,
}

impl FrameHeader {
    /// Takes a header from the front of `input`; `None` if it is cut off.
    pub(super) fn take(input: &mut &[u8]) -> Option<Self> {
        let mut rest = *input;
        let kind = varint::decode(&mut rest)?;
        let length = varint::decode(&mut rest)?;
        *input = rest;
        let kind = match kind {
            DATA => FrameType::Data,
            HEADERS => FrameType::Headers,
            0x3 => FrameType::CancelPush,
            SETTINGS => FrameType::Settings,
            0x5 => FrameType::PushPromise,
            GOAWAY => FrameType::GoAway,
            0xd => FrameType::MaxPushId,
            0xf_0700 => FrameType::PriorityUpdate,
            0xf_0701 => FrameType::PushPriorityUpdate,
            0x2 | 0x6 | 0x8 | 0x9 => FrameType::Reserved,
            _ => FrameType::Unknown,
        };
        Some(Self { kind, length })
    }
}

/// Appends the header of a DATA frame.
pub(super) fn start_data(length: usize, out: &mut Vec<u8>) {
    varint::encode(DATA, out);
    varint::encode(length as u64, out);
}

/// Appends a HEADERS frame.
pub(super) fn append_headers(section: &[u8], out: &mut Vec<u8>) {
    append_frame(HEADERS, section, out);
}

/// Appends a SETTINGS frame.
pub(super) fn append_settings(settings: &[(u64, u64)], out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    for (name, value) in settings {
        varint::encode(*name, &mut payload);
        varint::encode(*value, &mut payload);
    }
    append_frame(SETTINGS, &payload, out);
}

/// Appends a GOAWAY frame, by which requests from `stream` on are not served.
pub(super) fn append_goaway(stream: u64, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    varint::encode(stream, &mut payload);
    append_frame(GOAWAY, &payload, out);
}

/// Appends a whole frame.
pub(super) fn append_frame(kind: u64, payload: &[u8], out: &mut Vec<u8>) {
    varint::encode(kind, out);
    varint::encode(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

const DATA: u64 = 0x0;
const HEADERS: u64 = 0x1;
const SETTINGS: u64 = 0x4;
const GOAWAY: u64 = 0x7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_taken_once_it_is_complete() {
        let mut out = Vec::new();
        append_frame(0xf_0700, &[b'x'; 70], &mut out);
        let end = out.len() - 70;
        for cut in 0..end {
            let mut rest = &out[..cut];
            assert_eq!(FrameHeader::take(&mut rest), None);
            assert_eq!(rest.len(), cut, "nothing is consumed");
        }
        let mut rest = &out[..];
        let header = FrameHeader { kind: FrameType::PriorityUpdate, length: 70 };
        assert_eq!(FrameHeader::take(&mut rest), Some(header));
        assert_eq!(rest.len(), 70);
    }

    #[test]
    fn types_are_told_apart() {
        let kinds = (0..=0xe).map(|kind| FrameHeader::take(&mut &[kind, 0][..]).unwrap().kind);
        let kinds: Vec<_> = kinds.collect();
        let count = |kind| kinds.iter().filter(|other| **other == kind).count();
        assert_eq!((count(FrameType::Reserved), count(FrameType::Unknown)), (4, 4));
        let grease = FrameHeader::take(&mut &[0x21, 0x40, 0x05][..]);
        assert_eq!(grease, Some(FrameHeader { kind: FrameType::Unknown, length: 5 }));
    }
}

//! Settings (RFC 9113 §6.5).

use super::error::Http2Error;
use super::limits::Http2Limits;
use super::window::{DEFAULT_WINDOW, MAX_WINDOW};

/// What the client has said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerSettings {
    /// Bytes of the dynamic table with which it decodes header blocks.
    pub header_table_size: u32,
    /// The window of a new stream towards it.
    pub initial_window: u32,
    /// Bytes of the largest payload that it takes.
    pub max_frame_size: u32,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { header_table_size: 4096, initial_window: DEFAULT_WINDOW, max_frame_size: MIN_FRAME_SIZE }
    }
}

impl PeerSettings {
    /// Takes the payload of a SETTINGS frame, whose length is a multiple of six. Unknown settings are ignored.
    pub(super) fn update(&mut self, payload: &[u8]) -> Result<(), Http2Error> {
        for setting in payload.as_chunks::<6>().0 {
            let [one, two, value @ ..] = *setting;
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([one, two]) {
                HEADER_TABLE_SIZE => self.header_table_size = value,
                ENABLE_PUSH | ENABLE_CONNECT_PROTOCOL | NO_RFC7540_PRIORITIES if value > 1 => {
                    return Err(Http2Error::InvalidSetting);
                }
                INITIAL_WINDOW_SIZE if value > MAX_WINDOW => return Err(Http2Error::InvalidInitialWindow),
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(MIN_FRAME_SIZE..1 << 24).contains(&value) => {
                    return Err(Http2Error::InvalidSetting);
                }
                MAX_FRAME_SIZE => self.max_frame_size = value,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The settings that this side sends.
pub(super) fn own_settings(limits: &Http2Limits, max_header_list: usize) -> [(u16, u32); 5] {
    [
        (MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams),
        (INITIAL_WINDOW_SIZE, limits.stream_window),
        (MAX_HEADER_LIST_SIZE, u32::try_from(max_header_list).unwrap_or(u32::MAX)),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (NO_RFC7540_PRIORITIES, 1),
    ]
}

/// RFC 9113 §4.2, and the largest payload that this side takes: SETTINGS_MAX_FRAME_SIZE is not sent.
pub(super) const MIN_FRAME_SIZE: u32 = 16_384;

// RFC 9113 §6.5.2.
const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
/// RFC 8441 §3.
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
/// RFC 9218 §2.1.
const NO_RFC7540_PRIORITIES: u16 = 0x9;

#[cfg(test)]
mod tests {
    use super::*;

    fn update(settings: &[(u16, u32)]) -> Result<PeerSettings, Http2Error> {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let mut peer = PeerSettings::default();
        peer.update(&payload).map(|()| peer)
    }

    #[test]
    fn settings_are_taken_the_last_one_counts_and_unknown_ones_are_ignored() {
        assert_eq!(update(&[]), Ok(PeerSettings::default()));
        let expected = PeerSettings { header_table_size: 1, initial_window: 2, max_frame_size: 16_385 };
        assert_eq!(
            update(&[
                (4, 7),
                (1, 1),
                (4, 2),
                (5, 16_385),
                (2, 1),
                (3, 0),
                (6, 9),
                (8, 1),
                (9, 1),
                (0xff, u32::MAX)
            ]),
            Ok(expected)
        );
        let largest = PeerSettings {
            header_table_size: u32::MAX,
            initial_window: MAX_WINDOW,
            max_frame_size: (1 << 24) - 1,
        };
        assert_eq!(update(&[(1, u32::MAX), (4, MAX_WINDOW), (5, (1 << 24) - 1)]), Ok(largest));
    }

    #[test]
    fn values_out_of_their_range_are_refused() {
        for setting in [(2, 2), (5, 16_383), (5, 1 << 24), (8, 2), (9, 2)] {
            assert_eq!(update(&[setting]), Err(Http2Error::InvalidSetting), "{setting:?}");
        }
        assert_eq!(update(&[(4, 1 << 31)]), Err(Http2Error::InvalidInitialWindow));
    }
}

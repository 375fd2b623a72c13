//! Settings (RFC 9114 §7.2.4).

use super::error::Http3Error;
use super::limits::Http3Limits;
use super::varint;

/// Checks the payload of the client's SETTINGS. None of them matters to this side: responses are encoded without the
/// dynamic table, and their fields are what the application has written.
pub(super) fn check_settings(mut payload: &[u8]) -> Result<(), Http3Error> {
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let name = varint::decode(&mut payload).ok_or(Http3Error::InvalidFrameLength)?;
        let value = varint::decode(&mut payload).ok_or(Http3Error::InvalidFrameLength)?;
        match name {
            // RFC 9114 §7.2.4.1: settings of HTTP/2.
            0x2..=0x5 => return Err(Http3Error::InvalidSetting),
            ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM if value > 1 => return Err(Http3Error::InvalidSetting),
            _ => {}
        }
        seen.push(name);
    }
    seen.sort_unstable();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Http3Error::RepeatedSetting);
    }
    Ok(())
}

/// The settings that this side sends.
pub(super) fn own_settings(limits: &Http3Limits, max_field_section: usize) -> [(u64, u64); 5] {
    [
        (QPACK_MAX_TABLE_CAPACITY, limits.table_capacity.into()),
        (MAX_FIELD_SECTION_SIZE, (max_field_section as u64).min(varint::MAX)),
        (QPACK_BLOCKED_STREAMS, limits.max_blocked_streams.into()),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (GREASE, 0),
    ]
}

/// RFC 9204 §5.
const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
/// RFC 9114 §7.2.4.1.
const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
/// RFC 9204 §5.
const QPACK_BLOCKED_STREAMS: u64 = 0x7;
/// RFC 9220 §5.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
/// RFC 9297 §2.1.1.
const H3_DATAGRAM: u64 = 0x33;
/// RFC 9114 §7.2.4.1: one that means nothing, which clients have to ignore.
const GREASE: u64 = 0x1f * 7 + 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &[(u64, u64)]) -> Result<(), Http3Error> {
        let mut payload = Vec::new();
        settings
            .iter()
            .flat_map(|(name, value)| [*name, *value])
            .for_each(|it| varint::encode(it, &mut payload));
        check_settings(&payload)
    }

    #[test]
    fn settings_that_have_a_meaning_and_others_are_taken() {
        assert_eq!(check(&[]), Ok(()));
        let all = [(1, 4096), (6, 1 << 40), (7, 100), (8, 1), (0x33, 0), (0x21, varint::MAX), (0x4d44, 1)];
        assert_eq!(check(&all), Ok(()));
        assert_eq!(check(&own_settings(&Http3Limits::default(), usize::MAX)), Ok(()));
    }

    #[test]
    fn settings_of_http_2_and_values_out_of_their_range_are_refused() {
        for setting in [(2, 0), (3, 100), (4, 65_535), (5, 16_384), (8, 2), (0x33, 2)] {
            assert_eq!(check(&[setting]), Err(Http3Error::InvalidSetting), "{setting:?}");
        }
        assert_eq!(check(&[(6, 1), (1, 2), (6, 1)]), Err(Http3Error::RepeatedSetting));
        for payload in [&[1][..], &[6, 0x40], &[1, 2, 7]] {
            assert_eq!(check_settings(payload), Err(Http3Error::InvalidFrameLength), "{payload:?}");
        }
    }
}

//! Encodes field sections with the static table alone (see the top of `qpack` for why). Strings are sent as they are,
//! because Huffman coding costs more time than the few bytes that it saves are worth.

use super::static_table::{static_entry, static_places};
use crate::protocol::multiplexed::integer;
use crate::protocol::multiplexed::response_fields::FieldEncoder;

/// The encoding half of a connection, which has no state but a buffer.
#[derive(Debug, Default)]
pub(in crate::protocol::http3) struct Encoder {
    /// The name in lower case; reused.
    name: Vec<u8>,
}

impl FieldEncoder for Encoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        // RFC 9204 §4.5.1: no insertions are needed, and the base is 0.
        out.extend_from_slice(&[0, 0]);
    }

    fn append_status(&self, status: [u8; 3], out: &mut Vec<u8>) {
        append_lower(b":status", &status, out);
    }

    fn append(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        self.name.clear();
        self.name.extend(name.iter().map(u8::to_ascii_lowercase));
        append_lower(&self.name, value, out);
    }
}

/// Appends one field line (RFC 9204 §4.5.2, §4.5.4, §4.5.6).
fn append_lower(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let places = static_places(name);
    let is_entry = |&&place: &&u8| static_entry(place.into()).is_some_and(|(_, known)| known == value);
    if let Some(&place) = places.iter().find(is_entry) {
        return integer::encode(place.into(), 6, 0xc0, out);
    }
    // RFC 9204 §7.1.3: never indexed, by intermediaries either.
    let is_secret = matches!(name, b"set-cookie" | b"authorization" | b"proxy-authorization");
    if let Some(&place) = places.first() {
        integer::encode(place.into(), 4, if is_secret { 0x70 } else { 0x50 }, out);
    } else {
        integer::encode(name.len(), 3, if is_secret { 0x30 } else { 0x20 }, out);
        out.extend_from_slice(name);
    }
    integer::encode(value.len(), 7, 0, out);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http3::qpack::decoder::Decoder;
    use proptest::prelude::*;

    fn section(status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.start(&mut out);
        encoder.append_status(status.as_bytes().try_into().unwrap(), &mut out);
        fields.iter().for_each(|(name, value)| encoder.append(name.as_bytes(), value.as_bytes(), &mut out));
        out
    }

    #[test]
    fn a_field_of_the_static_table_is_a_byte_or_two() {
        assert_eq!(section("200", &[]), [0, 0, 0xc0 | 25]);
        assert_eq!(section("500", &[]), [0, 0, 0xff, 71 - 63]);
        assert_eq!(section("200", &[("Content-Type", "text/css")])[3..], [0xc0 | 51]);
        assert_eq!(section("200", &[("ETag", "a")])[3..], [0x57, 1, b'a']);
        assert_eq!(section("201", &[])[2..], [0x5f, 24 - 15, 3, b'2', b'0', b'1']);
        assert_eq!(section("200", &[("X-A", "b")])[3..], [0x23, b'x', b'-', b'a', 1, b'b']);
    }

    #[test]
    fn a_cookie_is_never_indexed() {
        assert_eq!(section("200", &[("Set-Cookie", "a")])[3..], [0x7e, 1, b'a']);
        assert_eq!(section("200", &[("Authorization", "a")])[3..5], [0x37, 13 - 7]);
    }

    proptest! {
        #[test]
        fn the_decoder_reads_what_was_encoded(status in 100_u16..1000, fields in proptest::collection::vec(
            (prop_oneof![
                Just("Content-Type".to_owned()), Just("date".to_owned()), Just("VARY".to_owned()),
                Just("set-cookie".to_owned()), "[a-zA-Z-]{1,20}",
            ], prop_oneof![Just("text/css".to_owned()), Just("x".repeat(600)), "[ -~]{0,300}"]), 0..10)) {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let status = status.to_string();
            let mut read = Vec::new();
            let section = section(&status, &fields);
            Decoder::new(0).decode(&section, |name, value| read.push((name.to_vec(), value.to_vec()))).unwrap();
            let expected: Vec<_> = [(":status", &status[..])].iter().chain(&fields)
                .map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}

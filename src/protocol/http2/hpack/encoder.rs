//! Encodes header blocks of responses.
//!
//! Strings are sent as they are, because Huffman coding costs more time than the few bytes that it saves are worth. What
//! repeats from response to response (`content-type`, `server`, `date` within a second) goes into the dynamic table, and
//! is a byte from the second response on. What does not repeat would only displace it, and is sent as a literal.

use super::TABLE_SIZE;
use super::table::{STATIC_LENGTH, static_name};
use crate::protocol::multiplexed::dynamic_table::DynamicTable;
use crate::protocol::multiplexed::integer;
use crate::protocol::multiplexed::response_fields::FieldEncoder;

/// The encoding half of a connection. See the top of `hpack`.
#[derive(Debug)]
pub(in crate::protocol::http2) struct Encoder {
    table: DynamicTable,
    /// The smallest size that the peer has set since the last block, and the present one (RFC 7541 §4.2).
    resized: Option<(usize, usize)>,
    /// The name in lower case; reused.
    name: Vec<u8>,
}

impl Encoder {
    /// The encoder of a new connection.
    pub(in crate::protocol::http2) const fn new() -> Self {
        Self { table: DynamicTable::new(TABLE_SIZE), resized: None, name: Vec::new() }
    }

    /// The peer allows a dynamic table of `max` bytes (SETTINGS_HEADER_TABLE_SIZE). No more than the default is used.
    pub(in crate::protocol::http2) fn set_max(&mut self, max: usize) {
        let max = max.min(TABLE_SIZE);
        match &mut self.resized {
            Some((smallest, last)) => (*smallest, *last) = (max.min(*smallest), max),
            None if max == self.table.max() => {}
            None => self.resized = Some((max, max)),
        }
    }

    fn append_lower(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let index = static_name(name).unwrap_or(0);
        match Repetition::of(name) {
            Repetition::Likely if value.len() <= MAX_KEPT => {
                if let Some(position) = self.table.find(name, value) {
                    return integer::encode(STATIC_LENGTH + 1 + position, 7, 0x80, out);
                }
                integer::encode(index, 6, 0x40, out);
                self.table.insert(name, value);
            }
            Repetition::Likely | Repetition::Unlikely => integer::encode(index, 4, 0, out),
            // RFC 7541 §7.1.3: never indexed, by intermediaries either.
            Repetition::Secret => integer::encode(index, 4, 0x10, out),
        }
        if index == 0 {
            append_string(name, out);
        }
        append_string(value, out);
    }
}

impl FieldEncoder for Encoder {
    fn start(&mut self, out: &mut Vec<u8>) {
        if let Some((smallest, last)) = self.resized.take() {
            for max in [smallest, last] {
                if max != self.table.max() {
                    self.table.set_max(max);
                    integer::encode(max, 5, 0x20, out);
                }
            }
        }
    }

    fn append_status(&self, status: [u8; 3], out: &mut Vec<u8>) {
        let index = match &status {
            b"200" => 8,
            b"204" => 9,
            b"206" => 10,
            b"304" => 11,
            b"400" => 12,
            b"404" => 13,
            b"500" => 14,
            _ => {
                integer::encode(8, 4, 0, out);
                return append_string(&status, out);
            }
        };
        integer::encode(index, 7, 0x80, out);
    }

    fn append(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let mut lower = std::mem::take(&mut self.name);
        lower.clear();
        lower.extend(name.iter().map(u8::to_ascii_lowercase));
        self.append_lower(&lower, value, out);
        self.name = lower;
    }
}

/// Whether the next responses of a connection will have the same field.
enum Repetition {
    /// Probably.
    Likely,
    /// Nobody knows.
    Unlikely,
    /// It does not matter: the value is a secret, which a dynamic table would let an attacker guess piece by piece.
    Secret,
}

impl Repetition {
    const fn of(name: &[u8]) -> Self {
        match name {
            b"accept-ranges"
            | b"access-control-allow-credentials"
            | b"access-control-allow-headers"
            | b"access-control-allow-methods"
            | b"access-control-allow-origin"
            | b"allow"
            | b"alt-svc"
            | b"cache-control"
            | b"content-encoding"
            | b"content-language"
            | b"content-security-policy"
            | b"content-type"
            | b"date"
            | b"referrer-policy"
            | b"server"
            | b"strict-transport-security"
            | b"vary"
            | b"via"
            | b"x-content-type-options"
            | b"x-frame-options"
            | b"x-powered-by" => Self::Likely,
            b"set-cookie" | b"authorization" | b"proxy-authorization" => Self::Secret,
            _ => Self::Unlikely,
        }
    }
}

/// Appends a string literal, not Huffman-coded.
fn append_string(text: &[u8], out: &mut Vec<u8>) {
    integer::encode(text.len(), 7, 0, out);
    out.extend_from_slice(text);
}

/// Bytes of a value from which on it is not kept, so that the table has room for a dozen fields.
const MAX_KEPT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http2::hpack::decoder::Decoder;
    use proptest::prelude::*;

    type Field = (Vec<u8>, Vec<u8>);

    fn block(encoder: &mut Encoder, status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.start(&mut out);
        encoder.append_status(status.as_bytes().try_into().unwrap(), &mut out);
        fields.iter().for_each(|(name, value)| encoder.append(name.as_bytes(), value.as_bytes(), &mut out));
        out
    }

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<Field> {
        let mut fields = Vec::new();
        decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec()))).unwrap();
        fields
    }

    #[test]
    fn what_repeats_is_a_byte_from_the_second_time_on() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let fields =
            [("Content-Type", "text/plain"), ("DATE", "today"), ("Set-Cookie", "a=b"), ("x-id", "1")];
        let first = block(&mut encoder, "200", &fields);
        let second = block(&mut encoder, "418", &fields);
        assert_eq!(&first[..1], &[0x88]);
        assert_eq!(second.len(), 5 + 1 + 1 + 6 + 8, "{second:x?}");
        for (block, status) in [(first, "200"), (second, "418")] {
            let expected: Vec<Field> = [(":status", status)]
                .iter()
                .chain(&fields)
                .map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!(decoded(&mut decoder, &block), expected);
        }
    }

    #[test]
    fn a_cookie_is_never_indexed() {
        let bytes = block(&mut Encoder::new(), "200", &[("set-cookie", "a=b")]);
        assert_eq!(bytes[1..3], [0x1f, 55 - 15]);
    }

    #[test]
    fn the_size_that_the_peer_sets_is_followed_by_way_of_the_smallest() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let fields = [("server", "a")];
        decoded(&mut decoder, &block(&mut encoder, "200", &fields));
        encoder.set_max(0);
        encoder.set_max(1 << 20);
        let bytes = block(&mut encoder, "200", &fields);
        assert_eq!(bytes[..4], [0x20, 0x3f, 0xe1, 0x1f], "to 0 and back to 4,096");
        assert_eq!(decoded(&mut decoder, &bytes).len(), 2);
        encoder.set_max(0);
        for _ in 0..2 {
            let bytes = block(&mut encoder, "200", &fields);
            assert!(bytes.len() > 3, "nothing is kept in a table of no bytes");
            assert_eq!(decoded(&mut decoder, &bytes).len(), 2);
        }
        encoder.set_max(TABLE_SIZE * 2);
        assert_eq!(block(&mut encoder, "200", &[])[..3], [0x3f, 0xe1, 0x1f]);
        encoder.set_max(TABLE_SIZE);
        assert_eq!(block(&mut encoder, "200", &[]), [0x88]);
    }

    proptest! {
        #[test]
        fn the_decoder_reads_what_was_encoded(responses in proptest::collection::vec(
            (100_u16..1000, proptest::option::of(0_usize..6000), proptest::collection::vec(
                (prop_oneof![
                    Just("Content-Type".to_owned()), Just("date".to_owned()), Just("VARY".to_owned()),
                    Just("set-cookie".to_owned()), "[a-zA-Z-]{1,20}",
                ], prop_oneof![Just("x".repeat(600)), "[ -~]{0,300}", "[ab]"]), 0..10)), 0..12)) {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            for (status, max, fields) in responses {
                if let Some(max) = max {
                    encoder.set_max(max);
                }
                let fields: Vec<_> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
                let read = decoded(&mut decoder, &block(&mut encoder, &status.to_string(), &fields));
                let status = status.to_string();
                let expected: Vec<Field> = [(":status", &status[..])].iter().chain(&fields)
                    .map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec()))
                    .collect();
                prop_assert_eq!(read, expected);
            }
        }
    }
}

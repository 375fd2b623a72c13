//! Decodes field sections, and follows the encoder stream.

use super::instructions::{Instruction, InvalidInstruction, Text};
use super::static_table::static_entry;
use crate::protocol::http3::stream_id::StreamId;
use crate::protocol::multiplexed::dynamic_table::{DynamicTable, ENTRY_OVERHEAD};
use crate::protocol::multiplexed::integer;

/// The decoding half of a connection. See the top of `qpack`.
#[derive(Debug)]
pub(in crate::protocol::http3) struct Decoder {
    table: DynamicTable,
    /// Bytes that the table may have at most (SETTINGS_QPACK_MAX_TABLE_CAPACITY).
    max_capacity: usize,
    /// Entries that were inserted in all.
    inserted: u64,
    /// Of how many of them the client knows that they are there (RFC 9204 §2.1.4).
    acknowledged: u64,
}

/// A field section that breaks a rule of RFC 9204.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol::http3) struct InvalidSection;

impl Decoder {
    /// The decoder of a new connection, whose table has at most `max_capacity` bytes.
    pub(in crate::protocol::http3) const fn new(max_capacity: usize) -> Self {
        // RFC 9204 §3.2.3: the encoder sets the capacity first, from 0.
        Self { table: DynamicTable::new(0), max_capacity, inserted: 0, acknowledged: 0 }
    }

    /// How many entries were inserted.
    pub(in crate::protocol::http3) const fn inserted(&self) -> u64 {
        self.inserted
    }

    /// How many insertions a section needs (Required Insert Count, RFC 9204 §4.5.1.1). It is to be decoded when
    /// [`Self::inserted`] has reached that.
    ///
    /// # Errors
    /// The section does not start as it should.
    pub(in crate::protocol::http3) fn required(&self, section: &[u8]) -> Result<u64, InvalidSection> {
        self.take_required(&mut &section[..]).ok_or(InvalidSection)
    }

    fn take_required(&self, section: &mut &[u8]) -> Option<u64> {
        let encoded = integer::decode(section, 8)? as u64;
        if encoded == 0 {
            return Some(0);
        }
        let max_entries = (self.max_capacity / ENTRY_OVERHEAD) as u64;
        let full_range = 2 * max_entries;
        if encoded > full_range {
            return None;
        }
        let max_value = self.inserted + max_entries;
        let rounded = max_value / full_range * full_range;
        let required = rounded + encoded - 1;
        let required = if required > max_value { required.checked_sub(full_range)? } else { required };
        (required > 0).then_some(required)
    }

    /// Decodes a whole section, whose insertions are there, and passes name and value of each field to `field`.
    ///
    /// # Errors
    /// The section breaks a rule. Some of its fields may have been passed on.
    pub(in crate::protocol::http3) fn decode(
        &self,
        section: &[u8],
        field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), InvalidSection> {
        self.try_decode(section, field).ok_or(InvalidSection)
    }

    fn try_decode(&self, section: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Option<()> {
        let mut rest = section;
        let required = self.take_required(&mut rest)?;
        let is_negative = rest.first()? & 0x80 != 0;
        let delta = integer::decode(&mut rest, 7)? as u64;
        let base = if is_negative { required.checked_sub(delta + 1)? } else { required + delta };
        let lines = Lines { decoder: self, required, base };
        let (mut name_text, mut value_text) = (Vec::new(), Vec::new());
        while let Some(&first) = rest.first() {
            let (name, value) = match first {
                // RFC 9204 §4.5.2
                0xc0.. => static_entry(integer::decode(&mut rest, 6)?)?,
                0x80.. => lines.relative(integer::decode(&mut rest, 6)?)?,
                // §4.5.3
                0x10..=0x1f => lines.post_base(integer::decode(&mut rest, 4)?)?,
                // §4.5.4, §4.5.5, §4.5.6
                _ => {
                    let name = match first {
                        0x40.. if first & 0x10 != 0 => static_entry(integer::decode(&mut rest, 4)?)?.0,
                        0x40.. => lines.relative(integer::decode(&mut rest, 4)?)?.0,
                        0x20.. => Text::take(&mut rest, 3)?.decode(&mut name_text)?,
                        _ => lines.post_base(integer::decode(&mut rest, 3)?)?.0,
                    };
                    (name, Text::take(&mut rest, 7)?.decode(&mut value_text)?)
                }
            };
            field(name, value);
        }
        Some(())
    }

    /// Follows the first instruction of the encoder stream in `input`: all bytes received and not consumed. Returns how
    /// many bytes it has, and whether it costs this side more than the client; `None` if it is not complete.
    ///
    /// # Errors
    /// It cannot be followed.
    pub(in crate::protocol::http3) fn handle_instruction(
        &mut self,
        input: &[u8],
    ) -> Result<Option<(usize, bool)>, InvalidInstruction> {
        let mut rest = input;
        let Some(instruction) = Instruction::take(&mut rest, self.max_text())? else { return Ok(None) };
        let is_idle = self.follow(instruction).ok_or(InvalidInstruction)?;
        Ok(Some((input.len() - rest.len(), is_idle)))
    }

    /// Bytes of the longest coded text that an entry can have: no code of Huffman is longer than 30 bits.
    const fn max_text(&self) -> usize {
        4 * self.max_capacity
    }

    /// Returns whether it costs more than the client has sent; `None` if it cannot be followed.
    fn follow(&mut self, instruction: Instruction<'_>) -> Option<bool> {
        let (mut name_text, mut value_text) = (Vec::new(), Vec::new());
        match instruction {
            Instruction::SetCapacity(capacity) => {
                if capacity > self.max_capacity {
                    return None;
                }
                self.table.set_max(capacity);
                Some(true)
            }
            Instruction::InsertWithStaticName(index, value) => {
                self.insert(static_entry(index)?.0, value.decode(&mut value_text)?)?;
                Some(false)
            }
            Instruction::InsertWithDynamicName(index, value) => {
                // A copy: the entry may go when the new one is inserted.
                name_text.extend_from_slice(self.table.get(index)?.0);
                self.insert(&name_text, value.decode(&mut value_text)?)?;
                Some(name_text.len() > MAX_CHEAP)
            }
            Instruction::Insert(name, value) => {
                self.insert(name.decode(&mut name_text)?, value.decode(&mut value_text)?)?;
                Some(false)
            }
            Instruction::Duplicate(index) => {
                let (name, value) = self.table.get(index)?;
                name_text.extend_from_slice(name);
                value_text.extend_from_slice(value);
                self.insert(&name_text, &value_text)?;
                Some(true)
            }
        }
    }

    /// Inserts an entry; `None` if the table is smaller than that (RFC 9204 §3.2.2).
    fn insert(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if name.len() + value.len() + ENTRY_OVERHEAD > self.table.max() {
            return None;
        }
        self.table.insert(name, value);
        self.inserted += 1;
        Some(())
    }

    /// Appends what tells the encoder that a section of this stream was decoded, which needed so many insertions
    /// (RFC 9204 §4.4.1).
    pub(in crate::protocol::http3) fn acknowledge_section(
        &mut self,
        stream: StreamId,
        required: u64,
        out: &mut Vec<u8>,
    ) {
        if required > 0 {
            self.acknowledged = self.acknowledged.max(required);
            encode_id(stream, 7, 0x80, out);
        }
    }

    /// Appends what tells the encoder that no section of this stream will be decoded any more (RFC 9204 §4.4.2).
    pub(in crate::protocol::http3) fn cancel(&self, stream: StreamId, out: &mut Vec<u8>) {
        if self.inserted > 0 {
            encode_id(stream, 6, 0x40, out);
        }
    }

    /// Appends what tells the encoder of the insertions that it does not know by the sections (RFC 9204 §4.4.3).
    pub(in crate::protocol::http3) fn acknowledge_insertions(&mut self, out: &mut Vec<u8>) {
        let count = self.inserted - self.acknowledged;
        if count > 0 {
            self.acknowledged = self.inserted;
            integer::encode(usize::try_from(count).unwrap_or(usize::MAX), 6, 0, out);
        }
    }
}

/// What the numbers of a section refer to (RFC 9204 §3.2.4 to §3.2.6).
struct Lines<'a> {
    decoder: &'a Decoder,
    required: u64,
    base: u64,
}

impl<'a> Lines<'a> {
    /// An entry before the base.
    fn relative(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        self.absolute(self.base.checked_sub(index as u64 + 1)?)
    }

    /// An entry from the base on.
    fn post_base(&self, index: usize) -> Option<(&'a [u8], &'a [u8])> {
        self.absolute(self.base + index as u64)
    }

    /// The entry that was inserted behind so many others.
    fn absolute(&self, number: u64) -> Option<(&'a [u8], &'a [u8])> {
        if number >= self.required {
            return None;
        }
        let position = self.decoder.inserted.checked_sub(number + 1)?;
        self.decoder.table.get(usize::try_from(position).ok()?)
    }
}

/// Appends the number of a stream.
fn encode_id(stream: StreamId, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    integer::encode_long(stream.0, bits, pattern, out);
}

/// Bytes that a reference may copy without being counted.
const MAX_CHEAP: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::multiplexed::huffman::tests::encode as huffman_encode;
    use proptest::prelude::*;

    type Fields = Vec<(String, String)>;

    fn decode(decoder: &Decoder, section: &[u8]) -> Result<Fields, InvalidSection> {
        let mut fields = Fields::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(section, |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// Follows all instructions that are complete. Returns how many bytes they have, and how many of them are counted.
    fn follow_all(decoder: &mut Decoder, bytes: &[u8]) -> Result<(usize, u32), InvalidInstruction> {
        let (mut consumed, mut idle) = (0, 0);
        while let Some((length, is_idle)) = decoder.handle_instruction(&bytes[consumed..])? {
            consumed += length;
            idle += u32::from(is_idle);
        }
        Ok((consumed, idle))
    }

    fn follow(decoder: &mut Decoder, instructions: &str) -> u32 {
        let bytes = hex(instructions);
        let (consumed, idle) = follow_all(decoder, &bytes).unwrap();
        assert_eq!(consumed, bytes.len());
        idle
    }

    /// RFC 9204, Appendix B: one connection.
    #[test]
    fn the_connection_of_the_rfc_is_read() {
        let mut decoder = Decoder::new(4096);
        // B.1
        assert_eq!(
            decode(&decoder, &hex("0000 510b 2f69 6e64 6578 2e68 746d 6c")),
            Ok(fields(&[(":path", "/index.html")]))
        );
        // B.2
        let section = hex("0381 10 11");
        assert_eq!(decoder.required(&section), Ok(2));
        assert_eq!(decoder.inserted(), 0);
        follow(
            &mut decoder,
            "3fbd01 c00f 7777 772e 6578 616d 706c 652e 636f 6d c10c 2f73 616d 706c 652f 7061 7468",
        );
        assert_eq!(decoder.inserted(), 2);
        let expected = fields(&[(":authority", "www.example.com"), (":path", "/sample/path")]);
        assert_eq!(decode(&decoder, &section), Ok(expected));
        let mut out = Vec::new();
        decoder.acknowledge_section(StreamId(4), 2, &mut out);
        decoder.acknowledge_insertions(&mut out);
        assert_eq!(out, [0x84]);
        // B.3
        follow(&mut decoder, "4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565");
        out.clear();
        decoder.acknowledge_insertions(&mut out);
        assert_eq!(out, [0x01]);
        // B.4
        follow(&mut decoder, "02");
        let section = hex("0500 80 c1 81");
        assert_eq!(decoder.required(&section), Ok(4));
        let expected =
            fields(&[(":authority", "www.example.com"), (":path", "/"), ("custom-key", "custom-value")]);
        assert_eq!(decode(&decoder, &section), Ok(expected));
        out.clear();
        decoder.cancel(StreamId(8), &mut out);
        assert_eq!(out, [0x48]);
        // B.5
        follow(&mut decoder, "810d 6375 7374 6f6d 2d76 616c 7565 32");
        let entries: Vec<_> = (0..).map_while(|position| decoder.table.get(position)).collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"custom-key", b"custom-value2"),
            (b":authority", b"www.example.com"),
            (b"custom-key", b"custom-value"),
            (b":path", b"/sample/path"),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_section_that_breaks_a_rule_is_invalid() {
        let mut decoder = Decoder::new(4096);
        follow(&mut decoder, "3fe11f 4161 0162 4163 0164");
        let cases = [
            ("", "no prefix"),
            ("00", "no base"),
            ("0080", "a base below 0"),
            ("0000 ff24", "an index beyond the static table"),
            ("0000 80", "a reference to the dynamic table without an insertion"),
            ("0200 81", "an entry before the first one"),
            ("0200 10", "an entry beyond those that it needs"),
            ("0300 81 80 10", "the same by another base"),
            ("0000 20", "no value"),
            ("0000 23 61", "a name that is cut off"),
            ("0000 2a ff00 0161", "a name with invalid padding"),
            ("0000 51 05 61", "a value that is cut off"),
            ("0000 5f", "half an index"),
            ("0000 ff 80 80 80 80 80 00", "an index without end"),
            ("ff ff 00", "more insertions than the range has"),
        ];
        for (section, why) in cases {
            assert_eq!(decode(&decoder, &hex(section)), Err(InvalidSection), "{why}");
        }
        let expected = fields(&[("a", "b"), ("c", "d")]);
        assert_eq!(decode(&decoder, &hex("0300 81 80")), Ok(expected.clone()));
        assert_eq!(decode(&decoder, &hex("0381 10 11")), Ok(expected), "behind the base");
        let names = fields(&[("a", "x"), ("c", "y")]);
        assert_eq!(decode(&decoder, &hex("0380 41 01 78 00 01 79")), Err(InvalidSection), "before the first");
        assert_eq!(decode(&decoder, &hex("0380 40 01 78 00 01 79")), Ok(names));
    }

    #[test]
    fn what_was_evicted_cannot_be_referred_to() {
        let mut decoder = Decoder::new(4096);
        // A table of 40 bytes, which holds one entry.
        follow(&mut decoder, "3f09 4161 0162 4163 0164");
        assert_eq!(decode(&decoder, &hex("0300 80")), Ok(fields(&[("c", "d")])));
        assert_eq!(decode(&decoder, &hex("0300 81")), Err(InvalidSection));
    }

    #[test]
    fn instructions_that_cannot_be_followed_are_invalid() {
        let cases = [
            ("3fe21f", "a table of 4,097 bytes"),
            ("4161 0162", "an entry for a table of no bytes"),
            ("3f09 4a 61616161616161616161 00", "an entry larger than the table"),
            ("3fe11f ff24 00", "a name beyond the static table"),
            ("3fe11f 80 00", "a name of an empty table"),
            ("3fe11f 00", "a copy from an empty table"),
            ("3fe11f 61ff 00", "a name with invalid padding"),
        ];
        for (instructions, why) in cases {
            let result = follow_all(&mut Decoder::new(4096), &hex(instructions));
            assert_eq!(result, Err(InvalidInstruction), "{why}");
        }
    }

    #[test]
    fn instructions_that_cost_more_than_they_are_long_are_counted() {
        let mut decoder = Decoder::new(4096);
        assert_eq!(follow(&mut decoder, "3fe11f"), 1);
        assert_eq!(follow(&mut decoder, "4161 0162"), 0);
        assert_eq!(follow(&mut decoder, "80 00"), 0);
        assert_eq!(follow(&mut decoder, "00 01"), 2);
        let mut long = vec![0x5f, 0xa9, 1];
        long.resize(3 + 200, b'n');
        long.push(0);
        assert_eq!(follow_all(&mut decoder, &long), Ok((long.len(), 0)));
        assert_eq!(follow(&mut decoder, "80 00"), 1);
    }

    #[test]
    fn the_count_of_insertions_wraps_around_in_the_prefix() {
        // Three entries at most: the range is 6.
        let mut decoder = Decoder::new(100);
        follow(&mut decoder, "3f45");
        for count in 1_u64..40 {
            follow(&mut decoder, "4161 0162");
            let section = [(count % 6 + 1) as u8, 0, 0x80];
            assert_eq!(decoder.required(&section), Ok(count));
            assert_eq!(decode(&decoder, &section), Ok(fields(&[("a", "b")])));
            let next = [((count + 1) % 6 + 1) as u8, 0, 0x80];
            assert_eq!(decoder.required(&next), Ok(count + 1), "which is not there yet");
        }
    }

    /// Appends an insertion with a literal name.
    fn append_insertion((name, value): &(Vec<u8>, Vec<u8>), is_coded: bool, out: &mut Vec<u8>) {
        for (text, bits, pattern) in [(name, 5, 0x40), (value, 7, 0)] {
            let (text, flag) = if is_coded { (huffman_encode(text), 1 << bits) } else { (text.clone(), 0) };
            integer::encode(text.len(), bits, pattern | flag, out);
            out.extend_from_slice(&text);
        }
    }

    proptest! {
        #[test]
        fn insertions_are_read_however_they_are_split(entries in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
            cut in 1_usize..50) {
            let mut wire = hex("3fe11f");
            entries.iter().enumerate().for_each(|(place, entry)| append_insertion(entry, place % 2 == 0, &mut wire));
            let mut decoder = Decoder::new(4096);
            let mut pending = Vec::new();
            for piece in wire.chunks(cut) {
                pending.extend_from_slice(piece);
                let (consumed, _) = follow_all(&mut decoder, &pending).unwrap();
                pending.drain(..consumed);
            }
            prop_assert!(pending.is_empty());
            prop_assert_eq!(decoder.inserted(), entries.len() as u64);
            let kept: Vec<_> = entries.iter().rev().scan(0, |size, (name, value)| {
                *size += name.len() + value.len() + 32;
                (*size <= 4096).then(|| (name.clone(), value.clone()))
            }).collect();
            let read: Vec<_> = (0..)
                .map_while(|position| decoder.table.get(position).map(|(n, v)| (n.to_vec(), v.to_vec()))).collect();
            prop_assert_eq!(read, kept);
        }

        #[test]
        fn any_bytes_are_read_or_refused(instructions in proptest::collection::vec(any::<u8>(), 0..200),
            sections in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut decoder = Decoder::new(256);
            let _ = follow_all(&mut decoder, &[&[0x3f, 0xe1, 0x01][..], &instructions].concat());
            for section in sections {
                if decoder.required(&section).is_ok_and(|required| required <= decoder.inserted()) {
                    let _ = decoder.decode(&section, |_, _| {});
                }
            }
            prop_assert!(decoder.table.max() <= 256);
        }
    }
}

//! Decodes header blocks.

use super::TABLE_SIZE;
use super::table::{STATIC_LENGTH, static_entry};
use crate::protocol::multiplexed::dynamic_table::DynamicTable;
use crate::protocol::multiplexed::{huffman, integer};

/// The decoding half of a connection. See the top of `hpack`.
#[derive(Debug)]
pub(in crate::protocol::http2) struct Decoder {
    table: DynamicTable,
}

/// A header block that breaks a rule of RFC 7541. The two tables may differ from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol::http2) struct InvalidBlock;

impl Decoder {
    /// The decoder of a new connection.
    pub(in crate::protocol::http2) const fn new() -> Self {
        Self { table: DynamicTable::new(TABLE_SIZE) }
    }

    /// Decodes a whole block, and passes name and value of each field to `field`.
    ///
    /// # Errors
    /// The block breaks a rule. Some of its fields may have been passed on.
    pub(in crate::protocol::http2) fn decode(
        &mut self,
        block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), InvalidBlock> {
        let mut rest = block;
        let (mut name_text, mut value_text) = (Vec::new(), Vec::new());
        let mut may_resize = true;
        while let Some(&first) = rest.first() {
            if first & 0xe0 == 0x20 {
                // RFC 7541 §4.2: at the beginning of a block, and not above what this side allows.
                let max = integer::decode(&mut rest, 5).filter(|max| may_resize && *max <= TABLE_SIZE);
                self.table.set_max(max.ok_or(InvalidBlock)?);
                continue;
            }
            may_resize = false;
            if first & 0x80 != 0 {
                let index = integer::decode(&mut rest, 7).ok_or(InvalidBlock)?;
                let (name, value) = entry(&self.table, index).ok_or(InvalidBlock)?;
                field(name, value);
                continue;
            }
            let is_indexed = first & 0x40 != 0;
            let index = integer::decode(&mut rest, if is_indexed { 6 } else { 4 }).ok_or(InvalidBlock)?;
            let name = if index == 0 {
                take_string(&mut rest, &mut name_text)?
            } else {
                // A copy: the entry may go when the new one is inserted.
                name_text.clear();
                name_text.extend_from_slice(entry(&self.table, index).ok_or(InvalidBlock)?.0);
                &name_text
            };
            let value = take_string(&mut rest, &mut value_text)?;
            field(name, value);
            if is_indexed {
                self.table.insert(name, value);
            }
        }
        Ok(())
    }
}

/// The entry with this index: first those of the static table, then the dynamic ones (RFC 7541 §2.3.3).
fn entry(table: &DynamicTable, index: usize) -> Option<(&[u8], &[u8])> {
    match index.checked_sub(STATIC_LENGTH + 1) {
        Some(position) => table.get(position),
        None => static_entry(index),
    }
}

/// Takes a string literal (RFC 7541 §5.2), decoded into `text` if it is Huffman-coded.
fn take_string<'text, 'block: 'text>(
    rest: &mut &'block [u8],
    text: &'text mut Vec<u8>,
) -> Result<&'text [u8], InvalidBlock> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::decode(rest, 7).ok_or(InvalidBlock)?;
    let (string, following) = rest.split_at_checked(length).ok_or(InvalidBlock)?;
    *rest = following;
    if !is_coded {
        return Ok(string);
    }
    text.clear();
    if huffman::decode(string, text) { Ok(text) } else { Err(InvalidBlock) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::multiplexed::huffman::tests::encode as huffman_encode;
    use proptest::prelude::*;

    type Fields = Vec<(String, String)>;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, InvalidBlock> {
        let mut fields = Fields::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(block, |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn request(path: &str, more: &[(&str, &str)]) -> Fields {
        let scheme = if path == "/" { "http" } else { "https" };
        let fields =
            [(":method", "GET"), (":scheme", scheme), (":path", path), (":authority", "www.example.com")];
        [&fields[..], more]
            .concat()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    /// RFC 7541, Appendix C.3 (without Huffman) and C.4 (with): three requests on one connection.
    #[test]
    fn the_requests_of_the_rfc_are_read() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let coded = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for blocks in [plain, coded] {
            let mut decoder = Decoder::new();
            let read = blocks.map(|block| decode(&mut decoder, &hex(block)).unwrap());
            assert_eq!(
                read,
                [
                    request("/", &[]),
                    request("/", &[("cache-control", "no-cache")]),
                    request("/index.html", &[("custom-key", "custom-value")]),
                ]
            );
            assert_eq!(decoder.table.get(0), Some((&b"custom-key"[..], &b"custom-value"[..])));
            assert_eq!(decoder.table.get(2), Some((&b":authority"[..], &b"www.example.com"[..])));
            assert_eq!(decoder.table.get(3), None);
        }
    }

    /// RFC 7541, Appendix C.2.
    #[test]
    fn the_four_representations_are_read() {
        let cases = [
            (
                "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
                "custom-key",
                "custom-header",
                1,
            ),
            ("040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path", 0),
            ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret", 0),
            ("82", ":method", "GET", 0),
        ];
        for (block, name, value, kept) in cases {
            let mut decoder = Decoder::new();
            assert_eq!(decode(&mut decoder, &hex(block)), Ok(vec![(name.to_owned(), value.to_owned())]));
            assert_eq!(usize::from(decoder.table.get(0).is_some()), kept);
        }
    }

    #[test]
    fn a_block_that_breaks_a_rule_is_invalid() {
        let cases = [
            ("80", "index 0"),
            ("be", "an index beyond both tables"),
            ("ff 80 80 80 80 80 00", "an index without end"),
            ("40", "no name"),
            ("40 01 61", "no value"),
            ("40 05 61", "a name that is cut off"),
            ("40 81 ff 00", "a name with invalid padding"),
            ("7f", "half an index"),
            ("0f 30 01 61", "a name beyond the tables"),
            ("3f e2 1f", "a table of 4,097 bytes"),
            ("82 20", "a change of the table behind a field"),
        ];
        for (block, why) in cases {
            assert_eq!(decode(&mut Decoder::new(), &hex(block)), Err(InvalidBlock), "{why}");
        }
    }

    #[test]
    fn the_table_follows_what_the_peer_says_of_its_size() {
        let mut decoder = Decoder::new();
        decode(&mut decoder, &hex("40 01 61 01 62")).unwrap();
        assert_eq!(decode(&mut decoder, &hex("be")).unwrap().len(), 1);
        // To nothing and back: the entry is gone.
        assert_eq!(decode(&mut decoder, &hex("20 3f e1 1f")), Ok(Vec::new()));
        assert_eq!(decode(&mut decoder, &hex("be")), Err(InvalidBlock));
    }

    #[test]
    fn a_name_may_be_that_of_an_entry_which_makes_room() {
        let mut decoder = Decoder::new();
        // A table of 40 bytes, which holds one entry.
        decode(&mut decoder, &hex("3f 09 40 01 61 01 62")).unwrap();
        assert_eq!(decode(&mut decoder, &hex("7e 01 63")), Ok(vec![("a".to_owned(), "c".to_owned())]));
        assert_eq!(decoder.table.get(0), Some((&b"a"[..], &b"c"[..])));
        assert_eq!(decoder.table.get(1), None);
    }

    /// Appends a literal with incremental indexing.
    fn append_literal((name, value): &(Vec<u8>, Vec<u8>), is_coded: bool, block: &mut Vec<u8>) {
        block.push(0x40);
        for text in [name, value] {
            let (text, flag) = if is_coded { (huffman_encode(text), 0x80) } else { (text.clone(), 0) };
            integer::encode(text.len(), 7, flag, block);
            block.extend_from_slice(&text);
        }
    }

    proptest! {
        #[test]
        fn literals_of_both_kinds_are_read_alike(fields in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 0..300)), 0..30)) {
            let mut tables = Vec::new();
            for is_coded in [false, true] {
                let mut block = Vec::new();
                fields.iter().for_each(|field| append_literal(field, is_coded, &mut block));
                let (mut decoder, mut read) = (Decoder::new(), Vec::new());
                let result = decoder.decode(&block, |name, value| read.push((name.to_vec(), value.to_vec())));
                prop_assert_eq!(result, Ok(()));
                prop_assert_eq!(&read, &fields);
                tables.push(decoder.table);
            }
            let parts = |table: &DynamicTable| -> Vec<_> {
                (0..).map_while(|position| table.get(position).map(|(n, v)| (n.to_vec(), v.to_vec()))).collect()
            };
            prop_assert_eq!(parts(&tables[0]), parts(&tables[1]));
            // The newest come first, and as many are kept as there is room for.
            let kept: Vec<_> = fields.iter().rev().scan(0, |size, (name, value)| {
                *size += name.len() + value.len() + 32;
                (*size <= TABLE_SIZE).then(|| (name.clone(), value.clone()))
            }).collect();
            prop_assert_eq!(parts(&tables[0]), kept);
        }

        #[test]
        fn any_bytes_are_read_or_refused(blocks in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
            let mut decoder = Decoder::new();
            for block in blocks {
                let _ = decoder.decode(&block, |_, _| {});
                prop_assert!(decoder.table.max() <= TABLE_SIZE);
            }
        }
    }
}

//! The instructions of the encoder stream (RFC 9204 §4.3), and the strings that field lines have, too.

use crate::protocol::multiplexed::{huffman, integer};

/// An instruction that cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol::http3) struct InvalidInstruction;

/// A string as it is on the wire (RFC 9204 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    is_coded: bool,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction<'a> {
    /// §4.3.1
    SetCapacity(usize),
    /// §4.3.2, a name of the static table
    InsertWithStaticName(usize, Text<'a>),
    /// §4.3.2, a name of the dynamic table
    InsertWithDynamicName(usize, Text<'a>),
    /// §4.3.3
    Insert(Text<'a>, Text<'a>),
    /// §4.3.4
    Duplicate(usize),
}

impl<'a> Text<'a> {
    /// Takes a string whose length has a prefix of `bits`, above which stands the flag of Huffman coding. `None` if it is
    /// cut off.
    pub(super) fn take(input: &mut &'a [u8], bits: u32) -> Option<Self> {
        let is_coded = input.first()? & 1 << bits != 0;
        let length = integer::decode(input, bits)?;
        let (bytes, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(Self { bytes, is_coded })
    }

    /// The text, decoded into `buffer` if it is coded; `None` if it is not valid.
    pub(super) fn decode<'text>(self, buffer: &'text mut Vec<u8>) -> Option<&'text [u8]>
    where
        'a: 'text,
    {
        if !self.is_coded {
            return Some(self.bytes);
        }
        buffer.clear();
        huffman::decode(self.bytes, buffer).then_some(buffer)
    }
}

impl<'a> Instruction<'a> {
    /// Takes an instruction from the front of `input`; `None` if it is not complete.
    ///
    /// # Errors
    /// It has a number that no table can have.
    pub(super) fn take(input: &mut &'a [u8], max_text: usize) -> Result<Option<Self>, InvalidInstruction> {
        let mut rest = *input;
        let instruction = Self::parse(&mut rest);
        if instruction.is_some() {
            *input = rest;
            return Ok(instruction);
        }
        // What is cut off may come. The longest one is two texts and their lengths.
        let is_endless = is_number_too_large(input) || input.len() > 2 * max_text + 2 * MAX_INTEGER;
        if is_endless { Err(InvalidInstruction) } else { Ok(None) }
    }

    fn parse(input: &mut &'a [u8]) -> Option<Self> {
        match *input.first()? {
            first if first & 0x80 != 0 => {
                let index = integer::decode(input, 6)?;
                let value = Text::take(input, 7)?;
                Some(if first & 0x40 != 0 {
                    Self::InsertWithStaticName(index, value)
                } else {
                    Self::InsertWithDynamicName(index, value)
                })
            }
            first if first & 0x40 != 0 => {
                let name = Text::take(input, 5)?;
                Some(Self::Insert(name, Text::take(input, 7)?))
            }
            first if first & 0x20 != 0 => integer::decode(input, 5).map(Self::SetCapacity),
            _ => integer::decode(input, 5).map(Self::Duplicate),
        }
    }
}

/// Whether the first number of an instruction does not end where the largest one would.
fn is_number_too_large(input: &[u8]) -> bool {
    let bits = match input.first() {
        Some(first) if first & 0x80 != 0 => 6,
        _ => 5,
    };
    input.len() >= MAX_INTEGER && integer::decode(&mut &input[..], bits).is_none()
}

/// Bytes of the longest number that `integer` reads, and one more.
const MAX_INTEGER: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_taken_once_it_is_complete() {
        let text = |bytes| Text { bytes, is_coded: false };
        let cases: [(&[u8], Instruction<'_>); 5] = [
            (&[0x3f, 0xbd, 0x01], Instruction::SetCapacity(220)),
            (&[0xc0, 1, b'a'], Instruction::InsertWithStaticName(0, text(b"a"))),
            (&[0x81, 1, b'a'], Instruction::InsertWithDynamicName(1, text(b"a"))),
            (&[0x41, b'a', 2, b'b', b'c'], Instruction::Insert(text(b"a"), text(b"bc"))),
            (&[0x02], Instruction::Duplicate(2)),
        ];
        for (bytes, instruction) in cases {
            for end in 0..bytes.len() {
                assert_eq!(Instruction::take(&mut &bytes[..end], 100), Ok(None), "{end} of {bytes:?}");
            }
            let behind = [bytes, &[0xff]].concat();
            let mut rest = &behind[..];
            assert_eq!(Instruction::take(&mut rest, 100), Ok(Some(instruction)));
            assert_eq!(rest, [0xff]);
        }
    }

    #[test]
    fn what_cannot_be_completed_is_invalid() {
        for first in [0x1f, 0x3f, 0x5f, 0xbf, 0xff] {
            let bytes = [first, 0xff, 0xff, 0xff, 0xff, 0x01];
            assert_eq!(Instruction::take(&mut &bytes[..], 100), Err(InvalidInstruction), "{first:x}");
        }
        let long = [&[0xc0, 0x7f, 0xff, 0x7f][..], &[0; 300]].concat();
        assert_eq!(Instruction::take(&mut &long[..], 100), Err(InvalidInstruction));
    }
}

//! The header of messages on their way between processes (docs/broker-format.md). Whatever has none is a message of
//! another program.

/// Bytes of a header.
pub(crate) const LENGTH: usize = 20;

/// The first bytes. No text in UTF-8 starts with them.
const MAGIC: [u8; 2] = [0xff, 0x46];
const VERSION: u8 = 1;

const BINARY: u8 = 1;
const COMPRESS: u8 = 2;
const FIRST: u8 = 4;

/// What travels with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Binary rather than text.
    pub is_binary: bool,
    /// To be compressed for the subscribers that have negotiated compression.
    pub compress: bool,
    /// Nothing is known of messages of this process on this topic before this one.
    pub is_first: bool,
    /// The process that has published it: a random number.
    pub process: u64,
    /// One more than that of the previous message of the process on the topic, unless it is the first.
    pub number: u64,
}

/// What a message turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// A message of Ferrows, and its payload.
    Own(Header, &'a [u8]),
    /// A message of another program.
    Foreign,
    /// A message of Ferrows whose version is not known here.
    Unknown(u8),
}

impl Header {
    /// The bytes.
    #[must_use]
    pub(crate) fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        bytes[..2].copy_from_slice(&MAGIC);
        bytes[2] = VERSION;
        bytes[3] = flag(self.is_binary, BINARY) | flag(self.compress, COMPRESS) | flag(self.is_first, FIRST);
        bytes[4..12].copy_from_slice(&self.process.to_be_bytes());
        bytes[12..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }
}

/// Reads the header of a message. Bits of the flags that have no meaning yet are ignored.
#[must_use]
pub(crate) fn decode(message: &[u8]) -> Received<'_> {
    let Some((header, payload)) = message.split_first_chunk::<LENGTH>() else { return Received::Foreign };
    if header[..2] != MAGIC {
        return Received::Foreign;
    }
    if header[2] != VERSION {
        return Received::Unknown(header[2]);
    }
    let number = |at: usize| header[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let has = |flag: u8| header[3] & flag != 0;
    let header = Header {
        is_binary: has(BINARY),
        compress: has(COMPRESS),
        is_first: has(FIRST),
        process: number(4),
        number: number(12),
    };
    Received::Own(header, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bits in 0_u8..8, process: u64, number: u64, payload: Vec<u8>) {
            let [is_binary, compress, is_first] = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
            let header = Header { is_binary, compress, is_first, process, number };
            let message = [&header.encode()[..], &payload].concat();
            prop_assert_eq!(decode(&message), Received::Own(header, &payload));
        }

        #[test]
        fn no_text_is_taken_for_one(text: String) {
            prop_assert_eq!(decode(text.as_bytes()), Received::Foreign);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_page() {
        let header = Header {
            is_binary: true,
            compress: false,
            is_first: true,
            process: 0x0102_0304_0506_0708,
            number: 9,
        };
        let bytes = [0xff, 0x46, 1, 5, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(header.encode(), bytes);
    }

    #[test]
    fn what_is_short_is_foreign_and_another_version_is_unknown() {
        assert_eq!(decode(&MAGIC), Received::Foreign);
        let mut message = [0; LENGTH];
        message[..3].copy_from_slice(&[MAGIC[0], MAGIC[1], 2]);
        assert_eq!(decode(&message), Received::Unknown(2));
    }
}

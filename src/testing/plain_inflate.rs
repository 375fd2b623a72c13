//! A plain and slow decompressor, bit by bit by the letter of RFC 1951 and RFC 7692: the reference for
//! `protocol/websocket/deflate.rs`.

use crate::protocol::cause::CloseCause;

/// The messages of one direction, decompressed one after another.
#[derive(Debug, Default)]
pub(crate) struct PlainInflate {
    /// The bytes to which messages may refer.
    history: Vec<u8>,
    /// The longest distance of a reference so far, in bytes.
    pub farthest: usize,
}

/// A code: the symbols of each length, shortest first.
type Code = Vec<Vec<u16>>;

/// A rule of RFC 1951 is broken, or the limit is exceeded.
type Fault = CloseCause;

/// One message being decompressed.
struct BlockReader {
    bytes: Vec<u8>,
    /// Position in `bytes`, in bits.
    at: usize,
    /// How many of the bytes are the payload; those after it must not add output.
    payload: usize,
    /// The history, and the message from `start` on.
    out: Vec<u8>,
    start: usize,
    limit: usize,
    farthest: usize,
}

impl PlainInflate {
    /// Decompresses a message that may refer to the last `2^window_bits` bytes before it: one from which the end of an
    /// empty block was cut off, or else one that ends with a whole block.
    pub(crate) fn message(
        &mut self,
        payload: &[u8],
        limit: usize,
        window_bits: u8,
    ) -> Result<Vec<u8>, CloseCause> {
        let window = self.history.split_off(self.history.len().saturating_sub(1 << window_bits));
        let start = window.len();
        let cut_off = self.read(payload, &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff], window.clone(), limit);
        let reading = cut_off.or_else(|fault| {
            let whole = self.read(payload, &[1, 0, 0, 0xff, 0xff], window, limit);
            whole.map_err(|_| fault)
        })?;
        self.farthest = reading.farthest;
        let message = reading.out[start..].to_vec();
        self.history = reading.out;
        Ok(message)
    }

    /// Decompresses a payload and the bytes after it, which end with a last block.
    fn read(
        &self,
        payload: &[u8],
        behind: &[u8],
        window: Vec<u8>,
        limit: usize,
    ) -> Result<BlockReader, CloseCause> {
        let bytes = [payload, behind].concat();
        let (start, farthest, length) = (window.len(), self.farthest, bytes.len());
        let mut reading =
            BlockReader { bytes, at: 0, payload: payload.len(), out: window, start, limit, farthest };
        let mut last_blocks_left = 16 + payload.len() / 256;
        loop {
            reading.stream()?;
            let end = reading.at.div_ceil(8);
            if end == payload.len() || end == length {
                return Ok(reading);
            }
            if end > payload.len() {
                return Err(CloseCause::InvalidDeflate);
            }
            last_blocks_left = last_blocks_left.checked_sub(1).ok_or(CloseCause::InvalidDeflate)?;
            reading.at = 8 * end;
        }
    }

    /// Clears the history.
    pub(crate) fn forget(&mut self) {
        self.history.clear();
    }
}

impl BlockReader {
    /// Decompresses blocks up to a last one.
    fn stream(&mut self) -> Result<(), Fault> {
        loop {
            let is_last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored()?,
                1 => {
                    let mut lengths = [8; 288];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    self.compressed(&code(&lengths)?, &code(&[5; 30]).or_else(|_| incomplete(&[5; 30]))?)?;
                }
                2 => {
                    let (literals, distances) = self.codes()?;
                    self.compressed(&literals, &distances)?;
                }
                _ => return Err(CloseCause::InvalidDeflate),
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn stored(&mut self) -> Result<(), Fault> {
        self.at = self.at.next_multiple_of(8);
        let (length, complement) = (self.bits(16)?, self.bits(16)?);
        if length != !complement & 0xffff {
            return Err(CloseCause::InvalidDeflate);
        }
        for _ in 0..length {
            let byte = self.bits(8)? as u8;
            self.push(byte)?;
        }
        Ok(())
    }

    fn compressed(&mut self, literals: &Code, distances: &Code) -> Result<(), Fault> {
        const LENGTHS: [usize; 29] = [
            3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
            163, 195, 227, 258,
        ];
        const DISTANCES: [usize; 30] = [
            1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
            3073, 4097, 6145, 8193, 12289, 16385, 24577,
        ];
        loop {
            let symbol = usize::from(self.symbol(literals)?);
            let Some(place) = symbol.checked_sub(257) else {
                if symbol == 256 {
                    return Ok(());
                }
                self.push(symbol as u8)?;
                continue;
            };
            let length = *LENGTHS.get(place).ok_or(CloseCause::InvalidDeflate)?;
            let extra = if place < 8 || place == 28 { 0 } else { place / 4 - 1 };
            let length = length + self.bits(extra)?;
            let place = usize::from(self.symbol(distances)?);
            let distance = *DISTANCES.get(place).ok_or(CloseCause::InvalidDeflate)?;
            let distance = distance + self.bits(if place < 4 { 0 } else { place / 2 - 1 })?;
            if distance > self.out.len() {
                return Err(CloseCause::InvalidDeflate);
            }
            self.farthest = self.farthest.max(distance);
            for _ in 0..length {
                self.push(self.out[self.out.len() - distance])?;
            }
        }
    }

    /// Reads the codes of a block with dynamic codes.
    fn codes(&mut self) -> Result<(Code, Code), Fault> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances) = (self.bits(5)? + 257, self.bits(5)? + 1);
        let count = self.bits(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(CloseCause::InvalidDeflate);
        }
        let mut of_lengths = [0; 19];
        for place in &ORDER[..count] {
            of_lengths[*place] = self.bits(3)? as u8;
        }
        let of_lengths = code(&of_lengths)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match self.symbol(&of_lengths)? {
                16 => (*lengths.last().ok_or(CloseCause::InvalidDeflate)?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return Err(CloseCause::InvalidDeflate);
        }
        let (literals, distances) = lengths.split_at(literals);
        Ok((code(literals).or_else(|_| single(literals))?, code(distances).or_else(|_| single(distances))?))
    }

    fn symbol(&mut self, code: &Code) -> Result<u16, Fault> {
        let (mut word, mut first) = (0, 0);
        for symbols in &code[1..] {
            word = word << 1 | self.bits(1)?;
            if let Some(symbol) = word.checked_sub(first).and_then(|place| symbols.get(place)) {
                return Ok(*symbol);
            }
            first = (first + symbols.len()) << 1;
        }
        Err(CloseCause::InvalidDeflate)
    }

    /// The next `count` bits, least significant first.
    fn bits(&mut self, count: usize) -> Result<usize, Fault> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(CloseCause::InvalidDeflate)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(value)
    }

    fn push(&mut self, byte: u8) -> Result<(), Fault> {
        if self.at > 8 * self.payload {
            return Err(CloseCause::InvalidDeflate);
        }
        self.out.push(byte);
        if self.out.len() - self.start > self.limit { Err(CloseCause::InflatedTooBig) } else { Ok(()) }
    }
}

/// The code with these lengths, if it is complete.
fn code(lengths: &[u8]) -> Result<Code, Fault> {
    if left(lengths) == 0 { incomplete(lengths) } else { Err(CloseCause::InvalidDeflate) }
}

/// The code with these lengths if there is at most one, of one bit: the only one that may be incomplete.
fn single(lengths: &[u8]) -> Result<Code, Fault> {
    if left(lengths) > 0 && lengths.iter().all(|length| *length <= 1) {
        incomplete(lengths)
    } else {
        Err(CloseCause::InvalidDeflate)
    }
}

fn incomplete(lengths: &[u8]) -> Result<Code, Fault> {
    let mut code = vec![Vec::new(); 16];
    for (symbol, length) in (0..).zip(lengths) {
        code[usize::from(*length)].push(symbol);
    }
    Ok(code)
}

/// How many words of 15 bits the lengths leave unused; negative if the code is over-subscribed.
fn left(lengths: &[u8]) -> i32 {
    let used: i32 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (15 - length)).sum();
    (1 << 15) - used
}

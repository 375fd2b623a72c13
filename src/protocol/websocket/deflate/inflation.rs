//! Decompression of one message (RFC 7692 §7.2.2), bounded by the limit for messages.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::super::extensions::LARGEST_WINDOW;
use crate::protocol::cause::CloseCause;

/// One message being decompressed.
pub(super) struct Inflation<'a> {
    pub decompressor: &'a mut Inflate,
    /// The bytes before the message, to which it may refer.
    pub history: &'a [u8],
    pub out: &'a mut Vec<u8>,
    /// Bytes of `out` that the message has so far.
    pub length: usize,
    pub limit: usize,
}

impl Inflation<'_> {
    /// Decompresses all of it.
    ///
    /// RFC 7692 §7.2.1 has a message end within the header of an empty block whose other four bytes are left out. A
    /// message that ends behind a whole block is complete just as well: one without any bytes, or one from which the
    /// four bytes were not cut off. The two can only be distinguished by decompressing, so a message of the second kind
    /// is decompressed twice.
    pub(super) fn run(&mut self, message: &[u8]) -> Result<(), CloseCause> {
        let is_complete = self.run_up_to(message, &END_OF_BLOCK)? || {
            self.length = 0;
            self.run_up_to(message, &END)?
        };
        if is_complete { Ok(()) } else { Err(CloseCause::InvalidDeflate) }
    }

    /// Decompresses the message; returns whether `end` completes it exactly.
    fn run_up_to(&mut self, mut message: &[u8], mut end: &[u8]) -> Result<bool, CloseCause> {
        let mut restarts = FREE_RESTARTS + message.len() / BYTES_PER_RESTART;
        self.restart()?;
        // RFC 7692 §7.2.3.4: a message may have last blocks, which end a stream of deflate but not the message.
        while self.feed(&mut message)? {
            if message.is_empty() {
                return Ok(true);
            }
            restarts = restarts.checked_sub(1).ok_or(CloseCause::InvalidDeflate)?;
            self.restart()?;
        }
        // In the middle of a block these bytes may be content by chance, and the end of the block.
        let length = self.length;
        let is_over = self.feed(&mut end).unwrap_or(false);
        Ok(is_over && end.is_empty() && self.length == length)
    }

    /// Starts a new stream, which may refer to everything before it.
    fn restart(&mut self) -> Result<(), CloseCause> {
        self.decompressor.reset(false);
        let message = &self.out[..self.length];
        for bytes in [self.history, &message[self.length.saturating_sub(1 << LARGEST_WINDOW)..]] {
            if !bytes.is_empty() {
                self.decompressor.set_dictionary(bytes).map_err(|_| CloseCause::InvalidDeflate)?;
            }
        }
        Ok(())
    }

    /// Decompresses until `input` is used up or a stream ends in it; returns whether a stream ended.
    fn feed(&mut self, input: &mut &[u8]) -> Result<bool, CloseCause> {
        loop {
            if self.length == self.out.len() {
                // One byte beyond the limit shows that it is exceeded.
                let more = (2 * self.length).clamp(SMALLEST_BUFFER, LARGEST_STEP + self.length);
                self.out.resize(more.min(self.limit + 1), 0);
            }
            let end = self.out.len().min(self.limit + 1);
            let (taken, made) = (self.decompressor.total_in(), self.decompressor.total_out());
            let result =
                self.decompressor.decompress(input, &mut self.out[self.length..end], InflateFlush::NoFlush);
            // Lossless: both are lengths of slices.
            let taken = (self.decompressor.total_in() - taken) as usize;
            let made = (self.decompressor.total_out() - made) as usize;
            *input = &input[taken..];
            self.length += made;
            // Checked before the status: whether the bytes after the limit are valid depends on how much was
            // decompressed.
            if self.length > self.limit {
                return Err(CloseCause::InflatedTooBig);
            }
            match result.map_err(|_| CloseCause::InvalidDeflate)? {
                Status::StreamEnd => return Ok(true),
                Status::Ok | Status::BufError if self.length == end => {}
                Status::Ok | Status::BufError if input.is_empty() => return Ok(false),
                // With input and room but no progress, the data is invalid.
                Status::Ok | Status::BufError if taken + made == 0 => return Err(CloseCause::InvalidDeflate),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

/// Fed to the decompressor after a message: the marker, and an empty last block. The stream ends there only if the
/// message was complete, so a truncated message is not accepted as a shorter one.
const END_OF_BLOCK: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// The same after a whole block: the last block alone.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// Last blocks within one message that are always accepted, and further ones per bytes of it. Each costs about as much
/// as decompressing some hundred bytes, so that no message costs more than its length.
pub(super) const FREE_RESTARTS: usize = 16;
/// See [`FREE_RESTARTS`].
const BYTES_PER_RESTART: usize = 256;
/// Bytes that the first part of a decompressed message has room for.
const SMALLEST_BUFFER: usize = 4 * 1024;
/// Bytes by which the room for a decompressed message grows at most at a time.
const LARGEST_STEP: usize = 1024 * 1024;

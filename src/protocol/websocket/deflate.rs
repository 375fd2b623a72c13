//! Compression of messages by permessage-deflate (RFC 7692 §7.2).
//!
//! A compressor takes hundreds of kilobytes and a decompressor forty, whatever their window; the context that one
//! message needs of those before it is the window only, at most 32 KiB. So all WebSockets of a worker share their
//! [`Codecs`], and a WebSocket with context takeover keeps just the bytes, which are set as the dictionary for each
//! message:
//!
//! | direction | takeover | window | a WebSocket keeps |
//! |---|---|---|---|
//! | received | no | any | nothing |
//! | received | yes | any | the last `2^window_bits` bytes |
//! | sent | no | any | nothing |
//! | sent | yes | up to 2^13 | the last `2^window_bits` bytes |
//! | sent | yes | more | a compressor of its own: indexing that much anew costs more than compressing a small message |
//!
//! While a message is sent in fragments, a WebSocket keeps what one with takeover would: other messages are compressed
//! between its parts, which are one stream.

mod inflation;
mod level;
mod literals;
mod marker;

use std::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate};

use super::extensions::{Agreement, Direction, LARGEST_WINDOW};
use super::fragment::Fragment;
use crate::protocol::cause::CloseCause;
use inflation::Inflation;
use level::{Reach, level};
use marker::MARKER;

/// An empty message, or the end of one to which a part without bytes is added: with the marker, another empty block
/// (RFC 7692 §7.2.3.6).
const EMPTY: [u8; 1] = [0];

/// The codecs that the WebSockets of a worker share. Created when first needed; they keep no context between messages.
#[derive(Default)]
pub(crate) struct Codecs {
    /// Compressors by window, from 2^9 to 2^15 bytes.
    compressors: [Option<Deflate>; COMPRESSORS],
    decompressor: Option<Inflate>,
    /// The output of compression and decompression. Initialised up to the largest size used so far.
    buffer: Vec<u8>,
}

/// The permessage-deflate state of one WebSocket.
#[derive(Debug)]
pub(crate) struct Deflation {
    agreement: Agreement,
    /// The last bytes received, if messages may refer to earlier ones.
    received: History,
    sent: Sent,
    /// Whether a compressed message is being sent in fragments.
    in_parts: bool,
}

/// The compression context of sent messages.
enum Sent {
    /// Nothing: no message refers to another, and none is incomplete.
    Forgotten,
    /// The last bytes sent, to which later messages may refer.
    Remembered(History),
    /// A compressor with its context; `None` until the first message.
    Compressor(Option<Box<Deflate>>),
}

impl Deflation {
    /// The state of a WebSocket that has just been opened.
    #[must_use]
    pub(crate) fn new(agreement: Agreement) -> Self {
        let Direction { window_bits, takeover } = agreement.outgoing;
        let sent = if takeover { Sent::remembering(window_bits) } else { Sent::Forgotten };
        Self { agreement, received: History::default(), sent, in_parts: false }
    }

    /// The window bits of a message that fits this WebSocket and all others of the same window, if no message refers to
    /// another ([`Codecs::compress_alone`]).
    #[must_use]
    pub(crate) const fn shared_window(&self) -> Option<u8> {
        let Direction { window_bits, takeover } = self.agreement.outgoing;
        if takeover { None } else { Some(window_bits) }
    }

    /// Compresses a non-empty message that is sent now, without the marker at its end. `None` if that failed: the
    /// message is then sent uncompressed, and later messages are not affected.
    pub(crate) fn compress<'c>(&mut self, message: &[u8], codecs: &'c mut Codecs) -> Option<&'c [u8]> {
        let length = self.sent.compress(message, self.agreement.outgoing.window_bits, codecs)?;
        codecs.buffer.get(..length)
    }

    /// Compresses one fragment of a message; `None` if the message is not compressed.
    ///
    /// The fragments are one stream. Each but the last ends with the marker, so that a peer that decompresses on
    /// arrival gets all of the fragment. Until the last one, no unfragmented message may be compressed for this
    /// WebSocket.
    pub(crate) fn compress_part<'c>(
        &mut self,
        fragment: Fragment,
        part: &[u8],
        codecs: &'c mut Codecs,
    ) -> Option<&'c [u8]> {
        let Direction { window_bits, takeover } = self.agreement.outgoing;
        if let Fragment::First { compress, .. } = fragment {
            self.in_parts = compress;
            if compress && !takeover {
                self.sent = Sent::remembering(window_bits);
            }
        }
        if !self.in_parts {
            return None;
        }
        let length = (!part.is_empty()).then(|| {
            self.sent.compress(part, window_bits, codecs).unwrap_or_else(|| {
                // The first frame has RSV1 set, so the rest must be compressed too. It refers to nothing before.
                self.sent = Sent::remembering(window_bits);
                store(part, &mut codecs.buffer)
            })
        });
        if fragment == Fragment::Last {
            self.in_parts = false;
            if !takeover {
                self.sent = Sent::Forgotten;
            }
        }
        match (fragment, length) {
            (Fragment::Last, Some(length)) => codecs.buffer.get(..length),
            (Fragment::Last, None) => Some(&EMPTY),
            (Fragment::First { .. } | Fragment::Middle, Some(length)) => {
                codecs.buffer.get(..length + MARKER.len())
            }
            (Fragment::First { .. } | Fragment::Middle, None) => Some(&[]),
        }
    }

    /// Decompresses a message (RFC 7692 §7.2.2). Of one that exceeds `limit` bytes not more than one byte beyond it is
    /// decompressed.
    pub(crate) fn decompress<'c>(
        &mut self,
        message: &[u8],
        limit: u32,
        codecs: &'c mut Codecs,
    ) -> Result<&'c [u8], CloseCause> {
        let decompressor = codecs.decompressor.get_or_insert_with(|| Inflate::new(false, LARGEST_WINDOW));
        let (out, limit) = (&mut codecs.buffer, limit as usize);
        let mut inflation = Inflation { decompressor, history: &self.received.bytes, out, length: 0, limit };
        inflation.run(message)?;
        let length = inflation.length;
        let message = &codecs.buffer[..length];
        if self.agreement.incoming.takeover {
            self.received.push(message, self.agreement.incoming.window_bits);
        }
        Ok(message)
    }
}

impl Sent {
    /// A context for later messages with this window.
    fn remembering(window_bits: u8) -> Self {
        match window_bits {
            0..=REMEMBERED_BITS => Self::Remembered(History::default()),
            _ => Self::Compressor(None),
        }
    }

    /// Compresses the next bytes to the front of the buffer, with the marker, and returns the length without it.
    fn compress(&mut self, bytes: &[u8], window_bits: u8, codecs: &mut Codecs) -> Option<usize> {
        match self {
            Self::Forgotten => codecs.compress_behind(&[], bytes, window_bits),
            Self::Remembered(history) => {
                let length = codecs.compress_behind(&history.bytes, bytes, window_bits)?;
                history.push(bytes, window_bits);
                Some(length)
            }
            Self::Compressor(own) => {
                let compressor = own.get_or_insert_with(|| Box::new(new_compressor(window_bits)));
                let is_set = compressor.set_level(level(bytes.len(), Reach::Compressed));
                let length = is_set.ok().and_then(|_| compress(compressor, bytes, &mut codecs.buffer));
                if length.is_none() {
                    // A new compressor refers to nothing before, so it can start at any message.
                    *own = None;
                }
                length
            }
        }
    }
}

impl Codecs {
    /// Compresses a non-empty message without context takeover, without the marker at its end. `None` if that failed;
    /// the message can be sent uncompressed.
    pub(crate) fn compress_alone(&mut self, message: &[u8], window_bits: u8) -> Option<&[u8]> {
        let length = self.compress_behind(&[], message, window_bits)?;
        self.buffer.get(..length)
    }

    /// Frees the memory that only a large message needed.
    pub(crate) fn tidy(&mut self) {
        if self.buffer.len() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Compresses `bytes`, with `history` as the dictionary, to the front of the buffer, with the marker, and returns
    /// the length without it.
    fn compress_behind(&mut self, history: &[u8], bytes: &[u8], window_bits: u8) -> Option<usize> {
        if history.is_empty()
            && let Some(length) = literals::compress(bytes, &mut self.buffer)
        {
            return Some(length);
        }
        let place = usize::from(compressor_bits(window_bits) - SMALLEST_COMPRESSOR);
        let compressor = self.compressors[place].get_or_insert_with(|| new_compressor(window_bits));
        compressor.reset();
        let reach = if history.is_empty() { Reach::None } else { Reach::Dictionary };
        compressor.set_level(level(bytes.len(), reach)).ok()?;
        if !history.is_empty() {
            compressor.set_dictionary(history).ok()?;
        }
        compress(compressor, bytes, &mut self.buffer)
    }
}

/// The last bytes of one direction.
#[derive(Default)]
struct History {
    bytes: Vec<u8>,
}

impl History {
    /// Adds a message, and drops all but the last `2^window_bits` bytes.
    fn push(&mut self, message: &[u8], window_bits: u8) {
        let window = 1 << window_bits;
        let message = &message[message.len().saturating_sub(window)..];
        let held = self.bytes.len().min(window - message.len());
        self.bytes.drain(..self.bytes.len() - held);
        let needed = held + message.len();
        if needed > self.bytes.capacity() {
            // Doubling, but never beyond the window.
            self.bytes.reserve_exact(needed.max((2 * self.bytes.capacity()).min(window)) - held);
        }
        self.bytes.extend_from_slice(message);
    }
}

/// Compresses `message` to the front of `out`, with the marker, and returns the length without it.
fn compress(compressor: &mut Deflate, mut message: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut length = 0;
    loop {
        // Mostly enough for incompressible data; never so little that the marker is written twice.
        let needed = length + message.len() + message.len() / 8 + MAX_MARKERS;
        if out.len() < needed {
            out.resize(needed, 0);
        }
        let (taken, made) = (compressor.total_in(), compressor.total_out());
        compressor.compress(message, &mut out[length..], DeflateFlush::SyncFlush).ok()?;
        // Lossless: both are lengths of slices.
        message = &message[(compressor.total_in() - taken) as usize..];
        length += (compressor.total_out() - made) as usize;
        if message.is_empty() && length < out.len() {
            break;
        }
    }
    out[..length].strip_suffix(&MARKER).map(<[u8]>::len)
}

/// The same with stored blocks (RFC 1951 §3.2.4), in case compression fails.
fn store(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    out.clear();
    for block in bytes.chunks(usize::from(u16::MAX)) {
        // Lossless: no chunk is longer.
        let length = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&EMPTY);
    out.extend_from_slice(&MARKER);
    out.len() - MARKER.len()
}

fn new_compressor(window_bits: u8) -> Deflate {
    let window_bits = compressor_bits(window_bits);
    let config = DeflateConfig {
        // Negative: without a header.
        window_bits: -i32::from(window_bits),
        // As in uWebSockets.js: 8 for the largest window, and so on down.
        mem_level: i32::from(window_bits).saturating_sub(7).max(1),
        ..DeflateConfig::default()
    };
    Deflate::new_with_config(config)
}

/// There is no compressor for a window of 2^8 bytes, but one for 2^9 refers to no more than 250 bytes back: zlib keeps
/// 262 bytes of every window free.
fn compressor_bits(window_bits: u8) -> u8 {
    window_bits.clamp(SMALLEST_COMPRESSOR, LARGEST_WINDOW)
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs").field("buffer", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("History").field(&self.bytes.len()).finish()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forgotten => f.write_str("Forgotten"),
            Self::Remembered(history) => f.debug_tuple("Remembered").field(history).finish(),
            Self::Compressor(own) => f.debug_tuple("Compressor").field(&own.is_some()).finish(),
        }
    }
}

/// Window bits of the smallest compressor that zlib has.
const SMALLEST_COMPRESSOR: u8 = 9;
/// How many windows there are compressors for.
const COMPRESSORS: usize = (LARGEST_WINDOW - SMALLEST_COMPRESSOR) as usize + 1;
/// Window bits up to which a WebSocket keeps bytes rather than a compressor. Indexing 8 KiB takes about 10 µs, a
/// compressor 190 KiB.
const REMEMBERED_BITS: u8 = 13;
/// Bytes of buffer that a worker keeps between messages.
const KEPT_BUFFER: usize = 256 * 1024;
/// Room for the ends of a block and the marker.
const MAX_MARKERS: usize = 64;

#[cfg(test)]
mod tests;

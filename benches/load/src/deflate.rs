//! Compressed messages (RFC 7692), each on its own.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// A text that compresses as JSON does, of this many bytes.
pub fn payload(size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 100);
    let mut random = 1u32;
    while text.len() < size {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, price) = (random >> 12, f64::from(random >> 20) / 100.0);
        text.push_str(&format!(r#"{{"id":{id},"symbol":"FRW{}","price":{price:.2},"open":true}},"#, id % 50));
    }
    text.truncate(size);
    text.into_bytes()
}

/// The message, compressed.
pub fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() + message.len() / 8 + 64);
    // Neither fails on a new stream with room for all of it.
    let _ = Compress::new(Compression::default(), false).compress_vec(
        message,
        &mut compressed,
        FlushCompress::Sync,
    );
    compressed.truncate(compressed.len().saturating_sub(MARKER.len()));
    compressed
}

/// The message that was compressed, if it has `size` bytes.
pub fn decompress(compressed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(size + 64);
    let input = [compressed, &MARKER].concat();
    Decompress::new(false).decompress_vec(&input, &mut message, FlushDecompress::Sync).ok()?;
    (message.len() == size).then_some(message)
}

/// The bytes that are removed from the end of a message (RFC 7692 §7.2.1).
const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_and_shrinks() {
        for size in [0, 20, 1024, 65_536] {
            let message = payload(size);
            let compressed = compress(&message);
            assert_eq!(message.len(), size);
            assert_eq!(decompress(&compressed, size), Some(message));
            assert!(size < 1000 || compressed.len() < size / 2, "{size}: {}", compressed.len());
        }
    }
}

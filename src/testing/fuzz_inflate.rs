//! Target `inflate`: messages with permessage-deflate. The first byte selects the window and context takeover;
//! in the rest, each message is preceded by its length.

use super::plain_inflate::PlainInflate;
use crate::protocol::websocket::deflate::{Codecs, Deflation};
use crate::protocol::websocket::extensions::Direction;
use crate::protocol::websocket::fragment::Fragment;
use crate::protocol::websocket::{Agreement, MessageKind};

/// The longest message, in bytes.
const LIMIT: u32 = 5_000;

/// Asserts of the messages in `data`:
/// - they decompress to the same bytes, or fail with the same cause, as with a plain implementation of RFC 1951;
/// - that implementation decompresses our messages, whole or in fragments, and never refers further back than agreed.
///
/// # Panics
/// If one of them does not hold.
pub fn inflate(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let direction = Direction { window_bits: 8 + first % 8, takeover: first & 8 == 0 };
    let agreement = Agreement { outgoing: direction, incoming: direction };
    let mut codecs = Codecs::default();
    let (mut ours, mut twin) = (Deflation::new(agreement), PlainInflate::default());
    let mut reader = PlainInflate::default();
    let (mut in_parts, mut parts_reader) = (Deflation::new(agreement), PlainInflate::default());
    while let Some((&length, following)) = rest.split_first() {
        let (message, following) = following.split_at(following.len().min(length.into()));
        rest = following;

        if !direction.takeover {
            twin.forget();
            reader.forget();
            parts_reader.forget();
        }
        // An empty message is not compressed.
        if !message.is_empty() {
            let compressed = ours.compress(message, &mut codecs).unwrap_or_default().to_vec();
            let read = reader.message(&compressed, message.len(), direction.window_bits);
            assert_eq!(read.as_deref(), Ok(message));
            assert!(reader.farthest <= 1 << direction.window_bits, "{} bytes back", reader.farthest);
        }

        let parts = compress_parts(&mut in_parts, message, &mut codecs);
        let read = parts_reader.message(&parts, message.len(), direction.window_bits);
        assert_eq!(read.as_deref(), Ok(message));
        assert!(parts_reader.farthest <= 1 << direction.window_bits, "{} bytes back", parts_reader.farthest);

        let read = ours.decompress(message, LIMIT, &mut codecs).map(<[u8]>::to_vec);
        assert_eq!(read, twin.message(message, LIMIT as usize, direction.window_bits));
        if read.is_err() {
            return;
        }
    }
}

/// The message, compressed in three fragments, one of which may be empty, or in one piece if it is odd.
fn compress_parts(deflation: &mut Deflation, message: &[u8], codecs: &mut Codecs) -> Vec<u8> {
    if message.len() % 2 == 1 {
        return deflation.compress(message, codecs).unwrap_or_default().to_vec();
    }
    let (first, rest) =
        message.split_at(usize::from(message.first().copied().unwrap_or_default()).min(message.len()));
    let (middle, last) = rest.split_at(rest.len() / 2);
    let start = Fragment::First { kind: MessageKind::Binary, compress: true };
    let mut compressed = Vec::new();
    for (fragment, part) in [(start, first), (Fragment::Middle, middle), (Fragment::Last, last)] {
        compressed.extend_from_slice(deflation.compress_part(fragment, part, codecs).unwrap_or_default());
    }
    compressed
}

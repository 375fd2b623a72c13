//! Target `inflate`: messages with permessage-deflate. The first byte says how large the window is and how much is
//! remembered; of the rest each message is preceded by its length.

use super::plain_inflate::PlainInflate;
use crate::protocol::websocket::Agreement;
use crate::protocol::websocket::deflate::{Codecs, Deflation};
use crate::protocol::websocket::extensions::Direction;

/// The longest message, in bytes.
const LIMIT: u32 = 5_000;

/// Asserts of the messages in `data`:
/// - what they decompress to, or that they are too long or no deflate, is what a plain reading of RFC 1951 makes of them;
/// - what we compress, the plain reader decompresses, and it never looks further back than was agreed.
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
    while let Some((&length, following)) = rest.split_first() {
        let (message, following) = following.split_at(following.len().min(length.into()));
        rest = following;

        if !direction.takeover {
            twin.forget();
            reader.forget();
        }
        // An empty message is not compressed.
        if !message.is_empty() {
            let compressed = ours.compress(message, &mut codecs).unwrap_or_default().to_vec();
            let read = reader.message(&compressed, message.len(), direction.window_bits);
            assert_eq!(read.as_deref(), Ok(message));
            assert!(reader.farthest <= 1 << direction.window_bits, "{} bytes back", reader.farthest);
        }

        let read = ours.decompress(message, LIMIT, &mut codecs).map(<[u8]>::to_vec);
        assert_eq!(read, twin.message(message, LIMIT as usize, direction.window_bits));
        if read.is_err() {
            return;
        }
    }
}

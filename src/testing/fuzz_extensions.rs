//! Target `extensions`: a `compression` option, and a client's offers in `Sec-WebSocket-Extensions`.

use crate::protocol::websocket::Compression;
use crate::protocol::websocket::extensions::{Direction, LARGEST_WINDOW};

/// Options that the first byte chooses from: shared, dedicated, large and small.
const OPTIONS: [u32; 6] = [1, 256, 248 | 3840, 163 | 2304, 231, 3072];

/// Asserts of the header in `data` behind the first byte:
/// - the agreement is within the option, and the answer names all of it: offered to us, the answer is accepted
///   unchanged;
/// - other offers before or after an offer only change which one is first.
///
/// # Panics
/// If one of them does not hold.
pub fn extensions(data: &[u8]) {
    let Some((&first, header)) = data.split_first() else { return };
    let of = |option| Compression::from_option(option).flatten();
    let option = OPTIONS[usize::from(first) % OPTIONS.len()];
    let (Some(compression), Some(anything)) = (of(option), of(248 | 3840)) else { panic!("{option}") };

    let result = compression.negotiate(header);
    if let Ok(Some(agreed)) = result {
        let allowed = |it: Direction| (8..=LARGEST_WINDOW).contains(&it.window_bits);
        assert!(allowed(agreed.outgoing) && allowed(agreed.incoming), "{agreed:?}");
        assert!(agreed.incoming.takeover || agreed.incoming.window_bits == LARGEST_WINDOW, "{agreed:?}");
        assert_eq!(anything.negotiate(agreed.answer().as_bytes()), Ok(Some(agreed)), "{}", agreed.answer());
    }
    let usual = b"permessage-deflate; client_max_window_bits";
    let Ok(Some(alone)) = compression.negotiate(usual) else { panic!("a usual offer is not accepted") };
    let before = [&usual[..], b", ", header].concat();
    assert_eq!(compression.negotiate(&before), result.map(|_| Some(alone)));
    if let Ok(found) = result {
        let behind = [header, b", ", usual].concat();
        assert_eq!(compression.negotiate(&behind), Ok(found.or(Some(alone))));
    }
}

//! The frames of the server, as a strict client reads them.

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerFrame {
    /// Its first byte: FIN, RSV1 and opcode.
    pub first: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl ServerFrame {
    /// Whether this is a Close frame.
    #[must_use]
    pub(crate) const fn is_close(&self) -> bool {
        self.first == 0x88
    }
}

/// Reads all of `bytes`.
///
/// # Panics
/// Unless they are whole frames, each as RFC 6455 §5 and RFC 7692 §6 require it of a server: a known opcode, RSV1 only
/// on the first frame of a message, no mask, the shortest form of the length, FIN and at most 125 bytes in a control
/// frame, UTF-8 in a whole text. The caller knows whether a message may be compressed or incomplete.
#[must_use]
pub(crate) fn read_frames(mut bytes: &[u8]) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match second {
            0..126 => (usize::from(*second), rest),
            126 => extended::<2>(rest, 126),
            127 => extended::<8>(rest, 0x1_0000),
            _ => panic!("a masked frame"),
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else { panic!("half a frame") };
        match first {
            0x81 => assert!(str::from_utf8(payload).is_ok(), "a text that is no UTF-8"),
            0x82 | 0xc1 | 0xc2 | 0x01 | 0x02 | 0x41 | 0x42 | 0x00 | 0x80 => {}
            0x88..=0x8a => assert!(length <= 125, "a control frame of {length} bytes"),
            _ => panic!("a frame that begins with {first:#x}"),
        }
        frames.push(ServerFrame { first: *first, payload: payload.to_vec() });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a header");
    frames
}

/// A length of `N` bytes and what follows it.
fn extended<const N: usize>(bytes: &[u8], min: usize) -> (usize, &[u8]) {
    let Some((field, rest)) = bytes.split_first_chunk::<N>() else { panic!("half a header") };
    let length = field.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    assert!(length >= min, "a length of {length} in {N} bytes");
    (length, rest)
}

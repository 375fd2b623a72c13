//! Messages that are sent in several frames (RFC 6455 §5.4).

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::frame::{self, MessageKind};

/// Which part of a message a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// The first one, which has the type of the message.
    First {
        /// Text or binary.
        kind: MessageKind,
        /// Whether the message is compressed (RFC 7692 §6: RSV1 is set on its first frame and on no other).
        compress: bool,
    },
    /// One between the first and the last.
    Middle,
    /// The last one.
    Last,
}

impl Fragment {
    /// The same fragment of an uncompressed message.
    #[must_use]
    pub(crate) const fn uncompressed(self) -> Self {
        match self {
            Self::First { kind, .. } => Self::First { kind, compress: false },
            Self::Middle | Self::Last => self,
        }
    }
}

/// Appends an unmasked frame with one part of a message, compressed already if it is. Only control frames may stand
/// between the parts.
pub(crate) fn encode_fragment(fragment: Fragment, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    match fragment {
        Fragment::First { kind, compress: false } => frame::encode_message(kind, payload, out),
        Fragment::First { kind, compress: true } => frame::encode_compressed(kind, payload, out),
        Fragment::Middle | Fragment::Last => frame::encode(OpCode::Data(Data::Continue), payload, out),
    }
    if fragment != Fragment::Last {
        out[start] &= !FIN;
    }
}

/// Byte 0: the last frame of a message.
const FIN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_says_the_kind_and_whether_it_is_compressed_and_the_last_the_end() {
        let mut out = b"before".to_vec();
        encode_fragment(Fragment::First { kind: MessageKind::Text, compress: false }, b"a", &mut out);
        encode_fragment(Fragment::Middle, b"", &mut out);
        encode_fragment(Fragment::Last, b"b", &mut out);
        encode_fragment(Fragment::First { kind: MessageKind::Binary, compress: true }, &[7; 126], &mut out);
        let expected = [&b"before\x01\x01a\x00\x00\x80\x01b\x42\x7e\x00\x7e"[..], &[7; 126]].concat();
        assert_eq!(out, expected);
    }
}

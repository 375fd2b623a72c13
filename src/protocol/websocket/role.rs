//! Which end of a WebSocket this is. The roles differ in the mask (RFC 6455 §5.1): a client masks every frame, a server
//! none; and in the close, where the server closes the TCP connection first (RFC 6455 §7.1.1).

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::frame::Masking;
use super::mask;

/// The role of this end.
#[derive(Debug)]
pub(crate) enum Role {
    /// Frames go out as they are encoded.
    Server,
    /// Every frame that goes out is masked. Boxed because most WebSockets are those of a server.
    Client(Box<Masker>),
}

impl Role {
    /// The role of a client. `seed` must come from a strong source of entropy (RFC 6455 §5.3) and be used once.
    #[must_use]
    pub(crate) fn client(seed: [u8; 32]) -> Self {
        Self::Client(Box::new(Masker { keys: StdRng::from_seed(seed) }))
    }

    /// Whether the frames of the peer must be masked or must not.
    #[must_use]
    pub(crate) const fn masking(&self) -> Masking {
        match self {
            Self::Server => Masking::Required,
            Self::Client(_) => Masking::Forbidden,
        }
    }

    /// Appends the frame that `encode` appends, if any, and masks it if this end is a client.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        encode(out);
        match self {
            Self::Client(masker) if start < out.len() => masker.mask(out, start),
            Self::Client(_) | Self::Server => {}
        }
    }
}

/// Masks frames, each by a key of its own.
pub(crate) struct Masker {
    /// "The unpredictability of the masking key is essential to prevent authors of malicious applications from
    /// selecting the bytes that appear on the wire" (RFC 6455 §5.3): a generator that is fit for cryptography.
    keys: StdRng,
}

impl Masker {
    /// Masks the unmasked frame that `out` holds from `start` on.
    fn mask(&mut self, out: &mut Vec<u8>, start: usize) {
        let mut key = [0; KEY];
        self.keys.fill_bytes(&mut key);
        let Some(second) = out.get_mut(start + 1) else { return };
        let payload = start
            + match *second {
                LENGTH_OF_TWO => 4,
                LENGTH_OF_EIGHT => 10,
                _ => 2,
            };
        *second |= MASK;
        // Room for the key, in front of the payload.
        let end = out.len();
        out.extend_from_slice(&key);
        out.copy_within(payload..end, payload + KEY);
        out[payload..][..KEY].copy_from_slice(&key);
        mask::unmask(&mut out[payload + KEY..], key, 0);
    }
}

impl fmt::Debug for Masker {
    /// Does not print the keys: more people read logs than can read the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}

/// Bytes of a key.
const KEY: usize = 4;
/// Byte 1 of a frame: a mask key follows.
const MASK: u8 = 0x80;
/// Byte 1 of a frame: two bytes of length follow.
const LENGTH_OF_TWO: u8 = 126;
/// Byte 1 of a frame: eight bytes of length follow.
const LENGTH_OF_EIGHT: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::frame::{FrameKind, FrameRules, Header, MessageKind, encode_message};
    use std::collections::HashSet;

    const RULES: FrameRules = FrameRules::new(1 << 20, false, Masking::Required);

    /// Header and unmasked payload of the one frame that `bytes` must be to a server.
    fn read(bytes: &[u8]) -> (Header, Vec<u8>) {
        let header = Header::parse(bytes, None, RULES).unwrap().unwrap();
        let mut payload = bytes[header.size..].to_vec();
        mask::unmask(&mut payload, header.key, 0);
        (header, payload)
    }

    #[test]
    fn a_client_masks_what_a_server_would_send_bare() {
        let mut role = Role::client([7; 32]);
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_001] {
            let message: Vec<u8> = (0..length).map(|byte: u32| byte as u8).collect();
            let (mut bare, mut masked) = (b"before".to_vec(), b"before".to_vec());
            Role::Server.put(&mut bare, |out| encode_message(MessageKind::Binary, &message, out));
            role.put(&mut masked, |out| encode_message(MessageKind::Binary, &message, out));
            assert_eq!(masked[..6], bare[..6], "what was there before stays");
            assert_eq!(bare[bare.len() - message.len()..], message);
            let (header, payload) = read(&masked[6..]);
            assert_eq!(payload, message, "{length}");
            assert!(header.is_final && matches!(header.kind, FrameKind::Data(_)));
        }
    }

    #[test]
    fn no_two_frames_and_no_two_clients_share_keys() {
        let mut keys = HashSet::new();
        for seed in 0..10 {
            let mut role = Role::client([seed; 32]);
            for _ in 0..100 {
                let mut out = Vec::new();
                role.put(&mut out, |out| encode_message(MessageKind::Text, b"x", out));
                assert!(keys.insert(read(&out).0.key));
            }
        }
        assert_eq!(keys.len(), 1000);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        let mut out = b"before".to_vec();
        Role::client([0; 32]).put(&mut out, |_| {});
        assert_eq!(out, b"before");
    }
}

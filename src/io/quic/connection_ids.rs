//! Connection ids (RFC 9000 §5.1), which clients put in front of every packet: the worker that has the connection, under
//! encryption, so that a datagram finds it whichever address it comes from, and nobody else learns anything. As in the
//! block cipher mode of QUIC-LB, an id is one block.

use std::time::Duration;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

use crate::bridge::id::WorkerId;

/// Makes the ids of one worker, and reads those of all that have the same key.
#[derive(Clone)]
pub(crate) struct ConnectionIds {
    cipher: Aes128,
    worker: WorkerId,
}

impl ConnectionIds {
    /// Length of every id, in bytes.
    pub(crate) const LENGTH: usize = 16;

    /// Those of `worker`.
    #[must_use]
    pub(crate) fn new(key: [u8; 16], worker: WorkerId) -> Self {
        Self { cipher: Aes128::new(&key.into()), worker }
    }

    /// The worker that an id names; `None` if it was made by somebody else.
    #[must_use]
    pub(crate) fn worker_of(&self, id: &[u8]) -> Option<WorkerId> {
        let id: [u8; Self::LENGTH] = id.try_into().ok()?;
        let mut block = id.into();
        self.cipher.decrypt_block(&mut block);
        let is_ours = block[1..1 + MARK] == [0; MARK];
        is_ours.then_some(WorkerId(block[0]))
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut block = [0; Self::LENGTH];
        block[0] = self.worker.0;
        block[1 + MARK..].copy_from_slice(&rand::random::<[u8; Self::LENGTH - MARK - 1]>());
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        ConnectionId::new(&block)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.worker_of(id).map(drop).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        Self::LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The destination connection id of the first packet in a datagram (RFC 8999 §5); `None` if there is none.
#[must_use]
pub(crate) fn destination(datagram: &[u8]) -> Option<&[u8]> {
    let (first, rest) = datagram.split_first()?;
    if first & LONG_HEADER == 0 {
        return rest.get(..ConnectionIds::LENGTH);
    }
    // Behind the version.
    let (length, rest) = rest.get(4..)?.split_first()?;
    rest.get(..usize::from(*length))
}

/// Bytes that are 0 in front of encryption.
const MARK: usize = 5;
/// RFC 8999 §5.1
const LONG_HEADER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_id_names_its_worker_to_whoever_has_the_key() {
        let mut ids: Vec<_> = [0, 3, 63].map(|worker| ConnectionIds::new([7; 16], WorkerId(worker))).into();
        let made: Vec<_> = ids.iter_mut().map(|it| (it.worker, it.generate_cid())).collect();
        for reader in &ids {
            for (worker, id) in &made {
                assert_eq!(reader.worker_of(id), Some(*worker));
                assert!(reader.validate(id).is_ok());
            }
        }
        let stranger = ConnectionIds::new([8; 16], WorkerId(0));
        assert!(made.iter().all(|(_, id)| stranger.worker_of(id).is_none()));
    }

    #[test]
    fn ids_do_not_repeat_and_are_not_guessed() {
        let mut ids = ConnectionIds::new([1; 16], WorkerId(2));
        let made: HashSet<_> = (0..1000).map(|_| ids.generate_cid()).collect();
        assert_eq!(made.len(), 1000);
        for id in made {
            let mut other = [0; 16];
            other.copy_from_slice(&id);
            other[9] ^= 1;
            assert_eq!(ids.worker_of(&other), None);
        }
        for length in [0, 8, 15, 17, 20] {
            assert_eq!(ids.worker_of(&vec![0; length]), None);
        }
    }

    #[test]
    fn the_destination_is_found_in_both_forms_of_the_header() {
        let short: Vec<_> = (0x40..0x80).collect();
        assert_eq!(destination(&short), Some(&short[1..17]));
        assert_eq!(destination(&short[..16]), None);
        let long = [0xc3, 0, 0, 0, 1, 3, 9, 8, 7, 0];
        assert_eq!(destination(&long), Some(&[9, 8, 7][..]));
        for length in 0..9 {
            assert_eq!(destination(&long[..length]), None, "{length}");
        }
    }
}

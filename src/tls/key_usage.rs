//! Counts the records encrypted with the keys of a connection, whose number is limited: 2^24 with AES-GCM (RFC 8446
//! §5.5). TLS 1.3 updates keys before that. TLS 1.2 cannot; rustls then ends the connection without notice and drops
//! later writes. So records are counted here, and the connection is closed with a closing handshake while some are
//! left.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls::{CommonState, SupportedCipherSuite};

/// The records of one connection.
#[derive(Debug)]
pub(crate) struct KeyUsage {
    /// Records encrypted by this side with its current keys.
    sealed: u64,
    /// Records started by the peer, those of the handshake included.
    received: u64,
    /// The position within a record at which the peer's bytes end.
    place: Place,
}

/// The position within a record at which a stream of bytes ends.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Within the header: `filled` bytes of it have arrived, and `length` is the record length read so far.
    Header { filled: usize, length: usize },
    /// Within the payload: this many bytes of the record are still to come.
    Payload(usize),
}

impl KeyUsage {
    /// The keys of a connection that has sent its last message of the handshake.
    pub(crate) const fn new() -> Self {
        Self { sealed: 1, received: 0, place: Place::Header { filled: 0, length: 0 } }
    }

    /// Counts the records for plaintext that was encrypted.
    pub(crate) fn seal(&mut self, count: usize) {
        self.sealed += count.div_ceil(MAX_PER_RECORD) as u64;
    }

    /// Whether the records of one write and `close_notify` after it can be encrypted, if the limit of the keys is
    /// `max`.
    #[must_use]
    pub(crate) const fn has_room(&self, max: u64) -> bool {
        self.sealed + MAX_PER_WRITE < max
    }

    /// Whether it is time to close the connection: the records left suffice for queued output and the close.
    #[must_use]
    pub(crate) fn is_near_limit(&self, max: u64) -> bool {
        self.sealed >= max.saturating_sub((max / 128).max(MIN_RESERVE))
    }

    /// Counts the records in ciphertext of the peer.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.place {
                Place::Payload(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        self.place = Place::Header { filled: 0, length: 0 };
                    }
                }
                Place::Header { filled, length } => {
                    if *filled >= HEADER - 2 {
                        *length = *length << 8 | usize::from(first);
                    }
                    *filled += 1;
                    bytes = rest;
                    if *filled == HEADER {
                        self.received += 1;
                        if *length > 0 {
                            self.place = Place::Payload(*length);
                        } else {
                            self.place = Place::Header { filled: 0, length: 0 };
                        }
                    }
                }
            }
        }
    }

    /// Whether a peer that has sent `close_notify` did so because its keys are used up: it counts records as rustls
    /// does.
    #[must_use]
    pub(crate) fn has_peer_reached_limit(&self, max: u64) -> bool {
        (max.saturating_sub(OTHER_RECORDS)..=max + OTHER_RECORDS).contains(&self.received)
    }
}

/// How many records the keys of a connection may protect in each direction; `None` if there is no limit.
#[must_use]
pub(crate) fn max_records(tls: &CommonState) -> Option<u64> {
    match tls.negotiated_cipher_suite()? {
        SupportedCipherSuite::Tls12(suite) => {
            // Relaxed: the number guards no other data.
            let max = suite.common.confidentiality_limit.min(LOWERED.load(Ordering::Relaxed));
            (max < u64::MAX).then_some(max)
        }
        SupportedCipherSuite::Tls13(_) => None,
    }
}

/// Lowers the limit for TLS 1.2 in this process, for tests: 2^24 records take a while.
pub(crate) fn lower_limit(max: u64) {
    LOWERED.fetch_min(max, Ordering::Relaxed);
}

static LOWERED: AtomicU64 = AtomicU64::new(u64::MAX);

/// Plaintext bytes of a record (RFC 5246 §6.2.1).
pub(super) const MAX_PER_RECORD: usize = 1 << 14;
/// Bytes of the header of a record: its type, its version, and two of its length.
const HEADER: usize = 5;
/// Records that one write may seal: as much as is sealed ahead of the kernel, and one that is not full.
const MAX_PER_WRITE: u64 = (super::session::MAX_SEALED / MAX_PER_RECORD) as u64 + 1;
/// Records that are reserved for the close of a connection, if a hundredth of the limit is less.
const MIN_RESERVE: u64 = 64;
/// Records of a handshake and of `close_notify`, at most.
const OTHER_RECORDS: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::split::same_at_every_split;

    #[test]
    fn records_of_the_peer_are_counted_however_they_are_cut() {
        let record = |length: u16| {
            let mut record = vec![23, 3, 3];
            record.extend_from_slice(&length.to_be_bytes());
            record.resize(HEADER + usize::from(length), 23);
            record
        };
        let bytes = [record(0), record(1), record(300), record(0), record(23)].concat();
        let count = |pieces: &[&[u8]]| {
            let mut key_usage = KeyUsage::new();
            pieces.iter().for_each(|piece| key_usage.receive(piece));
            key_usage.received
        };
        assert_eq!(same_at_every_split(&bytes, count), 5);
        assert_eq!(count(&[&bytes[..bytes.len() - 24]]), 4, "a record counts when its header is complete");
    }

    #[test]
    fn there_is_room_until_the_last_write_and_close_notify() {
        let mut key_usage = KeyUsage::new();
        let max = 1 << 24;
        while !key_usage.is_near_limit(max) {
            key_usage.seal(1);
        }
        assert_eq!(key_usage.sealed, (1 << 24) - (1 << 17));
        while key_usage.has_room(max) {
            key_usage.seal(64 * 1024);
        }
        assert!(key_usage.sealed < max, "{}", key_usage.sealed);
    }
}

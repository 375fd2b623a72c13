//! Bytes on their way out of one connection.
//!
//! ```text
//!   queue (rare)                                        tail
//!   ┌──────────────┬───────────────┬──────────────┐ ┌────────────────────┐
//!   │ Bytes (own)  │ Bytes, shared │ Bytes (own)  │ │ Vec being filled   │   ──► encoders append here
//!   └──────────────┴───────────────┴──────────────┘ └────────────────────┘
//!     ▲ `written` bytes of the first piece are in the kernel already
//! ```
//! A connection with nothing to write owns no buffer: the tail goes back to the worker's [`BufferPool`] once it is
//! empty.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use super::transport::Transport;

/// The output that is queued for one socket, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The newest bytes.
    tail: Vec<u8>,
    /// Bytes of the first piece that the kernel has taken.
    written: usize,
    /// Pieces older than `tail`; `None` while there are none, which is nearly always. Boxed, so that an idle connection
    /// pays for a pointer rather than a queue.
    queue: Option<Box<Queue>>,
}

/// Pieces to which nothing more is appended.
#[derive(Debug, Default)]
struct Queue {
    /// Oldest first.
    pieces: VecDeque<Bytes>,
    /// Sum of their lengths, `written` bytes of the first one included. Stored because a slow subscriber may have
    /// thousands of pieces, and its backlog is read for each further one.
    length: usize,
}

impl Queue {
    fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        self.pieces.push_back(piece);
    }
}

impl Outbox {
    /// Bytes that the kernel has not taken yet.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        let queued = self.queue.as_ref().map_or(0, |queue| queue.length);
        queued + self.tail.len() - self.written
    }

    /// Whether everything is in the kernel.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_none() && self.tail.len() == self.written
    }

    /// Where encoders append.
    pub(crate) fn tail(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.tail.capacity() == 0 {
            self.tail = pool.take();
        }
        &mut self.tail
    }

    /// Whether [`Self::append`] writes so many bytes at once if it can.
    #[must_use]
    pub(crate) const fn is_written_through(length: usize) -> bool {
        length >= THROUGH_FROM
    }

    /// Queues bytes. Much of it is written at once, as far as the kernel takes it, rather than copied first.
    pub(crate) fn append(&mut self, data: &[u8], transport: &mut Transport, pool: &mut BufferPool) {
        let mut rest = data;
        // In a queue, `written` is not about the tail.
        let unwritten = if self.queue.is_none() { self.tail.get(self.written..) } else { None };
        if let Some(unwritten) = unwritten
            && Self::is_written_through(data.len())
            && unwritten.len() <= MAX_BEFORE
        {
            let before = unwritten.len();
            let pieces = [IoSlice::new(unwritten), IoSlice::new(data)];
            // The next flush reports a failure.
            let count = transport.try_write_vectored(&pieces).unwrap_or(0);
            self.written += count.min(before);
            rest = &data[count.saturating_sub(before)..];
        }
        if rest.is_empty() {
            return self.release(pool);
        }
        self.tail(pool).extend_from_slice(rest);
    }

    /// Queues a frame that other outboxes queue too. A large one is shared, not copied.
    pub(crate) fn push_shared(&mut self, frame: &Bytes, pool: &mut BufferPool) {
        if frame.len() < SHARE_FROM {
            self.tail(pool).extend_from_slice(frame);
            return;
        }
        let queue = self.queue.get_or_insert_default();
        if !self.tail.is_empty() {
            queue.push(std::mem::take(&mut self.tail).into());
        }
        queue.push(frame.clone());
    }

    /// Writes what the kernel takes. Returns whether that was everything, down to the last sealed record of TLS.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn flush(&mut self, transport: &mut Transport, pool: &mut BufferPool) -> io::Result<bool> {
        while !self.is_empty() {
            let result = match &self.queue {
                None => transport.try_write(&self.tail[self.written..]),
                Some(queue) => transport.try_write_vectored(&self.pieces(&queue.pieces)),
            };
            match result {
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.release(pool);
        transport.flush()
    }

    /// Returns the buffer of an empty outbox to the pool.
    pub(crate) fn release(&mut self, pool: &mut BufferPool) {
        if self.is_empty() && self.tail.capacity() > 0 {
            self.written = 0;
            pool.give(std::mem::take(&mut self.tail));
        }
    }

    fn pieces<'a>(&'a self, queue: &'a VecDeque<Bytes>) -> Vec<IoSlice<'a>> {
        let mut skip = self.written;
        let all = queue.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
        let mut pieces = Vec::with_capacity(queue.len().min(MAX_PIECES) + 1);
        for piece in all.take(MAX_PIECES) {
            let rest = &piece[skip.min(piece.len())..];
            skip = 0;
            if !rest.is_empty() {
                pieces.push(IoSlice::new(rest));
            }
        }
        pieces
    }

    /// The kernel took `count` bytes.
    fn advance(&mut self, count: usize) {
        self.written += count;
        if let Some(queue) = &mut self.queue {
            while let Some(first) = queue.pieces.front()
                && self.written >= first.len()
            {
                self.written -= first.len();
                queue.length -= first.len();
                queue.pieces.pop_front();
            }
            if queue.pieces.is_empty() {
                self.queue = None;
            }
        }
        if self.queue.is_none() && self.written >= COMPACT_FROM && self.written * 2 >= self.tail.len() {
            self.tail.drain(..self.written);
            self.written = 0;
            // Otherwise a peer that has taken most of a long response would keep all of its memory.
            self.tail.shrink_to_fit();
        }
    }
}

/// Empty buffers of a worker, for the next connections that have something to write.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    spares: Vec<Vec<u8>>,
}

impl BufferPool {
    /// Frees the buffers.
    pub(crate) fn release(&mut self) {
        self.spares = Vec::new();
    }

    fn take(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_else(|| Vec::with_capacity(FRESH_CAPACITY))
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.spares.len() < MAX_SPARES && buffer.capacity() <= LARGEST_SPARE {
            buffer.clear();
            self.spares.push(buffer);
        }
    }
}

/// Payload length, in bytes, from which on a separate system call costs less than copying.
const THROUGH_FROM: usize = 16 * 1024;
/// Queued bytes up to which a large payload is written at once together with them: mostly the head of the response.
const MAX_BEFORE: usize = 4096;
/// Frame length, in bytes, from which sharing costs less than copying: a reference, a queue entry and a vectored
/// write cost about as much as copying a page.
const SHARE_FROM: usize = 4096;
/// Pieces per vectored write. The kernel takes up to 1024 (IOV_MAX); a few dozen fill any socket buffer.
const MAX_PIECES: usize = 64;
/// Written bytes from which on the front of a long tail is freed while the rest still waits.
const COMPACT_FROM: usize = 64 * 1024;
/// Capacity of a new buffer, in bytes: a few small responses or messages.
const FRESH_CAPACITY: usize = 1024;
/// Buffers a worker keeps. More connections than this rarely have output between two flushes.
const MAX_SPARES: usize = 128;
/// Capacity, in bytes, above which a buffer is freed rather than kept.
const LARGEST_SPARE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(outbox: &Outbox) -> Vec<u8> {
        match &outbox.queue {
            None => outbox.tail[outbox.written..].to_vec(),
            Some(queue) => outbox.pieces(&queue.pieces).iter().flat_map(|piece| piece.to_vec()).collect(),
        }
    }

    #[test]
    fn shared_frames_keep_their_place() {
        let mut pool = BufferPool::default();
        let mut outbox = Outbox::default();
        let big = Bytes::from(vec![b'x'; SHARE_FROM]);
        outbox.tail(&mut pool).extend_from_slice(b"before");
        outbox.push_shared(&big, &mut pool);
        outbox.push_shared(&Bytes::from_static(b"small"), &mut pool);
        let all = [b"before".as_slice(), &big, b"small"].concat();
        assert_eq!(text(&outbox), all);
        assert_eq!(outbox.len(), all.len());
        for cut in [3, 3, SHARE_FROM - 1, 2] {
            outbox.advance(cut);
        }
        assert_eq!(text(&outbox), b"mall");
        assert_eq!(outbox.len(), 4);
        outbox.advance(4);
        assert!(outbox.is_empty());
    }

    #[test]
    fn long_data_waits_behind_a_queue() {
        let (mut transport, _peer) = crate::io::transport::tests::pair();
        let mut pool = BufferPool::default();
        let mut outbox = Outbox::default();
        let shared = Bytes::from(vec![b'x'; SHARE_FROM]);
        let long = vec![b'y'; THROUGH_FROM];
        outbox.push_shared(&shared, &mut pool);
        // More than the tail is long.
        outbox.advance(SHARE_FROM - 1);
        outbox.append(&long, &mut transport, &mut pool);
        assert_eq!(text(&outbox), [b"x", &long[..]].concat());
    }

    #[test]
    fn an_empty_outbox_owns_no_buffer() {
        let mut pool = BufferPool::default();
        let mut outbox = Outbox::default();
        outbox.tail(&mut pool).extend_from_slice(b"bytes");
        outbox.advance(5);
        outbox.release(&mut pool);
        assert_eq!(outbox.tail.capacity(), 0);
        assert_eq!(pool.spares.len(), 1);
    }

    #[test]
    fn the_written_front_of_a_long_tail_is_given_back() {
        let mut pool = BufferPool::default();
        let mut outbox = Outbox::default();
        outbox.tail(&mut pool).resize(3 * COMPACT_FROM, 1);
        outbox.advance(2 * COMPACT_FROM);
        assert_eq!(outbox.written, 0);
        assert_eq!(outbox.len(), COMPACT_FROM);
    }
}

//! A stream of HTTP/2 or HTTP/3 in the place of a socket (RFC 8441, RFC 9220): what a WebSocket writes gathers here until the worker passes it
//! on to the connection of the stream, and what arrives there lies here until the WebSocket reads it.

use std::io::{self, IoSlice};

use super::stream_work::StreamNumber;

/// The wire of a WebSocket that was opened by an extended CONNECT.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// Slot and generation of the connection.
    pub socket: (u32, u32),
    /// The stream.
    pub stream: StreamNumber,
    /// What has arrived and was not read.
    incoming: Vec<u8>,
    /// How many of those bytes were read.
    read: usize,
    /// The peer has ended its half.
    has_ended: bool,
    /// What was written and is not passed on.
    outgoing: Vec<u8>,
    /// Bytes that were passed on, and wait for flow control or for the socket.
    queued: usize,
    end: End,
    /// Whether the peer gets no room for more.
    is_paused: bool,
}

/// Whether more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Yes.
    None,
    /// No, which the connection does not know.
    Untold,
    /// No.
    Told,
}

/// What a tunnel has for its stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// Bytes to be sent.
    pub data: Vec<u8>,
    /// Nothing more will be written.
    pub is_finished: bool,
    /// Whether the peer may send more: only if that changes.
    pub pause: Option<bool>,
}

impl Tunnel {
    /// An open one. `early` has arrived already.
    #[must_use]
    pub(crate) const fn new(socket: (u32, u32), stream: StreamNumber, early: Vec<u8>) -> Self {
        Self {
            socket,
            stream,
            incoming: early,
            read: 0,
            has_ended: false,
            outgoing: Vec::new(),
            queued: 0,
            end: End::None,
            is_paused: false,
        }
    }

    /// Adds what has arrived.
    pub(crate) fn receive(&mut self, data: &[u8], is_last: bool) {
        self.incoming.extend_from_slice(data);
        self.has_ended |= is_last;
    }

    /// Reads into `buffer`. Returns the number of bytes; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` if there are none yet.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.incoming[self.read..];
        if rest.is_empty() {
            return if self.has_ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        if self.read == self.incoming.len() {
            (self.incoming, self.read) = (Vec::new(), 0);
        }
        Ok(count)
    }

    /// Whether [`Self::read`] would return something.
    #[must_use]
    pub(super) const fn has_input(&self) -> bool {
        self.unread() > 0 || self.has_ended
    }

    const fn unread(&self) -> usize {
        self.incoming.len() - self.read
    }

    /// How many bytes it takes.
    #[must_use]
    pub(crate) const fn room(&self) -> usize {
        MAX_AHEAD.saturating_sub(self.outgoing.len() + self.queued)
    }

    /// Writes what it takes.
    ///
    /// # Errors
    /// `WouldBlock` if that is nothing.
    pub(super) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.room();
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut left = room;
        for piece in pieces {
            let count = piece.len().min(left);
            self.outgoing.extend_from_slice(&piece[..count]);
            left -= count;
        }
        Ok(room - left)
    }

    /// Nothing more is written.
    pub(super) const fn finish(&mut self) {
        if matches!(self.end, End::None) {
            self.end = End::Untold;
        }
    }

    /// Bytes of the peer that are not read are few enough for more, or too many.
    const fn wants_pause(&self) -> bool {
        if self.is_paused { self.unread() > 0 } else { self.unread() >= MAX_UNREAD }
    }

    /// Whether [`Self::take_parcel`] returns something.
    #[must_use]
    pub(crate) const fn has_parcel(&self) -> bool {
        !self.outgoing.is_empty() || matches!(self.end, End::Untold) || self.wants_pause() != self.is_paused
    }

    /// Takes what the connection of the stream has to know.
    pub(crate) fn take_parcel(&mut self) -> Parcel {
        let is_finished = self.end == End::Untold;
        if is_finished {
            self.end = End::Told;
        }
        let wants_pause = self.wants_pause();
        let pause = (wants_pause != self.is_paused).then_some(wants_pause);
        self.is_paused = wants_pause;
        Parcel { data: std::mem::take(&mut self.outgoing), is_finished, pause }
    }

    /// Notes how many of the bytes that were passed on wait.
    pub(crate) const fn note_queued(&mut self, queued: usize) {
        self.queued = queued;
    }

    /// What is left when the WebSocket is gone: bytes that were not passed on, and whether it was finished.
    pub(crate) fn take_rest(&mut self) -> (Vec<u8>, bool) {
        (std::mem::take(&mut self.outgoing), self.end != End::None)
    }
}

/// Bytes of output that are taken ahead of flow control and the socket, as a kernel does for a socket.
const MAX_AHEAD: usize = 64 * 1024;
/// Bytes that are not read, from which on the peer gets no room for more.
const MAX_UNREAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> Tunnel {
        Tunnel::new((0, 0), StreamNumber(1), b"early".to_vec())
    }

    #[test]
    fn what_arrives_is_read_in_order_and_then_the_end() {
        let mut tunnel = tunnel();
        let mut buffer = [0; 4];
        assert_eq!((tunnel.read(&mut buffer).unwrap(), &buffer), (4, b"earl"));
        tunnel.receive(b"late", true);
        assert_eq!((tunnel.read(&mut buffer).unwrap(), &buffer), (4, b"ylat"));
        assert_eq!(tunnel.read(&mut buffer).unwrap(), 1);
        assert!(tunnel.has_input());
        assert_eq!(tunnel.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn it_takes_as_much_as_a_socket_would() {
        let mut tunnel = tunnel();
        let long = vec![b'x'; MAX_AHEAD - 1];
        assert_eq!(tunnel.write(&[IoSlice::new(b"ab"), IoSlice::new(&long)]).unwrap(), MAX_AHEAD);
        assert_eq!(tunnel.write(&[IoSlice::new(b"c")]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let parcel = tunnel.take_parcel();
        assert_eq!((parcel.data.len(), parcel.is_finished, parcel.pause), (MAX_AHEAD, false, None));
        tunnel.note_queued(MAX_AHEAD - 3);
        assert_eq!(tunnel.write(&[IoSlice::new(b"defg")]).unwrap(), 3);
        tunnel.finish();
        assert_eq!(tunnel.take_parcel(), Parcel { data: b"def".to_vec(), is_finished: true, pause: None });
        assert!(!tunnel.has_parcel());
    }

    #[test]
    fn the_peer_waits_while_much_is_unread() {
        let mut tunnel = tunnel();
        tunnel.receive(&[0; MAX_UNREAD], false);
        assert!(tunnel.has_parcel());
        assert_eq!(tunnel.take_parcel().pause, Some(true));
        let mut buffer = vec![0; MAX_UNREAD];
        assert_eq!(tunnel.read(&mut buffer).unwrap(), MAX_UNREAD);
        assert!(!tunnel.has_parcel());
        assert_eq!(tunnel.read(&mut buffer).unwrap(), 5);
        assert_eq!(tunnel.take_parcel().pause, Some(false));
    }
}

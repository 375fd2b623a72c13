//! Which sockets are ready: the kernel is asked (by `mio`: epoll, kqueue, or completion ports) and its answer becomes a
//! list of tokens.
//!
//! ```text
//!   Selector::select ──► [(Token, Readiness)] ──► Wire::note_readiness ──► read, write, until the kernel has nothing more
//! ```
//!
//! The kernel reports only changes ("edge-triggered"): a socket that was not read until it was empty is not reported
//! again. So each socket keeps its own [`Readiness`] until a system call contradicts it, and a connection that leaves
//! input in the socket puts itself on a list (`Context::again`, `Context::starved`).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use mio::{Events, Poll, Registry};

use crate::bridge::id::ListenerId;

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The connection on this slot. Without its generation, for which 32-bit systems have no room: a late report about
    /// a closed connection reaches its successor on the slot, whose next read or write then finds nothing.
    Connection(u32),
    /// A listening socket.
    Listener(ListenerId),
}

impl Token {
    /// The token as the kernel stores it.
    #[must_use]
    pub(crate) const fn encode(self) -> mio::Token {
        match self {
            Self::Connection(slot) => mio::Token((slot as usize) << 1),
            Self::Listener(ListenerId(id)) => mio::Token((id as usize) << 1 | 1),
        }
    }

    const fn decode(mio::Token(number): mio::Token) -> Self {
        let name = (number >> 1) as u32;
        if number & 1 == 0 { Self::Connection(name) } else { Self::Listener(ListenerId(name)) }
    }
}

/// The known readiness of a socket. A system call that fails with `WouldBlock` clears the part that it tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness(u8);

impl Readiness {
    const READ: u8 = 1;
    const WRITE: u8 = 2;
    /// The end of the stream was reported: it may follow the buffered bytes, and will not be reported again.
    const READ_CLOSED: u8 = 4;

    /// There may be something to read.
    pub(crate) const READABLE: Self = Self(Self::READ);

    /// Nothing is known: reads and writes call the kernel until it answers `WouldBlock`.
    pub(crate) const UNKNOWN: Self = Self(Self::READ | Self::WRITE | Self::READ_CLOSED);

    /// The readiness of a new socket: writable, until a write fails with `WouldBlock`. So output that precedes the
    /// first report, as in the `open` handler of a client or of a connection that was taken over, is sent at once.
    pub(crate) const NEW: Self = Self(Self::WRITE);

    fn of(event: &mio::event::Event) -> Self {
        let mut bits = 0;
        // The next read or write returns the error.
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            bits |= Self::READ;
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            bits |= Self::WRITE;
        }
        if event.is_read_closed() {
            bits |= Self::READ_CLOSED;
        }
        Self(bits)
    }

    /// Adds what the selector has reported.
    pub(crate) const fn add(&mut self, reported: Self) {
        self.0 |= reported.0;
    }

    /// Whether a read may return bytes, the end of the stream or an error.
    #[must_use]
    pub(crate) const fn is_readable(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// Whether the kernel may take bytes.
    #[must_use]
    pub(crate) const fn is_writable(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    /// Records that a read has failed with `WouldBlock`.
    pub(crate) const fn clear_readable(&mut self) {
        self.0 &= !(Self::READ | Self::READ_CLOSED);
    }

    /// Records that a read has not filled its buffer. The socket is empty, and the kernel will report further bytes;
    /// only the end of the stream may have been reported already.
    pub(crate) const fn note_short_read(&mut self) {
        if REPORTS_AFTER_SHORT && self.0 & Self::READ_CLOSED == 0 {
            self.clear_readable();
        }
    }

    /// Records that a write has failed with `WouldBlock`.
    pub(crate) const fn clear_writable(&mut self) {
        self.0 &= !Self::WRITE;
    }

    /// Records that the kernel has taken less than it was offered; it will report when it takes more.
    pub(crate) const fn note_short_write(&mut self) {
        if REPORTS_AFTER_SHORT {
            self.clear_writable();
        }
    }
}

/// Asks the kernel which sockets are ready.
#[derive(Debug)]
pub(crate) struct Selector {
    poll: Poll,
    events: Events,
    waker: Waker,
}

impl Selector {
    /// A selector without sockets.
    ///
    /// # Errors
    /// The process or the system is out of descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::from(Arc::new(Doorbell(mio::Waker::new(poll.registry(), WAKER)?)));
        Ok(Self { poll, events: Events::with_capacity(MAX_EVENTS), waker })
    }

    /// Ends a [`Self::select`] that is under way, or else the next one. For any thread.
    #[must_use]
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Readable while [`Self::select`] has something to report: a loop that watches descriptors can watch this one.
    #[cfg(unix)]
    #[must_use]
    pub(crate) fn descriptor(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.poll)
    }

    /// Where sockets are registered.
    #[must_use]
    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits until a socket is ready or the waker is called, for at most `patience` (`None`: for ever), and adds to
    /// `ready` the sockets that the kernel reports: at most [`MAX_EVENTS`] at a time, the others next time.
    ///
    /// # Errors
    /// The error of the system; a signal that arrives is none.
    pub(crate) fn select(
        &mut self,
        patience: Option<Duration>,
        ready: &mut VecDeque<(Token, Readiness)>,
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let reported = self.events.iter().filter(|event| event.token() != WAKER);
        ready.extend(reported.map(|event| (Token::decode(event.token()), Readiness::of(event))));
        Ok(())
    }
}

struct Doorbell(mio::Waker);

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only if the descriptor of the waker is broken.
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "an I/O thread could not be woken");
        }
    }
}

/// The token of the waker. No socket has it: the listener of this number would be the two thousand millionth.
const WAKER: mio::Token = mio::Token(usize::MAX);
/// Number of sockets that one poll reports at most.
const MAX_EVENTS: usize = 1024;
/// Whether the kernel reports new readiness after a read or write that was not complete (`epoll(7)`, questions and
/// answers; `kqueue(2)`, `EV_CLEAR`), rather than only after one that failed with `WouldBlock`.
const REPORTS_AFTER_SHORT: bool = cfg!(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple",
));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        let tokens = [0, 1, 7, u32::MAX >> 1]
            .map(|number| [Token::Connection(number), Token::Listener(ListenerId(number))]);
        for token in tokens.into_iter().flatten() {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }

    #[test]
    fn what_is_ready_stays_so_until_a_call_says_otherwise() {
        let mut readiness = Readiness::default();
        assert!(!readiness.is_readable() && !readiness.is_writable());
        readiness.add(Readiness(Readiness::READ | Readiness::WRITE));
        readiness.note_short_read();
        assert_eq!(readiness.is_readable(), !REPORTS_AFTER_SHORT);
        assert!(readiness.is_writable());
        readiness.note_short_write();
        assert_eq!(readiness.is_writable(), !REPORTS_AFTER_SHORT);
        // The end may wait behind what was read.
        readiness.add(Readiness::UNKNOWN);
        readiness.note_short_read();
        assert!(readiness.is_readable());
        readiness.clear_readable();
        readiness.clear_writable();
        assert_eq!(readiness, Readiness::default());
    }

    #[test]
    fn a_call_of_the_waker_ends_one_wait() {
        let mut selector = Selector::new().unwrap();
        let mut ready = VecDeque::new();
        let waker = selector.waker().clone();
        let caller = std::thread::spawn(move || waker.wake_by_ref());
        selector.select(None, &mut ready).unwrap();
        caller.join().unwrap();
        assert!(ready.is_empty());
        // Otherwise the thread would never sleep again.
        selector.select(Some(Duration::from_millis(1)), &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}

//! The body of a request on Node's thread: it is buffered until a handler is attached, and then passed to it in pieces
//! or as a whole.
//!
//! | handler             | bytes that arrive are             | bounded by                                        |
//! |---------------------|-----------------------------------|---------------------------------------------------|
//! | none                | buffered                          | [`UNCLAIMED_BODY`], then the worker stops reading |
//! | pieces              | passed on at once                 | the uplink, beyond which workers stop reading     |
//! | whole               | buffered until it is complete     | `maxSize`; beyond it nothing is buffered          |
//! | whole, refused      | dropped: it was over `maxSize`    | –                                                 |
//!
//! A later handler of any kind replaces the earlier one, and gets everything that was passed to no handler.

use std::borrow::Cow;

use crate::protocol::http::head::BodyLength;

/// The body of one request, as far as it has arrived.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// Bytes that arrived and were passed to no handler.
    waiting: Vec<u8>,
    /// Bytes that were passed to no handler yet, the buffered ones included; `None` while that is not known.
    remaining: Option<u64>,
    /// Progress of the body.
    progress: Progress,
    /// The kind of handler that is attached.
    taker: Taker,
    /// The worker was asked to stop reading, because no handler is attached.
    paused: bool,
}

/// Progress of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// More will arrive.
    Arriving,
    /// All of it has arrived; its end was reported to no handler.
    Arrived,
    /// Its end was passed to a handler, or dropped.
    Reported,
}

/// The kind of handler that is attached to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    /// No handler is attached yet.
    Nobody,
    /// `onData`, `onDataV2`: piece by piece.
    Pieces,
    /// `onDataOrAborted`: piece by piece, and an abort too.
    PiecesOrAbort,
    /// `collectBody`: at once when it is complete, unless it has more than `max` bytes.
    Whole {
        /// In bytes, at most [`MAX_COLLECTED`].
        max: u64,
    },
    /// `collectBody` after its handler was called because the body is too long: the rest is dropped.
    Refused,
}

/// What the handler is called with next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyDelivery<'a> {
    /// Nothing at the moment.
    Nothing,
    /// Bytes, perhaps none; `last`: they end the body.
    Piece {
        /// The bytes.
        bytes: Cow<'a, [u8]>,
        /// Whether the body is complete.
        last: bool,
    },
    /// The body has more bytes than the handler accepts.
    TooLong,
}

impl RequestBody {
    /// A body of which nothing has arrived; one that there is not is complete.
    #[must_use]
    pub(crate) const fn new(length: BodyLength) -> Self {
        let (remaining, progress) = match length {
            BodyLength::None => (Some(0), Progress::Arrived),
            BodyLength::Fixed(length) => (Some(length), Progress::Arriving),
            BodyLength::Chunked => (None, Progress::Arriving),
        };
        Self { waiting: Vec::new(), remaining, progress, taker: Taker::Nobody, paused: false }
    }

    /// Bytes that were passed to no handler yet; [`UNKNOWN`] until the end of a chunked body.
    #[must_use]
    pub(crate) const fn remaining(&self) -> u64 {
        match self.remaining {
            Some(remaining) => remaining,
            None => UNKNOWN,
        }
    }

    /// Whether an abort is reported to its handler.
    #[must_use]
    pub(crate) const fn reports_abort(&self) -> bool {
        matches!(self.taker, Taker::PiecesOrAbort)
    }

    /// Attaches a handler. Returns whether [`Self::take`] has something for it.
    pub(crate) fn attach(&mut self, taker: Taker) -> bool {
        self.taker = taker;
        self.is_due()
    }

    /// Whether reading is paused because no handler is attached.
    #[must_use]
    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Ends a pause that was made because no handler was attached. Returns whether there was one.
    pub(crate) const fn resume(&mut self) -> bool {
        std::mem::replace(&mut self.paused, false)
    }

    /// Adds a piece that arrived. Returns what the handler gets.
    pub(crate) fn receive<'a>(&mut self, data: &'a [u8], last: bool) -> BodyDelivery<'a> {
        match self.progress {
            Progress::Arriving if last => self.progress = Progress::Arrived,
            Progress::Arriving | Progress::Arrived => {}
            // The end of a body that there is not may be told, too.
            Progress::Reported => return BodyDelivery::Nothing,
        }
        match self.taker {
            Taker::Refused => {
                self.count(data.len());
                BodyDelivery::Nothing
            }
            Taker::Pieces | Taker::PiecesOrAbort if self.waiting.is_empty() => {
                self.deliver(Cow::Borrowed(data))
            }
            Taker::Pieces | Taker::PiecesOrAbort | Taker::Whole { .. } | Taker::Nobody => {
                self.append(data);
                self.take()
            }
        }
    }

    /// Whether a piece that arrives next goes to its handler as it is.
    #[must_use]
    pub(crate) fn passes_pieces(&self) -> bool {
        let takes_pieces = matches!(self.taker, Taker::Pieces | Taker::PiecesOrAbort);
        takes_pieces && self.progress == Progress::Arriving && self.waiting.is_empty()
    }

    /// Counts such a piece, of `len` bytes. Returns whether the body is complete.
    pub(crate) fn pass(&mut self, len: usize, last: bool) -> bool {
        if last {
            self.progress = Progress::Arrived;
        }
        self.count(len)
    }

    /// Buffers a piece. The buffer doubles up to the length of the body, so that a complete one has no unused capacity,
    /// and a client cannot make this side allocate memory with a head alone.
    fn append(&mut self, data: &[u8]) {
        let needed = self.waiting.len() + data.len();
        if needed > self.waiting.capacity() {
            let all = self.remaining.and_then(|all| usize::try_from(all).ok()).unwrap_or(usize::MAX);
            let capacity = needed.max((2 * self.waiting.capacity()).min(all));
            self.waiting.reserve_exact(capacity - self.waiting.len());
        }
        self.waiting.extend_from_slice(data);
    }

    /// Returns what was buffered before the handler was attached, or a complete body.
    pub(crate) fn take<'a>(&mut self) -> BodyDelivery<'a> {
        if !self.is_due() {
            return BodyDelivery::Nothing;
        }
        let waiting = std::mem::take(&mut self.waiting);
        if self.is_too_long(waiting.len()) {
            self.taker = Taker::Refused;
            self.count(waiting.len());
            return BodyDelivery::TooLong;
        }
        self.deliver(Cow::Owned(waiting))
    }

    /// Whether the worker has to stop reading now, because more than [`UNCLAIMED_BODY`] is buffered and no handler is
    /// attached.
    pub(crate) fn must_pause(&mut self) -> bool {
        let must = self.taker == Taker::Nobody
            && self.waiting.len() > UNCLAIMED_BODY
            && self.progress == Progress::Arriving
            && !self.paused;
        self.paused |= must;
        must
    }

    /// Whether there is something to call the handler for.
    fn is_due(&self) -> bool {
        if self.progress == Progress::Reported {
            return false;
        }
        let is_complete = self.progress == Progress::Arrived;
        match self.taker {
            Taker::Pieces | Taker::PiecesOrAbort => is_complete || !self.waiting.is_empty(),
            Taker::Whole { .. } => is_complete || self.is_too_long(self.waiting.len()),
            Taker::Nobody | Taker::Refused => false,
        }
    }

    /// Whether `waiting` bytes, and what is known to follow, are more than the handler accepts.
    fn is_too_long(&self, waiting: usize) -> bool {
        match self.taker {
            Taker::Whole { max } => self.remaining.unwrap_or(0).max(waiting as u64) > max,
            Taker::Nobody | Taker::Pieces | Taker::PiecesOrAbort | Taker::Refused => false,
        }
    }

    fn deliver<'a>(&mut self, bytes: Cow<'a, [u8]>) -> BodyDelivery<'a> {
        let last = self.count(bytes.len());
        BodyDelivery::Piece { bytes, last }
    }

    /// Subtracts `len` bytes that were passed on or dropped. Returns whether they end the body.
    fn count(&mut self, len: usize) -> bool {
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(len as u64));
        let last = self.progress == Progress::Arrived;
        if last {
            self.progress = Progress::Reported;
            self.remaining = Some(0);
        }
        last
    }
}

/// What `maxRemainingBodyLength` returns for a chunked body, whose length is not known before its end.
pub(crate) const UNKNOWN: u64 = u64::MAX;
/// Bytes that are buffered while no handler is attached.
const UNCLAIMED_BODY: usize = 256 * 1024;
/// Bytes that `collectBody` collects at most, whatever its argument: larger bodies should be streamed, and V8 may
/// refuse a buffer of that size.
pub(crate) const MAX_COLLECTED: u64 = i32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: &[u8], last: bool) -> BodyDelivery<'_> {
        BodyDelivery::Piece { bytes: Cow::Borrowed(bytes), last }
    }

    #[test]
    fn pieces_are_given_as_they_arrive_with_what_remains() {
        let mut body = RequestBody::new(BodyLength::Fixed(5));
        assert_eq!(body.remaining(), 5);
        assert!(!body.attach(Taker::Pieces));
        assert_eq!(body.receive(b"he", false), piece(b"he", false));
        assert_eq!(body.remaining(), 3);
        assert_eq!(body.receive(b"llo", true), piece(b"llo", true));
        assert_eq!(body.remaining(), 0);
    }

    #[test]
    fn a_piece_is_passed_as_it_is_only_to_a_handler_of_pieces_for_which_nothing_waits() {
        let mut body = RequestBody::new(BodyLength::Fixed(6));
        assert!(!body.passes_pieces(), "no handler");
        body.receive(b"h", false);
        body.attach(Taker::Pieces);
        assert!(!body.passes_pieces(), "something waits");
        body.take();
        assert!(body.passes_pieces());
        assert!(!body.pass(2, false));
        assert_eq!(body.remaining(), 3);
        body.attach(Taker::Whole { max: 6 });
        assert!(!body.passes_pieces(), "another kind of handler");
        body.attach(Taker::PiecesOrAbort);
        assert!(body.pass(3, true));
        assert_eq!(body.remaining(), 0);
        assert!(!body.passes_pieces(), "complete");
    }

    #[test]
    fn what_waits_is_given_in_one_piece_and_the_end_is_told_once() {
        let mut body = RequestBody::new(BodyLength::Fixed(6));
        assert_eq!(body.receive(b"he", false), BodyDelivery::Nothing);
        assert_eq!(body.receive(b"ll", false), BodyDelivery::Nothing);
        assert_eq!(body.remaining(), 6);
        assert!(body.attach(Taker::Pieces));
        assert_eq!(body.take(), piece(b"hell", false));
        assert_eq!(body.take(), BodyDelivery::Nothing);
        assert_eq!(body.receive(b"o!", true), piece(b"o!", true));
        assert!(!body.attach(Taker::Pieces));
        assert_eq!(body.take(), BodyDelivery::Nothing);
    }

    #[test]
    fn a_piece_that_overtakes_its_turn_takes_what_waits_along() {
        let mut body = RequestBody::new(BodyLength::Fixed(4));
        assert_eq!(body.receive(b"he", false), BodyDelivery::Nothing);
        assert!(body.attach(Taker::PiecesOrAbort));
        assert_eq!(body.receive(b"y!", true), piece(b"hey!", true));
        assert_eq!(body.take(), BodyDelivery::Nothing);
    }

    #[test]
    fn a_request_without_body_has_an_empty_last_piece() {
        for taker in [Taker::Pieces, Taker::PiecesOrAbort, Taker::Whole { max: 0 }] {
            for is_told in [false, true] {
                let mut body = RequestBody::new(BodyLength::None);
                if is_told {
                    assert_eq!(body.receive(b"", true), BodyDelivery::Nothing);
                }
                assert!(body.attach(taker));
                assert_eq!(body.remaining(), 0);
                assert_eq!(body.take(), piece(b"", true), "{taker:?}");
                assert_eq!(body.receive(b"", true), BodyDelivery::Nothing, "{taker:?}, told again");
            }
        }
    }

    #[test]
    fn the_length_of_a_chunked_body_is_unknown_until_its_end() {
        let mut body = RequestBody::new(BodyLength::Chunked);
        body.attach(Taker::Pieces);
        assert_eq!(body.remaining(), u64::MAX);
        assert_eq!(body.receive(b"hello", false), piece(b"hello", false));
        assert_eq!(body.remaining(), u64::MAX);
        assert_eq!(body.receive(b"", true), piece(b"", true));
        assert_eq!(body.remaining(), 0);
    }

    #[test]
    fn a_whole_body_is_given_at_its_end() {
        for length in [BodyLength::Fixed(5), BodyLength::Chunked] {
            let mut body = RequestBody::new(length);
            assert!(!body.attach(Taker::Whole { max: 5 }));
            assert_eq!(body.receive(b"he", false), BodyDelivery::Nothing);
            assert_eq!(body.receive(b"llo", true), piece(b"hello", true), "{length:?}");
        }
    }

    #[test]
    fn a_declared_length_over_the_limit_is_refused_before_anything_arrives() {
        let mut body = RequestBody::new(BodyLength::Fixed(6));
        assert!(body.attach(Taker::Whole { max: 5 }));
        assert_eq!(body.take(), BodyDelivery::TooLong);
        assert_eq!(body.receive(b"hello", false), BodyDelivery::Nothing);
        assert_eq!(body.remaining(), 1);
        assert_eq!(body.receive(b"!", true), BodyDelivery::Nothing);
        assert_eq!(body.remaining(), 0);
    }

    #[test]
    fn a_chunked_body_is_refused_where_it_passes_the_limit_and_nothing_of_it_is_kept() {
        let mut body = RequestBody::new(BodyLength::Chunked);
        assert!(!body.attach(Taker::Whole { max: 5 }));
        assert_eq!(body.receive(b"hello", false), BodyDelivery::Nothing);
        assert_eq!(body.receive(b"!", false), BodyDelivery::TooLong);
        assert_eq!(body.receive(b"more", false), BodyDelivery::Nothing);
        assert_eq!(body.waiting.capacity(), 0);
        assert_eq!(body.receive(b"", true), BodyDelivery::Nothing);
    }

    #[test]
    fn a_handler_that_replaces_another_gets_what_that_one_was_not_given() {
        let mut body = RequestBody::new(BodyLength::Fixed(6));
        body.attach(Taker::Whole { max: 10 });
        assert_eq!(body.receive(b"he", false), BodyDelivery::Nothing);
        assert!(body.attach(Taker::Pieces));
        assert_eq!(body.take(), piece(b"he", false));
        assert!(!body.attach(Taker::Whole { max: 4 }));
        assert_eq!(body.receive(b"llo", false), BodyDelivery::Nothing);
        assert_eq!(body.receive(b"!", true), piece(b"llo!", true));

        let mut body = RequestBody::new(BodyLength::Chunked);
        body.attach(Taker::Whole { max: 1 });
        assert_eq!(body.receive(b"he", false), BodyDelivery::TooLong);
        assert!(!body.attach(Taker::Pieces));
        assert_eq!(body.receive(b"llo", false), piece(b"llo", false));
    }

    #[test]
    fn only_a_body_that_nobody_takes_is_paused_and_only_once() {
        let large = vec![0; UNCLAIMED_BODY + 1];
        let mut body = RequestBody::new(BodyLength::Chunked);
        body.receive(&large[1..], false);
        assert!(!body.must_pause());
        body.receive(b"x", false);
        assert!(body.must_pause());
        assert!(!body.must_pause());
        body.attach(Taker::Whole { max: MAX_COLLECTED });
        assert!(body.resume());
        assert!(!body.resume());
        body.receive(&large, false);
        assert!(!body.must_pause());

        let mut complete = RequestBody::new(BodyLength::Fixed(large.len() as u64));
        complete.receive(&large, true);
        assert!(!complete.must_pause(), "nothing more will come");
    }
}

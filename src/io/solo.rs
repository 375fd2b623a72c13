//! A connection that talks alone: while no other socket is ready, the kernel need not be asked which one is.
//!
//! Where Node's loop leads, it learns that some socket is ready from the descriptor of the selector, and the selector then
//! tells which one. With one peer that sends and waits for the answer, that is the same one each time; reading from it at
//! once saves one of four system calls for each of its messages. What the selector has to say about it remains there, and
//! is stale by then: the kernel drops it as soon as it is asked again, by Node's loop or by the selector.

use crate::bridge::id::ConnectionId;

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Solo {
    /// The connection that alone was ready last.
    who: Option<ConnectionId>,
    /// How often in a row.
    streak: u8,
    /// Guesses since the selector was asked.
    guesses: u8,
}

impl Solo {
    /// Records what the selector has reported: `who` if that was one connection alone.
    pub(crate) fn note_selected(&mut self, who: Option<ConnectionId>) {
        self.streak = if who.is_some() && who == self.who { self.streak.saturating_add(1) } else { 0 };
        self.who = who;
        self.guesses = 0;
    }

    /// The connection that is probably the one that is ready. `None` if the selector has to be asked.
    pub(crate) fn guess(&mut self) -> Option<ConnectionId> {
        if !IS_KNOWN_TO_DROP_STALE || self.streak < STREAK || self.guesses == GUESSES {
            return None;
        }
        self.guesses += 1;
        self.who
    }

    /// The guess was wrong.
    pub(crate) fn note_missed(&mut self) {
        *self = Self::default();
    }
}

/// How often in a row one connection has to be the only one that is ready.
const STREAK: u8 = 8;
/// How many guesses may follow each other. Meanwhile nobody looks at other sockets.
const GUESSES: u8 = 16;
/// Where the selector is known not to stay readable because of what it has not reported and is no longer so (`epoll`).
const IS_KNOWN_TO_DROP_STALE: bool = cfg!(target_os = "linux");

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::bridge::id::WorkerId;

    fn connection(slot: u32) -> ConnectionId {
        ConnectionId { worker: WorkerId(0), slot, generation: 1 }
    }

    #[test]
    fn who_was_alone_often_enough_is_guessed_and_the_selector_asked_now_and_then() {
        let (mut solo, who) = (Solo::default(), Some(connection(3)));
        for _ in 0..=STREAK {
            assert_eq!(solo.guess(), None);
            solo.note_selected(who);
        }
        for _ in 0..3 {
            for _ in 0..GUESSES {
                assert_eq!(solo.guess(), who);
            }
            assert_eq!(solo.guess(), None);
            solo.note_selected(who);
        }
    }

    #[test]
    fn others_end_it() {
        for other in [None, Some(connection(4))] {
            let mut solo = Solo::default();
            (0..=STREAK).for_each(|_| solo.note_selected(Some(connection(3))));
            assert!(solo.guess().is_some());
            solo.note_selected(other);
            assert_eq!(solo.guess(), None);
        }
        let mut solo = Solo::default();
        (0..=STREAK).for_each(|_| solo.note_selected(Some(connection(3))));
        solo.note_missed();
        assert_eq!(solo.guess(), None);
    }
}

//! Who leads a reactor: asks the kernel which of its sockets are ready, and runs the passes.
//!
//! ```text
//!              ┌──── seize (by the thread), hand_to_thread (by Node) ────┐
//!              │                                                         ▼
//!            Node ◄── let_go (by the thread) ── ToNode ◄── ask_node ── Thread
//! ```
//!
//! Every arrow is one compare-and-swap, so that of two threads that want a change at the same time one gets it. Who leads
//! also holds the lock of the reactor while it does anything (`io/reactor`): a new leader waits for the pass of the old
//! one, and the old one finds out with its next look at the state.

use crate::bridge::sync::{AtomicU8, Ordering};

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Leader(AtomicU8);

/// The states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Lead {
    /// Node's loop.
    Node = 0,
    /// The I/O thread.
    Thread = 1,
    /// The I/O thread, until it has finished its pass; then Node's loop.
    ToNode = 2,
}

impl Leader {
    /// Starts with `first`.
    #[must_use]
    pub(crate) fn new(first: Lead) -> Self {
        Self(AtomicU8::new(first as u8))
    }

    /// Who leads now.
    #[must_use]
    pub(crate) fn get(&self) -> Lead {
        match self.0.load(Ordering::Acquire) {
            0 => Lead::Node,
            1 => Lead::Thread,
            _ => Lead::ToNode,
        }
    }

    fn change(&self, from: Lead, to: Lead) -> bool {
        self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Node's thread: would like to lead. Returns whether the I/O thread leads, and has now to let go.
    pub(crate) fn ask_node(&self) -> bool {
        self.change(Lead::Thread, Lead::ToNode)
    }

    /// The I/O thread: has finished its pass and released the lock. Returns whether Node's loop leads from now on.
    pub(crate) fn let_go(&self) -> bool {
        self.change(Lead::ToNode, Lead::Node)
    }

    /// Either thread: takes the lead from Node's loop. Returns whether that had it.
    pub(crate) fn take_from_node(&self) -> bool {
        self.change(Lead::Node, Lead::Thread)
    }

    /// Node's thread: the I/O thread is to lead, whoever does or was to.
    pub(crate) fn take_back(&self) {
        self.0.swap(Lead::Thread as u8, Ordering::AcqRel);
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    use super::*;
    use crate::bridge::sync::{Arc, AtomicBool, AtomicU64, Mutex};

    /// A reactor in miniature: work that waits, and the readiness of the descriptor, as the waker sets it.
    struct Reactor {
        leader: Leader,
        done: Mutex<u64>,
        waiting: AtomicU64,
        is_readable: AtomicBool,
    }

    impl Reactor {
        fn new(first: Lead) -> Arc<Self> {
            let (waiting, is_readable) = (AtomicU64::new(1), AtomicBool::new(false));
            Arc::new(Self { leader: Leader::new(first), done: Mutex::new(0), waiting, is_readable })
        }

        fn pass(&self, done: &mut u64) {
            self.is_readable.store(false, Ordering::SeqCst);
            *done += self.waiting.swap(0, Ordering::SeqCst);
        }

        /// Node's loop: what it does when the descriptor is readable. Returns whether it led.
        fn turn(&self) -> bool {
            let Ok(mut done) = self.done.try_lock() else { return false };
            let leads = self.leader.get() == Lead::Node;
            if leads {
                self.pass(&mut done);
            }
            leads
        }
    }

    /// The thread lets go while work arrives: either it did the work itself, or Node's loop finds the descriptor readable
    /// once it leads.
    #[test]
    fn no_work_is_left_between_two_leaders() {
        loom::model(|| {
            let reactor = Reactor::new(Lead::Thread);
            assert!(reactor.leader.ask_node());
            let thread = {
                let reactor = Arc::clone(&reactor);
                loom::thread::spawn(move || {
                    reactor.pass(&mut reactor.done.lock().unwrap());
                    if reactor.leader.let_go() {
                        reactor.is_readable.store(true, Ordering::SeqCst);
                    }
                })
            };
            reactor.waiting.fetch_add(1, Ordering::SeqCst);
            reactor.turn();
            thread.join().unwrap();
            if reactor.is_readable.load(Ordering::SeqCst) {
                assert!(reactor.turn(), "nobody leads");
            }
            assert_eq!(reactor.waiting.load(Ordering::SeqCst), 0);
            assert_eq!(*reactor.done.lock().unwrap(), 2);
        });
    }

    /// The thread seizes the reactor while Node's loop is about to lead a turn, or hands it over: exactly one of them gets
    /// the lead to the thread, they never lead at the same time, and the work is done once.
    #[test]
    fn a_seized_reactor_has_one_leader() {
        loom::model(|| {
            let reactor = Reactor::new(Lead::Node);
            let thread = {
                let reactor = Arc::clone(&reactor);
                loom::thread::spawn(move || {
                    let seized = reactor.leader.take_from_node();
                    if reactor.leader.get() == Lead::Thread {
                        reactor.pass(&mut reactor.done.lock().unwrap());
                    }
                    seized
                })
            };
            reactor.turn();
            let handed_over = reactor.leader.take_from_node();
            let seized = thread.join().unwrap();
            assert!(seized != handed_over);
            assert!(!reactor.turn());
            reactor.pass(&mut reactor.done.lock().unwrap());
            assert_eq!(*reactor.done.lock().unwrap(), 1);
        });
    }

    /// The program takes the lead back for the thread while that lets go: the thread leads in the end.
    #[test]
    fn taking_back_wins_over_letting_go() {
        loom::model(|| {
            let reactor = Reactor::new(Lead::ToNode);
            let thread = {
                let reactor = Arc::clone(&reactor);
                loom::thread::spawn(move || reactor.leader.let_go())
            };
            reactor.leader.take_back();
            thread.join().unwrap();
            assert_eq!(reactor.leader.get(), Lead::Thread);
        });
    }
}

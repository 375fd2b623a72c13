//! The list of sockets that have something to do, filled by the runtime's wakers and emptied by the worker.
//!
//! One task drives all sockets of a worker. A waker per socket that only notes its name is far smaller than a task
//! per socket, and lets the worker handle everything that is ready in one pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::bridge::id::ListenerId;

/// What may have become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A connection, by slot and generation.
    Connection {
        /// Its slot.
        slot: u32,
        /// Its generation.
        generation: u32,
    },
    /// A listening socket.
    Listener(ListenerId),
}

/// The list, and the worker's own waker.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Token>,
    worker: Option<Waker>,
}

impl Ready {
    /// A waker that notes `token`.
    #[must_use]
    pub(crate) fn waker(self: &Arc<Self>, token: Token) -> Waker {
        Waker::from(Arc::new(TokenWaker { token, ready: Arc::clone(self) }))
    }

    /// The worker is polled with `waker`.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut state = self.lock();
        if !state.worker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.worker = Some(waker.clone());
        }
    }

    /// Moves the list into `tokens`, which is empty.
    pub(crate) fn take(&self, tokens: &mut Vec<Token>) {
        std::mem::swap(&mut self.lock().tokens, tokens);
    }

    /// Whether nothing is on the list.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().tokens.is_empty()
    }

    fn note(&self, token: Token) {
        let mut state = self.lock();
        state.tokens.push(token);
        // Only the first entry wakes: the worker takes the whole list.
        let worker = if state.tokens.len() == 1 { state.worker.clone() } else { None };
        drop(state);
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TokenWaker {
    token: Token,
    ready: Arc<Ready>,
}

impl Wake for TokenWaker {
    fn wake(self: Arc<Self>) {
        self.ready.note(self.token);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.note(self.token);
    }
}

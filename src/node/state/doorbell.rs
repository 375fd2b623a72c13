//! How other threads wake Node's thread, and whether Node may exit meanwhile.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::node::js::{Bring, Env, ThreadsafeFunction, Value};

/// Schedules a turn of the dispatcher on Node's thread.
#[derive(Default)]
pub(crate) struct Doorbell {
    ringer: Arc<Ringer>,
    /// Whether Node is kept alive.
    alive: bool,
    /// Whether the function is kept alive.
    held: bool,
}

impl Doorbell {
    /// Installs the function to be called; `resource` is the async resource of the bell (`async_hooks`). `is_inline`:
    /// whether Node's loop may drive sockets. Returns whether that worked.
    pub(crate) fn install(
        &mut self,
        env: Env<'_>,
        function: Value<'_>,
        resource: Value<'_>,
        is_inline: bool,
    ) -> bool {
        let made = ThreadsafeFunction::new(env, function, resource, is_inline);
        let installed = made.is_some();
        *self.ringer.function.write().unwrap_or_else(PoisonError::into_inner) = made;
        installed
    }

    /// What other threads ring with.
    #[must_use]
    pub(crate) const fn ringer(&self) -> &Arc<Ringer> {
        &self.ringer
    }

    /// Rings from Node's own thread: the dispatcher gets a turn soon, whether or not there are events.
    pub(crate) fn ring(&self) {
        self.ringer.schedule();
    }

    /// Sets whether the bell keeps the process alive.
    pub(crate) fn keep_alive(&mut self, env: Env<'_>, alive: bool) {
        if self.alive != alive {
            self.alive = alive;
            if let Some(function) = &*self.ringer.function.read().unwrap_or_else(PoisonError::into_inner) {
                function.keep_alive(env, alive);
            }
        }
    }

    /// Whether Node is kept alive.
    #[must_use]
    pub(crate) const fn is_alive(&self) -> bool {
        self.alive
    }

    /// Sets whether the bell keeps its function alive, to which no program may have a reference any more.
    pub(crate) fn hold(&mut self, env: Env<'_>, held: bool) {
        if self.held != held {
            self.held = held;
            if let Some(function) = &*self.ringer.function.read().unwrap_or_else(PoisonError::into_inner) {
                function.hold(env, held);
            }
        }
    }

    /// Silences the bell for good.
    pub(crate) fn remove(&mut self) {
        let function = self.ringer.function.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(function) = function {
            function.release();
        }
    }
}

/// The bell without the owner's part of it.
#[derive(Default)]
pub(crate) struct Ringer {
    /// `None` before the first use and after the environment's end. Ringing holds the read lock, so the function cannot
    /// be released during a call.
    function: RwLock<Option<ThreadsafeFunction>>,
    /// Whether Node's thread is at the door: then nobody has to be woken.
    door: AtomicU8,
}

impl Ringer {
    /// Rings, from any thread.
    pub(crate) fn ring(&self) {
        let at_door = self.door.compare_exchange(AT_DOOR, RUNG, Ordering::AcqRel, Ordering::Acquire);
        // After another ring, too, nobody has to be woken: Node's thread has not opened yet.
        if !matches!(at_door, Ok(_) | Err(RUNG)) {
            self.schedule();
        }
    }

    fn schedule(&self) {
        if let Some(function) = &*self.function.read().unwrap_or_else(PoisonError::into_inner) {
            function.call();
        }
    }

    /// Node's thread: runs `act`, during which a ring wakes nobody. Returns what it returned, and whether the bell rang:
    /// then the dispatcher has to be given a turn ([`Self::call`]).
    pub(crate) fn answer<R>(&self, act: impl FnOnce() -> R) -> (R, bool) {
        self.door.store(AT_DOOR, Ordering::Release);
        let result = act();
        (result, self.door.swap(AWAY, Ordering::AcqRel) == RUNG)
    }

    /// Node's thread, in a callback of its loop: gives the dispatcher a turn, with the event that `bring` brings.
    pub(crate) fn call(&self, bring: &Bring) {
        // Not under the lock: a handler may end the environment.
        let function = self.function.read().unwrap_or_else(PoisonError::into_inner);
        let here = function.as_ref().map(ThreadsafeFunction::here);
        drop(function);
        if let Some(here) = here {
            here.call(bring);
        }
    }
}

/// Node's thread has to be woken.
const AWAY: u8 = 0;
/// Node's thread is about to look whether the bell rang.
const AT_DOOR: u8 = 1;
/// The bell rang.
const RUNG: u8 = 2;

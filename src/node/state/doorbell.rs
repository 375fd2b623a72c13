//! How other threads wake Node's thread, and whether Node may exit meanwhile.

use std::sync::{Arc, PoisonError, RwLock};

use crate::node::js::{Env, ThreadsafeFunction, Value};

/// Schedules a turn of the dispatcher on Node's thread.
#[derive(Default)]
pub(crate) struct Doorbell {
    /// `None` before the first use and after the environment's end. Ringing holds the read lock, so the function cannot
    /// be released during a call.
    function: Arc<RwLock<Option<ThreadsafeFunction>>>,
    /// Whether Node is kept alive.
    alive: bool,
    /// Whether the function is kept alive.
    held: bool,
}

impl Doorbell {
    /// Installs the function to be called; `resource` is the async resource of the bell (`async_hooks`). Returns
    /// whether that worked.
    pub(crate) fn install(&mut self, env: Env<'_>, function: Value<'_>, resource: Value<'_>) -> bool {
        let made = ThreadsafeFunction::new(env, function, resource);
        let installed = made.is_some();
        *self.function.write().unwrap_or_else(PoisonError::into_inner) = made;
        installed
    }

    /// A function that other threads call to ring.
    #[must_use]
    pub(crate) fn ringer(&self) -> Box<dyn Fn() + Send + Sync> {
        let function = Arc::clone(&self.function);
        Box::new(move || call(&function))
    }

    /// Rings from Node's own thread: the dispatcher gets a turn soon, whether or not there are events.
    pub(crate) fn ring(&self) {
        call(&self.function);
    }

    /// Sets whether the bell keeps the process alive.
    pub(crate) fn keep_alive(&mut self, env: Env<'_>, alive: bool) {
        if self.alive != alive {
            self.alive = alive;
            if let Some(function) = &*self.function.read().unwrap_or_else(PoisonError::into_inner) {
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
            if let Some(function) = &*self.function.read().unwrap_or_else(PoisonError::into_inner) {
                function.hold(env, held);
            }
        }
    }

    /// Silences the bell for good.
    pub(crate) fn remove(&mut self) {
        let function = self.function.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(function) = function {
            function.release();
        }
    }
}

fn call(function: &RwLock<Option<ThreadsafeFunction>>) {
    if let Some(function) = &*function.read().unwrap_or_else(PoisonError::into_inner) {
        function.call();
    }
}

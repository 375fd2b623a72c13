//! Node's own loop, on systems where it cannot watch the descriptor of a selector.

use std::convert::Infallible;
use std::ffi::c_int;
use std::rc::Rc;
use std::time::Duration;

use super::env::Env;

/// What Node's loop has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "the same as where there is a watch")]
pub(crate) enum Occasion {
    /// The descriptor is readable.
    Readable,
    /// The alarm rings.
    Alarm,
    /// The loop is about to sleep, or to look for events at least.
    Sleep,
}

/// There is none here.
pub(crate) struct LoopWatch(Infallible);

impl LoopWatch {
    /// None.
    pub(crate) fn new(_: Env<'_>, _: c_int, _: Rc<dyn Fn(Occasion)>) -> Option<Self> {
        None
    }

    /// Never called.
    pub(crate) const fn watch(&self, _is_wanted: bool) {
        match self.0 {}
    }

    /// Never called.
    pub(crate) const fn set_alarm(&self, _after: Duration) {
        match self.0 {}
    }

    /// Never called.
    pub(crate) const fn await_sleep(&self) {
        match self.0 {}
    }

    /// Never called.
    pub(crate) const fn now(&self) -> u64 {
        match self.0 {}
    }

    /// Never called.
    pub(crate) const fn idle_time(&self) -> u64 {
        match self.0 {}
    }
}

//! One call from JavaScript.

use std::cell::{RefCell, RefMut};
use std::ptr;

use napi_sys as sys;

use super::env::Env;
use super::misuse::Misuse;
use super::value::Value;

/// A native function.
pub type Native<S> = for<'c> fn(&Call<'c, S>) -> Result<Value<'c>, Misuse>;

/// The most arguments a native function takes.
pub const MOST_ARGUMENTS: usize = 12;

/// One call from JavaScript. `S` is the state that the functions of a load share.
pub struct Call<'c, S> {
    pub(super) env: Env<'c>,
    pub(super) arguments: [sys::napi_value; MOST_ARGUMENTS],
    pub(super) count: usize,
    pub(super) state: &'c RefCell<S>,
}

impl<'c, S> Call<'c, S> {
    /// The Node-API environment.
    #[must_use]
    pub const fn env(&self) -> Env<'c> {
        self.env
    }

    /// The state of this load. Must not be held while JavaScript runs.
    ///
    /// # Errors
    /// [`Misuse::bug`] if it is held already.
    pub fn state(&self) -> Result<RefMut<'c, S>, Misuse> {
        self.state.try_borrow_mut().map_err(|_| Misuse::bug())
    }

    /// Number of arguments passed.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// An argument; absent ones read as `undefined`.
    #[must_use]
    pub fn argument(&self, index: usize) -> Value<'c> {
        Value::of(if index < self.count { self.arguments[index] } else { ptr::null_mut() })
    }

    /// A number argument that `lib/` vouches for; NaN if it is none.
    #[must_use]
    pub fn number(&self, index: usize) -> f64 {
        self.env.number(self.argument(index)).unwrap_or(f64::NAN)
    }

    /// Whether an argument is truthy.
    #[must_use]
    pub fn truthy(&self, index: usize) -> bool {
        self.env.truthy(self.argument(index))
    }
}

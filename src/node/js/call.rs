//! One call from JavaScript.

use std::cell::{RefCell, RefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi_sys as sys;

use super::env::Env;
use super::misuse::Misuse;
use super::threadsafe_function::{Bring, Brought};
use super::value::Value;

/// What a native function does.
pub(super) type Body<S> = for<'c> fn(&Call<'c, S>) -> Result<Value<'c>, Misuse>;

/// A native function.
pub(crate) struct Native<S: 'static> {
    pub(super) name: &'static str,
    pub(super) arguments: usize,
    pub(super) body: Body<S>,
}

impl<S> Native<S> {
    /// A function that JavaScript finds under `name` and that reads `arguments` arguments.
    ///
    /// # Panics
    /// When these are more than [`MAX_ARGUMENTS`], the number that a call reads: the others would be cut off, and be
    /// taken for arguments that were left out. The table of functions is a constant, so such a function does not even
    /// compile.
    #[must_use]
    pub(crate) const fn new(name: &'static str, arguments: usize, body: Body<S>) -> Self {
        assert!(arguments <= MAX_ARGUMENTS, "a native function takes too many arguments: pass an array");
        Self { name, arguments, body }
    }
}

/// The most arguments a native function takes: so many are read with every call.
pub(super) const MAX_ARGUMENTS: usize = 8;

/// One call from JavaScript. `S` is the state that the functions of a load share.
pub(crate) struct Call<'c, S> {
    pub(super) env: Env<'c>,
    pub(super) arguments: [sys::napi_value; MAX_ARGUMENTS],
    pub(super) count: usize,
    /// How many the function has declared.
    pub(super) declared: usize,
    pub(super) state: &'c Rc<RefCell<S>>,
}

impl<'c, S> Call<'c, S> {
    /// The Node-API environment.
    #[must_use]
    pub(crate) const fn env(&self) -> Env<'c> {
        self.env
    }

    /// The state of this load. Must not be held while JavaScript runs.
    ///
    /// # Errors
    /// [`Misuse::bug`] if it is held already.
    pub(crate) fn state(&self) -> Result<RefMut<'c, S>, Misuse> {
        self.state.try_borrow_mut().map_err(|_| Misuse::bug())
    }

    /// A function that acts on the state of this load, for callbacks of Node's loop. It does nothing while the state is
    /// held, or once it is gone.
    #[must_use]
    pub(crate) fn later(&self, act: impl Fn(&mut S) + 'static) -> Rc<dyn Fn()>
    where
        S: 'static,
    {
        let state = Rc::downgrade(self.state);
        Rc::new(move || {
            if let Some(state) = state.upgrade()
                && let Ok(mut state) = state.try_borrow_mut()
            {
                act(&mut state);
            }
        })
    }

    /// The same, for values of JavaScript ([`Bring`]).
    #[must_use]
    pub(crate) fn later_bring(
        &self,
        act: impl for<'e> Fn(&mut S, Env<'e>, Value<'e>, bool) -> Brought<'e> + 'static,
    ) -> Bring
    where
        S: 'static,
    {
        let state = Rc::downgrade(self.state);
        Rc::new(move |env, buffer, is_first| {
            let Some(state) = state.upgrade() else { return Brought::Nothing };
            let Ok(mut state) = state.try_borrow_mut() else { return Brought::Unknown };
            // A panic must not unwind into libuv. What it has left is for the function to find.
            let brought = catch_unwind(AssertUnwindSafe(|| act(&mut state, env, buffer, is_first)));
            brought.unwrap_or(Brought::Unknown)
        })
    }

    /// Number of arguments passed.
    #[must_use]
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// An argument; absent ones read as `undefined`.
    ///
    /// # Panics
    /// When the function has not declared that many, which is a bug: it becomes an exception of the first call.
    #[must_use]
    pub(crate) fn argument(&self, index: usize) -> Value<'c> {
        assert!(index < self.declared, "argument {index} of a function that declares {}", self.declared);
        Value::of(if index < self.count { self.arguments[index] } else { ptr::null_mut() })
    }

    /// A number argument that `lib/` vouches for; NaN if it is none.
    #[must_use]
    pub(crate) fn number(&self, index: usize) -> f64 {
        self.env.number(self.argument(index)).unwrap_or(f64::NAN)
    }

    /// Whether an argument is truthy.
    #[must_use]
    pub(crate) fn truthy(&self, index: usize) -> bool {
        self.env.truthy(self.argument(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "every native function may fail")]
    fn nothing<'c>(_: &Call<'c, ()>) -> Result<Value<'c>, Misuse> {
        Ok(Value::UNDEFINED)
    }

    #[test]
    fn a_function_may_declare_as_many_arguments_as_are_read() {
        assert_eq!(Native::new("max", MAX_ARGUMENTS, nothing).arguments, MAX_ARGUMENTS);
    }

    #[test]
    #[should_panic(expected = "too many arguments")]
    fn one_more_is_refused() {
        let _ = Native::new("more", MAX_ARGUMENTS + 1, nothing);
    }
}

//! Thread-safe functions of Node-API.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

use napi_sys as sys;

use super::env::Env;
use super::node_api::node_api;
use super::value::{Type, Value};

/// A thread-safe function: schedules a turn of Node's loop from any thread.
///
/// It keeps neither Node nor the JavaScript function alive, unless [`Self::keep_alive`] or [`Self::hold`] is called: a
/// load of the addon without references and without events can be collected.
pub(crate) struct ThreadsafeFunction {
    raw: sys::napi_threadsafe_function,
    /// The JavaScript function to call. Freed by [`forget_bell`].
    function: sys::napi_ref,
    /// The environment, and the async context of calls on Node's own thread; null if there are none.
    env: sys::napi_env,
    context: sys::napi_async_context,
}

/// What [`ThreadsafeFunction::here`] returns.
#[derive(Clone, Copy)]
pub(crate) struct CallHere {
    function: sys::napi_ref,
    env: sys::napi_env,
    context: sys::napi_async_context,
}

/// What a call on Node's own thread brings to the function.
pub(crate) enum Brought<'c> {
    /// There is nothing to call the function for.
    Nothing,
    /// The function has to look itself.
    Unknown,
    /// Its argument. `may_return`: whether it may return what it returned last instead of looking for more, which the caller
    /// does then; it returns `true` if it has looked all the same.
    Argument { value: Value<'c>, may_return: bool },
}

/// Looks what there is for the function. Gets what the last call has returned, or an absent value, and whether it may
/// say `may_return`.
pub(crate) type Bring = Rc<dyn for<'c> Fn(Env<'c>, Value<'c>, bool) -> Brought<'c>>;

// SAFETY: Node-API defines thread-safe functions to be called from any thread. The handle is only used while it is not
// released: `doorbell.rs` guards it with a lock. `function` is used on Node's thread alone.
unsafe impl Send for ThreadsafeFunction {}
// SAFETY: as above; calls from several threads at once are allowed.
unsafe impl Sync for ThreadsafeFunction {}

impl ThreadsafeFunction {
    /// Makes one that calls `function` without arguments. `resource` is its async resource (`async_hooks`). `is_inline`:
    /// whether [`Self::here`] will be used. Other runtimes than Node.js get no async context, because Deno cannot destroy
    /// one when a worker is terminated.
    #[must_use]
    pub(crate) fn new(
        env: Env<'_>,
        function: Value<'_>,
        resource: Value<'_>,
        is_inline: bool,
    ) -> Option<Self> {
        let name = env.string(b"ferrows");
        let mut reference = ptr::null_mut();
        if node_api!(napi_create_reference(env.raw(), function.raw(), 0, &raw mut reference))
            != sys::Status::napi_ok
        {
            return None;
        }
        let mut raw = ptr::null_mut();
        let status = node_api!(napi_create_threadsafe_function(
            env.raw(),
            ptr::null_mut(),
            resource.raw(),
            name.raw(),
            0,
            1,
            ptr::null_mut(),
            Some(forget_bell),
            reference.cast(),
            Some(ring),
            &raw mut raw,
        ));
        if status != sys::Status::napi_ok {
            node_api!(napi_delete_reference(env.raw(), reference));
            return None;
        }
        node_api!(napi_unref_threadsafe_function(env.raw(), raw));
        let mut context = ptr::null_mut();
        if is_inline {
            node_api!(napi_async_init(env.raw(), resource.raw(), name.raw(), &raw mut context));
        }
        Some(Self { raw, function: reference, env: env.raw(), context })
    }

    /// What it takes to call the function on Node's own thread. Valid until [`Self::release`].
    #[must_use]
    pub(crate) const fn here(&self) -> CallHere {
        CallHere { function: self.function, env: self.env, context: self.context }
    }

    /// Schedules the call.
    pub(crate) fn call(&self) {
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        node_api!(napi_call_threadsafe_function(self.raw, ptr::null_mut(), mode));
    }

    /// Sets whether it keeps Node alive.
    pub(crate) fn keep_alive(&self, env: Env<'_>, alive: bool) {
        if alive {
            node_api!(napi_ref_threadsafe_function(env.raw(), self.raw));
        } else {
            node_api!(napi_unref_threadsafe_function(env.raw(), self.raw));
        }
    }

    /// Sets whether it keeps the JavaScript function alive, with all that this refers to. Called only when that
    /// changes.
    pub(crate) fn hold(&self, env: Env<'_>, held: bool) {
        let mut count = 0;
        if held {
            node_api!(napi_reference_ref(env.raw(), self.function, &raw mut count));
        } else {
            node_api!(napi_reference_unref(env.raw(), self.function, &raw mut count));
        }
    }

    /// Releases it.
    pub(crate) fn release(self) {
        if !self.context.is_null() {
            node_api!(napi_async_destroy(self.env, self.context));
        }
        let mode = sys::ThreadsafeFunctionReleaseMode::abort;
        node_api!(napi_release_threadsafe_function(self.raw, mode));
    }
}

impl CallHere {
    /// Calls the function from a callback of Node's loop, as Node calls the handlers of its own events, with what `bring`
    /// brings.
    pub(crate) fn call(self, bring: &Bring) {
        let mut scope = ptr::null_mut();
        if node_api!(napi_open_handle_scope(self.env, &raw mut scope)) != sys::Status::napi_ok {
            return;
        }
        let mut function = ptr::null_mut();
        node_api!(napi_get_reference_value(self.env, self.function, &raw mut function));
        if !function.is_null() {
            let (env, function) = (Env::of(self.env), Value::of(function));
            let first = bring(env, Value::UNDEFINED, true);
            let may_return = matches!(first, Brought::Argument { may_return: true, .. });
            let result = self.call_with(function, first);
            if may_return && env.type_of(result) != Type::Boolean {
                // The scope keeps the function alive, and with it the load of the addon.
                self.call_with(function, bring(env, result, false));
            }
        }
        node_api!(napi_close_handle_scope(self.env, scope));
    }

    /// Returns what the function has returned; an absent value if it has thrown, which is reported.
    fn call_with<'c>(self, function: Value<'c>, brought: Brought<'c>) -> Value<'c> {
        let (count, argument) = match brought {
            Brought::Nothing => return Value::UNDEFINED,
            Brought::Unknown => (0, Value::UNDEFINED),
            Brought::Argument { value, .. } => (1, value),
        };
        let mut argument = argument.raw();
        if argument.is_null() {
            node_api!(napi_get_undefined(self.env, &raw mut argument));
        }
        let (mut this, mut result) = (ptr::null_mut(), ptr::null_mut());
        node_api!(napi_get_global(self.env, &raw mut this));
        let (context, function, argv) = (self.context, function.raw(), &raw const argument);
        let status =
            node_api!(napi_make_callback(self.env, context, this, function, count, argv, &raw mut result));
        if status == sys::Status::napi_pending_exception {
            let mut error = ptr::null_mut();
            node_api!(napi_get_and_clear_last_exception(self.env, &raw mut error));
            node_api!(napi_fatal_exception(self.env, error));
        }
        if status == sys::Status::napi_ok { Value::of(result) } else { Value::UNDEFINED }
    }
}

/// Runs a scheduled call of a [`ThreadsafeFunction`] on Node's thread.
unsafe extern "C" fn ring(
    env: sys::napi_env,
    _function: sys::napi_value,
    reference: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        // It is being released.
        return;
    }
    let (mut function, mut this, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    node_api!(napi_get_reference_value(env, reference.cast(), &raw mut function));
    if function.is_null() {
        // The function was collected: there is nothing to call.
        return;
    }
    node_api!(napi_get_undefined(env, &raw mut this));
    // Node reports an exception of the function as uncaught.
    node_api!(napi_call_function(env, this, function, 0, ptr::null(), &raw mut result));
}

/// Finalizer of a [`ThreadsafeFunction`], which will not be called any more.
unsafe extern "C" fn forget_bell(env: sys::napi_env, _data: *mut c_void, reference: *mut c_void) {
    if !env.is_null() {
        node_api!(napi_delete_reference(env, reference.cast()));
    }
}

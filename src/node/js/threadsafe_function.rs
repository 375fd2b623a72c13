//! Thread-safe functions of Node-API.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::ffi::c_void;
use std::ptr;

use napi_sys as sys;

use super::env::Env;
use super::node_api::node_api;
use super::value::Value;

/// A thread-safe function: schedules a turn of Node's loop from any thread.
///
/// It keeps neither Node nor the function of JavaScript alive, unless told to: a load of the addon that nobody uses any
/// more, and in which nothing happens, is to be collected with all that it has.
pub(crate) struct ThreadsafeFunction {
    raw: sys::napi_threadsafe_function,
    /// What is called. Freed by [`forget_bell`].
    function: sys::napi_ref,
}

// SAFETY: Node-API defines thread-safe functions to be called from any thread. The handle is only used while it is not
// released: `doorbell.rs` guards it with a lock. `function` is used on Node's thread alone.
unsafe impl Send for ThreadsafeFunction {}
// SAFETY: as above; calls from several threads at once are allowed.
unsafe impl Sync for ThreadsafeFunction {}

impl ThreadsafeFunction {
    /// Makes one that calls `function` without arguments. `resource` is what it is to `async_hooks`.
    #[must_use]
    pub(crate) fn new(env: Env<'_>, function: Value<'_>, resource: Value<'_>) -> Option<Self> {
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
        Some(Self { raw, function: reference })
    }

    /// Schedules the call.
    pub(crate) fn call(&self) {
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        node_api!(napi_call_threadsafe_function(self.raw, ptr::null_mut(), mode));
    }

    /// Whether Node stays alive for it.
    pub(crate) fn keep_alive(&self, env: Env<'_>, alive: bool) {
        if alive {
            node_api!(napi_ref_threadsafe_function(env.raw(), self.raw));
        } else {
            node_api!(napi_unref_threadsafe_function(env.raw(), self.raw));
        }
    }

    /// Whether the function of JavaScript, and with it all that it needs, stays alive for it. To be told changes only.
    pub(crate) fn hold(&self, env: Env<'_>, held: bool) {
        let mut count = 0;
        if held {
            node_api!(napi_reference_ref(env.raw(), self.function, &raw mut count));
        } else {
            node_api!(napi_reference_unref(env.raw(), self.function, &raw mut count));
        }
    }

    /// Gives it up.
    pub(crate) fn release(self) {
        let mode = sys::ThreadsafeFunctionReleaseMode::abort;
        node_api!(napi_release_threadsafe_function(self.raw, mode));
    }
}

/// Node's thread has got round to a call of a [`ThreadsafeFunction`].
unsafe extern "C" fn ring(
    env: sys::napi_env,
    _function: sys::napi_value,
    reference: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        // It is being given up.
        return;
    }
    let (mut function, mut this, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    node_api!(napi_get_reference_value(env, reference.cast(), &raw mut function));
    if function.is_null() {
        // Collected: nobody is left who could want to know.
        return;
    }
    node_api!(napi_get_undefined(env, &raw mut this));
    // Node reports what it throws as uncaught.
    node_api!(napi_call_function(env, this, function, 0, ptr::null(), &raw mut result));
}

/// A [`ThreadsafeFunction`] will not be called any more.
unsafe extern "C" fn forget_bell(env: sys::napi_env, _data: *mut c_void, reference: *mut c_void) {
    if !env.is_null() {
        node_api!(napi_delete_reference(env, reference.cast()));
    }
}

//! Puts the native functions on the exports of a load of the addon, and tears down their shared state at its end.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::{JsValue, Object};
use napi_sys as sys;

use super::call::{Body, Call, MAX_ARGUMENTS, Native};
use super::env::{Env, length_of};
use super::misuse::Misuse;
use super::node_api::node_api;
use super::value::Value;

/// The state that the functions of a load share.
pub(crate) trait Teardown: Default + 'static {
    /// Releases what the state owns. Called once, when the environment ends or no reference to the functions is left;
    /// no JavaScript runs afterwards.
    fn tear_down(&mut self);
}

/// What the `data` pointer of a native function points to.
struct Binding<S: Teardown> {
    /// How many arguments it has declared.
    arguments: usize,
    body: Body<S>,
    load: Rc<Load<S>>,
}

/// Makes a state for this load of the addon and puts its functions on `exports`.
pub(crate) fn register<S: Teardown>(env: &napi::Env, exports: &Object<'_>, natives: &[Native<S>]) {
    let (env, exports) = (env.raw(), exports.raw());
    let load = Rc::new(Load { env, state: Rc::<RefCell<S>>::default(), awaits_end: Cell::new(true) });
    // The hook is removed before the load is freed, so its pointer is valid.
    node_api!(napi_add_env_cleanup_hook(env, Some(unload::<S>), Rc::as_ptr(&load).cast_mut().cast()));
    for native in natives {
        let binding =
            Box::new(Binding { arguments: native.arguments, body: native.body, load: Rc::clone(&load) });
        let data = Box::into_raw(binding).cast::<c_void>();
        let mut function = ptr::null_mut();
        let text = native.name.as_ptr().cast::<c_char>();
        let length = length_of(native.name.as_bytes());
        node_api!(napi_create_function(env, text, length, Some(trampoline::<S>), data, &raw mut function));
        let (hint, reference) = (ptr::null_mut(), ptr::null_mut());
        node_api!(napi_add_finalizer(env, function, data, Some(forget_function::<S>), hint, reference));
        let mut key = ptr::null_mut();
        node_api!(napi_create_string_utf8(env, text, length, &raw mut key));
        node_api!(napi_set_property(env, exports, key, function));
    }
}

/// One load of the addon. It ends when the last of its functions is collected. Its state is torn down earlier if the
/// environment ends.
struct Load<S: Teardown> {
    env: sys::napi_env,
    state: Rc<RefCell<S>>,
    /// Whether [`unload`] has not run yet.
    awaits_end: Cell<bool>,
}

impl<S: Teardown> Load<S> {
    /// Tears the state down.
    fn tear_down(&self) {
        // A panic must not unwind into Node.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(mut state) = self.state.try_borrow_mut() {
                state.tear_down();
            }
        }));
    }
}

impl<S: Teardown> Drop for Load<S> {
    fn drop(&mut self) {
        if self.awaits_end.get() {
            let load = ptr::from_mut(self).cast();
            node_api!(napi_remove_env_cleanup_hook(self.env, Some(unload::<S>), load));
            self.tear_down();
        }
    }
}

/// A function of a load was collected, or its environment has ended.
unsafe extern "C" fn forget_function<S: Teardown>(
    _env: sys::napi_env,
    data: *mut c_void,
    _hint: *mut c_void,
) {
    // SAFETY: `data` came from `Box::into_raw` in `register`; a finalizer is called once, when the function cannot be
    // called any more.
    let binding = unsafe { Box::from_raw(data.cast::<Binding<S>>()) };
    drop(catch_unwind(AssertUnwindSafe(move || drop(binding))));
}

/// The environment ends (process exit, `worker.terminate()`): JavaScript will not run any more.
unsafe extern "C" fn unload<S: Teardown>(load: *mut c_void) {
    // SAFETY: `load` points to a `Load` that is alive: it removes this hook when it is dropped. It is shared from here
    // on, too, as all that refers to it does.
    let load = unsafe { &*load.cast::<Load<S>>() };
    load.awaits_end.set(false);
    load.tear_down();
}

/// The entry point of every native function.
unsafe extern "C" fn trampoline<S: Teardown>(
    raw: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let env = Env::of(raw);
    let mut arguments = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    let mut data = ptr::null_mut();
    let (argv, this) = (arguments.as_mut_ptr(), ptr::null_mut());
    let status = node_api!(napi_get_cb_info(raw, info, &raw mut count, argv, this, &raw mut data));
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: `data` is the binding that `register` gave to this function; it is freed by the function's finalizer,
    // after which nobody calls it.
    let binding = unsafe { &*data.cast::<Binding<S>>() };
    let count = count.min(MAX_ARGUMENTS);
    let call = Call { env, arguments, count, declared: binding.arguments, state: &binding.load.state };
    let result = catch_unwind(AssertUnwindSafe(|| (binding.body)(&call).map(Value::raw)));
    match result {
        Ok(Ok(value)) => value,
        Ok(Err(misuse)) => {
            env.throw(&misuse);
            ptr::null_mut()
        }
        Err(_) => {
            env.throw(&Misuse::bug());
            ptr::null_mut()
        }
    }
}

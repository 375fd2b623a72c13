//! Puts the native functions on the exports of a load of the addon, and ends what they share with it.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::{JsValue, Object};
use napi_sys as sys;

use super::call;
use super::call::{Call, MOST_ARGUMENTS, Native};
use super::env::{Env, length_of};
use super::value::Value;
use crate::node::environment::Environment;
use crate::node::error::Misuse;

/// What the `data` pointer of a native function points to.
struct Binding {
    native: Native,
    load: Rc<Load>,
}

/// Makes a state for this load of the addon and puts its functions on `exports`.
pub fn register(env: &napi::Env, exports: &Object<'_>, natives: &[(&str, Native)]) {
    let (env, exports) = (env.raw(), exports.raw());
    let load = Rc::new(Load { env, environment: RefCell::default(), awaits_end: Cell::new(true) });
    // The hook is removed before the load is freed, so what it points to is there.
    call!(napi_add_env_cleanup_hook(env, Some(unload), Rc::as_ptr(&load).cast_mut().cast()));
    for (name, native) in natives {
        let binding = Box::new(Binding { native: *native, load: Rc::clone(&load) });
        let data = Box::into_raw(binding).cast::<c_void>();
        let mut function = ptr::null_mut();
        let text = name.as_ptr().cast::<c_char>();
        let length = length_of(name.as_bytes());
        call!(napi_create_function(env, text, length, Some(trampoline), data, &raw mut function));
        let (hint, reference) = (ptr::null_mut(), ptr::null_mut());
        call!(napi_add_finalizer(env, function, data, Some(forget_function), hint, reference));
        let mut key = ptr::null_mut();
        call!(napi_create_string_utf8(env, text, length, &raw mut key));
        call!(napi_set_property(env, exports, key, function));
    }
}

/// Everything of one load. It ends when the last of its functions is collected: nobody can ask for anything any more, and
/// nothing happens that anybody would have to be told of, or else the bell would be held (`doorbell.rs`). What it owns
/// is given up before if the environment ends.
struct Load {
    env: sys::napi_env,
    environment: RefCell<Environment>,
    /// Whether [`unload`] is still to come.
    awaits_end: Cell<bool>,
}

impl Load {
    fn tear_down(&self) {
        // A panic must not unwind into Node.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(mut environment) = self.environment.try_borrow_mut() {
                environment.tear_down();
            }
        }));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if self.awaits_end.get() {
            let load = ptr::from_mut(self).cast();
            call!(napi_remove_env_cleanup_hook(self.env, Some(unload), load));
            self.tear_down();
        }
    }
}

/// A function of a load was collected, or its environment has ended.
unsafe extern "C" fn forget_function(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` came from `Box::into_raw` in `register`; a finalizer is called once, when the function cannot be
    // called any more.
    let binding = unsafe { Box::from_raw(data.cast::<Binding>()) };
    drop(catch_unwind(AssertUnwindSafe(move || drop(binding))));
}

/// The environment ends (process exit, `worker.terminate()`): JavaScript will not run any more.
unsafe extern "C" fn unload(load: *mut c_void) {
    // SAFETY: `load` points to a `Load` that is alive: it removes this hook when it is dropped. It is shared from here
    // on, too, as all that refers to it does.
    let load = unsafe { &*load.cast::<Load>() };
    load.awaits_end.set(false);
    load.tear_down();
}

/// Every native function is entered here.
unsafe extern "C" fn trampoline(raw: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let env = Env::of(raw);
    let mut arguments = [ptr::null_mut(); MOST_ARGUMENTS];
    let mut count = MOST_ARGUMENTS;
    let mut data = ptr::null_mut();
    let (argv, this) = (arguments.as_mut_ptr(), ptr::null_mut());
    let status = call!(napi_get_cb_info(raw, info, &raw mut count, argv, this, &raw mut data));
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: `data` is the binding that `register` gave to this function; it is freed by the function's finalizer, after
    // which nobody calls it.
    let binding = unsafe { &*data.cast::<Binding>() };
    let count = count.min(MOST_ARGUMENTS);
    let call = Call { env, arguments, count, environment: &binding.load.environment };
    let result = catch_unwind(AssertUnwindSafe(|| (binding.native)(&call).map(Value::raw)));
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

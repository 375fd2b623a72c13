//! Node-API, made safe. Hot calls cost a third of what generated bindings cost (docs/decisions/0001-plain-functions.md),
//! so every native function is a plain one: `fn(&Call) -> Result<Value, Misuse>`.
//!
//! The obligations that recur below, each kept by construction:
//! - `env` is the one Node-API gave to the running callback, on its own thread: [`Call`] and [`Env`] are `!Send` and
//!   only made here.
//! - A [`Value`] is not kept beyond its callback: it borrows the [`Env`].
//! - Out-pointers point to live locals.

#![expect(unsafe_code, reason = "the border itself: see above")]

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::{JsValue, Object};
use napi_sys as sys;

use super::environment::Environment;
use super::error::{Class, Misuse};

/// A native function.
pub type Native = for<'c> fn(&Call<'c>) -> Result<Value<'c>, Misuse>;

/// The most arguments a native function takes.
pub const MOST_ARGUMENTS: usize = 12;

/// Calls one Node-API function with the environment of the running callback.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: see the obligations at the top of this file; pointers among the arguments point to live locals or
        // to memory that the caller of the macro holds for the duration of the call.
        unsafe { sys::$name($($argument),*) }
    }};
}

/// The running callback's environment.
#[derive(Clone, Copy)]
pub struct Env<'c> {
    raw: sys::napi_env,
    /// Bound to the callback, and to its thread.
    callback: PhantomData<(&'c (), *mut ())>,
}

/// A JavaScript value that lives as long as the running callback.
#[derive(Clone, Copy)]
pub struct Value<'c> {
    raw: sys::napi_value,
    callback: PhantomData<(&'c (), *mut ())>,
}

impl Value<'_> {
    /// `undefined`, as a return value.
    pub const UNDEFINED: Self = Self { raw: ptr::null_mut(), callback: PhantomData };

    const fn of(raw: sys::napi_value) -> Self {
        Self { raw, callback: PhantomData }
    }

    /// For `buffer.rs`.
    pub(super) const fn raw(self) -> sys::napi_value {
        self.raw
    }

    /// For `buffer.rs`.
    pub(super) const fn from_raw(raw: sys::napi_value) -> Self {
        Self::of(raw)
    }

    /// Whether the argument was not passed at all.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.raw.is_null()
    }
}

/// One call from JavaScript.
pub struct Call<'c> {
    env: Env<'c>,
    arguments: [sys::napi_value; MOST_ARGUMENTS],
    count: usize,
    environment: &'c RefCell<Environment>,
}

impl<'c> Call<'c> {
    /// The Node-API environment.
    #[must_use]
    pub const fn env(&self) -> Env<'c> {
        self.env
    }

    /// The addon's state in this environment. Must not be held while JavaScript runs.
    ///
    /// # Errors
    /// [`Misuse::bug`] if it is held already.
    pub fn environment(&self) -> Result<std::cell::RefMut<'c, Environment>, Misuse> {
        self.environment.try_borrow_mut().map_err(|_| Misuse::bug())
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

/// What `typeof` says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Absent, `undefined` or `null`.
    Nothing,
    /// `number`
    Number,
    /// `string`
    String,
    /// `boolean`
    Boolean,
    /// Everything else.
    Other,
}

impl<'c> Env<'c> {
    pub(super) const fn raw(self) -> sys::napi_env {
        self.raw
    }

    /// The type of a value.
    #[must_use]
    pub fn type_of(self, value: Value<'_>) -> Type {
        if value.is_absent() {
            return Type::Nothing;
        }
        let mut kind = sys::ValueType::napi_undefined;
        call!(napi_typeof(self.raw, value.raw, &raw mut kind));
        match kind {
            sys::ValueType::napi_undefined | sys::ValueType::napi_null => Type::Nothing,
            sys::ValueType::napi_number => Type::Number,
            sys::ValueType::napi_string => Type::String,
            sys::ValueType::napi_boolean => Type::Boolean,
            _ => Type::Other,
        }
    }

    /// The value as a number, if it is one.
    #[must_use]
    pub fn number(self, value: Value<'_>) -> Option<f64> {
        let mut number = 0.0;
        let status = call!(napi_get_value_double(self.raw, value.raw, &raw mut number));
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// Whether a value is truthy. Runs no JavaScript.
    #[must_use]
    pub fn truthy(self, value: Value<'_>) -> bool {
        let mut truth = false;
        if value.is_absent()
            || call!(napi_get_value_bool(self.raw, value.raw, &raw mut truth)) == sys::Status::napi_ok
        {
            return truth;
        }
        let mut coerced = ptr::null_mut();
        if call!(napi_coerce_to_bool(self.raw, value.raw, &raw mut coerced)) == sys::Status::napi_ok {
            call!(napi_get_value_bool(self.raw, coerced, &raw mut truth));
        }
        truth
    }

    /// Appends a string as UTF-8 to `target`. Returns whether the value is a string.
    pub fn append_string(self, value: Value<'_>, target: &mut Vec<u8>) -> bool {
        if value.is_absent() {
            return false;
        }
        target.reserve(GUESS);
        if self.read_string(value, target) {
            return true;
        }
        let mut needed = 0;
        let status =
            call!(napi_get_value_string_utf8(self.raw, value.raw, ptr::null_mut(), 0, &raw mut needed));
        if status != sys::Status::napi_ok {
            return false;
        }
        target.reserve(needed + SLACK);
        self.read_string(value, target)
    }

    /// One attempt with the room that there is. Returns whether the whole string fitted.
    fn read_string(self, value: Value<'_>, target: &mut Vec<u8>) -> bool {
        let room = target.spare_capacity_mut();
        let (pointer, size) = (room.as_mut_ptr().cast::<c_char>(), room.len());
        let mut written = 0;
        let status = call!(napi_get_value_string_utf8(self.raw, value.raw, pointer, size, &raw mut written));
        // Node-API stops before a character that does not fit, and keeps a byte for the final NUL: with this much room
        // left, nothing was cut off.
        if status != sys::Status::napi_ok || written + SLACK > size {
            return false;
        }
        let length = target.len() + written;
        // SAFETY: Node-API initialised `written` bytes of the spare capacity, which holds more than that.
        unsafe { target.set_len(length) };
        true
    }

    /// A string from UTF-8. Invalid sequences become U+FFFD.
    #[must_use]
    pub fn string(self, text: &[u8]) -> Value<'c> {
        let mut value = ptr::null_mut();
        let pointer = text.as_ptr().cast::<c_char>();
        call!(napi_create_string_utf8(self.raw, pointer, length_of(text), &raw mut value));
        Value::of(value)
    }

    /// A string from ISO 8859-1.
    #[must_use]
    pub fn latin1(self, text: &[u8]) -> Value<'c> {
        let mut value = ptr::null_mut();
        let pointer = text.as_ptr().cast::<c_char>();
        call!(napi_create_string_latin1(self.raw, pointer, length_of(text), &raw mut value));
        Value::of(value)
    }

    /// A number.
    #[must_use]
    pub fn from_number(self, number: f64) -> Value<'c> {
        let mut value = ptr::null_mut();
        call!(napi_create_double(self.raw, number, &raw mut value));
        Value::of(value)
    }

    /// A BigInt.
    #[must_use]
    pub fn from_u64(self, number: u64) -> Value<'c> {
        let mut value = ptr::null_mut();
        call!(napi_create_bigint_uint64(self.raw, number, &raw mut value));
        Value::of(value)
    }

    /// A boolean.
    #[must_use]
    pub fn from_bool(self, truth: bool) -> Value<'c> {
        let mut value = ptr::null_mut();
        call!(napi_get_boolean(self.raw, truth, &raw mut value));
        Value::of(value)
    }

    /// An array.
    #[must_use]
    pub fn array(self, items: impl IntoIterator<Item = Value<'c>>) -> Value<'c> {
        let mut array = ptr::null_mut();
        call!(napi_create_array(self.raw, &raw mut array));
        for (index, item) in (0..).zip(items) {
            // Runs JavaScript only where somebody has put a setter on `Array.prototype`. Should that call us, it finds the
            // state held (`Call::environment`), and gets an exception.
            call!(napi_set_element(self.raw, array, index, item.raw));
        }
        Value::of(array)
    }

    /// The element of an array that `lib/` made; absent if there is none.
    #[must_use]
    pub fn element(self, array: Value<'_>, index: u32) -> Value<'c> {
        let mut value = ptr::null_mut();
        if !array.is_absent() {
            call!(napi_get_element(self.raw, array.raw, index, &raw mut value));
        }
        Value::of(value)
    }

    /// Reports an exception that nobody caught: 'uncaughtException', as Node does for a throwing event handler. Runs
    /// JavaScript.
    pub fn report_uncaught(self, error: Value<'_>) {
        call!(napi_fatal_exception(self.raw, error.raw));
    }

    fn throw(self, misuse: &Misuse) {
        // Node-API wants a final NUL, and so none before it. What was passed to `listen` may contain one.
        let code = CString::new(misuse.code).unwrap_or_default();
        let message = CString::new(misuse.message.replace('\0', "\u{fffd}")).unwrap_or_default();
        let (code, message) = (code.as_ptr(), message.as_ptr());
        match misuse.class {
            Class::Error => call!(napi_throw_error(self.raw, code, message)),
            Class::TypeError => call!(napi_throw_type_error(self.raw, code, message)),
            Class::RangeError => call!(napi_throw_range_error(self.raw, code, message)),
        };
    }
}

fn length_of(text: &[u8]) -> isize {
    // A slice is never longer than isize::MAX bytes.
    isize::try_from(text.len()).unwrap_or(isize::MAX)
}

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
    let env = Env { raw, callback: PhantomData };
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

/// A thread-safe function: schedules a turn of Node's loop from any thread.
///
/// It keeps neither Node nor the function of JavaScript alive, unless told to: a load of the addon that nobody uses any
/// more, and in which nothing happens, is to be collected with all that it has.
pub struct ThreadsafeFunction {
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
    pub fn new(env: Env<'_>, function: Value<'_>, resource: Value<'_>) -> Option<Self> {
        let name = env.string(b"ferrows");
        let mut reference = ptr::null_mut();
        if call!(napi_create_reference(env.raw, function.raw, 0, &raw mut reference)) != sys::Status::napi_ok
        {
            return None;
        }
        let mut raw = ptr::null_mut();
        let status = call!(napi_create_threadsafe_function(
            env.raw,
            ptr::null_mut(),
            resource.raw,
            name.raw,
            0,
            1,
            ptr::null_mut(),
            Some(forget_bell),
            reference.cast(),
            Some(ring),
            &raw mut raw,
        ));
        if status != sys::Status::napi_ok {
            call!(napi_delete_reference(env.raw, reference));
            return None;
        }
        call!(napi_unref_threadsafe_function(env.raw, raw));
        Some(Self { raw, function: reference })
    }

    /// Schedules the call.
    pub fn call(&self) {
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        call!(napi_call_threadsafe_function(self.raw, ptr::null_mut(), mode));
    }

    /// Whether Node stays alive for it.
    pub fn keep_alive(&self, env: Env<'_>, alive: bool) {
        if alive {
            call!(napi_ref_threadsafe_function(env.raw, self.raw));
        } else {
            call!(napi_unref_threadsafe_function(env.raw, self.raw));
        }
    }

    /// Whether the function of JavaScript, and with it all that it needs, stays alive for it. To be told changes only.
    pub fn hold(&self, env: Env<'_>, held: bool) {
        let mut count = 0;
        if held {
            call!(napi_reference_ref(env.raw, self.function, &raw mut count));
        } else {
            call!(napi_reference_unref(env.raw, self.function, &raw mut count));
        }
    }

    /// Gives it up.
    pub fn release(self) {
        let mode = sys::ThreadsafeFunctionReleaseMode::abort;
        call!(napi_release_threadsafe_function(self.raw, mode));
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
    call!(napi_get_reference_value(env, reference.cast(), &raw mut function));
    if function.is_null() {
        // Collected: nobody is left who could want to know.
        return;
    }
    call!(napi_get_undefined(env, &raw mut this));
    // Node reports what it throws as uncaught.
    call!(napi_call_function(env, this, function, 0, ptr::null(), &raw mut result));
}

/// A [`ThreadsafeFunction`] will not be called any more.
unsafe extern "C" fn forget_bell(env: sys::napi_env, _data: *mut c_void, reference: *mut c_void) {
    if !env.is_null() {
        call!(napi_delete_reference(env, reference.cast()));
    }
}

/// Keeps a value alive until it is dropped, on the thread of its environment.
#[derive(Debug)]
pub struct Reference {
    env: sys::napi_env,
    raw: sys::napi_ref,
}

impl Reference {
    /// Keeps `value`, which must be an object, alive. It must not refer to what is to be collected while this is kept.
    #[must_use]
    pub fn new(env: Env<'_>, value: Value<'_>) -> Option<Self> {
        let mut raw = ptr::null_mut();
        let status = call!(napi_create_reference(env.raw, value.raw, 1, &raw mut raw));
        (status == sys::Status::napi_ok).then_some(Self { env: env.raw, raw })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        call!(napi_delete_reference(self.env, self.raw));
    }
}

/// A descriptor of our own for what `number` names. The caller's stays as it is.
///
/// # Errors
/// `EBADF` if it names nothing, `EMFILE` if there are too many.
#[cfg(unix)]
pub fn duplicate(number: u32) -> std::io::Result<std::os::fd::OwnedFd> {
    let bad = |_| std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let number = i32::try_from(number).map_err(bad)?;
    // SAFETY: it is not -1. That it is open nobody can promise of a number of JavaScript, and nobody relies on it: all that
    // is done with the borrowed descriptor is to ask the kernel for a copy, and the kernel answers EBADF.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}

/// Has the memory that is free in the allocator given back to the system, by a thread of its own. That of glibc keeps what a
/// thread has freed, as long as a single byte behind it is in use; others give it back by themselves.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};

        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }

        /// How often this was called since the thread under way began to look.
        static CALLS: AtomicUsize = AtomicUsize::new(0);

        if CALLS.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let give = || loop {
            let seen = CALLS.load(Ordering::Acquire);
            // SAFETY: it takes the allocator's own locks, and may be called at any time by any thread.
            unsafe { malloc_trim(0) };
            if CALLS.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        };
        if std::thread::Builder::new().name("memory-trim".to_owned()).spawn(give).is_err() {
            // There are too many threads; the next peak is another occasion.
            CALLS.store(0, Ordering::Release);
        }
    }
}

/// Bytes that a string is first given room for: most messages, paths and header values fit.
const GUESS: usize = 512;
/// Room that tells a string which fitted from one that was cut: the longest UTF-8 sequence and the final NUL.
const SLACK: usize = 5;

//! The environment of the running callback: reads and makes values.

#![expect(unsafe_code, reason = "calls Node-API: the obligations stand in `js/mod.rs`")]

use std::ffi::{CString, c_char};
use std::marker::PhantomData;
use std::ptr;

use napi_sys as sys;

use super::misuse::{Class, Misuse};
use super::node_api::node_api;
use super::value::{Type, Value};

/// The running callback's environment.
#[derive(Clone, Copy)]
pub(crate) struct Env<'c> {
    raw: sys::napi_env,
    /// Bound to the callback, and to its thread.
    callback: PhantomData<(&'c (), *mut ())>,
}

impl<'c> Env<'c> {
    pub(super) const fn of(raw: sys::napi_env) -> Self {
        Self { raw, callback: PhantomData }
    }

    pub(super) const fn raw(self) -> sys::napi_env {
        self.raw
    }

    /// The type of a value.
    #[must_use]
    pub(crate) fn type_of(self, value: Value<'_>) -> Type {
        if value.is_absent() {
            return Type::Nothing;
        }
        let mut kind = sys::ValueType::napi_undefined;
        node_api!(napi_typeof(self.raw, value.raw(), &raw mut kind));
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
    pub(crate) fn number(self, value: Value<'_>) -> Option<f64> {
        let mut number = 0.0;
        let status = node_api!(napi_get_value_double(self.raw, value.raw(), &raw mut number));
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// Whether a value is truthy. Runs no JavaScript.
    #[must_use]
    pub(crate) fn truthy(self, value: Value<'_>) -> bool {
        let mut truth = false;
        if value.is_absent()
            || node_api!(napi_get_value_bool(self.raw, value.raw(), &raw mut truth)) == sys::Status::napi_ok
        {
            return truth;
        }
        let mut coerced = ptr::null_mut();
        if node_api!(napi_coerce_to_bool(self.raw, value.raw(), &raw mut coerced)) == sys::Status::napi_ok {
            node_api!(napi_get_value_bool(self.raw, coerced, &raw mut truth));
        }
        truth
    }

    /// Appends a string as UTF-8 to `target`. Returns whether the value is a string.
    pub(crate) fn append_string(self, value: Value<'_>, target: &mut Vec<u8>) -> bool {
        if value.is_absent() {
            return false;
        }
        target.reserve(FIRST_CAPACITY);
        match self.read_string(value, target) {
            Reading::Complete => return true,
            Reading::NoString => return false,
            Reading::CutOff => {}
        }
        let mut needed = 0;
        let status =
            node_api!(napi_get_value_string_utf8(self.raw, value.raw(), ptr::null_mut(), 0, &raw mut needed));
        if status != sys::Status::napi_ok {
            return false;
        }
        target.reserve(needed + SLACK);
        self.read_string(value, target) == Reading::Complete
    }

    /// One attempt with the room that there is. Appends nothing unless the whole string fits.
    fn read_string(self, value: Value<'_>, target: &mut Vec<u8>) -> Reading {
        let room = target.spare_capacity_mut();
        let (pointer, size) = (room.as_mut_ptr().cast::<c_char>(), room.len());
        let mut written = 0;
        let status =
            node_api!(napi_get_value_string_utf8(self.raw, value.raw(), pointer, size, &raw mut written));
        if status != sys::Status::napi_ok {
            return Reading::NoString;
        }
        // Node-API stops before a character that does not fit, and keeps a byte for the final NUL: with this much room
        // left, nothing was cut off.
        if written + SLACK > size {
            return Reading::CutOff;
        }
        let length = target.len() + written;
        // SAFETY: Node-API initialised `written` bytes of the spare capacity, which holds more than that.
        unsafe { target.set_len(length) };
        Reading::Complete
    }

    /// A string from UTF-8. Invalid sequences become U+FFFD.
    #[must_use]
    pub(crate) fn string(self, text: &[u8]) -> Value<'c> {
        let mut value = ptr::null_mut();
        let pointer = text.as_ptr().cast::<c_char>();
        node_api!(napi_create_string_utf8(self.raw, pointer, length_of(text), &raw mut value));
        Value::of(value)
    }

    /// A string from ISO 8859-1.
    #[must_use]
    pub(crate) fn latin1(self, text: &[u8]) -> Value<'c> {
        let mut value = ptr::null_mut();
        let pointer = text.as_ptr().cast::<c_char>();
        node_api!(napi_create_string_latin1(self.raw, pointer, length_of(text), &raw mut value));
        Value::of(value)
    }

    /// A number.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "what is made is a value of JavaScript")]
    pub(crate) fn from_number(self, number: f64) -> Value<'c> {
        let mut value = ptr::null_mut();
        node_api!(napi_create_double(self.raw, number, &raw mut value));
        Value::of(value)
    }

    /// A BigInt.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "what is made is a value of JavaScript")]
    pub(crate) fn from_u64(self, number: u64) -> Value<'c> {
        let mut value = ptr::null_mut();
        node_api!(napi_create_bigint_uint64(self.raw, number, &raw mut value));
        Value::of(value)
    }

    /// A boolean.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "what is made is a value of JavaScript")]
    pub(crate) fn from_bool(self, truth: bool) -> Value<'c> {
        let mut value = ptr::null_mut();
        node_api!(napi_get_boolean(self.raw, truth, &raw mut value));
        Value::of(value)
    }

    /// An array.
    #[must_use]
    pub(crate) fn array(self, items: impl IntoIterator<Item = Value<'c>>) -> Value<'c> {
        let mut array = ptr::null_mut();
        node_api!(napi_create_array(self.raw, &raw mut array));
        for (index, item) in (0..).zip(items) {
            // Runs JavaScript only where a program has put a setter on `Array.prototype`. If that calls the addon, the
            // state is borrowed (`Call::environment`), and the call throws.
            node_api!(napi_set_element(self.raw, array, index, item.raw()));
        }
        Value::of(array)
    }

    /// A frozen object of these properties.
    #[must_use]
    pub(crate) fn frozen<'n>(self, properties: impl IntoIterator<Item = (&'n str, Value<'c>)>) -> Value<'c> {
        let mut object = ptr::null_mut();
        node_api!(napi_create_object(self.raw, &raw mut object));
        for (name, value) in properties {
            let name = self.string(name.as_bytes());
            node_api!(napi_set_property(self.raw, object, name.raw(), value.raw()));
        }
        self.freeze(Value::of(object))
    }

    /// The same object or array, frozen.
    #[must_use]
    pub(crate) fn freeze(self, object: Value<'c>) -> Value<'c> {
        node_api!(napi_object_freeze(self.raw, object.raw()));
        object
    }

    /// The element of an array that `lib/` made; absent if there is none.
    #[must_use]
    pub(crate) fn element(self, array: Value<'_>, index: u32) -> Value<'c> {
        let mut value = ptr::null_mut();
        if !array.is_absent() {
            node_api!(napi_get_element(self.raw, array.raw(), index, &raw mut value));
        }
        Value::of(value)
    }

    /// Reports an exception that was not caught: 'uncaughtException', as Node does for a throwing event handler. Runs
    /// JavaScript.
    pub(crate) fn report_uncaught(self, error: Value<'_>) {
        node_api!(napi_fatal_exception(self.raw, error.raw()));
    }

    pub(super) fn throw(self, misuse: &Misuse) {
        // Node-API expects a final NUL and none before it. A message may contain one that was passed to `listen`.
        let code = CString::new(misuse.code).unwrap_or_default();
        let message = CString::new(misuse.message.replace('\0', "\u{fffd}")).unwrap_or_default();
        let (code, message) = (code.as_ptr(), message.as_ptr());
        match misuse.class {
            Class::Error => node_api!(napi_throw_error(self.raw, code, message)),
            Class::TypeError => node_api!(napi_throw_type_error(self.raw, code, message)),
            Class::RangeError => node_api!(napi_throw_range_error(self.raw, code, message)),
        };
    }
}

/// What [`Env::read_string`] found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A string, which fitted.
    Complete,
    /// A string that may be longer.
    CutOff,
    /// Another value.
    NoString,
}

pub(super) fn length_of(text: &[u8]) -> isize {
    // A slice is never longer than isize::MAX bytes.
    isize::try_from(text.len()).unwrap_or(isize::MAX)
}

/// Bytes that a string is first given room for: most messages, paths and header values fit.
const FIRST_CAPACITY: usize = 512;
/// Free room by which a complete string is distinguished from a truncated one: the longest UTF-8 sequence and the final
/// NUL.
const SLACK: usize = 5;

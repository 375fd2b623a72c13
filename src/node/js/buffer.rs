//! Memory of JavaScript: ArrayBuffers, in and out.

#![expect(
    unsafe_code,
    reason = "reads and writes memory that belongs to JavaScript; each use says why it may"
)]

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::slice;

use napi_sys as sys;

use super::env::Env;
use super::misuse::Misuse;
use super::value::{Type, Value};

impl<'c> Env<'c> {
    /// A fresh ArrayBuffer with a copy of `bytes`. The buffer owns its memory: a handler may keep or transfer it.
    #[must_use]
    pub(crate) fn array_buffer(self, bytes: &[u8]) -> Value<'c> {
        if bytes.len() >= UNINITIALISED_FROM
            && let Some((value, ())) =
                self.array_buffer_filled_by(bytes.len(), |memory| memory.copy_from_slice(bytes))
        {
            return value;
        }
        let mut data = ptr::null_mut();
        let mut value = ptr::null_mut();
        // SAFETY: the out-pointers point to live locals.
        let status =
            unsafe { sys::napi_create_arraybuffer(self.raw(), bytes.len(), &raw mut data, &raw mut value) };
        if status == sys::Status::napi_ok && !data.is_null() && !bytes.is_empty() {
            // SAFETY: `data` is the start of `bytes.len()` fresh bytes to which there is no other reference yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast::<u8>(), bytes.len()) };
        }
        Value::of(value)
    }

    /// A fresh ArrayBuffer of so many bytes, at least [`UNINITIALISED_FROM`], which `fill` has to overwrite: they are not set to
    /// zero before, for which it is the buffer of a `Buffer`. Returns what `fill` does, too. `None` if that cannot be had; `fill`
    /// is not called then. No JavaScript may run in `fill`.
    pub(crate) fn array_buffer_filled_by<R>(
        self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<(Value<'c>, R)> {
        let (mut data, mut view) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the out-pointers point to live locals.
        let status = unsafe { sys::napi_create_buffer(self.raw(), length, &raw mut data, &raw mut view) };
        if status != sys::Status::napi_ok || data.is_null() {
            return None;
        }
        let mut value = ptr::null_mut();
        let (kind, elements, start, offset) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `view` is a live value of this callback, the out-pointer points to a live local; the others are optional.
        let status = unsafe {
            sys::napi_get_typedarray_info(self.raw(), view, kind, elements, start, &raw mut value, offset)
        };
        let value = Value::of(value);
        // Another runtime may have taken a part of a larger buffer.
        let is_whole = status == sys::Status::napi_ok
            && self.memory_of(value).is_some_and(|memory| memory.data == data && memory.length == length);
        if !is_whole {
            return None;
        }
        // SAFETY: `data` is the start of `length` fresh bytes outside of the heap of JavaScript, which stay where they are while
        // `value` lives. There is no other reference to them, and no JavaScript runs that could make one. Whatever they hold is
        // a valid `u8`.
        let memory = unsafe { slice::from_raw_parts_mut(data.cast::<u8>(), length) };
        Some((value, fill(memory)))
    }

    /// Detaches an ArrayBuffer, as uWebSockets.js does when a handler returns. Does nothing for other values and for
    /// one that is detached already.
    pub(crate) fn detach(self, value: Value<'_>) {
        if !value.is_absent() {
            // SAFETY: `value` is a live value of this callback.
            unsafe { sys::napi_detach_arraybuffer(self.raw(), value.raw()) };
        }
    }

    /// Appends text (as UTF-8) or data to `target`: string, ArrayBuffer, SharedArrayBuffer, typed array, DataView, or
    /// `undefined` for nothing: `RecognizedString` in index.d.ts.
    ///
    /// # Errors
    /// [`Misuse::not_text_or_data`]; `ERR_OUT_OF_RANGE` if it is longer than [`LONGEST`].
    pub(crate) fn append_text_or_data(self, value: Value<'_>, target: &mut Vec<u8>) -> Result<(), Misuse> {
        self.append_unless_long(value, usize::MAX, target).map(|_| ())
    }

    /// The same, unless it is data of `long` bytes or more: then nothing is appended, and the result is how many.
    ///
    /// # Errors
    /// As [`Self::append_text_or_data`].
    pub(crate) fn append_unless_long(
        self,
        value: Value<'_>,
        long: usize,
        target: &mut Vec<u8>,
    ) -> Result<Option<usize>, Misuse> {
        // The longest string of V8 is shorter than the limit.
        if self.append_string(value, target) {
            return Ok(None);
        }
        let all = |length| match length {
            length if length > LONGEST => {
                Err(Misuse::out_of_range(format!("text and data must not exceed {LONGEST} bytes")))
            }
            length if length >= long => Ok(0..0),
            length => Ok(0..length),
        };
        Ok(Some(self.append_data(value, target, all)?).filter(|length| *length >= long))
    }

    /// Runs `act` with data where it lies. `None` if `value` is none. No JavaScript may run in `act`.
    pub(crate) fn lend_data<R>(self, value: Value<'_>, act: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let Memory { data, length } = self.memory_of(value)?;
        if length > LONGEST || data.is_null() {
            return None;
        }
        // SAFETY: as in `append_data`: a live buffer, and no JavaScript runs that could detach or resize it.
        Some(act(unsafe { slice::from_raw_parts(data.cast::<u8>(), length) }))
    }

    /// Appends the range of data that `part` returns, given the number of bytes. Returns that number.
    fn append_data(
        self,
        value: Value<'_>,
        target: &mut Vec<u8>,
        part: impl Fn(usize) -> Result<Range<usize>, Misuse>,
    ) -> Result<usize, Misuse> {
        match self.memory_of(value) {
            Some(Memory { data, length }) => {
                let part = part(length)?;
                if !part.is_empty() && !data.is_null() {
                    // SAFETY: Node-API gave this range for a live buffer, and no JavaScript runs until it is copied, so
                    // it can be neither detached nor resized meanwhile. Another thread may write to shared memory at
                    // the same time; then the copied bytes are some mixture, as they would be in any reader.
                    let bytes = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
                    target.extend_from_slice(&bytes[part]);
                }
                Ok(length)
            }
            None if self.type_of(value) == Type::Nothing && !self.is_null(value) => Ok(0),
            None => Err(Misuse::not_text_or_data()),
        }
    }

    fn is_null(self, value: Value<'_>) -> bool {
        let mut kind = sys::ValueType::napi_undefined;
        if !value.is_absent() {
            // SAFETY: `value` is a live value of this callback, the out-pointer points to a live local.
            unsafe { sys::napi_typeof(self.raw(), value.raw(), &raw mut kind) };
        }
        kind == sys::ValueType::napi_null
    }

    /// Where the bytes of an ArrayBuffer or of a view of any buffer lie.
    pub(super) fn memory_of(self, value: Value<'_>) -> Option<Memory> {
        if value.is_absent() {
            return None;
        }
        let env = self.raw();
        let mut memory = Memory { data: ptr::null_mut(), length: 0 };
        let (data, length) = (&raw mut memory.data, &raw mut memory.length);
        // SAFETY: `value` is a live value of this callback, the out-pointers point to live locals.
        if unsafe { sys::napi_get_arraybuffer_info(env, value.raw(), data, length) } == sys::Status::napi_ok {
            return Some(memory);
        }
        let mut kind = UNKNOWN_KIND;
        let (none, offset) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: as above; the last two results are optional.
        let status = unsafe {
            sys::napi_get_typedarray_info(env, value.raw(), &raw mut kind, length, data, none, offset)
        };
        if status == sys::Status::napi_ok {
            memory.length *= element_size(kind);
            return Some(memory);
        }
        // SAFETY: as above.
        let status = unsafe { sys::napi_get_dataview_info(env, value.raw(), length, data, none, offset) };
        (status == sys::Status::napi_ok).then_some(memory)
    }
}

/// Text or data of a call that is copied piece by piece. Data still belongs to JavaScript, so this must not outlive the
/// call.
pub(crate) struct Payload<'c> {
    env: Env<'c>,
    value: Value<'c>,
    /// Text as UTF-8, so that it is converted once.
    text: Option<Vec<u8>>,
    length: usize,
}

impl<'c> Payload<'c> {
    /// What `value` holds.
    ///
    /// # Errors
    /// [`Misuse::not_text_or_data`]
    pub(crate) fn of(env: Env<'c>, value: Value<'c>) -> Result<Self, Misuse> {
        let mut text = Vec::new();
        if env.type_of(value) == Type::String && env.append_string(value, &mut text) {
            return Ok(Self { env, value, length: text.len(), text: Some(text) });
        }
        let length = env.append_data(value, &mut text, |_| Ok(0..0))?;
        Ok(Self { env, value, text: None, length })
    }

    /// How many bytes there are.
    #[must_use]
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// Runs `act` with some of the bytes where they lie, if there are that many. No JavaScript may run in `act`.
    pub(crate) fn lend<R>(&self, part: &Range<usize>, act: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match &self.text {
            Some(text) => text.get(part.clone()).map(act),
            None => self.env.lend_data(self.value, |bytes| bytes.get(part.clone()).map(act))?,
        }
    }

    /// Appends some of the bytes to `target`; fewer if there are not that many.
    pub(crate) fn append(&self, part: &Range<usize>, target: &mut Vec<u8>) {
        let within = |length: usize| part.start.min(length)..part.end.min(length);
        match &self.text {
            Some(text) => target.extend_from_slice(&text[within(text.len())]),
            // It was data before, and no JavaScript has run since.
            None => drop(self.env.append_data(self.value, target, |length| Ok(within(length)))),
        }
    }
}

pub(super) struct Memory {
    pub(super) data: *mut c_void,
    pub(super) length: usize,
}

/// Bytes per element of a typed array.
fn element_size(kind: sys::napi_typedarray_type) -> usize {
    use sys::TypedarrayType as T;
    match kind {
        T::int16_array | T::uint16_array => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        T::int8_array | T::uint8_array | T::uint8_clamped_array => 1,
        // Float16Array, the one kind that has no number in Node-API, or a kind that is newer than this file.
        _ => 2,
    }
}

/// Bytes from which on it costs less to create a `Buffer` too than to set the memory to zero before it is overwritten.
const UNINITIALISED_FROM: usize = 4096;

/// The kind that is read for a typed array that Node-API does not know.
const UNKNOWN_KIND: sys::napi_typedarray_type = 99;

/// Limit of one payload in bytes, so that a slice can address it in an arena (`bridge/event.rs`) behind what that holds
/// already. JavaScript has buffers of that size, but no strings.
const LONGEST: usize = i32::MAX as usize;

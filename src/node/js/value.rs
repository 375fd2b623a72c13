//! Values of JavaScript.

use std::marker::PhantomData;
use std::ptr;

use napi_sys as sys;

/// A JavaScript value that lives as long as the running callback.
#[derive(Clone, Copy)]
pub(crate) struct Value<'c> {
    raw: sys::napi_value,
    callback: PhantomData<(&'c (), *mut ())>,
}

impl Value<'_> {
    /// `undefined`, as a return value.
    pub(crate) const UNDEFINED: Self = Self { raw: ptr::null_mut(), callback: PhantomData };

    pub(super) const fn of(raw: sys::napi_value) -> Self {
        Self { raw, callback: PhantomData }
    }

    pub(super) const fn raw(self) -> sys::napi_value {
        self.raw
    }

    /// Whether the argument was not passed at all.
    #[must_use]
    pub(crate) const fn is_absent(self) -> bool {
        self.raw.is_null()
    }
}

/// What `typeof` says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
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

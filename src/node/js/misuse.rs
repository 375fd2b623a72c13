//! A wrong call by JavaScript, which becomes an exception with a stable `code`.

use std::borrow::Cow;

/// Which constructor the exception has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `Error`
    Error,
    /// `TypeError`
    TypeError,
    /// `RangeError`
    RangeError,
}

/// A call that cannot be carried out. Never depends on what the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misuse {
    /// The constructor.
    pub class: Class,
    /// The `code` property.
    pub code: &'static str,
    /// The `message` property.
    pub message: Cow<'static, str>,
}

impl Misuse {
    /// One whose message is always the same.
    pub(in crate::node) const fn fixed(class: Class, code: &'static str, message: &'static str) -> Self {
        Self { class, code, message: Cow::Borrowed(message) }
    }

    /// An argument that is neither text nor data.
    #[must_use]
    pub(crate) const fn not_text_or_data() -> Self {
        Self::fixed(
            Class::TypeError,
            "ERR_INVALID_ARG_TYPE",
            "Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.",
        )
    }

    /// Fewer arguments than the function needs.
    #[must_use]
    pub(crate) fn missing_args(needed: usize) -> Self {
        Self {
            class: Class::TypeError,
            code: "ERR_MISSING_ARGS",
            message: format!("Function requires at least {needed} arguments.").into(),
        }
    }

    /// An argument of the wrong type; `what` names the argument and the type that it must have.
    #[must_use]
    pub(crate) fn invalid_type(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code: "ERR_INVALID_ARG_TYPE", message: what.into() }
    }

    /// An argument of the right type with an invalid value; `what` says which and why.
    #[must_use]
    pub(crate) fn invalid_value(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code: "ERR_INVALID_ARG_VALUE", message: what.into() }
    }

    /// A number outside its range; `what` says which and what the range is.
    #[must_use]
    pub(crate) fn out_of_range(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::RangeError, code: "ERR_OUT_OF_RANGE", message: what.into() }
    }

    /// A call at the wrong moment.
    #[must_use]
    pub(crate) fn invalid_state(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::Error, code: "ERR_INVALID_STATE", message: what.into() }
    }

    /// The system refused; `code` is that of the system.
    #[must_use]
    pub(crate) fn system(code: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::Error, code, message: what.into() }
    }

    /// A bug in the addon, caught before it reaches JavaScript.
    #[must_use]
    pub(crate) const fn bug() -> Self {
        Self::fixed(Class::Error, "ERR_INTERNAL", "This is a bug in ferrows; the call had no effect.")
    }
}

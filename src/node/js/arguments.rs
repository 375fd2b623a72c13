//! Reads what JavaScript passes: arguments of a call, and options, which travel as one array. The only place that
//! decides what counts as text, as bytes, as an integer in its range, as a boolean.

use super::call::Call;
use super::env::Env;
use super::misuse::Misuse;
use super::value::{Type, Value};

/// The integers that an argument or option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The smallest value.
    pub min: u64,
    /// The largest value, at most 2^53-1.
    pub max: u64,
    /// The default.
    pub default: u64,
}

/// A type of the addon that JavaScript has as a number.
pub(crate) trait FromNumber: Sized {
    /// The value that the number stands for; `None` if it stands for none.
    fn from_number(number: f64) -> Option<Self>;
}

impl Env<'_> {
    /// Text or data, as bytes; none for `undefined`.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn bytes(self, value: Value<'_>) -> Result<Vec<u8>, Misuse> {
        let mut bytes = Vec::new();
        self.append_text_or_data(value, &mut bytes)?;
        Ok(bytes)
    }

    /// Text or data, as text: what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn text(self, value: Value<'_>) -> Result<String, Misuse> {
        let bytes = self.bytes(value)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The integer that is called `name`; `undefined` and `null` mean its default.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, with this name.
    pub(crate) fn integer(self, value: Value<'_>, name: &str, range: Range) -> Result<u64, Misuse> {
        if self.type_of(value) == Type::Nothing {
            return Ok(range.default);
        }
        self.required_integer(value, name, range)
    }

    /// The same of an integer that has no default.
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn required_integer(self, value: Value<'_>, name: &str, range: Range) -> Result<u64, Misuse> {
        let Range { min, max, .. } = range;
        let Some(number) = self.number(value) else {
            return Err(Misuse::invalid_type(format!("{name} must be a number")));
        };
        // Both ends are at most 2^53, so the comparison is exact.
        if number.fract() != 0.0 || !(min as f64..=max as f64).contains(&number) {
            return Err(Misuse::out_of_range(format!(
                "{name} must be an integer between {min} and {max}, got {number}"
            )));
        }
        Ok(number as u64)
    }

    /// The same of an integer that bounds something. A limit above the largest value has the same effect as that value,
    /// so larger ones and `Infinity` mean the largest: programs write `maxPayloadLength: 1e10` for "any".
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn bound(self, value: Value<'_>, name: &str, range: Range) -> Result<u64, Misuse> {
        match self.number(value) {
            Some(number) if number > range.max as f64 => Ok(range.max),
            Some(_) | None => self.integer(value, name, range),
        }
    }

    /// The boolean that is called `name`; `None` for `undefined` and `null`.
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`, with this name.
    pub(crate) fn boolean(self, value: Value<'_>, name: &str) -> Result<Option<bool>, Misuse> {
        match self.type_of(value) {
            Type::Nothing => Ok(None),
            Type::Boolean => Ok(Some(self.truthy(value))),
            Type::Number | Type::String | Type::Other => {
                Err(Misuse::invalid_type(format!("{name} must be a boolean")))
            }
        }
    }
}

impl<S> Call<'_, S> {
    /// An argument that is text or data, as bytes.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn bytes(&self, index: usize) -> Result<Vec<u8>, Misuse> {
        self.env().bytes(self.argument(index))
    }

    /// Appends an argument that is text or data to `target`.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn append(&self, index: usize, target: &mut Vec<u8>) -> Result<(), Misuse> {
        self.env().append_text_or_data(self.argument(index), target)
    }

    /// The same, unless it is data of `long` bytes or more: then nothing is appended, and the result is how many.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn append_unless_long(
        &self,
        index: usize,
        long: usize,
        target: &mut Vec<u8>,
    ) -> Result<Option<usize>, Misuse> {
        self.env().append_unless_long(self.argument(index), long, target)
    }

    /// Runs `act` with an argument that is data, where it lies. `None` if it is none. No JavaScript may run in `act`.
    pub(crate) fn lend<R>(&self, index: usize, act: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.env().lend_data(self.argument(index), act)
    }

    /// An argument that is text or data, as text.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn text(&self, index: usize) -> Result<String, Misuse> {
        self.env().text(self.argument(index))
    }

    /// The same of an argument that may be left out.
    ///
    /// # Errors
    /// As [`Env::append_text_or_data`].
    pub(crate) fn optional_text(&self, index: usize) -> Result<Option<String>, Misuse> {
        match self.env().type_of(self.argument(index)) {
            Type::Nothing => Ok(None),
            Type::Number | Type::String | Type::Boolean | Type::Other => self.text(index).map(Some),
        }
    }

    /// An argument that is an integer in a range, or its default where it is left out.
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn integer(&self, index: usize, name: &str, range: Range) -> Result<u64, Misuse> {
        self.env().integer(self.argument(index), name, range)
    }

    /// An argument that is an integer in a range, and must not be left out.
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn required_integer(&self, index: usize, name: &str, range: Range) -> Result<u64, Misuse> {
        self.env().required_integer(self.argument(index), name, range)
    }

    /// The argument `port`.
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn port(&self, index: usize) -> Result<u16, Misuse> {
        let range = Range { min: 0, max: u64::from(u16::MAX), default: 0 };
        // The range fits.
        self.required_integer(index, "port", range).map(|port| port as u16)
    }

    /// The value that a number argument stands for; `None` if it stands for none.
    #[must_use]
    pub(crate) fn handle<H: FromNumber>(&self, index: usize) -> Option<H> {
        H::from_number(self.number(index))
    }
}

//! Options of a program: `lib/` passes an array with a value for each name of a list, and the lists are defined by the
//! Rust code that reads the values.

use std::marker::PhantomData;

use super::arguments::Range;
use super::env::Env;
use super::misuse::Misuse;
use super::value::{Type, Value};

/// An option of a list.
pub(crate) trait OptionName: Copy {
    /// The names of all options of the list, in the order of their values.
    const NAMES: &'static [&'static str];

    /// The position of this one.
    fn position(self) -> usize;
}

/// A list of options: an enum with a variant for each, in the order of their values. The caller imports `OptionName`.
macro_rules! option_names {
    ($(#[$about:meta])* $table:ident { $($option:ident $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $table {
            $(#[doc = concat!("`", $name, "`")] $option,)+
        }

        impl OptionName for $table {
            const NAMES: &'static [&'static str] = &[$($name,)+];

            fn position(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use option_names;

/// The values of a list of options.
#[derive(Clone, Copy)]
pub(crate) struct Options<'c, N> {
    env: Env<'c>,
    values: Value<'c>,
    names: PhantomData<N>,
}

impl<'c, N: OptionName> Options<'c, N> {
    /// Those of an array that `lib/` made.
    #[must_use]
    pub(crate) const fn new(env: Env<'c>, values: Value<'c>) -> Self {
        Self { env, values, names: PhantomData }
    }

    /// The name of an option.
    #[must_use]
    pub(crate) fn name(&self, option: N) -> &'static str {
        N::NAMES.get(option.position()).copied().unwrap_or_default()
    }

    /// The value of an option.
    #[must_use]
    pub(crate) fn get(&self, option: N) -> Value<'c> {
        self.env.element(self.values, option.position() as u32)
    }

    /// Whether an option is neither `undefined` nor `null`.
    #[must_use]
    pub(crate) fn is_given(&self, option: N) -> bool {
        self.env.type_of(self.get(option)) != Type::Nothing
    }

    /// Whether the value of an option is truthy.
    #[must_use]
    pub(crate) fn truthy(&self, option: N) -> bool {
        self.env.truthy(self.get(option))
    }

    /// An option that is a boolean; `None` if it is not given.
    ///
    /// # Errors
    /// As [`Env::boolean`].
    pub(crate) fn boolean(&self, option: N) -> Result<Option<bool>, Misuse> {
        self.env.boolean(self.get(option), self.name(option))
    }

    /// An option that is an integer in a range, or its default.
    ///
    /// # Errors
    /// As [`Env::integer`].
    pub(crate) fn integer(&self, option: N, range: Range) -> Result<u64, Misuse> {
        self.env.integer(self.get(option), self.name(option), range)
    }

    /// The same of an integer that bounds something.
    ///
    /// # Errors
    /// As [`Env::bound`].
    pub(crate) fn bound(&self, option: N, range: Range) -> Result<u64, Misuse> {
        self.env.bound(self.get(option), self.name(option), range)
    }

    /// An option that is text or data, as bytes; `None` if it is not given.
    ///
    /// # Errors
    /// As [`Env::bytes`].
    pub(crate) fn bytes(&self, option: N) -> Result<Option<Vec<u8>>, Misuse> {
        if self.is_given(option) { self.env.bytes(self.get(option)).map(Some) } else { Ok(None) }
    }
}

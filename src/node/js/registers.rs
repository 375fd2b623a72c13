//! Numbers in memory that JavaScript and the addon share.

#![expect(
    unsafe_code,
    reason = "reads and writes memory that belongs to JavaScript; each use says why it may"
)]

use std::marker::PhantomData;
use std::ptr;

use super::buffer::Memory;
use super::env::Env;
use super::misuse::Misuse;
use super::reference::Reference;
use super::value::Value;

/// The names of registers.
pub(crate) trait RegisterName: Copy {
    /// Number of registers.
    const COUNT: usize;

    /// Position of a register, below [`Self::COUNT`].
    fn position(self) -> usize;
}

/// Numbers that accompany an event on its way to JavaScript: a `Float64Array` that `lib/` made and both sides
/// use. Writing to it costs a store, where a JavaScript number costs a call.
#[derive(Debug)]
pub(crate) struct Registers<N> {
    data: *mut f64,
    /// Keeps the memory alive.
    _array: Option<Reference>,
    names: PhantomData<N>,
}

impl<N> Default for Registers<N> {
    fn default() -> Self {
        Self { data: ptr::null_mut(), _array: None, names: PhantomData }
    }
}

impl<N: RegisterName> Registers<N> {
    /// Takes the array over: this keeps it alive, and `lib/` neither transfers nor detaches it.
    ///
    /// # Errors
    /// When it is no `Float64Array` with an element for each register.
    pub(crate) fn new(env: Env<'_>, value: Value<'_>) -> Result<Self, Misuse> {
        let memory = env.memory_of(value);
        let fits = |memory: &Memory| {
            memory.length == N::COUNT * size_of::<f64>() && memory.data.cast::<f64>().is_aligned()
        };
        let Some(Memory { data, .. }) = memory.filter(fits) else {
            return Err(Misuse::invalid_type("registers must be a Float64Array"));
        };
        let array = Some(Reference::new(env, value).ok_or_else(Misuse::bug)?);
        Ok(Self { data: data.cast(), _array: array, names: PhantomData })
    }

    /// Releases the array: later values are dropped.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// Sets one register.
    pub(crate) fn set(&mut self, register: N, value: f64) {
        let position = register.position();
        assert!(position < N::COUNT, "a register that there is");
        if !self.data.is_null() {
            // SAFETY: the array has `N::COUNT` elements, stays alive (see `new`), is 8-byte aligned as every
            // Float64Array, and is used on this thread alone.
            let register = unsafe { self.data.add(position) };
            // SAFETY: as above.
            unsafe { register.write(value) };
        }
    }
}

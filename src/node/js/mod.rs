//! Node-API, made safe. Hot calls cost a third of what generated bindings cost
//! (docs/decisions/0001-plain-functions.md), so every native function is a plain one: `fn(&Call) -> Result<Value,
//! Misuse>`.
//!
//! Nothing here knows what the functions are for: the state that they share is a type parameter.
//!
//! The obligations of every `unsafe` block, each kept by construction:
//! - `env` is the one Node-API gave to the running callback, on its own thread: [`Call`] and [`Env`] are `!Send` and
//!   only made here.
//! - A [`Value`] is not kept beyond its callback: it borrows the [`Env`].
//! - Out-pointers point to live locals.

mod arguments;
mod buffer;
mod call;
mod env;
mod misuse;
mod module;
mod node_api;
mod options;
mod reference;
mod registers;
mod task;
mod threadsafe_function;
#[cfg_attr(not(unix), path = "no_uv.rs")]
mod uv;
mod value;

pub(crate) use arguments::{FromNumber, Range};
pub(crate) use buffer::Payload;
pub(crate) use call::{Call, Native};
pub(crate) use env::Env;
pub(crate) use misuse::{Class, Misuse};
pub(crate) use module::Teardown;
#[cfg(not(any(test, fuzzing)))]
pub(crate) use module::register;
pub(crate) use options::{OptionName, Options, option_names};
pub(crate) use registers::{RegisterName, Registers};
pub(crate) use task::spawn;
pub(crate) use threadsafe_function::{Bring, Brought, ThreadsafeFunction};
pub(crate) use uv::{LoopWatch, Occasion};
pub(crate) use value::{Type, Value};

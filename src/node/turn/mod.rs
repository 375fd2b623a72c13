//! Turns an event into a step for JavaScript: the call of a handler, or nothing if it needs none. An operation on
//! several parts of the environment is a function here, whose arguments are the environment or just those parts. Only
//! these functions and those in `calls` write registers.

pub(crate) mod app;
pub(crate) mod broker;
pub(crate) mod cached_route;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod declarative;
pub(crate) mod dispatch;
pub(crate) mod handshake;
pub(crate) mod liveness;
pub(crate) mod log;
pub(crate) mod pending;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod upgrade;
pub(crate) mod websocket;

use super::js::Value;

/// A step for JavaScript: one of `abi::step`, and the value that belongs to it.
pub(crate) type Step<'c> = (f64, Value<'c>);

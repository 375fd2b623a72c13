//! What an event becomes for JavaScript: a handler to be called, or nothing because it needs none. What spans several
//! parts of the environment is a function here that is given the environment, or just those parts. Only these functions
//! and those in `calls` write registers.

pub(crate) mod app;
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

/// Something for JavaScript to do: which of `abi::step`, and the value that comes with it.
pub(crate) type Step<'c> = (f64, Value<'c>);

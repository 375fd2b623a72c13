//! What an event becomes for JavaScript: a handler to be called, or nothing because it needs none. What spans several parts
//! of the environment is a function here that is given the environment, or just those parts. Only these functions and
//! those in `calls` write registers.

pub mod app;
pub mod cached_route;
pub mod connect;
pub mod connection;
pub mod declarative;
pub mod dispatch;
pub mod handshake;
pub mod liveness;
pub mod log;
pub mod pending;
pub mod request;
pub mod response;
pub mod upgrade;
pub mod websocket;

use super::js::Value;

/// Something for JavaScript to do: which of `abi::step`, and the value that comes with it.
pub type Step<'c> = (f64, Value<'c>);

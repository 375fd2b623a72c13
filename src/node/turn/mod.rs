//! What an event becomes for JavaScript: a handler to be called, or nothing because it needs none. What spans several parts
//! of the environment is a function here that is given the environment, or just those parts. Only these functions and
//! those in `calls` write registers.

pub mod cached_route;
pub mod declarative;
pub mod dispatch;
pub mod pending;
pub mod request;

//! Rules of HTTP and WebSocket. Takes bytes and the current time, returns events and bytes. Never waits, never
//! allocates more than its limits allow, and does not depend on the thread it runs on: no tokio, no napi, no clock.

pub(crate) mod cause;
pub(crate) mod connect;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod http3;
pub(crate) mod multiplexed;
pub(crate) mod proxy;
pub(crate) mod time;
pub(crate) mod websocket;

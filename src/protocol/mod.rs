//! Rules of HTTP and WebSocket. Takes bytes and the current time, returns events and bytes. Never waits, never
//! allocates more than its limits allow, never learns which thread it runs on: no tokio, no napi, no clock.

pub mod cause;
pub mod connect;
pub mod http;
pub mod proxy;
pub mod time;
pub mod websocket;

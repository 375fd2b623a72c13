//! What JavaScript has to do, in register 0. The other registers and the returned value belong to it. The same numbers
//! stand in `lib/steps.js`.

/// Nothing is left; the bell will ring.
pub const SLEEP: f64 = 0.0;
/// The budget is used up: come again after other work of the loop.
pub const YIELD: f64 = 1.0;
/// Call a route handler: response, route, kind (`kind` in `routing.rs`).
pub const REQUEST: f64 = 2.0;
/// Call an upgrade handler: response, route, kind.
pub const UPGRADE: f64 = 3.0;
/// A WebSocket opened without an upgrade handler: WebSocket, route.
pub const OPEN: f64 = 4.0;
/// A message: slot, is binary; returns the message, as a string where it is text and the route wants that.
pub const MESSAGE: f64 = 5.0;
/// A Ping: slot; returns its payload.
pub const PING: f64 = 6.0;
/// A Pong: slot; returns its payload.
pub const PONG: f64 = 7.0;
/// Back-pressure is over: slot.
pub const DRAIN: f64 = 8.0;
/// A WebSocket is closed: slot, code, cause, number of topics left; returns the reason.
pub const CLOSE: f64 = 9.0;
/// A response is aborted: slot, cause, body bytes accepted; returns the reason.
pub const ABORT: f64 = 10.0;
/// Request body for its handler: slot, what it is (`request_body.rs`); returns the bytes.
pub const DATA: f64 = 11.0;
/// A handler returned and nobody can answer or be told: response slot; returns method and path.
pub const UNANSWERED: f64 = 12.0;
/// A record for the listener of `setLogger`: returns it.
pub const LOG: f64 = 13.0;
/// A response that had to wait may go on: slot, body bytes accepted.
pub const WRITABLE: f64 = 14.0;
/// A connection was opened: its handle, app; returns its addresses.
pub const OPENED: f64 = 18.0;
/// A connection was closed: its handle.
pub const CLOSED: f64 = 19.0;
/// The last connection of an app that shuts down is gone: shutdown, forced connections.
pub const SHUT_DOWN: f64 = 20.0;
/// A published message was dropped: slot, is binary, number of further ones that were not told of; returns the
/// message.
pub const DROPPED: f64 = 21.0;
/// A WebSocket to a server is open: WebSocket, connect; returns subprotocol and extensions, then names and values of the
/// response's header fields.
pub const CONNECTED: f64 = 22.0;
/// A connect has failed: connect; returns code, message, the system's code, status and body of the response, then names
/// and values of its header fields.
pub const NOT_CONNECTED: f64 = 23.0;
/// A WebSocket that `upgrade` made is open: WebSocket.
pub const UPGRADED: f64 = 24.0;
/// A WebSocket has subscribed or unsubscribed: slot, count now, count before; returns the topic.
pub const SUBSCRIPTION: f64 = 25.0;
/// A TLS handshake waits for a server name: handshake, app; returns the name.
pub const SERVER_NAME: f64 = 26.0;
/// An event waits to be told, and much of the stack is in use: find out how much is left.
pub const DEEP: f64 = 27.0;
/// The program is to be warned: returns code and text.
pub const WARNING: f64 = 28.0;
/// No connection of an app is left, and none can come unless the program does something for it: app.
pub const ENDED: f64 = 30.0;

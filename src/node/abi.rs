//! The numbers that both sides of the border know, once: JavaScript gets them from `native.abi()` when it loads, and
//! numbers stand nowhere else. The border passes numbers, because making text costs more than handling an event.

use super::environment::Call;
use super::error::Misuse;
use super::js::{Env, Value};

/// A group of numbers: a constant for each, and their names for JavaScript.
macro_rules! numbers {
    ($(#[$about:meta])* mod $group:ident { $($(#[$doc:meta])* $name:ident = $number:literal,)+ }) => {
        $(#[$about])*
        pub mod $group {
            $($(#[$doc])* pub const $name: f64 = $number;)+

            /// All of them, by name.
            pub const ALL: &[(&str, f64)] = &[$((stringify!($name), $name),)+];
        }
    };
}

numbers! {
    /// What JavaScript has to do, in register 0. The other registers and the returned value belong to it.
    mod step {
        /// Nothing is left; the bell will ring.
        SLEEP = 0.0,
        /// The budget is used up: come again after other work of the loop.
        YIELD = 1.0,
        /// Call a route handler: response, route, kind.
        REQUEST = 2.0,
        /// Call an upgrade handler: response, route, kind.
        UPGRADE = 3.0,
        /// A WebSocket opened without an upgrade handler: WebSocket, route.
        OPEN = 4.0,
        /// A message: slot, is binary; returns the message, as a string where it is text and the route wants that.
        MESSAGE = 5.0,
        /// A Ping: slot; returns its payload.
        PING = 6.0,
        /// A Pong: slot; returns its payload.
        PONG = 7.0,
        /// Back-pressure is over: slot.
        DRAIN = 8.0,
        /// A WebSocket is closed: slot, code, cause, number of topics left; returns the reason.
        CLOSE = 9.0,
        /// A response is aborted: slot, cause, body bytes accepted; returns the reason.
        ABORT = 10.0,
        /// Request body for its handler: slot, what it is (a piece); returns the bytes.
        DATA = 11.0,
        /// A handler returned and nobody can answer or be told: response slot; returns method and path.
        UNANSWERED = 12.0,
        /// A record for the listener of `setLogger`: returns it.
        LOG = 13.0,
        /// A response that had to wait may go on: slot, body bytes accepted.
        WRITABLE = 14.0,
        /// A connection was opened: its handle, app; returns its addresses.
        OPENED = 18.0,
        /// A connection was closed: its handle.
        CLOSED = 19.0,
        /// The last connection of an app that shuts down is gone: shutdown, forced connections.
        SHUT_DOWN = 20.0,
        /// A published message was dropped: slot, is binary, number of further ones that were not told of; returns the
        /// message.
        MESSAGE_DROPPED = 21.0,
        /// A WebSocket to a server is open: WebSocket, connect; returns subprotocol and extensions, then names and values of the
        /// response's header fields.
        CONNECTED = 22.0,
        /// A connect has failed: connect; returns code, message, the system's code, status and body of the response, then names
        /// and values of its header fields.
        NOT_CONNECTED = 23.0,
        /// A WebSocket that `upgrade` made is open: WebSocket.
        UPGRADED = 24.0,
        /// A WebSocket has subscribed or unsubscribed: slot, count now, count before; returns the topic.
        SUBSCRIPTION = 25.0,
        /// A TLS handshake waits for a server name: handshake, app; returns the name.
        SERVER_NAME = 26.0,
        /// An event waits to be told, and much of the stack is in use: find out how much is left.
        DEEP = 27.0,
        /// The program is to be warned: returns code and text.
        WARNING = 28.0,
        /// No connection of an app is left, and none can come unless the program does something for it: app.
        ENDED = 30.0,
    }
}

numbers! {
    /// What the request of `REQUEST` and `UPGRADE` is.
    mod kind {
        /// A new one.
        NEW = 0.0,
        /// The one that the last handler yielded.
        YIELDED = 1.0,
        /// A new one for a route whose answers are kept.
        CACHED = 2.0,
        /// A new one of an app that speaks TLS.
        SECURE = 3.0,
    }
}

numbers! {
    /// How a handler takes the body of a request, in the arguments of `resAttachData`.
    mod taker {
        /// In pieces.
        PIECES = 0.0,
        /// In pieces; the handler is also told that no more will come.
        PIECES_OR_ABORT = 1.0,
        /// As a whole.
        WHOLE = 2.0,
    }
}

numbers! {
    /// What a body handler is given, in the registers of `DATA`.
    mod piece {
        /// Not the last piece.
        MORE_FOLLOWS = 0.0,
        /// The last piece.
        LAST = 1.0,
        /// Nothing: the body exceeds what the handler takes.
        TOO_LONG = 2.0,
    }
}

numbers! {
    /// The results of `send`.
    mod sent {
        /// Sent, or as good as.
        NOW = 1.0,
        /// Accepted, but there is back-pressure: `drain` will follow.
        QUEUED = 0.0,
        /// Not accepted: the backlog exceeds `maxBackpressure`.
        DROPPED = 2.0,
    }
}

/// `abi()`: an object of the groups, each an object of its numbers by name; all frozen.
pub fn abi<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let groups = GROUPS.map(|(name, numbers)| (name, group(env, numbers)));
    Ok(env.frozen(groups))
}

fn group<'c>(env: Env<'c>, numbers: &[(&str, f64)]) -> Value<'c> {
    env.frozen(numbers.iter().map(|(name, number)| (*name, env.from_number(*number))))
}

/// All groups, by name.
const GROUPS: [(&str, &[(&str, f64)]); 5] = [
    ("step", step::ALL),
    ("kind", kind::ALL),
    ("taker", taker::ALL),
    ("piece", piece::ALL),
    ("sent", sent::ALL),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_one_thing_in_its_group() {
        for (_, numbers) in GROUPS {
            for (position, (name, number)) in numbers.iter().enumerate() {
                let twin = numbers[..position].iter().find(|(_, other)| other.to_bits() == number.to_bits());
                assert_eq!(twin, None, "{name}");
            }
        }
    }
}

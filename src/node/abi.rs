//! The numbers of the interface between the addon and `lib/`, each defined here only: JavaScript reads them from
//! `native.abi()` when it loads (`calls/abi.rs`). The interface passes numbers, because making a string costs more than
//! handling an event.

use super::js::RegisterName;

/// A group of numbers: a constant for each, and their names for JavaScript.
macro_rules! numbers {
    ($(#[$about:meta])* mod $group:ident { $($(#[$doc:meta])* $name:ident = $number:expr,)+ }) => {
        $(#[$about])*
        pub(crate) mod $group {
            $($(#[$doc])* pub(crate) const $name: f64 = $number;)+

            /// All of them, by name.
            pub(crate) const ALL: &[(&str, f64)] = &[$((stringify!($name), $name),)+];
        }
    };
}

/// The registers, in their order, and their names for JavaScript.
macro_rules! registers {
    ($($(#[$doc:meta])* $register:ident $name:literal,)+) => {
        /// What accompanies an event to JavaScript, or the result of a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Register {
            $($(#[$doc])* $register,)+
        }

        impl Register {
            /// All of them, by name.
            const ALL: &[(&str, f64)] = &[$(($name, Self::$register as u8 as f64),)+];
        }
    };
}

registers! {
    /// The next step of JavaScript: one of [`step`].
    Step "STEP",
    /// Slot of the response or WebSocket.
    Slot "SLOT",
    /// Whether a message is binary.
    IsBinary "IS_BINARY",
    /// Handle of the response, WebSocket or connection.
    Handle "HANDLE",
    /// Number of the handler or behavior.
    Route "ROUTE",
    /// What a request is: one of [`kind`].
    Kind "KIND",
    /// What a body handler is called with: one of [`piece`].
    Piece "PIECE",
    /// Bytes of a response's body that were accepted.
    Offset "OFFSET",
    /// Position of the first event that a call has caused, for `nextPending`.
    Mark "MARK",
    /// Number of a cause.
    Cause "CAUSE",
    /// Code of a Close frame.
    Code "CODE",
    /// Number of topics that a WebSocket has left by closing.
    TopicsLeft "TOPICS_LEFT",
    /// Number of messages that were dropped without an event.
    Unreported "UNREPORTED",
    /// Subscribers of a topic.
    CountNow "COUNT_NOW",
    /// Subscribers of a topic before that.
    CountBefore "COUNT_BEFORE",
    /// Number of the handler that a route replaces.
    Replaced "REPLACED",
    /// Number of an app.
    App "APP",
    /// Number of a connect.
    Connect "CONNECT",
    /// Handle of a TLS handshake.
    Handshake "HANDSHAKE",
    /// Number of a shutdown.
    Shutdown "SHUTDOWN",
    /// Connections that a shutdown has cut off.
    Forced "FORCED",
    /// Whether Node is kept alive.
    Referenced "REFERENCED",
    /// Number of the takeover by which a request came; 0 for a connection that a worker accepted.
    Ticket "TICKET",
    /// Milliseconds since a WebSocket was opened, or a request arrived.
    OpenFor "OPEN_FOR",
    /// Milliseconds since the last byte from the peer.
    SilentFor "SILENT_FOR",
    /// Milliseconds since the last byte to the peer.
    QuietFor "QUIET_FOR",
    /// Pings since the last Pong.
    UnansweredPings "UNANSWERED_PINGS",
    /// Milliseconds that the last Pong took, or [`absent::NONE`].
    RoundTrip "ROUND_TRIP",
    /// Bytes from the peer.
    BytesReceived "BYTES_RECEIVED",
    /// Bytes to the peer.
    BytesSent "BYTES_SENT",
    /// Messages from the peer.
    MessagesReceived "MESSAGES_RECEIVED",
    /// Messages to the peer.
    MessagesSent "MESSAGES_SENT",
    /// Number of waits for output that are over.
    Waits "WAITS",
    /// Number of a question to other processes.
    Question "QUESTION",
    /// Whether the dispatcher may return after this event, and the addon looks whether there are more.
    MayReturn "MAY_RETURN",
}

impl RegisterName for Register {
    const COUNT: usize = Self::ALL.len();

    fn position(self) -> usize {
        self as usize
    }
}

numbers! {
    /// The next step of JavaScript: the register `STEP`. Each step names the registers and the returned value that
    /// belong to it.
    mod step {
        /// No event is left; the bell rings for the next one.
        SLEEP = 0.0,
        /// The budget is used up: ask again after other work of the loop.
        YIELD = 1.0,
        /// Call a route handler: `HANDLE`, `ROUTE`, `KIND`.
        REQUEST = 2.0,
        /// Call an upgrade handler: `HANDLE`, `ROUTE`, `KIND`, `TICKET`.
        UPGRADE = 3.0,
        /// A WebSocket opened without an upgrade handler: `HANDLE`, `ROUTE`, `TICKET`.
        OPEN = 4.0,
        /// A message: `SLOT`, `IS_BINARY`; returns the message, as a string where it is text and the route asks for
        /// strings.
        MESSAGE = 5.0,
        /// A Ping: `SLOT`; returns its payload.
        PING = 6.0,
        /// A Pong: `SLOT`; returns its payload.
        PONG = 7.0,
        /// Back-pressure has ended: `SLOT`.
        DRAIN = 8.0,
        /// A WebSocket is closed: `SLOT`, `CODE`, `CAUSE`, `TOPICS_LEFT`, and the registers from `OPEN_FOR` to
        /// `MESSAGES_SENT`; returns the reason.
        CLOSE = 9.0,
        /// A response is aborted: `SLOT`, `CAUSE`, `OFFSET`, `OPEN_FOR`, `BYTES_RECEIVED`, `BYTES_SENT`; returns the
        /// reason.
        ABORT = 10.0,
        /// Request body for its handler: `SLOT`, `PIECE`; returns the bytes.
        DATA = 11.0,
        /// A handler returned with the response open and no abort handler attached: `SLOT`; returns method and path.
        UNANSWERED = 12.0,
        /// A record for the listener of `setLogger`: returns it.
        LOG = 13.0,
        /// A response that was full has room again: `SLOT`, `OFFSET`.
        WRITABLE = 14.0,
        /// A connection was opened: `HANDLE`, `APP`; returns its addresses.
        OPENED = 15.0,
        /// A connection was closed: `HANDLE`.
        CLOSED = 16.0,
        /// The last connection of an app that shuts down has ended: `SHUTDOWN`, `FORCED`.
        SHUT_DOWN = 17.0,
        /// A message was dropped: `SLOT`, `IS_BINARY`, `UNREPORTED`; returns the message.
        MESSAGE_DROPPED = 18.0,
        /// A WebSocket to a server is open: `HANDLE`, `CONNECT`; returns subprotocol and extensions, then names and
        /// values of the response's header fields.
        CONNECTED = 19.0,
        /// A connect has failed: `CONNECT`; returns code, message, the system's code, status and body of the response,
        /// then names and values of its header fields.
        NOT_CONNECTED = 20.0,
        /// A WebSocket that `upgrade` made is open: `HANDLE`.
        UPGRADED = 21.0,
        /// A WebSocket has subscribed or unsubscribed: `SLOT`, `COUNT_NOW`, `COUNT_BEFORE`; returns the topic.
        SUBSCRIPTION = 22.0,
        /// A TLS handshake waits for a server name: `HANDSHAKE`, `APP`; returns the name.
        SERVER_NAME = 23.0,
        /// An event waits for its handler, and much of the stack is in use: find out how much is left.
        DEEP = 24.0,
        /// A warning for the program: returns code and text.
        WARNING = 25.0,
        /// No connection of an app is left, and it gets none until the program uses it again: `APP`.
        ENDED = 26.0,
        /// The worker has refused a request that was taken over: no handler is called. `TICKET`.
        REFUSED = 27.0,
        /// What `wsAwaitWritten` waits for is written: `SLOT`, `WAITS`.
        WRITTEN = 28.0,
        /// The state of a broker has changed: returns name, state, since when, code and text of the failure, and the two
        /// ends of a gap.
        BROKER_STATE = 29.0,
        /// All processes have answered: `QUESTION`, `COUNT_NOW`.
        COUNTED = 30.0,
    }
}

numbers! {
    /// What the request of `REQUEST` and `UPGRADE` is: the register `KIND`.
    mod kind {
        /// A new one.
        NEW = 0.0,
        /// The one that the last handler yielded.
        YIELDED = 1.0,
        /// A new one for a cached route.
        CACHED = 2.0,
        /// A new one of an app that speaks TLS.
        SECURE = 3.0,
    }
}

numbers! {
    /// How a handler gets the body of a request, in the arguments of `resAttachData`.
    mod taker {
        /// In pieces.
        PIECES = 0.0,
        /// In pieces; an abort is reported to the handler, too.
        PIECES_OR_ABORT = 1.0,
        /// As a whole.
        WHOLE = 2.0,
    }
}

numbers! {
    /// What a body handler is called with: the register `PIECE`.
    mod piece {
        /// Not the last piece.
        MORE_FOLLOWS = 0.0,
        /// The last piece.
        LAST = 1.0,
        /// Nothing: the body is longer than the handler accepts.
        TOO_LONG = 2.0,
    }
}

numbers! {
    /// The results of `send`.
    mod sent {
        /// Sent, or accepted without back-pressure.
        NOW = 1.0,
        /// Accepted, but there is back-pressure: `drain` will follow.
        QUEUED = 0.0,
        /// Not accepted: the backlog exceeds `maxBackpressure`.
        DROPPED = 2.0,
    }
}

numbers! {
    /// Values in place of a number or a position, neither of which is negative.
    mod absent {
        /// There is none.
        NONE = -1.0,
        /// There is none, because the WebSocket was not subscribed.
        NOT_SUBSCRIBED = -2.0,
    }
}

numbers! {
    /// How handles are made.
    mod handle {
        /// A handle modulo this is its slot.
        SLOTS = (1_u32 << super::SLOT_BITS) as f64,
    }
}

/// Bits of a handle that are its slot.
pub(crate) const SLOT_BITS: u32 = 24;

numbers! {
    /// Bits of the result of `resTryEnd`.
    mod tried {
        /// The whole chunk was accepted.
        ACCEPTED = 1.0,
        /// The response is complete.
        COMPLETE = 2.0,
    }
}

numbers! {
    /// Options of `listen`, as bits.
    mod listen_option {
        /// `LIBUS_LISTEN_DEFAULT`
        DEFAULT = 0.0,
        /// `LIBUS_LISTEN_EXCLUSIVE_PORT`
        EXCLUSIVE_PORT = 1.0,
    }
}

numbers! {
    /// What `fileOpen` has opened.
    mod file {
        /// A file.
        FILE = 0.0,
        /// A folder.
        FOLDER = 1.0,
        /// Anything else.
        OTHER = 2.0,
    }
}

numbers! {
    /// Instructions of a declarative response.
    mod instruction {
        /// The end; nothing follows it.
        END = 0.0,
        /// The status.
        STATUS = 1.0,
        /// A header field.
        HEADER = 2.0,
        /// A piece of the body.
        LITERAL = 3.0,
        /// The value of a key of the query, decoded.
        QUERY = 4.0,
        /// The value of a header field of the request.
        REQUEST_HEADER = 5.0,
        /// A parameter of the route.
        PARAMETER = 6.0,
    }
}

/// The handlers that JavaScript has: an event without one is not converted to JavaScript values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handlers(u32);

impl Handlers {
    /// The handlers whose bits JavaScript passes.
    #[must_use]
    pub(crate) const fn of(bits: f64) -> Self {
        Self(bits as u32)
    }

    /// Whether there is this handler.
    #[must_use]
    pub(crate) const fn has(self, handler: u32) -> bool {
        self.0 & handler != 0
    }
}

/// The bits of handlers, and the names that they have in JavaScript.
macro_rules! handlers {
    ($($name:ident $text:literal $bit:literal,)+) => {
        impl Handlers {
            $(#[doc = concat!("`", $text, "`")] pub(crate) const $name: u32 = 1 << $bit;)+

            /// All of them, by name.
            const ALL: &[(&str, f64)] = &[$(($text, Self::$name as f64),)+];
        }
    };
}

handlers! {
    UPGRADE "upgrade" 0,
    OPEN "open" 1,
    MESSAGE "message" 2,
    DROPPED "dropped" 3,
    DRAIN "drain" 4,
    CLOSE "close" 5,
    PING "ping" 6,
    PONG "pong" 7,
    SUBSCRIPTION "subscription" 8,
}

impl Handlers {
    /// Together with [`Self::MESSAGE`]: it takes text as a string (`text: 'string'`).
    pub(crate) const TEXT_AS_STRING: u32 = 1 << 16;
    /// Those of `ferrows/ws`.
    pub(crate) const OF_WS: Self = Self(Self::MESSAGE | Self::PING | Self::PONG | Self::CLOSE);
}

numbers! {
    /// Bits beside those of handlers.
    mod behavior {
        /// `message` takes text as a string.
        TEXT_AS_STRING = super::Handlers::TEXT_AS_STRING as f64,
    }
}

numbers! {
    /// How the bytes of a connection that was taken over pass between the peer and the worker, in the arguments of
    /// `appTakeOver`.
    mod passage {
        /// By the socket itself, whose descriptor is given.
        DESCRIPTOR = 0.0,
        /// By a pair of sockets, of which Node gets one.
        PAIR = 1.0,
        /// By a connection to a port at which Node listens.
        LOOPBACK = 2.0,
    }
}

/// All groups, by name.
pub(crate) const GROUPS: &[(&str, &[(&str, f64)])] = &[
    ("register", Register::ALL),
    ("step", step::ALL),
    ("kind", kind::ALL),
    ("taker", taker::ALL),
    ("piece", piece::ALL),
    ("sent", sent::ALL),
    ("passage", passage::ALL),
    ("absent", absent::ALL),
    ("handle", handle::ALL),
    ("tried", tried::ALL),
    ("listen", listen_option::ALL),
    ("file", file::ALL),
    ("instruction", instruction::ALL),
    ("handler", Handlers::ALL),
    ("behavior", behavior::ALL),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_has_a_place_of_its_own() {
        for (position, (name, number)) in Register::ALL.iter().enumerate() {
            assert_eq!(*number, position as f64, "{name}");
        }
    }

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

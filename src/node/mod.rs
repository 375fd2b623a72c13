//! Node's thread: everything JavaScript can see, and the only code that calls Node-API. Touches no socket.
//!
//! JavaScript calls in, nothing here calls out: `lib/` asks for the next event and runs the handler itself, and for the
//! events that `ws.end()` has caused (`turn/pending`). So no function here is entered while another one is running, and
//! whether a handle is valid is decided in one place, on one thread, without a lock.
//!
//! One floor above the other; a file uses what is below it, never what is above:
//!
//! ```text
//!  exports       the table of native functions
//!  calls         what JavaScript calls: reads arguments, asks the parts, returns a value ─┐ only these two
//!  turn          what an event becomes for JavaScript                                    ─┘ write registers
//!  environment   composes the parts, and has no rule of its own
//!  state         the parts: each has its methods, which get other parts as arguments
//!  js, abi       Node-API made safe; the numbers that both languages know; beside them error, address and system
//! ```
//!
//! Every thread of Node has all of this for itself; they share the key-value store (`state/store`), and which warnings
//! have been given (`state/notices`).
//!
//! `js` and `system` are the only places with `unsafe`.

pub(crate) mod abi;
pub(crate) mod address;
pub(crate) mod calls;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod exports;
pub(crate) mod js;
pub(crate) mod state;
pub(crate) mod system;
pub(crate) mod turn;

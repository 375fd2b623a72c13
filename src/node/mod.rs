//! Node's thread: everything JavaScript can see, and the only code that calls Node-API. Touches no socket.
//!
//! JavaScript calls in, nothing here calls out: `lib/` asks for the next event and runs the handler itself, and
//! asks for what `ws.end()` has brought about just the same (`pending`). So no function here is ever entered while another one is at work, and
//! whether a handle is valid is decided in one place, on one thread, without a lock.
//!
//! Every thread of Node has all of this for itself; they share the key-value `store`, and `notices`.
//!
//! `js` and `system` are the only places with `unsafe`.

pub mod abi;
pub mod address;
pub mod calls;
pub mod environment;
pub mod error;
pub mod exports;
pub mod js;
pub mod state;
pub mod system;
pub mod turn;

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
pub mod adoption;
pub mod app;
pub mod apps;
pub mod behavior;
pub mod burst;
pub mod cache;
pub mod cached_route;
pub mod client;
pub mod connections;
pub mod declarative;
pub mod dispatch;
pub mod domains;
pub mod ending;
pub mod environment;
pub mod error;
pub mod exports;
pub mod files;
pub mod handles;
pub mod http_request;
pub mod http_response;
pub mod js;
pub mod limits;
pub mod listening;
pub mod logger;
pub mod multipart;
pub mod notices;
pub mod pending;
pub mod prepared_head;
pub mod request_body;
pub mod response_body;
pub mod router;
pub mod routing;
pub mod shutdown;
pub mod state;
pub mod stats;
pub mod store;
pub mod store_lock;
pub mod system;
pub mod tcp;
pub mod tls;
pub mod tls_options;
pub mod websocket;

//! What JavaScript calls: a file for each class or topic of `index.d.ts`. A native function checks its arguments, has
//! the parts of the environment do what is asked, and returns what came of it.

pub(crate) mod abi;
pub(crate) mod address;
pub(crate) mod adoption;
pub(crate) mod app;
pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod declarative_response;
pub(crate) mod dispatcher;
pub(crate) mod files;
pub(crate) mod http_request;
pub(crate) mod http_response;
pub(crate) mod limits;
pub(crate) mod listening;
pub(crate) mod load;
pub(crate) mod logger;
pub(crate) mod messages;
pub(crate) mod multipart;
pub(crate) mod payload;
pub(crate) mod pubsub;
pub(crate) mod request_body;
pub(crate) mod response_body;
pub(crate) mod routes;
pub(crate) mod shutdown;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod takeover;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod tls_options;
pub(crate) mod warnings;
pub(crate) mod websocket;
pub(crate) mod ws_handover;
pub(crate) mod ws_handshake;
pub(crate) mod ws_socket;

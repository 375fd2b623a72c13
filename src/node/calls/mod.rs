//! What JavaScript calls: a file for each class or topic of `index.d.ts`. A native function checks its arguments, has the
//! parts of the environment do what is asked, and returns what came of it.

pub mod address;
pub mod adoption;
pub mod app;
pub mod client;
pub mod connections;
pub mod declarative_response;
pub mod dispatcher;
pub mod files;
pub mod http_request;
pub mod http_response;
pub mod limits;
pub mod listening;
pub mod load;
pub mod logger;
pub mod messages;
pub mod multipart;
pub mod payload;
pub mod pubsub;
pub mod request_body;
pub mod response_body;
pub mod routes;
pub mod shutdown;
pub mod stats;
pub mod store;
pub mod tcp;
pub mod tls;
pub mod tls_options;
pub mod warnings;
pub mod websocket;

//! What Node's thread owns, in parts. Each has its own methods and knows nothing of the environment that composes them:
//! whoever calls a method sees from its arguments which other part it needs.

pub mod apps;
pub mod burst;
pub mod connections;
pub mod connects;
pub mod dispatcher;
pub mod doorbell;
pub mod handles;
pub mod handshakes;
pub mod live;
pub mod notices;
pub mod open_files;
pub mod outgoing;
pub mod pending;
pub mod prepared_head;
pub mod pubsub;
pub mod routes;
pub mod shutdowns;
pub mod store;
pub mod topics;
pub mod workers;

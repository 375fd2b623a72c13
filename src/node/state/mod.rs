//! The state that Node's thread owns, in parts. Each has its own methods and knows nothing of the environment that
//! composes them: the arguments of a method show which other part it needs.

pub(crate) mod apps;
pub(crate) mod burst;
pub(crate) mod connections;
pub(crate) mod connects;
pub(crate) mod dispatcher;
pub(crate) mod doorbell;
pub(crate) mod handles;
pub(crate) mod handshakes;
pub(crate) mod live;
pub(crate) mod node_loop;
pub(crate) mod notices;
pub(crate) mod open_files;
pub(crate) mod outgoing;
pub(crate) mod pending;
pub(crate) mod prepared_head;
pub(crate) mod pubsub;
pub(crate) mod routes;
pub(crate) mod shutdowns;
pub(crate) mod store;
pub(crate) mod takeovers;
pub(crate) mod topics;
pub(crate) mod workers;

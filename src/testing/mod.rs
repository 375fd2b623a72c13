//! What the crate's own tests and the fuzz targets (`fuzz/`) are made of. Compiled for them only.
//!
//! A `fuzz_…` file holds the body of the target of that name: it takes any bytes and panics where a promise does not
//! hold. `cargo test` runs each on its seeds.

pub mod client_stream;
pub mod fuzz_close_payload;
pub mod fuzz_exchange;
pub mod fuzz_extensions;
pub mod fuzz_head;
pub mod fuzz_inflate;
pub mod fuzz_multipart;
pub mod fuzz_proxy_header;
pub mod fuzz_router;
pub mod fuzz_session;
pub mod fuzz_utf8;
pub mod http_application;
pub mod http_reply;
pub mod http_response;
pub mod http_told;
pub mod opinion;
pub mod plain_inflate;
pub mod router_twin;
pub mod scenario;
pub mod server_frame;
pub mod websocket_application;

#[cfg(test)]
mod httparse_opinion;
#[cfg(test)]
mod seeds;
#[cfg(test)]
pub mod split;

//! Helpers of the crate's own tests and the fuzz targets (`fuzz/`). Compiled for them only.
//!
//! A `fuzz_…` file holds the body of the target of that name: it takes any bytes and panics if an assertion does not
//! hold. `cargo test` runs each on its seeds.

pub(crate) mod client_stream;
pub mod fuzz_close_payload;
pub mod fuzz_exchange;
pub mod fuzz_extensions;
pub mod fuzz_head;
pub mod fuzz_http2;
pub mod fuzz_http3;
pub mod fuzz_inflate;
pub mod fuzz_multipart;
pub mod fuzz_proxy_header;
pub mod fuzz_router;
pub mod fuzz_session;
pub mod fuzz_utf8;
pub(crate) mod http_application;
pub(crate) mod http_reply;
pub(crate) mod http_response;
pub mod opinion;
pub(crate) mod plain_inflate;
pub(crate) mod recorded_request;
pub(crate) mod router_twin;
pub(crate) mod scenario;
pub(crate) mod server_frame;
pub(crate) mod websocket_application;

#[cfg(test)]
mod httparse_opinion;
#[cfg(test)]
mod seeds;
#[cfg(test)]
pub(crate) mod split;

//! See `ferrows::testing::fuzz_proxy_header`.
#![no_main]

use ferrows::testing::fuzz_proxy_header::proxy_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy_header(data));

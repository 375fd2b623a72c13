//! See `ferrows::testing::fuzz_http2`.
#![no_main]

use ferrows::testing::fuzz_http2::http2;

libfuzzer_sys::fuzz_target!(|data: &[u8]| http2(data));

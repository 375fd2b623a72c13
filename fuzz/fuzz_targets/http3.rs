//! See `ferrows::testing::fuzz_http3`.
#![no_main]

use ferrows::testing::fuzz_http3::http3;

libfuzzer_sys::fuzz_target!(|data: &[u8]| http3(data));

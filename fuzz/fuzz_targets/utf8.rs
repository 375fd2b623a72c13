//! See `ferrows::testing::fuzz_utf8`.
#![no_main]

use ferrows::testing::fuzz_utf8::utf8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| utf8(data));

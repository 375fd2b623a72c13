//! See `ferrows::testing::fuzz_inflate`.
#![no_main]

use ferrows::testing::fuzz_inflate::inflate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inflate(data));

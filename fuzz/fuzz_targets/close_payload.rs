//! See `ferrows::testing::fuzz_close_payload`.
#![no_main]

use ferrows::testing::fuzz_close_payload::close_payload;

libfuzzer_sys::fuzz_target!(|data: &[u8]| close_payload(data));

//! See `ferrows::testing::fuzz_multipart`.
#![no_main]

use ferrows::testing::fuzz_multipart::multipart;

libfuzzer_sys::fuzz_target!(|data: &[u8]| multipart(data));

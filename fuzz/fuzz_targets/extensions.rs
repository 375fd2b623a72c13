//! See `ferrows::testing::fuzz_extensions`.
#![no_main]

use ferrows::testing::fuzz_extensions::extensions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| extensions(data));

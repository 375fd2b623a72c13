//! See `ferrows::testing::fuzz_router`.
#![no_main]

use ferrows::testing::fuzz_router::router;

libfuzzer_sys::fuzz_target!(|data: &[u8]| router(data));

//! See `ferrows::testing::fuzz_session`.
#![no_main]

use ferrows::testing::fuzz_session::session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| session(data));

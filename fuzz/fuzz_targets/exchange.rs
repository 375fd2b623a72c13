//! See `ferrows::testing::fuzz_exchange`.
#![no_main]

#[path = "../../src/testing/httparse_opinion.rs"]
mod httparse_opinion;

use ferrows::testing::fuzz_exchange::exchange;
use ferrows::testing::opinion;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exchange(data, httparse_opinion::ask));

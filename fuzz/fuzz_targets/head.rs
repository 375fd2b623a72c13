//! See `ferrows::testing::fuzz_head`.
#![no_main]

#[path = "../../src/testing/httparse_opinion.rs"]
mod httparse_opinion;

use ferrows::testing::fuzz_head::head;
use ferrows::testing::opinion;

libfuzzer_sys::fuzz_target!(|data: &[u8]| head(data, httparse_opinion::ask));

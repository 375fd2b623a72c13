//! See `ferrows::testing::fuzz_preface`.
#![no_main]

use ferrows::testing::fuzz_preface::preface;

libfuzzer_sys::fuzz_target!(|data: &[u8]| preface(data));

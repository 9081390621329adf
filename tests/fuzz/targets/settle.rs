//! Fuzzes the store: a segment as it is written, with some of its bytes changed, asked and settled.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("settle", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/settle")),
    |bytes: &[u8]| fuzz::settle(bytes)
);

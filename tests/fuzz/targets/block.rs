//! Fuzzes the store: any bytes as a column of a block, and any values into one and back.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("block", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/block")),
    |bytes: &[u8]| fuzz::block(bytes)
);

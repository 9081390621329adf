//! Fuzzes the store: any bytes as a column of rollups, and what any samples come to into one and back.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("rollups", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/rollups")),
    |bytes: &[u8]| fuzz::rollups(bytes)
);

//! Fuzzes the store: any bytes as a copy of the state.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("checkpoint", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/checkpoint")),
    |bytes: &[u8]| fuzz::checkpoint(bytes)
);

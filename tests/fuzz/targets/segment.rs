//! Fuzzes the store: any bytes as a segment.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("segment", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/segment")),
    |bytes: &[u8]| fuzz::segment(bytes)
);

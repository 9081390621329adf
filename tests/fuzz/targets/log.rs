//! Fuzzes the store: any bytes as a file of the log.

#![no_main]

use bartizan::store::{fuzz, fuzz_seeds};

libfuzzer_sys::fuzz_target!(
    init: fuzz_seeds::seed("log", concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/log")),
    |bytes: &[u8]| fuzz::log(bytes)
);

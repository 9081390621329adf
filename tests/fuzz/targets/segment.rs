//! Fuzzes the store: any bytes as a segment.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::segment(bytes));

//! Fuzzes the store: any bytes as a column of rollups, and what any samples come to into one and back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::rollups(bytes));

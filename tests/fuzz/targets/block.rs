//! Fuzzes the store: any bytes as a column of a block, and any values into one and back.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::block(bytes));

//! Fuzzes the store: any bytes as a copy of the state.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::checkpoint(bytes));

//! Fuzzes the store: a segment as it is written, with some of its bytes changed, asked and settled.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::settle(bytes));

//! Fuzzes the store: any bytes as a file of the log.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan::store::fuzz::log(bytes));

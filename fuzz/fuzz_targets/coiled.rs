#![no_main]

// Each target calls only one of the functions.
#[allow(dead_code)]
#[path = "../../tests/support/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::coiled(bytes));

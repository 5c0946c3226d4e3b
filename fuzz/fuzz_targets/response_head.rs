//! `cargo +nightly fuzz run response_head`; the property is in `tests/properties.rs`.
#![no_main]

#[allow(dead_code, reason = "one target runs one property")]
#[path = "../../tests/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::response_head(data));

//! `cargo +nightly fuzz run migrate_f5`; the property is in `tests/properties.rs`.
#![no_main]

#[allow(dead_code, reason = "one target runs one property")]
#[path = "../../tests/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::migrate("f5", data));

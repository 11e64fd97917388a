#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| veltix_fuzz::query(data));

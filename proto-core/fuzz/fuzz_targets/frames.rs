#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nova_proto_core_fuzz::frames(data));

//! The helpers that write text as the Python package does.

use serde_json::Value;
use veltix_core::text::{encode_json, format_bytes};

use super::section;

#[test]
fn json_is_pythons() {
    for json in section::<Vec<String>>("encode_json") {
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(encode_json(&value).unwrap(), json);
    }
}

/// The sizes whose text is the same: Python writes up to three decimals, ours up to two.
#[test]
fn sizes_are_pythons() {
    for (bytes, expected) in section::<Vec<(u64, String)>>("format_bytes") {
        assert_eq!(format_bytes(bytes), expected, "{bytes}");
    }
}

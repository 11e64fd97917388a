//! Helpers for text: sizes, JSON and UTF-8 as in the Python package, and text of peers for logs.
//!
//! ```
//! use veltix::text::{decode_json, encode_json, format_bytes, printable};
//!
//! assert_eq!(format_bytes(148_000), "144.5 KB");
//!
//! // The same bytes as Python's `json.dumps`.
//! let json = encode_json(&["a", "é"])?;
//! assert_eq!(json, r#"["a", "\u00e9"]"#);
//! assert_eq!(decode_json::<Vec<String>>(&json)?, ["a", "é"]);
//!
//! // A peer's text cannot begin a new line of the log.
//! assert_eq!(printable("hi\nERROR").to_string(), r"hi\nERROR");
//! # Ok::<(), veltix::Error>(())
//! ```

pub use veltix_core::text::{
    Printable, decode_json, decode_utf8, encode_json, encode_utf8, format_bytes, printable,
};

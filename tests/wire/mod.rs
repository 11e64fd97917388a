//! The bytes of real peers, compared with ours.
//!
//! `vectors.json` was recorded from the Python package. If our side treats the same bytes
//! differently, a table lists the vector and the difference; PROTOCOL.md has the reasons. A vector
//! that no table lists fails its test, and so does a line without a vector.

mod frames;
mod handshakes;
mod text;

use std::ops::Deref;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One section of the file.
#[track_caller]
fn section<T: DeserializeOwned>(name: &str) -> T {
    let mut all: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    serde_json::from_value(all[name].take()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails unless the table lists the vectors, all of them and in their order.
#[track_caller]
fn check_listed<'a>(
    vectors: impl IntoIterator<Item = &'a String>,
    table: impl IntoIterator<Item = &'a str>,
) {
    let vectors: Vec<_> = vectors.into_iter().map(String::as_str).collect();
    let table: Vec<_> = table.into_iter().collect();
    assert_eq!(vectors, table, "left are the vectors, right is what the table names");
}

/// Bytes that the file contains as hex digits.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes: Option<_> = text
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
            .collect();
        bytes.map(Self).ok_or_else(|| format!("{text:?} is not hex"))
    }
}

impl Deref for Hex {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

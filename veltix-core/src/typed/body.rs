//! The encodings of bodies.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "postcard")]
use super::limited::{Allowance, Limited};
use crate::error::{BodyError, EncodeError};
use crate::frame_batch::MessageRef;
use crate::json;

/// Refuses a message with another code, and a body over its limit, before the body is parsed.
///
/// # Errors
/// Returns [`BodyError::WrongType`] or [`BodyError::TooLarge`].
pub fn check(
    message: &MessageRef<'_>,
    code: u16,
    name: &'static str,
    limit: usize,
) -> Result<(), BodyError> {
    check_code(message, code, name)?;
    let size = message.body().len();
    if size > limit { Err(BodyError::TooLarge { size, limit }) } else { Ok(()) }
}

/// Refuses a message with another code.
///
/// # Errors
/// Returns [`BodyError::WrongType`].
pub fn check_code(
    message: &MessageRef<'_>,
    code: u16,
    name: &'static str,
) -> Result<(), BodyError> {
    if message.code() == code { Ok(()) } else { Err(wrong_code(message.code(), name)) }
}

/// Creates the error for a code that does not belong to the enum or message of this name.
#[must_use]
pub const fn wrong_code(code: u16, name: &'static str) -> BodyError {
    BodyError::WrongType { code, expected: name }
}

/// Is true if every encoded body is decoded again. Some forms of types, such as 128-bit integers in
/// flattened fields, are written without an error and cannot be read, and only a reader notices.
const PROVES: bool = cfg!(any(debug_assertions, feature = "testing"));

/// Writes a value as JSON. A receiver reads it as a `Back`, and accepts up to `limit` bytes.
///
/// # Errors
/// Returns [`EncodeError`] if the value cannot be written, or could not be read back.
#[inline]
pub fn to_json<T, Back>(value: &T, limit: usize) -> Result<Bytes, EncodeError>
where
    T: Serialize + ?Sized,
    Back: DeserializeOwned,
{
    let body = sized(json::write(value)?, limit)?;
    if PROVES {
        prove(from_json::<Back>(&body))?;
    }
    Ok(body)
}

/// Writes a value as JSON whose reader is unknown.
///
/// # Errors
/// Returns [`EncodeError`] if the value cannot be written, or could not be read back.
pub fn to_any_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    Ok(json::write(value)?.into())
}

/// Refuses a body over the limit of its receiver.
///
/// # Errors
/// Returns [`EncodeError::BodyTooLarge`].
#[inline]
pub fn sized(body: impl Into<Bytes>, limit: usize) -> Result<Bytes, EncodeError> {
    let body = body.into();
    let size = body.len();
    if size > limit { Err(EncodeError::BodyTooLarge { size, limit }) } else { Ok(body) }
}

/// Refuses a body that was just written and could not be read.
fn prove<T>(read: Result<T, BodyError>) -> Result<(), EncodeError> {
    read.map(drop).map_err(|error| EncodeError::NotReadable(error.into()))
}

/// Reads a value from JSON.
///
/// # Errors
/// Returns [`BodyError::Json`] if the body cannot be read.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_slice(body)?)
}

/// Reads a value with named fields from JSON. An empty body counts as an object without fields,
/// so that fields with defaults can be added to a message that had no body.
///
/// # Errors
/// Returns [`BodyError::Json`] if the body cannot be read.
pub fn from_json_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    from_json(if body.is_empty() { b"{}" } else { body })
}

/// Is the body encoding of `#[message(postcard)]`.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it has no values")]
pub enum Postcard {}

/// An encoding writes values as bodies, and reads them back. A feature of the crate adds it.
#[diagnostic::on_unimplemented(
    message = "bodies in postcard need the feature `postcard` of the crate `veltix`",
    label = "the feature is not enabled",
    note = "enable it in Cargo.toml: `veltix = {{ version = \"…\", features = [\"postcard\"] }}`"
)]
pub trait Encoding {
    /// Writes a value as a body. A receiver reads it as a `Back`, and accepts up to `limit` bytes.
    ///
    /// # Errors
    /// Returns the error of the encoding, or [`EncodeError::BodyTooLarge`].
    fn encode<T, Back>(value: &T, limit: usize) -> Result<Bytes, EncodeError>
    where
        T: Serialize + ?Sized,
        Back: DeserializeOwned;

    /// Reads a value from a body.
    ///
    /// # Errors
    /// Returns the error of the encoding.
    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError>;
}

/// Is a value whose depth is checked while it is written.
#[cfg(feature = "postcard")]
struct Shallow<'a, T: ?Sized>(&'a T);

#[cfg(feature = "postcard")]
impl<T: Serialize + ?Sized> Serialize for Shallow<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(json::Checked::<S, false>::new(serializer))
    }
}

#[cfg(feature = "postcard")]
impl Encoding for Postcard {
    fn encode<T, Back>(value: &T, limit: usize) -> Result<Bytes, EncodeError>
    where
        T: Serialize + ?Sized,
        Back: DeserializeOwned,
    {
        let written = postcard::to_allocvec(&Shallow(value));
        let body = written.map_err(|error| json::explain(value, error.into(), false))?;
        let body = sized(body, limit)?;
        if PROVES {
            prove(Self::decode::<Back>(&body))?;
        }
        Ok(body)
    }

    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
        let allowance = Allowance::of_body(body.len());
        let mut bytes = postcard::Deserializer::from_bytes(body);
        T::deserialize(Limited::new(&mut bytes, &allowance))
            .map_err(|error| allowance.explain(error))
    }
}

/// A text body is a field type that `#[message(text)]` accepts.
#[diagnostic::on_unimplemented(
    message = "the body of a `text` message is a `String`, not `{Self}`",
    label = "not a `String`",
    note = "remove `text` for a body in JSON"
)]
pub trait TextBody: Sized {
    /// Returns the text as a body.
    fn to_body(&self) -> Bytes;

    /// Reads the text from a body.
    ///
    /// # Errors
    /// Returns [`BodyError::Utf8`] if the body is not UTF-8.
    fn of_body(body: &[u8]) -> Result<Self, BodyError>;
}

impl TextBody for String {
    fn to_body(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn of_body(body: &[u8]) -> Result<Self, BodyError> {
        Ok(std::str::from_utf8(body)?.to_owned())
    }
}

/// A raw body is a field type that `#[message(raw)]` accepts.
#[diagnostic::on_unimplemented(
    message = "the body of a `raw` message is `Bytes` or `Vec<u8>`, not `{Self}`",
    label = "neither `Bytes` nor `Vec<u8>`",
    note = "remove `raw` for a body in JSON"
)]
pub trait RawBody: Sized {
    /// Returns the bytes as a body.
    fn to_body(&self) -> Bytes;

    /// Takes the bytes from a body.
    fn of_body(body: Bytes) -> Self;
}

impl RawBody for Bytes {
    fn to_body(&self) -> Bytes {
        self.clone()
    }

    fn of_body(body: Bytes) -> Self {
        body
    }
}

impl RawBody for Vec<u8> {
    fn to_body(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }

    fn of_body(body: Bytes) -> Self {
        body.into()
    }
}

/// A part is a type that serde can read and write. The check reports the problem once and at
/// the type, before the derives of serde report it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a body: serde does not know how to read and write it",
    label = "not both `Serialize` and `Deserialize`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to it (`cargo add serde \
            --features derive`), or define its form with `#[serde(with = \"…\")]`"
)]
pub trait Part {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Part for T {}

/// Compiles only if the type can be read and written by serde.
pub const fn check_part<T: Part>() {}

//! JSON that its reader takes for the same value: writing refuses every other value.

mod checked;
mod find;
mod path;
mod rule;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

pub(crate) use self::checked::Checked;
use self::rule::Problem;
use crate::error::EncodeError;

/// Is the capacity at which a body begins to grow, as in `serde_json::to_vec`.
const FIRST_CAPACITY: usize = 128;

/// Writes a value as JSON.
///
/// # Errors
/// Returns [`EncodeError`] if the value cannot be written, or could not be read back.
#[inline]
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    write_with(value, CompactFormatter)
}

/// Writes a value as JSON in the form of `formatter`.
///
/// # Errors
/// Returns [`EncodeError`] if the value cannot be written, or could not be read back.
#[inline]
pub(crate) fn write_with<T, F>(value: &T, formatter: F) -> Result<Vec<u8>, EncodeError>
where
    T: Serialize + ?Sized,
    F: Formatter,
{
    let mut json = Vec::with_capacity(FIRST_CAPACITY);
    let mut serializer = Serializer::with_formatter(&mut json, formatter);
    match value.serialize(Checked::<_, true>::new(&mut serializer)) {
        Ok(()) => Ok(json),
        Err(error) => Err(explain(value, error.into(), true)),
    }
}

/// Returns the error of a value that was refused, for a value in JSON or of which only the depth is
/// limited.
#[cold]
pub(crate) fn explain<T>(value: &T, error: EncodeError, json: bool) -> EncodeError
where
    T: Serialize + ?Sized,
{
    let Some((problem, path)) = find::find(value, json) else { return error };
    let field = path.into_text();
    match problem {
        Problem::NotFinite => EncodeError::NotFinite { field },
        Problem::SomeIsNull => EncodeError::SomeIsNull { field },
        Problem::TooDeep => EncodeError::TooDeep { field },
    }
}

//! [`FromErrors`]: messages that the errors of this crate become.

use super::Error;

/// A message with `#[message(from_errors)]`: each error of this crate becomes it, by way of
/// [`Error`](enum@Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from the errors of Veltix",
    label = "its `From<veltix::Error>` is missing",
    note = "implement `From<veltix::Error>` for `{Self}`: `from_errors` converts each error through it"
)]
pub trait FromErrors {
    /// Converts the error.
    fn from_errors(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: From<Error>> FromErrors for T {
    fn from_errors(error: Error) -> Self {
        Self::from(error)
    }
}

/// Converts an error of this crate to the message. The output of the macro calls it.
pub fn from_error<T: FromErrors>(error: impl Into<Error>) -> T {
    T::from_errors(error.into())
}

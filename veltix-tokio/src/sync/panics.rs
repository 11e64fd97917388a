//! Panics of the application's code, and texts that its code makes.

use std::any::Any;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Causes of an error that are reported at most: an error may name itself as its cause.
const MAX_CAUSES: usize = 16;

/// Drops what belongs to the application: its destructors may panic, and must not take the
/// connection's task with them.
pub(crate) fn drop_caught<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::error!("a destructor of the application panicked");
    }
}

/// The text of an error of the application's and those of its causes, any of which may panic like
/// its handler. Many errors end with the text of their cause; that is not said twice.
pub(crate) fn text_of(error: &(dyn StdError + 'static)) -> String {
    let text = || {
        let mut text = error.to_string();
        for cause in
            std::iter::successors(error.source(), |error| (*error).source()).take(MAX_CAUSES)
        {
            let cause = cause.to_string();
            if !text.ends_with(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    };
    catch_unwind(AssertUnwindSafe(text)).unwrap_or_else(|_| "an error whose text panics".to_owned())
}

/// The text of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a text".to_owned(),
    }
}

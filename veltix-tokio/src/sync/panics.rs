//! Panics of the application's code, and texts that its code creates.

use std::any::Any;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::Instant;

use crate::log::{RateLimitedLog, log_limited};

/// The maximum number of reported causes of an error: an error may name itself as its cause.
const MAX_CAUSES: usize = 16;

/// The log of panics in destructors. Values are dropped in many places that know no side, so all
/// sides share it.
static LOG: RateLimitedLog = RateLimitedLog::new();

/// Drops a value of the application. Its destructor may panic, and must not end the connection's
/// task.
pub(crate) fn drop_caught<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        log_limited!(
            error,
            LOG.decide(Instant::now()),
            "a destructor of the application panicked; the panic was caught: fix the destructor"
        );
    }
}

/// Returns the text of an application's error and those of its causes. Any of them may panic, like
/// a handler. Many errors end with the text of their cause, which is then not repeated.
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

/// Returns the text of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a text".to_owned(),
    }
}

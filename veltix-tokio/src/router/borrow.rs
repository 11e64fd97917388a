//! Plain handlers that borrow the body: `&[u8]` or `&str` as the last argument.

use std::future::Ready;

use veltix_core::{Message, MessageRef};

use super::extract::{Context, FromContext, Rejection, check_size};
use super::handler::{Called, Handler, marker};
use super::outcome::Outcome;
use super::reply::IntoReply;
use super::signature::Signature;

/// A type that a plain handler can borrow from a body: its bytes, or, up to `max_typed_body`, its text.
#[diagnostic::on_unimplemented(
    message = "a handler cannot borrow `{Self}` from a body",
    label = "neither `&[u8]` nor `&str`",
    note = "take it by value, as an extractor"
)]
pub trait BorrowBody: 'static {
    /// Borrows the value from the body.
    ///
    /// # Errors
    /// Returns a [`Rejection`].
    fn borrow<'a>(cx: &Context<'_>, message: &'a MessageRef<'_>) -> Result<&'a Self, Rejection>;
}

impl BorrowBody for [u8] {
    #[inline]
    fn borrow<'a>(_cx: &Context<'_>, message: &'a MessageRef<'_>) -> Result<&'a Self, Rejection> {
        Ok(message.body())
    }
}

impl BorrowBody for str {
    fn borrow<'a>(cx: &Context<'_>, message: &'a MessageRef<'_>) -> Result<&'a Self, Rejection> {
        check_size(cx, message)?;
        Ok(message.text()?)
    }
}

macro_rules! impl_borrowing {
    ($($part:ident),*) => {
        impl<F, R, B, $($part,)*>
            Signature<(marker::Plain, marker::ViaBorrow<B>, marker::Before<($($part,)*)>)> for F
        where
            F: Fn($($part,)* &B) -> R,
            B: BorrowBody + ?Sized,
        {
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "the arguments are named as their types")]
        impl<F, R, B, S, $($part,)*>
            Handler<(marker::Plain, marker::ViaBorrow<B>, marker::Before<($($part,)*)>), S> for F
        where
            F: Fn($($part,)* &B) -> R + Clone + Send + Sync + 'static,
            R: IntoReply<Message>,
            B: BorrowBody + ?Sized,
            $($part: FromContext<S>,)*
        {
            type Future = Ready<Outcome>;
            const IS_ASYNC: bool = false;
            const NEEDS_HUB: bool = false $(|| $part::NEEDS_HUB)*;

            fn call(
                &self,
                cx: &Context<'_>,
                state: &S,
                message: MessageRef<'_>,
            ) -> Called<Self::Future> {
                let reject = |rejection| Called::Done(Outcome::rejected(rejection));
                $(let $part = match $part::from_context(cx, state) {
                    Ok(part) => part,
                    Err(rejection) => return reject(rejection),
                };)*
                Called::Done(match B::borrow(cx, &message) {
                    Ok(body) => self($($part,)* body).into_outcome(),
                    Err(rejection) => return reject(rejection),
                })
            }
        }
    };
}

impl_borrowing!();
impl_borrowing!(T1);
impl_borrowing!(T1, T2);
impl_borrowing!(T1, T2, T3);
impl_borrowing!(T1, T2, T3, T4);
impl_borrowing!(T1, T2, T3, T4, T5);
impl_borrowing!(T1, T2, T3, T4, T5, T6);
impl_borrowing!(T1, T2, T3, T4, T5, T6, T7);

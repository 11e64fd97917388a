//! The extractor of a peer's identity.

use std::any::type_name;

use super::{Context, FromContext, Rejection};
use crate::identity::Identity;

impl<S, I: Send + Sync + 'static> FromContext<S> for Identity<I> {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        let identity = cx.peer().identity::<I>();
        identity.map(Self).ok_or(Rejection::NoIdentity { name: type_name::<I>() })
    }
}

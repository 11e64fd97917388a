//! Veltix.
pub use veltix_core::*;
pub use veltix_tokio::*;
pub use veltix_macros::message;
#[doc(hidden)]
pub mod __private {
    pub use veltix_core::{EncodeError, Message, MessageType, Registry, ToMessage, UnknownCode};
}

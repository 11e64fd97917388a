//! Traits behind `#[veltix::message]`: conversion between Rust types and messages.
//!
//! The attribute [`message`](macro@crate::message) implements them. Import a trait to call its methods.
//!
//! ```
//! use veltix::Message;
//! use veltix::typed::{ToMessage, Typed, TypedMessage};
//!
//! #[veltix::message]
//! enum Chat {
//!     #[message(code = 200)]
//!     Say { text: String },
//!     #[message(code = 201)]
//!     Typing,
//! }
//!
//! let message: Message = Say { text: "hello".into() }.to_message()?;
//! assert_eq!(message.code(), Say::TYPE.code());
//!
//! // The second argument is the largest body in bytes.
//! let say = Say::from_message(message.clone(), 1024)?;
//! assert_eq!(say.text, "hello");
//! assert!(matches!(Chat::from_message(message, 1024)?, Chat::Say { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | item | purpose |
//! |---|---|
//! | [`ToMessage`] | a type that can be sent |
//! | [`Typed`] | a type that a received message is parsed into |
//! | [`TypedMessage`] | a type for exactly one message type, with its code and its reply |
//! | [`Ask`], [`AnswerError`] | a type that can be sent as a request, and the parser of its reply |
//! | [`AnswerTo`] | the return value of a handler of [`Router::on`](crate::Router::on) |
//! | [`NoReply`], [`NoError`], [`Told`] | markers for messages without `reply`, without `error` and with `error` |
//! | [`UnknownCode`] | the error of `TryFrom<u16>` of an enum without bodies |
//! | [`DeliveryClass`], [`Key`] | the effect of a full outbox on the message, and the key of a `latest` message |
//!
//! [Messages](crate::_guide::messages) are explained in the guide.

pub use veltix_core::{
    AnswerError, Ask, DeliveryClass, Key, NoError, NoReply, ToMessage, Told, Typed, TypedMessage,
    UnknownCode,
};
pub use veltix_tokio::AnswerTo;

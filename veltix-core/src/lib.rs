//! The protocol of Veltix, with no IO and no clock.
//!
//! Bytes and the time go in; messages, answers and deadlines come out. Whoever drives it owns the
//! sockets and the clock: `veltix-tokio` does so on Tokio. Applications use the `veltix` crate.

mod arrival;
mod backoff;
mod burst;
mod decoder;
mod delivery;
mod error;
mod fingerprints;
mod frame;
mod going_away;
mod handshake;
mod heartbeat;
#[cfg(test)]
mod hostile;
pub mod limits;
mod message;
mod pending;
mod rate;
mod registry;
mod tags;
pub mod text;
mod token;
pub mod typed;
mod types;

pub use arrival::Arrival;
pub use backoff::Backoff;
pub use burst::Burst;
pub use decoder::FrameDecoder;
pub use delivery::{DeliveryClass, Key, OverflowPolicy};
pub use error::{
    BodyError, EncodeError, HandshakeError, ProtocolError, TagError, TargetError, TypeError,
    UnknownCode,
};
pub use fingerprints::Fingerprints;
pub use frame::Frame;
pub use going_away::GoingAway;
pub use handshake::{ClientHandshake, ClientStep, Hello, ServerHandshake};
pub use heartbeat::{Heartbeat, Pulse};
pub use message::{Message, RequestId, ToMessage};
pub use pending::{Answer, IdSpace, IdsExhausted, Pending};
pub use rate::{Rate, RateLimiter, TokenBucket, Verdict};
pub use registry::Registry;
pub use tags::{
    PeerId, Tag, TagNumber, TagStore, TagTarget, TagValue, Target, WatchId, WatchStep, all, nobody,
    peers, tag,
};
pub use token::Token;
pub use typed::{AnswerError, Ask, NoError, NoReply, Told, Typed, TypedMessage};
pub use types::{
    CodeClass, FIRST_APPLICATION_CODE, FIRST_PLUGIN_CODE, GOING_AWAY, MessageType, PING, PONG,
};

#[doc(hidden)]
pub mod __private {
    //! What the output of `#[veltix::message]` names and the facade does not depend on.
    pub use serde;
}

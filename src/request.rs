//! Requests in progress, surveys and their responses.
//!
//! [`Peer::request`](crate::Peer::request) returns a [`Request`], and
//! [`Broadcast::request`](crate::Broadcast::request) returns a [`Survey`]. Both are futures with options.
//!
//! ```
//! use std::time::Duration;
//!
//! use veltix::request::Responses;
//! use veltix::{Hub, Message, Peer, tag};
//!
//! async fn ask(peer: &Peer, question: &Message) -> veltix::Result<Message> {
//!     Ok(peer.request(question).timeout(Duration::from_secs(2)).await?)
//! }
//!
//! async fn vote(hub: &Hub, question: &Message) -> veltix::Result<Responses<Message>> {
//!     let survey = hub.to(tag("voter")).request(question)?;
//!     Ok(survey.timeout(Duration::from_secs(2)).quorum(3).await)
//! }
//! # let _ = (ask, vote);
//! ```
//!
//! [Requests](crate::_guide::requests) are explained in the guide.

pub use veltix_core::IdsExhausted;
pub use veltix_tokio::{Ping, Request, Response, Responses, Survey, SurveyStatus};

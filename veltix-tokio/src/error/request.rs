//! [`RequestError`]: a call without its answer.

use std::convert::Infallible;
use std::time::Duration;

use thiserror::Error;
use veltix_core::{AnswerError, BodyError, EncodeError, IdsExhausted};

/// The reason why a call ended without its answer. `E` is the type that the message declares with
/// `error = E`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError<E = Infallible> {
    /// The peer answered with the declared error.
    #[error("the peer answered with an error: {0:?}")]
    Remote(E),
    /// The body of the answer cannot be read: both sides must use the same message type. The text is
    /// short, so that its cause fits a line of the log
    /// ([`LOGGED_CHARS`](veltix_core::limits::LOGGED_CHARS)).
    #[error("the answer cannot be read")]
    Body(#[source] BodyError),
    /// No answer arrived in time. It is unknown whether the peer handled the message.
    #[error(
        "no answer arrived within {after:?}, and the peer may have handled the message: raise the timeout, or repeat the call if that is safe"
    )]
    Timeout {
        /// The timeout of the call.
        after: Duration,
    },
    /// No answer arrived before the timeout or the end of the connection, and meanwhile a call of the
    /// peer waited until this side's `on_connect` returns. If both sides call in `on_connect`, they
    /// wait for each other.
    #[error(
        "no answer arrived while `on_connect` ran and a call of the peer waited for its end: if both sides call in `on_connect`, they wait for each other, so let one of them spawn its call"
    )]
    BothConnecting,
    /// The connection ended before the answer arrived. It is unknown whether the peer handled the
    /// message.
    #[error(
        "the connection ended before an answer arrived, and the peer may have handled the message: repeat the call on the next connection if that is safe"
    )]
    ConnectionLost,
    /// A plain handler waited for the call. It holds the task that would receive the answer, so the
    /// call would never complete. The message was not sent, unless the call had begun before.
    #[error(
        "a plain handler cannot wait for a call, since it holds the task that receives the answer: use `on_blocking` or `route_blocking`, or an async handler"
    )]
    InPlainHandler,
    /// The connection had ended before the call, so the message was not sent.
    #[error(
        "the connection is closed, so the message was not sent: connect again, and send it then"
    )]
    Closed,
    /// More bytes waited on this side than may be buffered: messages that arrived before the answer
    /// while a handler was busy, so that reading had to stop, or unread answers to the same survey.
    #[error(
        "more than {limit} bytes waited on this side: let handlers finish sooner, spawn the call instead of awaiting it in a handler, or read the answers to a survey as they arrive"
    )]
    Congested {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer has another type than the expected one.
    #[error(
        "the answer has the message code {code} instead of {expected}: use the same message types on both sides"
    )]
    UnexpectedReply {
        /// The message code of the answer.
        code: u16,
        /// The expected message code.
        expected: u16,
    },
    /// The server's own messages may carry the ids of this side's calls, so the type must identify
    /// the answer.
    #[error(
        "this server's own messages may carry the ids of calls: name the type of the answer with `.expect(TYPE)`"
    )]
    TypeNeeded,
    /// No request id is free.
    #[error(transparent)]
    IdsExhausted(#[from] IdsExhausted),
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
    /// The node of the peer has ended, or its end was noticed before the answer arrived, or it is not connected to
    /// the broker. It is unknown whether the peer handled the message.
    #[cfg(feature = "cluster")]
    #[error(
        "the node of the peer has ended, or is not connected to the broker: find the peer again, perhaps on another node, and call it there"
    )]
    NodeGone,
    /// The broker of the cluster is away, or the queue of this node is full. The message was not sent.
    #[cfg(feature = "cluster")]
    #[error("the broker of the cluster is away, so the message was not sent: try again later")]
    Offline,
    /// The message was not sent to the peer, for this reason.
    #[cfg(feature = "cluster")]
    #[error("the message was not sent to the peer: {reason}")]
    NotSent {
        /// The reason.
        reason: std::sync::Arc<str>,
    },
}

impl<E> RequestError<E> {
    /// Converts the type of the peer's error.
    pub fn map_remote<F>(self, change: impl FnOnce(E) -> F) -> RequestError<F> {
        match self {
            Self::Remote(error) => RequestError::Remote(change(error)),
            Self::Body(error) => RequestError::Body(error),
            Self::Timeout { after } => RequestError::Timeout { after },
            Self::BothConnecting => RequestError::BothConnecting,
            Self::ConnectionLost => RequestError::ConnectionLost,
            Self::InPlainHandler => RequestError::InPlainHandler,
            Self::Closed => RequestError::Closed,
            Self::Congested { limit } => RequestError::Congested { limit },
            Self::UnexpectedReply { code, expected } => {
                RequestError::UnexpectedReply { code, expected }
            }
            Self::TypeNeeded => RequestError::TypeNeeded,
            Self::IdsExhausted(error) => RequestError::IdsExhausted(error),
            Self::Encode(error) => RequestError::Encode(error),
            #[cfg(feature = "cluster")]
            Self::NodeGone => RequestError::NodeGone,
            #[cfg(feature = "cluster")]
            Self::Offline => RequestError::Offline,
            #[cfg(feature = "cluster")]
            Self::NotSent { reason } => RequestError::NotSent { reason },
        }
    }
}

/// Converts a wrong answer to the error of its call.
impl<E> From<AnswerError<E>> for RequestError<E> {
    fn from(error: AnswerError<E>) -> Self {
        match error {
            AnswerError::Remote(error) => Self::Remote(error),
            AnswerError::Body(error) => Self::Body(error),
            AnswerError::Unexpected { code, expected } => Self::UnexpectedReply { code, expected },
        }
    }
}

impl RequestError {
    /// Converts the error to that of a call whose peer can answer with an error.
    pub(crate) fn widen<E>(self) -> RequestError<E> {
        self.map_remote(|never| match never {})
    }
}

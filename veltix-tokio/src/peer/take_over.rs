//! [`TakeOver`]: one connection for each user, the newest.

use std::any::{TypeId, type_name};
use std::fmt::{self, Display};
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::future::{Either, select};
use veltix_core::limits::TAKE_OVER;
use veltix_core::{EncodeError, Message, ToMessage};

use super::Peer;
use crate::close::CloseReason;
use crate::error::{SendError, TakeOverError};
use crate::flush;
use crate::log::log_or_debug;
use crate::session::{Holder, HolderKey, within};

/// A connection that takes over from the older connections of the same user. Created by
/// [`Peer::take_over`].
#[must_use = "nothing is taken over before it is awaited"]
pub struct TakeOver {
    peer: Peer,
    key: Result<HolderKey, TakeOverError>,
    message: Option<Result<Message, EncodeError>>,
}

/// The kind of the hold of an identity type among the values that are attached to a peer.
struct HoldOf<I>(PhantomData<I>);

impl Peer {
    /// Takes over from the older connections of the same user, so that each user has one connection,
    /// the newest. `key` makes the user's key from the peer's identity, which
    /// [`Router::authenticate`](crate::Router::authenticate) has returned: a text or a number that is
    /// the same for all connections of the user. What a peer says of itself plays no part.
    ///
    /// Await it in `on_connect`. It closes the older connections with [`CloseReason::TakenOver`], and is
    /// ready once their `on_disconnect` handlers have ended, or after 2 s. So the state that
    /// `on_disconnect` stores is there when `on_connect` goes on. It returns the older peers, most often
    /// none. If several connections of one user take over at the same time, exactly one remains, the
    /// last of them.
    ///
    /// ```
    /// use veltix::{BoxError, HandshakeInfo, Message, MessageType, Peer, Refuse, Router};
    ///
    /// const ELSEWHERE: MessageType = MessageType::new(290, "connected elsewhere", "");
    ///
    /// struct User {
    ///     id: u64,
    /// }
    ///
    /// async fn authenticate(info: HandshakeInfo) -> Result<User, Refuse> {
    ///     let token = info.require_token()?;
    ///     // A real application asks its database here.
    ///     token.expose().parse().map(|id| User { id }).map_err(|_| Refuse::new("unknown token"))
    /// }
    ///
    /// async fn one_session_per_user(peer: Peer) -> Result<(), BoxError> {
    ///     peer.take_over(|user: &User| user.id).tell(&Message::empty(ELSEWHERE)).await?;
    ///     Ok(())
    /// }
    ///
    /// let router: Router =
    ///     Router::new().authenticate(authenticate).on_connect(one_session_per_user);
    /// ```
    ///
    /// A client that reconnects by itself would take its session back from a newer one of the same
    /// user: [`tell`](TakeOver::tell) it to stop.
    ///
    /// # Errors
    /// [`TakeOverError`]. No connection was closed then.
    ///
    /// # Cancel safety
    /// Not cancel safe: the older connections may be closed already. A dropped `on_connect` refuses the
    /// peer, and its user has no connection then.
    pub fn take_over<I, K>(&self, key: impl FnOnce(&I) -> K) -> TakeOver
    where
        I: Send + Sync + 'static,
        K: Display,
    {
        let key = match self.identity::<I>() {
            Some(identity) => {
                let text = key(&identity).to_string().into_boxed_str();
                Ok(HolderKey { of: TypeId::of::<HoldOf<I>>(), text })
            }
            None => Err(TakeOverError::NoIdentity { name: type_name::<I>() }),
        };
        TakeOver { peer: self.clone(), key, message: None }
    }
}

impl TakeOver {
    /// Sends this message to the older connections before they close, if their outboxes have room and
    /// they accept messages of its size.
    pub fn tell(mut self, message: &(impl ToMessage + ?Sized)) -> Self {
        // The limit of this peer does not matter: the message is for the older ones.
        let limits = self.peer.session().limits();
        let encoded = message.to_message_within(limits.max_typed_body);
        self.message = Some(encoded.and_then(|it| within(it, limits.max_message_size)));
        self
    }

    async fn run(self) -> Result<Vec<Peer>, TakeOverError> {
        if flush::is_in_plain_handler() {
            return Err(TakeOverError::InPlainHandler);
        }
        let Self { peer, key, message } = self;
        let (key, message) = (key?, message.transpose()?);
        let (session, kind) = (peer.session(), key.of);
        let taken = session.services().holders().take(key, session);
        let (hold, mut earlier) = taken.ok_or(TakeOverError::TakenOver)?;
        // The hold of a connection that has ended meanwhile is dropped at once.
        drop(session.attached().attach(kind, Arc::new(hold)));
        let peers: Vec<_> = earlier.iter().filter_map(Holder::session).map(Peer::new).collect();
        for older in &peers {
            if let Some(message) = &message {
                // An outbox without room closes without it.
                if let Err(SendError::Encode(_)) = older.try_send(message) {
                    older.session().outbox().refuse_too_large(message.code());
                }
            }
            older.session().cancel(CloseReason::TakenOver);
        }
        let ended = pin!(async {
            for holder in &mut earlier {
                holder.ended().await;
            }
        });
        // The timer is that of the connection's runtime: the caller may be on a thread without one.
        let runtime = session.services().runtime();
        let late = pin!(runtime.sleep(TAKE_OVER));
        if let Either::Right(_) = select(ended, late).await {
            let due = session.services().logs().take_overs.decide(runtime.now());
            log_or_debug!(warn, due, %peer, "an older connection of the same user has not ended in time");
        }
        Ok(peers)
    }
}

impl IntoFuture for TakeOver {
    type Output = Result<Vec<Peer>, TakeOverError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for TakeOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeOver").field("peer", &self.peer).finish_non_exhaustive()
    }
}

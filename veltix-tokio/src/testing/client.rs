//! [`TestClient`]: a client with a name and expectations.

use std::fmt::{self, Display};
use std::panic::Location;
use std::time::Duration;

use tokio::time::timeout;
use veltix_core::{Ask, Message, MessageType, ToMessage, TypedMessage};

use super::clock;
use super::failure::{self, Log};
use super::inbox::Inbox;
use super::link::Link;
use crate::client::{Client, ClientConfig, ClientStatus};
use crate::error::ConnectError;
use crate::router::Router;

/// How long an expectation waits: shorter than a heartbeat's interval, so that a test which fails
/// does not see its connections die as well.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of a [`TestServer`](super::TestServer). See the [module](super).
///
/// Its methods panic, naming the client, where a [`Client`]'s return an error: those are at
/// [`client`](TestClient::client). Dropped, it closes its connection as a [`Client`] does.
pub struct TestClient {
    profile: Profile,
    client: Client,
    inbox: Inbox,
    /// Messages of the inbox that expectations have taken.
    taken: usize,
}

/// Who a client is, and where.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) link: Link,
    /// What the server says.
    pub(super) log: Log,
}

impl TestClient {
    pub(super) async fn connect(
        profile: Profile,
        config: ClientConfig,
        router: Router,
    ) -> Result<Self, ConnectError> {
        let inbox = Inbox::default();
        let router = inbox.fed_by(router);
        let client = Client::connect_with(profile.link.clone(), config, router).await?;
        // The server may be about to list it.
        clock::until_idle().await;
        Ok(Self { profile, client, inbox, taken: 0 })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// The client itself, with results in place of panics.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The link to the server, to be cut, frozen and healed.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.profile.link
    }

    /// Sends a message: see [`Client::send`].
    ///
    /// # Panics
    /// When it was not accepted.
    #[track_caller]
    pub fn send(&self, message: &(impl ToMessage + ?Sized)) -> impl Future<Output = ()> {
        let at = Location::caller();
        let sending = self.client.send(message);
        async move {
            if let Err(error) = sending.await {
                panic!("{at}: {}", self.failure(&format_args!("could not send: {error}"), None));
            }
        }
    }

    /// Calls the server, and gives its answer: see [`Client::request`].
    ///
    /// # Panics
    /// When no answer came.
    #[track_caller]
    pub fn request<Q>(&self, message: &Q) -> impl Future<Output = Q::Reply>
    where
        Q: Ask<Error: fmt::Debug> + ?Sized,
    {
        let at = Location::caller();
        let request = self.client.request(message);
        async move {
            match request.await {
                Ok(answer) => answer,
                Err(error) => {
                    panic!("{at}: {}", self.failure(&format_args!("got no answer: {error}"), None))
                }
            }
        }
    }

    /// Takes the next message, which must be a `T`, and reads it.
    ///
    /// # Panics
    /// When it is not, its body cannot be read, or none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_typed<T: TypedMessage>(&mut self) -> impl Future<Output = T> {
        let at = Location::caller();
        let message = self.expect(T::TYPE);
        async move {
            match T::from_message(message.await, usize::MAX) {
                Ok(typed) => typed,
                Err(error) => panic!("{at}: the body of {:?} cannot be read: {error}", T::TYPE),
            }
        }
    }

    /// Takes the next message, whatever it is.
    ///
    /// # Panics
    /// When none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_any(&mut self) -> impl Future<Output = Message> {
        self.expect_where("a message", |_| true)
    }

    /// Takes the next message, which must be of this type.
    ///
    /// # Panics
    /// When it is not, or none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect(
        &mut self,
        message_type: impl Into<MessageType>,
    ) -> impl Future<Output = Message> {
        let expected: MessageType = message_type.into();
        let is_expected = move |message: &Message| message.code() == expected.code();
        self.expect_where(format!("a message of type {expected:?}"), is_expected)
    }

    /// Takes the next message, which must have the type and the body that this one is encoded to.
    ///
    /// # Panics
    /// When it has not, or none comes within 10 s of the test's time, or when this one cannot be
    /// encoded.
    #[track_caller]
    pub fn expect_message(
        &mut self,
        message: &(impl ToMessage + ?Sized),
    ) -> impl Future<Output = Message> {
        let expected = match message.to_message() {
            Ok(message) => message,
            Err(error) => panic!("the message that {} expects: {error}", self.name()),
        };
        let what = failure::shown(&expected);
        self.expect_where(what, move |message| {
            (message.code(), message.body()) == (expected.code(), expected.body())
        })
    }

    /// Takes the next message, for which this must be true. `what` is said when it is not:
    /// "ann expected {what}".
    ///
    /// # Panics
    /// When it is not, or no message comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_where(
        &mut self,
        what: impl Display,
        is_expected: impl Fn(&Message) -> bool,
    ) -> impl Future<Output = Message> {
        // An async function would not know its caller.
        let at = Location::caller();
        async move {
            let Ok(message) = timeout(PATIENCE, self.inbox.get(self.taken)).await else {
                let what = format_args!("expected {what}, and nothing came within {PATIENCE:?}");
                panic!("{at}: {}", self.failure(&what, None));
            };
            if !is_expected(&message) {
                let what = format_args!("expected {what}, and something else came");
                panic!("{at}: {}", self.failure(&what, Some(self.taken)));
            }
            self.taken += 1;
            message
        }
    }

    /// Waits until everybody else waits, and sees that no message is there: what was sent to this
    /// client by then has arrived. What would come at a later time is not waited for: to look for
    /// that, [`advance`](super::TestServer::advance) the clock first.
    ///
    /// # Panics
    /// When a message is there.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            clock::until_idle().await;
            if self.inbox.len() > self.taken {
                panic!("{at}: {}", self.failure(&"expected nothing", Some(self.taken)));
            }
        }
    }

    /// What has come and was not taken yet, oldest first; it stays there.
    #[must_use]
    pub fn waiting(&self) -> Vec<Message> {
        self.inbox.all().split_off(self.taken)
    }

    /// Waits until there is a connection, again or still, and the server has listed it.
    ///
    /// # Panics
    /// When there is none within 10 s of the test's time.
    #[track_caller]
    pub fn connected(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let mut status = self.client.status();
            let connected = status.wait_for(|status| *status == ClientStatus::Connected);
            if !matches!(timeout(PATIENCE, connected).await, Ok(Ok(_))) {
                let what = format_args!("did not connect within {PATIENCE:?}");
                panic!("{at}: {}", self.failure(&what, None));
            }
            clock::until_idle().await;
        }
    }

    /// What a panic says: what happened, what was received, and how things stand.
    pub(super) fn failure(&self, what: &dyn Display, unwanted: Option<usize>) -> String {
        let name = self.name();
        let received = failure::received(&self.inbox.all(), self.taken, unwanted);
        let (status, addr) = (self.client.status().borrow().clone(), self.link().addr());
        let status = match status {
            ClientStatus::Connected => "connected".to_owned(),
            ClientStatus::Reconnecting { attempt } => format!("reconnecting (attempt {attempt})"),
            ClientStatus::Lost { reason } => format!("lost ({reason})"),
            ClientStatus::Closed => "closed".to_owned(),
        };
        let events = failure::events(&self.profile.log.lines());
        format!(
            "{name} {what}\n{name} has received:{received}\n{name} is {status}, as {addr}\nthe server says:{events}"
        )
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("name", &self.profile.name)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

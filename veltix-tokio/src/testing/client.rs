//! [`TestClient`]: a client with a name and expectations.

use std::fmt::{self, Display};
use std::panic::Location;

use tokio::time::timeout;
use veltix_core::{Ask, Message, MessageType, ToMessage, TypedMessage};

use super::clock;
use super::failure;
use super::inbox::Inbox;
use super::link::Link;
use super::log::{Log, PATIENCE};
use crate::client::{Client, ClientConfig, ClientStatus};
use crate::error::ConnectError;
use crate::router::Router;

/// A client of a [`TestServer`](super::TestServer). See the module `veltix::testing`.
///
/// Its methods panic, naming the client, where those of a [`Client`] return an error;
/// [`client`](TestClient::client) has the methods of a [`Client`]. Dropping it closes its
/// connection, as with a [`Client`], and panics if a handler of its own routes has failed, as
/// dropping a [`TestServer`](super::TestServer) does.
pub struct TestClient {
    profile: Profile,
    client: Client,
    /// The events of the client.
    log: Log,
    inbox: Inbox,
    /// The number of messages of the inbox that expectations have taken.
    taken: usize,
}

/// The name of a client, its link and the events of its server.
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) link: Link,
    /// The events of the server.
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
        // The server may not have listed the client yet.
        clock::until_idle().await;
        let log = Log::start(profile.name.clone(), client.events());
        Ok(Self { profile, client, log, inbox, taken: 0 })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// Returns the client itself, whose methods return results instead of panicking.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the link to the server, which can be cut, frozen and healed.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.profile.link
    }

    /// Sends a message: see [`Client::send`].
    ///
    /// # Panics
    /// Panics if the message was not accepted.
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

    /// Calls the server and returns its reply: see [`Client::request`].
    ///
    /// # Panics
    /// Panics if no reply came.
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
                    panic!(
                        "{at}: {}",
                        self.failure(&format_args!("received no reply: {error}"), None)
                    )
                }
            }
        }
    }

    /// Takes the next message, which must be a `T`, and reads it.
    ///
    /// # Panics
    /// Panics if it is another message, if its body cannot be read, or if none comes within 10 s of
    /// the test's time.
    #[track_caller]
    pub fn expect_typed<T: TypedMessage>(&mut self) -> impl Future<Output = T> {
        let at = Location::caller();
        let message = self.expect(T::TYPE);
        async move { read(message.await, at) }
    }

    /// Takes the next message of any type.
    ///
    /// # Panics
    /// Panics if none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_any(&mut self) -> impl Future<Output = Message> {
        self.expect_where("a message", |_| true)
    }

    /// Takes the next message, which must be of this type.
    ///
    /// # Panics
    /// Panics if it is of another type, or if none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect(
        &mut self,
        message_type: impl Into<MessageType>,
    ) -> impl Future<Output = Message> {
        let expected: MessageType = message_type.into();
        let is_expected = move |message: &Message| message.code() == expected.code();
        self.expect_where(format!("a message of type {expected:?}"), is_expected)
    }

    /// Takes the next message, which must have the type and the body of the encoded `message`.
    ///
    /// # Panics
    /// Panics if it has not, if none comes within 10 s of the test's time, or if `message` cannot
    /// be encoded.
    #[track_caller]
    pub fn expect_message(
        &mut self,
        message: &(impl ToMessage + ?Sized),
    ) -> impl Future<Output = Message> {
        let expected = match message.to_message_within(usize::MAX) {
            Ok(message) => message,
            Err(error) => {
                panic!("could not encode the message that {} expects: {error}", self.name())
            }
        };
        let what = failure::shown(&expected);
        self.expect_where(what, move |message| {
            (message.code(), message.body()) == (expected.code(), expected.body())
        })
    }

    /// Takes the next message, for which `is_expected` must return true. Otherwise the panic
    /// contains `what`: "ann expected {what}".
    ///
    /// # Panics
    /// Panics if it returns false, or if no message comes within 10 s of the test's time.
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
                let what =
                    format_args!("expected {what}, but received nothing within {PATIENCE:?}");
                panic!("{at}: {}", self.failure(&what, None));
            };
            if !is_expected(&message) {
                let what = format_args!("expected {what}, but received another message");
                panic!("{at}: {}", self.failure(&what, Some(self.taken)));
            }
            self.taken += 1;
            message
        }
    }

    /// Takes messages until one is a `T`, and reads that. The messages before it are taken, too.
    ///
    /// # Panics
    /// Panics if none comes within 10 s of the test's time, or if its body cannot be read.
    #[track_caller]
    pub fn expect_typed_eventually<T: TypedMessage>(&mut self) -> impl Future<Output = T> {
        let at = Location::caller();
        let message = self.expect_eventually(T::TYPE);
        async move { read(message.await, at) }
    }

    /// Takes messages until one is of this type, and returns that. The messages before it are taken,
    /// too.
    ///
    /// # Panics
    /// Panics if none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_eventually(
        &mut self,
        message_type: impl Into<MessageType>,
    ) -> impl Future<Output = Message> {
        let expected: MessageType = message_type.into();
        let is_expected = move |message: &Message| message.code() == expected.code();
        self.expect_eventually_where(format!("a message of type {expected:?}"), is_expected)
    }

    /// Takes messages until `is_expected` returns true for one, and returns that. The messages before
    /// it are taken, too. Otherwise the panic contains `what`: "ann expected {what} eventually".
    ///
    /// # Panics
    /// Panics if none comes within 10 s of the test's time.
    #[track_caller]
    pub fn expect_eventually_where(
        &mut self,
        what: impl Display,
        is_expected: impl Fn(&Message) -> bool,
    ) -> impl Future<Output = Message> {
        let at = Location::caller();
        async move {
            let mut next = self.taken;
            let found = timeout(PATIENCE, async {
                loop {
                    let message = self.inbox.get(next).await;
                    next += 1;
                    if is_expected(&message) {
                        return message;
                    }
                }
            });
            let Ok(message) = found.await else {
                let what = format_args!(
                    "expected {what} eventually, but received none within {PATIENCE:?}"
                );
                panic!("{at}: {}", self.failure(&what, None));
            };
            self.taken = next;
            message
        }
    }

    /// Waits until all other tasks wait, and checks that there is no message: every message that
    /// was sent to this client by then has arrived. Messages at a later time are not awaited: to
    /// check for those, [`advance`](super::TestServer::advance) the clock first.
    ///
    /// # Panics
    /// Panics if there is a message.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            clock::until_idle().await;
            if self.inbox.len() > self.taken {
                panic!("{at}: {}", self.failure(&"expected no message", Some(self.taken)));
            }
        }
    }

    /// Returns the messages that were received and not taken yet, oldest first, without taking
    /// them.
    #[must_use]
    pub fn waiting(&self) -> Vec<Message> {
        self.inbox.all().split_off(self.taken)
    }

    /// Waits until the client is connected, again or still, and the server has listed it. The end of
    /// a connection that was cut before this call is noticed first, so that a dead connection does not
    /// count.
    ///
    /// # Panics
    /// Panics if it is not connected within 10 s of the test's time.
    #[track_caller]
    pub fn connected(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            clock::until_idle().await;
            if !matches!(timeout(PATIENCE, self.client.connected()).await, Ok(Ok(_))) {
                let what = format_args!("did not connect within {PATIENCE:?}");
                panic!("{at}: {}", self.failure(&what, None));
            }
            clock::until_idle().await;
        }
    }

    /// Waits for the failure of a handler of this client: see
    /// [`TestServer::expect_failure`](super::TestServer::expect_failure).
    ///
    /// # Panics
    /// Panics if no handler fails in this way within 10 s of the test's time.
    #[track_caller]
    pub fn expect_failure(&self, text: &str) -> impl Future<Output = String> {
        let at = Location::caller();
        async move {
            match self.log.take_failure(text).await {
                Ok(line) => line,
                Err(others) => {
                    let what = format_args!(
                        "had no handler that failed with {text:?} within {PATIENCE:?}; other failures:{others}"
                    );
                    panic!("{at}: {}", self.failure(&what, None));
                }
            }
        }
    }

    /// Lets the handlers of this client fail: the test does not fail with them.
    pub fn allow_failures(&self) {
        self.log.allow_failures();
    }

    /// Returns the text of a panic: the failure, the received messages, and the state of the client
    /// and the server.
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
            "{name} {what}\n{name} has received:{received}\n{name} is {status}, as {addr}\nevents of the server:{events}"
        )
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.log.check();
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

/// Reads a message of a `T` for the test at this place.
fn read<T: TypedMessage>(message: Message, at: &Location<'_>) -> T {
    match T::from_message(message, usize::MAX) {
        Ok(typed) => typed,
        Err(error) => panic!("{at}: the body of {:?} cannot be read: {error}", T::TYPE),
    }
}

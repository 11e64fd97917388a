//! [`TestServer`]: an application's router, served in memory.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use veltix_core::all;

use super::TestClient;
use super::client::Profile;
use super::clock;
use super::link::{Link, Switchboard};
use super::log::{Log, PATIENCE};
use crate::client::{ClientConfig, Reconnect};
use crate::close::ShutdownReport;
use crate::config::SocketCore;
use crate::error::ConnectError;
use crate::hub::Hub;
#[cfg(feature = "cluster")]
use crate::hub::IntoRelay;
use crate::peer::Peer;
use crate::router::{Router, Served};
use crate::server::{Server, ServerConfig};

/// The time after which a test client that lost its connection reconnects.
const RECONNECT: Duration = Duration::from_secs(1);

/// A running server in memory, for the test of an application. See the module `veltix::testing`.
///
/// Dropping it aborts every connection; [`shutdown`](TestServer::shutdown) drains them. Both panic, and
/// so fail the test, if a handler has returned an error or has panicked, unless the test
/// [expects](TestServer::expect_failure) or [allows](TestServer::allow_failures) it. A handler whose
/// message is on its way at the drop has not failed: [`settle`](TestServer::settle) waits for it.
#[must_use = "a dropped server aborts its connections"]
pub struct TestServer {
    hub: Hub,
    switchboard: Switchboard,
    log: Log,
    running: JoinHandle<()>,
}

impl TestServer {
    /// Serves a router with the default config, and pauses the clock.
    ///
    /// # Panics
    /// Panics unless the runtime has one thread, as that of `#[tokio::test]` has.
    #[track_caller]
    pub fn start(router: impl Served) -> impl Future<Output = Self> {
        Self::start_with(ServerConfig::default(), router)
    }

    /// Serves a router with this config. Its address and its [`SocketCore`] are ignored: the paused
    /// clock would not see the threads of a socket core.
    ///
    /// # Panics
    /// Panics as [`start`](TestServer::start) does, and if the config is invalid.
    #[track_caller]
    pub fn start_with(config: ServerConfig, router: impl Served) -> impl Future<Output = Self> {
        Self::begin(0, "the server", config, router.into_router(), |server| server)
    }

    /// Serves a router as a node of a cluster. The number is another one for each node of a test: the random
    /// numbers depend on it, and among them the id of the node. The report of a failed handler names `owner`.
    #[cfg(feature = "cluster")]
    #[doc(hidden)]
    #[track_caller]
    pub fn start_node<C: IntoRelay>(
        number: u64,
        owner: String,
        config: ServerConfig,
        router: impl Served,
        cluster: impl FnOnce() -> C,
    ) -> impl Future<Output = Self> {
        let join = |server: Server| server.cluster(cluster());
        Self::begin(number, owner, config, router.into_router(), join)
    }

    #[track_caller]
    fn begin(
        number: u64,
        owner: impl Into<String>,
        config: ServerConfig,
        router: Router,
        join: impl FnOnce(Server) -> Server,
    ) -> impl Future<Output = Self> {
        let owner = owner.into();
        clock::begin(number);
        let (switchboard, listener) = Switchboard::new();
        let config = config.socket_core(SocketCore::Async);
        let server = match Server::with_listener(listener, config, router) {
            Ok(server) => join(server),
            Err(error) => panic!("the config of the test server is invalid: {error}"),
        };
        async move {
            clock::align().await;
            let hub = server.hub();
            let log = Log::start(owner, hub.events());
            let running = tokio::spawn(async move {
                // The server has no error to return.
                let _ = server.run().await;
            });
            Self { hub, switchboard, log, running }
        }
    }

    /// Connects a client of this name without routes: its messages wait for its expectations. If
    /// its connection is lost, it reconnects each second. It is connected and listed by the server
    /// on return, unless `on_connect` takes longer.
    ///
    /// # Panics
    /// Panics if the client cannot connect.
    #[track_caller]
    pub fn client(&self, name: &str) -> impl Future<Output = TestClient> {
        self.client_with(name, ClientConfig::default(), Router::new())
    }

    /// Connects a client of this name with routes of its own and a config, whose address and
    /// [`SocketCore`] are ignored. Unless the config sets another
    /// [`reconnect`](ClientConfig::reconnect), the client reconnects each second. Messages with a route go to that route; the others wait for the
    /// expectations. With a fallback in the router no message waits.
    ///
    /// # Panics
    /// Panics if the client cannot connect.
    #[track_caller]
    pub fn client_with(
        &self,
        name: &str,
        config: ClientConfig,
        router: Router,
    ) -> impl Future<Output = TestClient> {
        let at = Location::caller();
        async move {
            match self.connect(name, config, router).await {
                Ok(client) => client,
                Err(error) => panic!("{at}: {name} could not connect: {error}"),
            }
        }
    }

    /// Connects a client like [`client_with`](TestServer::client_with), for a client that may be
    /// refused.
    ///
    /// # Errors
    /// Returns the errors of [`Client::connect_with`](crate::Client::connect_with).
    ///
    /// # Cancel safety
    /// If the future is dropped, the client is not connected.
    pub async fn connect(
        &self,
        name: &str,
        config: ClientConfig,
        router: Router,
    ) -> Result<TestClient, ConnectError> {
        let profile = Profile { name: name.to_owned(), link: self.link(), log: self.log.clone() };
        let config = config.reconnect_by_default(Reconnect::fixed(RECONNECT));
        TestClient::connect(profile, config.socket_core(SocketCore::Async), router).await
    }

    /// Creates a link to this server, for a [`Client`](crate::Client) that the application connects
    /// by itself.
    #[must_use]
    pub fn link(&self) -> Link {
        self.switchboard.link()
    }

    /// Returns the server's handle.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Returns the server's peer of a client: to inspect its tags and counters, or to close it.
    ///
    /// # Panics
    /// Panics if the server does not list the client.
    #[must_use]
    #[track_caller]
    pub fn peer(&self, client: &TestClient) -> Peer {
        let addr = client.link().addr();
        let listed = self.hub.list(all()).into_iter().flatten();
        let found = listed.into_iter().find(|peer| *peer.addr() == addr);
        match found {
            Some(peer) => peer,
            None => panic!("{}", client.failure(&"is not listed by the server", None)),
        }
    }

    /// Waits for the failure of a handler whose line contains this text, and returns the line: it
    /// names the code, the peer and the error, as in "the handler of code 201 failed for #1 (memory:1):
    /// not in a room". Each call takes one failure, which then does not fail the test.
    ///
    /// # Panics
    /// Panics if no handler fails in this way within 10 s of the test's time.
    #[track_caller]
    pub fn expect_failure(&self, text: &str) -> impl Future<Output = String> {
        let at = Location::caller();
        async move {
            match self.log.take_failure(text).await {
                Ok(line) => line,
                Err(others) => panic!(
                    "{at}: no handler of the server failed with {text:?} within {PATIENCE:?}; other failures:{others}"
                ),
            }
        }
    }

    /// Lets the handlers of this server fail: the test does not fail with them.
    pub fn allow_failures(&self) {
        self.log.allow_failures();
    }

    /// Waits until all other tasks wait: for a message, a reply, or a later time. The clock
    /// advances by one millisecond.
    pub async fn settle(&self) {
        clock::until_idle().await;
    }

    /// Lets this much time pass. Everything that is due meanwhile happens in order and at its time,
    /// and is complete when this method returns.
    pub async fn advance(&self, time: Duration) {
        sleep(time).await;
        clock::until_idle().await;
    }

    /// Shuts the server down: see [`Hub::shutdown`].
    ///
    /// # Panics
    /// Panics if a handler has failed, as [dropping](TestServer) does.
    ///
    /// # Cancel safety
    /// Dropping the future aborts every connection.
    pub async fn shutdown(self) -> ShutdownReport {
        self.hub.shutdown().await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.running.abort();
        self.log.check();
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").field("hub", &self.hub).finish_non_exhaustive()
    }
}

//! [`ClientConfig`] and [`Reconnect`]: the settings of a client.

use std::future::Future;
use std::time::Duration;

use veltix_core::limits;
use veltix_core::{Backoff, OverflowPolicy, Token};

use super::credentials::Credentials;
use crate::config::{BufferSize, SocketCore};
use crate::config::{ConnectionConfig, connection_setters};
use crate::error::{BoxError, ConfigError};
use crate::tls::{ClientTls, Dial};

/// The settings of a client. Start from the default and change the settings that you need.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(super) addr: String,
    /// `None` unless it was set.
    reconnect: Option<Reconnect>,
    pub(super) tls: Option<ClientTls>,
    pub(super) credentials: Credentials,
    pub(crate) connection: ConnectionConfig,
}

impl ClientConfig {
    /// Sets the address of the server, as `host:port`. If a name has several addresses, the client
    /// starts a connection to the next one every 250 ms, or as soon as one has failed, and uses the
    /// first that is established. The next attempt begins at another address. Default:
    /// `127.0.0.1:8080`.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Sets the behaviour after the connection is lost. Default: [`Reconnect::off`].
    #[must_use]
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Sets the behaviour after the connection is lost, unless it was set before.
    #[cfg(feature = "testing")]
    pub(crate) fn reconnect_by_default(mut self, reconnect: Reconnect) -> Self {
        self.reconnect.get_or_insert(reconnect);
        self
    }

    pub(super) fn reconnecting(&self) -> Reconnect {
        self.reconnect.unwrap_or_default()
    }

    /// Connects over TLS only, on every transport and at every reconnect. Default: no TLS.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the token that identifies this client in every handshake, with 1 to 4 096 bytes.
    /// Default: none. A server that [authenticates](crate::Router::authenticate) its clients
    /// receives the token. All other servers, Python servers included, ignore it. The token appears
    /// in no log, event or `Debug` output of this crate.
    ///
    /// Over a network the token is sent over TLS only, to a server whose certificate was accepted.
    /// Without TLS, connecting fails with
    /// [`ConfigError::PlaintextToken`](crate::ConfigError::PlaintextToken). Streams that do not
    /// leave the machine need no TLS: memory, Unix sockets, and TCP between loopback addresses. The
    /// addresses of the established connection decide about TCP, and not the name. A transport of
    /// your own counts as a network.
    ///
    /// Without TLS nothing identifies the server: the process that listens there receives the
    /// token. Put a Unix socket into a directory to which no other user may write. A loopback port
    /// belongs to the first process of any user that binds it, and a tunnel or proxy may forward it
    /// to another machine.
    #[must_use]
    pub fn token(mut self, token: impl Into<Token>) -> Self {
        self.credentials.show(token.into());
        self
    }

    /// Sets a function that provides the token, for tokens that expire. The function runs before
    /// each attempt to connect, reconnects included, and must return within the attempt's
    /// [timeout](ClientConfig::handshake_timeout). Its error or panic becomes
    /// [`ConnectError::Token`](crate::ConnectError::Token), and the next attempt calls the function
    /// again. After a server has refused a token for good, the client does not try another one. All
    /// else is as for [`token`](ClientConfig::token).
    ///
    /// ```
    /// use std::io;
    ///
    /// use veltix::ClientConfig;
    ///
    /// async fn issued() -> io::Result<String> {
    ///     // A real application asks the issuer of its tokens here.
    ///     Ok("swordfish".to_owned())
    /// }
    ///
    /// let config = ClientConfig::default().token_with(issued);
    /// ```
    #[must_use]
    pub fn token_with<F, Fut, T, E>(mut self, provide: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Token>,
        E: Into<BoxError>,
    {
        self.credentials.ask(provide);
        self
    }

    /// Allows the token to be sent without TLS. Everybody on the network path can then read and use
    /// the token. This setting is for tests, and for connections that something else encrypts, for
    /// example a tunnel.
    #[must_use]
    pub const fn allow_plaintext_token(mut self) -> Self {
        self.credentials.plaintext = true;
        self
    }

    /// Returns the TLS settings of each connection of a client with this address.
    pub(super) fn dial_tls(&self, addr: Option<&str>) -> Result<Option<Dial>, ConfigError> {
        self.tls.as_ref().map(|tls| tls.dial(addr)).transpose()
    }

    connection_setters!();
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            reconnect: None,
            tls: None,
            credentials: Credentials::default(),
            connection: ConnectionConfig::new(None),
        }
    }
}

/// The rules by which a client reconnects after it has lost its connection.
///
/// The routes stay, and `on_connect` runs again. Ids, tags and calls in flight belong to the
/// connection and end with it. No message is kept while there is no connection: sending fails.
///
/// Only a decision ends the attempts. Any other failure passes, and the next attempt follows:
///
/// | failure | first connect with [`initial`](Reconnect::initial) | later |
/// |---|---|---|
/// | the address is not reachable, its name does not resolve, the handshake takes too long | passes | passes |
/// | the server is full, or closes the connection during the handshake (a [`Refuse::for_now`](crate::Refuse::for_now), a restart) | passes | passes |
/// | `on_connect` of this side fails: an error, its timeout, a panic; or the connection ends while it runs | passes | passes |
/// | `token_with` fails | passes | passes |
/// | TLS fails: a certificate, an alert | ends | passes |
/// | the answer is no handshake: another service, a proxy | ends | passes |
/// | the server refuses ([`Refuse::new`](crate::Refuse::new)), speaks another protocol version, or has other types and a side is strict | ends | ends |
/// | `on_connect` of this side returns [`Refuse::new`](crate::Refuse::new) | ends | ends |
/// | this side calls [`Peer::close`](crate::Peer::close) | ends | ends |
/// | the configuration does not allow the connection, for example a token without TLS | ends | ends |
///
/// At the first connect a wrong address or a wrong certificate is reported at once. Later the
/// address was right before, a certificate can be renewed, and an attacker on the network path can
/// send an alert. Without TLS, an attacker on the network path can also send a refusal.
/// [`Client::retry`](crate::Client::retry) begins new attempts after any end.
///
/// A server of this crate that shuts down announces the period over which its clients shall
/// reconnect ([`Event::GoingAway`](crate::Event::GoingAway)). The first attempt then takes place at
/// a random moment of that period, after the [fixed](Reconnect::fixed) pause if there is one. All
/// later attempts follow the usual rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    attempts: Option<u32>,
    pause: Pause,
    initial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Backoff { first: Duration, max: Duration },
    Fixed(Duration),
}

impl Reconnect {
    /// Never reconnects: the client ends with its connection.
    #[must_use]
    pub const fn off() -> Self {
        Self { attempts: Some(0), ..Self::backoff() }
    }

    /// Reconnects with random pauses, without a limit on the attempts. Each pause is drawn at
    /// random from a window that doubles from 1 s up to 30 s. The window is 1 s again after a
    /// connection that lasted for 10 s. The randomness ("full jitter") keeps the clients of a
    /// restarting server from reconnecting all at once.
    #[must_use]
    pub const fn backoff() -> Self {
        Self {
            attempts: None,
            pause: Pause::Backoff { first: limits::RECONNECT_FIRST, max: limits::RECONNECT_MAX },
            initial: false,
        }
    }

    /// Reconnects after the same pause each time, without a limit on the attempts.
    #[must_use]
    pub const fn fixed(pause: Duration) -> Self {
        Self { attempts: None, pause: Pause::Fixed(pause), initial: false }
    }

    /// Sets the first and the largest window of [`backoff`](Reconnect::backoff).
    #[must_use]
    pub const fn windows(mut self, first: Duration, max: Duration) -> Self {
        self.pause = Pause::Backoff { first, max };
        self
    }

    /// Ends reconnecting after `attempts` failed attempts in a row.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Sets whether a failed first connect is tried again as well. Default: no, the first failure
    /// is final.
    #[must_use]
    pub const fn initial(mut self, initial: bool) -> Self {
        self.initial = initial;
        self
    }

    pub(super) const fn max_attempts(&self) -> Option<u32> {
        self.attempts
    }

    pub(super) const fn is_initial(&self) -> bool {
        self.initial
    }

    /// Returns the pause before every attempt, without its random part.
    pub(super) const fn least_pause(&self) -> Duration {
        match self.pause {
            Pause::Backoff { .. } => Duration::ZERO,
            Pause::Fixed(pause) => pause,
        }
    }

    pub(super) fn pauses(&self) -> Backoff {
        match self.pause {
            Pause::Backoff { first, max } => Backoff::exponential(first, max),
            Pause::Fixed(pause) => Backoff::fixed(pause),
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::off()
    }
}

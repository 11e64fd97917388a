//! [`ClientConfig`] and [`Reconnect`].

use std::future::Future;
use std::time::Duration;

use veltix_core::limits;
use veltix_core::{Backoff, OverflowPolicy, Token};

use super::credentials::Credentials;
use crate::config::{BufferSize, SocketCore};
use crate::config::{ConnectionConfig, connection_setters};
use crate::error::{BoxError, ConfigError};
use crate::tls::{ClientTls, Dial};

/// Where a client connects to, and how. Start from the default and change what you need.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(super) addr: String,
    pub(super) reconnect: Reconnect,
    pub(super) tls: Option<ClientTls>,
    pub(super) credentials: Credentials,
    pub(crate) connection: ConnectionConfig,
}

impl ClientConfig {
    /// The server, as `host:port`. Default: `127.0.0.1:8080`.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// What happens when the connection is lost. Default: [`Reconnect::off`].
    #[must_use]
    pub const fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Connects over TLS alone, on whichever transport, reconnects too. Default: without.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The token by which this client shows who it is, in every handshake: of 1 to 4 096 bytes.
    /// Default: none. A server that [asks](crate::Router::authenticate) gets it; any other, Python's
    /// among them, ignores it. No log, event or `Debug` output of this crate has it.
    ///
    /// It is sent over TLS alone, to a server whose certificate was accepted. Without, connecting over
    /// a network is [`ConfigError::PlaintextToken`](crate::ConfigError::PlaintextToken), on loopback
    /// too. Unix sockets and streams in memory do not leave the machine, so they need no TLS. A
    /// transport of your own is taken for a network. Over a Unix socket whoever listens there gets it:
    /// have its path in a directory that nobody else may write to.
    #[must_use]
    pub fn token(mut self, token: impl Into<Token>) -> Self {
        self.credentials.show(token.into());
        self
    }

    /// As [`token`](ClientConfig::token), for tokens that expire: the function is asked for one before each
    /// attempt to connect, reconnects too, and has to answer within the attempt's
    /// [time](ClientConfig::handshake_timeout). Its error, and a panic, are
    /// [`ConnectError::Token`](crate::ConnectError::Token), and the next attempt asks again; a token that a
    /// server has refused for good is not followed by another.
    ///
    /// ```
    /// use std::io;
    ///
    /// use veltix::ClientConfig;
    ///
    /// async fn issued() -> io::Result<String> {
    ///     // Here somebody is asked who issues tokens.
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

    /// Sends the token without TLS as well, so that anybody on the way can read it and use it: for
    /// tests, and where something else encrypts, a tunnel say.
    #[must_use]
    pub const fn allow_plaintext_token(mut self) -> Self {
        self.credentials.plaintext = true;
        self
    }

    /// What each connection needs to know of TLS, for a client of this address.
    pub(super) fn dial_tls(&self, addr: Option<&str>) -> Result<Option<Dial>, ConfigError> {
        self.tls.as_ref().map(|tls| tls.dial(addr)).transpose()
    }

    connection_setters!();
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            reconnect: Reconnect::off(),
            tls: None,
            credentials: Credentials::default(),
            connection: ConnectionConfig::new(None),
        }
    }
}

/// When a client that lost its connection tries again.
///
/// Routes stay; `on_connect` runs again; ids, tags and calls in flight belong to the connection
/// and end with it. Nothing is kept for later while there is no connection: sending fails.
///
/// A refusal and another version of the protocol are final. That TLS fails is not, once there was a
/// connection: an alert may be from anybody on the way, and a certificate is renewed. Without TLS
/// whoever is on the way can refuse as well.
///
/// A server of this crate that shuts down says over which time its clients are to come back
/// ([`Event::GoingAway`](crate::Event::GoingAway)). The first attempt is then at a random moment of
/// that time, after a [fixed](Reconnect::fixed) pause if there is one; the others are as they always
/// are.
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
    /// Never: a lost connection is the client's end.
    #[must_use]
    pub const fn off() -> Self {
        Self { attempts: Some(0), ..Self::backoff() }
    }

    /// Without end, each pause drawn at random from a window that doubles from 1 s up to 30 s, and
    /// is 1 s again after a connection that lived for 10 s. The randomness ("full jitter") keeps
    /// the clients of a server that restarts from coming back all at once.
    #[must_use]
    pub const fn backoff() -> Self {
        Self {
            attempts: None,
            pause: Pause::Backoff { first: limits::RECONNECT_FIRST, max: limits::RECONNECT_MAX },
            initial: false,
        }
    }

    /// Without end, after the same pause each time.
    #[must_use]
    pub const fn fixed(pause: Duration) -> Self {
        Self { attempts: None, pause: Pause::Fixed(pause), initial: false }
    }

    /// Other windows for [`backoff`](Reconnect::backoff): the first and the largest.
    #[must_use]
    pub const fn windows(mut self, first: Duration, max: Duration) -> Self {
        self.pause = Pause::Backoff { first, max };
        self
    }

    /// Gives up after so many attempts in a row.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Whether the first connect is tried again as well. Default: no, it fails at once.
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

    /// The pause that comes before every attempt, whatever is drawn.
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

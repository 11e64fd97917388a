//! [`NatsConfig`]: the settings of a connection to a NATS server.

use std::fmt;
#[cfg(feature = "nats-nkeys")]
use std::path::PathBuf;
use std::time::Duration;

use veltix_core::limits::{CLUSTER_CONNECT, CLUSTER_NAME};

use super::Nats;
use super::connect::Connecting;
use super::login::Login;
use super::servers::Servers;
use super::tls::Tls;
use crate::config::capped;
use crate::error::ConnectError;

/// The settings of a connection to a NATS server.
///
/// ```no_run
/// use veltix::cluster::NatsConfig;
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let nats = NatsConfig::new("tls://nats-1.example.org,tls://nats-2.example.org", "chat")
///     .user_and_password("chat", &std::env::var("NATS_PASSWORD")?)
///     .roots(std::fs::read("roots.pem")?)
///     .optional()
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is connected before `connect`"]
pub struct NatsConfig {
    url: String,
    name: String,
    login: Option<Login>,
    tls: Tls,
    allows_plaintext: bool,
    is_optional: bool,
    connect_timeout: Duration,
}

impl NatsConfig {
    /// Creates the settings for the server at this URL and the cluster of this name: 1 to 32 characters of `a` to
    /// `z`, `0` to `9`, `_` and `-`.
    ///
    /// The URL is `nats://host:port`, or `tls://host:port` for a connection with TLS. The default port is 4222.
    /// A login may stand before the host, as `user:password@` or `token@`. Several URLs with commas between them
    /// are the servers of one NATS cluster. A node connects to one of them, and to another one if that is lost.
    /// It uses no server that is not in the list. If one URL is `tls://`, all connections have TLS.
    pub fn new(url: &str, name: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            login: None,
            tls: Tls::default(),
            allows_plaintext: false,
            is_optional: false,
            connect_timeout: CLUSTER_CONNECT,
        }
    }

    /// Sets a user and a password. Default: the login of the URL, or none.
    pub fn user_and_password(mut self, user: &str, password: &str) -> Self {
        self.login = Some(Login::Password(user.to_owned(), password.to_owned()));
        self
    }

    /// Sets a token. Default: the login of the URL, or none.
    pub fn token(mut self, token: &str) -> Self {
        self.login = Some(Login::Token(token.to_owned()));
        self
    }

    /// Sets the seed of an NKey, which begins with `SU`. Default: the login of the URL, or none.
    #[cfg(feature = "nats-nkeys")]
    pub fn nkey(mut self, seed: &str) -> Self {
        self.login = Some(Login::Nkey(seed.to_owned()));
        self
    }

    /// Sets the content of a credentials file, with a JWT and the seed of an NKey. Default: the login of the
    /// URL, or none.
    #[cfg(feature = "nats-nkeys")]
    pub fn credentials(mut self, text: &str) -> Self {
        self.login = Some(Login::Credentials(text.to_owned()));
        self
    }

    /// Sets the path of a credentials file. [`connect`](Self::connect) reads it. Default: the login of the URL,
    /// or none.
    #[cfg(feature = "nats-nkeys")]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.login = Some(Login::CredentialsFile(path.into()));
        self
    }

    /// Requires TLS, and sets the root certificates by which the server is accepted, in PEM. Default: the
    /// system's, for URLs with `tls://`.
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// Requires TLS, and sets the certificate that the node shows to the server: its chain and its key, both in
    /// PEM. Default: none.
    pub fn certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.certificate = Some((chain.into(), key.into()));
        self
    }

    /// Requires TLS with a complete rustls config, in place of [`roots`](Self::roots) and
    /// [`certificate`](Self::certificate). Default: none.
    pub fn tls(mut self, config: rustls::ClientConfig) -> Self {
        self.tls.config = Some(config);
        self
    }

    /// Allows a connection without TLS to a server on another machine: everybody on the path can read and
    /// change all messages, and read the login. Default: such a server is refused.
    pub const fn allow_plaintext(mut self) -> Self {
        self.allows_plaintext = true;
        self
    }

    /// Starts without the server if it cannot be reached: the node then serves its own peers, and tries again
    /// about once a second. A server that refuses the login or a permission is an error nevertheless. Default:
    /// each failure is an error.
    pub const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// Limits the time to connect, all attempts together. Default: 5 s.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = capped(limit);
        self
    }

    /// Connects, and checks the permissions: to publish and to subscribe `vx.<name>.>`.
    ///
    /// # Errors
    /// Returns [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(self) -> Result<Nats, ConnectError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=CLUSTER_NAME).contains(&self.name.len()) || !self.name.bytes().all(is_allowed) {
            return Err(ConnectError::Name { limit: CLUSTER_NAME });
        }
        let servers = Servers::read(&self.url)?;
        let requires_tls = self.tls.is_set() || servers.has_tls();
        if servers.is_remote() && !requires_tls && !self.allows_plaintext {
            return Err(ConnectError::Plaintext);
        }
        let login = match self.login.or_else(|| servers.login.clone()) {
            Some(login) => Some(login.loaded().await?),
            None => None,
        };
        if login.is_none() && !self.tls.is_login() && servers.is_remote() {
            tracing::warn!(
                "no login is set for the NATS server: if it needs none, everybody who reaches it can send to all peers"
            );
        }
        let tls = if requires_tls { self.tls.config().await? } else { Tls::without()? };
        let connecting = Connecting {
            name: self.name,
            servers: servers.addrs,
            login,
            tls,
            requires_tls,
            is_optional: self.is_optional,
            connect_timeout: self.connect_timeout,
        };
        connecting.connect().await
    }
}

impl fmt::Debug for NatsConfig {
    /// Omits what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

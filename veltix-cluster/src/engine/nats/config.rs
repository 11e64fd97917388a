//! [`NatsConfig`]: the settings of a connection to a NATS server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use tokio::time::timeout;
use veltix_core::limits::{
    CLUSTER_CONNECT, CLUSTER_CONNECT_ATTEMPT, CLUSTER_ENGINE_COMMANDS, CLUSTER_ENGINE_MESSAGES,
    CLUSTER_NAME, CLUSTER_PING,
};

use super::{Nats, Subjects};
use crate::error::ConnectError;

/// The settings of a connection to a NATS server.
#[derive(Clone)]
#[must_use = "nothing is connected before `connect`"]
pub struct NatsConfig {
    url: String,
    name: String,
    login: Option<(String, String)>,
    token: Option<String>,
    tls: Option<rustls::ClientConfig>,
    allows_plaintext: bool,
    connect_timeout: Duration,
}

impl NatsConfig {
    /// Creates the settings for the server at this URL and the cluster of this name.
    pub fn new(url: &str, name: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            login: None,
            token: None,
            tls: None,
            allows_plaintext: false,
            connect_timeout: CLUSTER_CONNECT,
        }
    }

    /// Sets a user and a password. Default: those of the URL, or none.
    pub fn user_and_password(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Sets a token. Default: none.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Sets the TLS of the connection. Default: none.
    pub fn tls(mut self, config: rustls::ClientConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Allows a connection without TLS to a server on another machine: everybody on the path can read and
    /// change all messages.
    pub const fn allow_plaintext(mut self) -> Self {
        self.allows_plaintext = true;
        self
    }

    /// Limits the time to connect, all attempts together. Default: 5 s.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(self) -> Result<Nats, ConnectError> {
        self.check()?;
        let was_connected = Arc::new(AtomicBool::new(false));
        let mut options = ConnectOptions::new()
            .no_echo()
            .name(format!("veltix {}", self.name))
            .ping_interval(CLUSTER_PING)
            .connection_timeout(CLUSTER_CONNECT_ATTEMPT)
            .client_capacity(CLUSTER_ENGINE_COMMANDS)
            .subscription_capacity(CLUSTER_ENGINE_MESSAGES)
            .reconnect_delay_callback({
                let was_connected = Arc::clone(&was_connected);
                move |attempts| delay(attempts, was_connected.load(Ordering::Relaxed))
            });
        if let Some((user, password)) = self.login {
            options = options.user_and_password(user, password);
        }
        if let Some(token) = self.token {
            options = options.token(token);
        }
        if let Some(tls) = self.tls {
            options = options.require_tls(true).tls_client_config(tls);
        }
        let connected = timeout(self.connect_timeout, options.connect(&self.url)).await;
        let client =
            connected.map_err(|_| ConnectError::TimedOut)?.map_err(|error| match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    ConnectError::Refused
                }
                _ => ConnectError::Unreachable(Box::new(error)),
            })?;
        was_connected.store(true, Ordering::Relaxed);
        let subjects = Subjects::new(&self.name);
        Ok(Nats { client, subjects, me: None, tasks: Vec::new() })
    }

    fn check(&self) -> Result<(), ConnectError> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=CLUSTER_NAME).contains(&self.name.len()) || !self.name.bytes().all(is_allowed) {
            return Err(ConnectError::Name { limit: CLUSTER_NAME });
        }
        let addr: ServerAddr = self.url.parse().map_err(|_| ConnectError::Url)?;
        let is_local = match addr.host() {
            "localhost" => true,
            host => host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback()),
        };
        let is_plain = self.tls.is_none() && !addr.tls_required();
        if is_plain && !is_local && !self.allows_plaintext {
            return Err(ConnectError::Plaintext);
        }
        Ok(())
    }
}

impl fmt::Debug for NatsConfig {
    /// Omits what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the delay before an attempt to connect again. Nodes that lose a server at the same time come back
/// spread over the first second, and then over two; without jitter they would come at once.
fn delay(attempts: usize, was_connected: bool) -> Duration {
    if !was_connected {
        return Duration::ZERO;
    }
    let most = if attempts <= 1 { 1_000 } else { 2_000 };
    Duration::from_millis(fastrand::u64(0..most))
}

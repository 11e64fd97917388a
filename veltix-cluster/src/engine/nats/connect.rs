//! [`connect`]: the way from the settings to a connection that was tried out.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use veltix_core::cluster::NodeId;
use veltix_core::limits::{
    CLUSTER_CONNECT_ATTEMPT, CLUSTER_ENGINE_COMMANDS, CLUSTER_ENGINE_MESSAGES, CLUSTER_PING,
    CLUSTER_STATE_EVERY,
};

use super::link::{Link, LinkGuard};
use super::login::Login;
use super::subjects::{Heard, Subjects};
use super::{Nats, probe};
use crate::error::ConnectError;

/// The checked settings of a connection.
pub(super) struct Connecting {
    pub(super) name: String,
    pub(super) servers: Vec<ServerAddr>,
    pub(super) login: Option<Login>,
    pub(super) tls: rustls::ClientConfig,
    /// Is true if every connection has TLS.
    pub(super) requires_tls: bool,
    pub(super) is_optional: bool,
    pub(super) connect_timeout: Duration,
}

impl Connecting {
    /// Connects, and checks the permissions.
    pub(super) async fn connect(self) -> Result<Nats, ConnectError> {
        let subjects = Subjects::new(&self.name);
        let deadline = Instant::now() + self.connect_timeout;
        let guard = LinkGuard::new(false);
        let link = guard.link();
        let attempt = timeout_at(deadline, self.options(link)?.connect(&self.servers[..])).await;
        let failure = match attempt {
            Ok(Ok(client)) => {
                link.connected();
                self.check(&client, &subjects, link, deadline).await?;
                return Ok(Nats::new(client, guard, subjects));
            }
            Ok(Err(error)) => self.failure(error),
            Err(_) => ConnectError::TimedOut,
        };
        let is_passing = matches!(failure, ConnectError::Unreachable(_) | ConnectError::TimedOut);
        if !(self.is_optional && is_passing) {
            return Err(failure);
        }
        tracing::warn!(
            reason = %failure,
            "the NATS server is away: this node starts alone, and tries again"
        );
        let guard = LinkGuard::new(true);
        let options = self.options(guard.link())?.retry_on_initial_connect();
        // It returns at once, and the client connects in the background.
        let client =
            options.connect(&self.servers[..]).await.map_err(|error| self.failure(error))?;
        Ok(Nats::new(client, guard, subjects))
    }

    fn options(&self, link: &Arc<Link>) -> Result<ConnectOptions, ConnectError> {
        let [events, choice, delay] = [(); 3].map(|()| Arc::clone(link));
        let servers = self.servers.len();
        let options = ConnectOptions::new()
            .no_echo()
            .name(format!("veltix {}", self.name))
            .require_tls(self.requires_tls)
            .tls_client_config(self.tls.clone())
            // The list of further servers comes before TLS, so that anybody on the path may change it, and
            // receive the login. An application names its servers itself.
            .ignore_discovered_servers()
            .ping_interval(CLUSTER_PING)
            .connection_timeout(CLUSTER_CONNECT_ATTEMPT)
            .client_capacity(CLUSTER_ENGINE_COMMANDS)
            .subscription_capacity(CLUSTER_ENGINE_MESSAGES)
            .event_callback(move |event| {
                events.heard(&event);
                ready(())
            })
            .reconnect_to_server_callback(move |servers, _| {
                let link = Arc::clone(&choice);
                async move {
                    if link.is_closed() {
                        // There is no way to end the client's task from here.
                        pending::<()>().await;
                    }
                    link.choose(&servers)
                }
            })
            .reconnect_delay_callback(move |attempt| delay.delay(attempt, servers));
        match &self.login {
            Some(login) => login.add_to(options),
            None => Ok(options),
        }
    }

    fn failure(&self, error: async_nats::ConnectError) -> ConnectError {
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                ConnectError::Refused
            }
            ConnectErrorKind::Tls => ConnectError::Tls(Box::new(error)),
            _ if is_of_tls(&error) && !self.requires_tls => ConnectError::TlsRequired,
            _ if is_of_tls(&error) => ConnectError::Tls(Box::new(error)),
            _ => ConnectError::Unreachable(Box::new(error)),
        }
    }

    /// Checks the permissions: to publish, and to subscribe, at the subject of all nodes and at the address of
    /// a node, which is a random one.
    async fn check(
        &self,
        client: &Client,
        subjects: &Subjects,
        link: &Link,
        deadline: Instant,
    ) -> Result<(), ConnectError> {
        let mut denied = link.denied();
        let confirmed = timeout_at(deadline, async {
            tokio::select! {
                biased;
                reason = denial(&mut denied) => Err(self.permission(reason)),
                confirmed = confirmation(client, subjects) => {
                    confirmed.map_err(ConnectError::Unreachable)
                }
            }
        });
        confirmed.await.map_err(|_| ConnectError::Unconfirmed)??;
        // An error that the server has sent before its answer needs a moment to be an event.
        match timeout(CLUSTER_STATE_EVERY, denial(&mut denied)).await {
            Ok(reason) => Err(self.permission(reason)),
            Err(_) => Ok(()),
        }
    }

    fn permission(&self, reason: Arc<str>) -> ConnectError {
        ConnectError::Permission { subject: format!("vx.{}.>", self.name), reason }
    }
}

async fn denial(denied: &mut watch::Receiver<Option<Arc<str>>>) -> Arc<str> {
    let reason = denied.wait_for(Option::is_some).await.map(|reason| reason.clone());
    match reason {
        Ok(Some(reason)) => reason,
        _ => pending().await,
    }
}

/// Waits until the server has answered at both subjects.
async fn confirmation(
    client: &Client,
    subjects: &Subjects,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let nobody = NodeId::of_random(fastrand::u64(..));
    let mut all = client.subscribe(subjects.all()).await?;
    let mut direct = client.subscribe(subjects.to_me(nobody)).await?;
    probe::say_nothing(client, subjects).await?;
    probe::ask(client, subjects, nobody, 1).await?;
    let is_answer = |status| status == Some(async_nats::StatusCode::NO_RESPONDERS);
    while let Some(message) = direct.next().await {
        if is_answer(message.status) && Heard::of(&message.subject) == Heard::Unreachable(nobody, 1)
        {
            break;
        }
    }
    while let Some(message) = all.next().await {
        if is_answer(message.status) {
            break;
        }
    }
    Ok(())
}

/// Tells whether TLS has failed, which is somewhere inside an IO error.
fn is_of_tls(error: &async_nats::ConnectError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<rustls::Error>() {
            return true;
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        source = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

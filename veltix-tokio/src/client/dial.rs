//! One attempt to connect: the stream, the handshake, and the task that is ready to run.

use std::io;
use std::sync::Arc;

use tokio::time::{Instant, timeout};
use veltix_core::{Hello, IdSpace};

use super::credentials::Credentials;
use crate::connection::ConnectionTask;
use crate::error::ConnectError;
use crate::handshake::{Failure, introduce};
use crate::hub::Endpoint;
use crate::log::{RateLimitedLog, log_limited};
use crate::router::Routes;
use crate::tls::Dial;
use crate::transport::Connector;

/// Connects a client to its server.
pub(super) struct Dialer<C> {
    pub(super) connector: C,
    pub(super) tls: Option<Dial>,
    pub(super) credentials: Credentials,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) routes: Arc<Routes>,
}

impl<C: Connector> Dialer<C> {
    /// Makes one attempt to connect, under one deadline for all of its steps.
    pub(super) async fn dial(&self) -> Result<ConnectionTask, ConnectError> {
        let limit = self.endpoint.limits().handshake_timeout;
        match timeout(limit, self.connect()).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Timeout { addr: self.connector.target(), limit }),
        }
    }

    async fn connect(&self) -> Result<ConnectionTask, ConnectError> {
        let addr = || self.connector.target();
        let unreachable = |source: io::Error| ConnectError::Unreachable { addr: addr(), source };
        // The token is fetched before the stream is opened, so that no server waits for it.
        let token = self.credentials.token().await;
        let token = token.map_err(|source| ConnectError::Token { addr: addr(), source })?;
        let mut stream = self.connector.connect().await.map_err(unreachable)?;
        let failed = |failure: Failure| match failure {
            Failure::Protocol(source) => ConnectError::Handshake { addr: addr(), source },
            Failure::Tls(source) => ConnectError::Tls { addr: addr(), source },
            Failure::Io(source) => ConnectError::Io { addr: addr(), source },
            // Only servers produce these failures.
            other @ (Failure::Full(_)
            | Failure::NoByte
            | Failure::Panicked(_)
            | Failure::Proxy(_)
            | Failure::Refused(_)) => ConnectError::Io { addr: addr(), source: other.into() },
        };
        if let Some(tls) = &self.tls {
            let shaken = Box::pin(tls.shake_hands(&mut stream)).await;
            shaken.map_err(|error| failed(error.into()))?;
        }
        self.credentials.check_for(&stream)?;
        let types = self.routes.types();
        let limit = self.endpoint.limits().max_message_size;
        let introduced = introduce(&mut stream, token, types, limit).await;
        let (hello, surplus) = introduced.map_err(failed)?;
        let ids = ids_beside(&hello, &self.endpoint.services().logs().id_windows);
        let routes = Arc::clone(&self.routes);
        Ok(ConnectionTask::new(&self.endpoint, routes, stream, Arc::new(hello), surplus, ids))
    }
}

/// Returns the ids to use with this server, which may number its own messages from 0.
fn ids_beside(server: &Hello, log: &RateLimitedLog) -> IdSpace {
    let Some(window) = server.id_window() else { return IdSpace::client() };
    let ids = IdSpace::client_beside(window);
    if ids.must_check_type() {
        log_limited!(
            warn,
            log.decide(Instant::now()),
            window,
            "this server's own messages may carry the ids of calls: name the type of each call's answer with `.expect(TYPE)`"
        );
    }
    ids
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use crate::transport::{Resolver, TcpConnector};
    use crate::{Client, ClientConfig, Reconnect, Router, Server, ServerConfig};

    /// A server that accepts connections and is silent is not tried again and again.
    #[tokio::test]
    async fn the_attempt_after_a_silent_server_begins_at_another_address() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let silent_addr = silent.local_addr().expect("it is bound");
        let config = ServerConfig::default().addr("[::1]:0");
        let server = Server::bind(config, Router::new()).await.expect("a port is free");
        let addr = server.local_addr().socket_addr().expect("it is TCP");
        tokio::spawn(server.run());
        let config = ClientConfig::default()
            .handshake_timeout(Duration::from_millis(200))
            .reconnect(Reconnect::fixed(Duration::ZERO).initial(true));
        let addrs: [SocketAddr; 2] = [silent_addr, addr];
        let connector = TcpConnector::new(
            "name:1".to_owned(),
            config.connection.tcp_options(),
            Resolver::Fixed(addrs.into()),
        );
        let client = Client::connect_over(connector, None, config, Router::new()).await;
        assert_eq!(client.expect("it is served").peer().addr().socket_addr(), Some(addr));
        assert!(silent.accept().await.is_ok(), "it was tried first");
    }
}

//! One attempt to connect: the stream, the handshake, and the task that is ready to run.

use std::io;
use std::sync::Arc;

use tokio::time::timeout;
use veltix_core::{Hello, IdSpace};

use super::credentials::{Credentials, NoToken};
use crate::connection::ConnectionTask;
use crate::error::ConnectError;
use crate::handshake::{Failure, introduce};
use crate::hub::Endpoint;
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
        let token = self.credentials.token().await.map_err(|none| match none {
            NoToken::Config(error) => ConnectError::Config(error),
            NoToken::Asked(source) => ConnectError::Token { addr: addr(), source },
        })?;
        let mut stream = self.connector.connect().await.map_err(unreachable)?;
        let failed = |failure: Failure| match failure {
            Failure::Protocol(source) => ConnectError::Handshake { addr: addr(), source },
            Failure::Tls(source) => ConnectError::Tls { addr: addr(), source },
            Failure::Io(source) => ConnectError::Io { addr: addr(), source },
            // Only servers produce these failures.
            other @ (Failure::Full(_) | Failure::Refused(_) | Failure::Panicked(_)) => {
                ConnectError::Io { addr: addr(), source: other.into() }
            }
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
        let ids = ids_beside(&hello);
        let routes = Arc::clone(&self.routes);
        Ok(ConnectionTask::new(&self.endpoint, routes, stream, Arc::new(hello), surplus, ids))
    }
}

/// Returns the ids to use with this server, which may number its own messages from 0.
fn ids_beside(server: &Hello) -> IdSpace {
    let Some(window) = server.id_window() else { return IdSpace::client() };
    let ids = IdSpace::client_beside(window);
    if ids.must_check_type() {
        tracing::warn!(
            window,
            "this server's own messages may carry the ids of calls: name the type of each call's answer with `.expect(TYPE)`"
        );
    }
    ids
}

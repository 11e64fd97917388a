//! Where a client's token goes, and where not.

use std::io;

use veltix::transport::{Connector, MemoryConnector, PeerAddr, Stream};
use veltix::{
    Client, ClientConfig, ConfigError, ConnectError, Router, Server, ServerConfig, Token, limits,
};

use super::{SECRET, authenticate, known};
use crate::support::{PIPE, PYTHON, RawServer, World};

async fn over_tcp() -> String {
    let router = Router::new().authenticate(authenticate);
    let config = ServerConfig::default().addr("127.0.0.1:0");
    let server = Server::bind(config, router).await.expect("a free port");
    let addr = server.local_addr().to_string();
    tokio::spawn(server.run());
    addr
}

#[tokio::test]
async fn without_tls_it_is_not_sent_over_a_network_unless_allowed() {
    let addr = over_tcp().await;
    let refused = Client::connect(known().addr(&addr), Router::new()).await;
    let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error, ConfigError::PlaintextToken);
    let says = error.to_string();
    assert!(says.contains("ClientConfig::tls") && says.contains("allow_plaintext_token"), "{says}");
    let allowed = known().addr(&addr).allow_plaintext_token();
    let client = Client::connect(allowed, Router::new()).await.expect("it is let in");
    client.ping().await.expect("it is let in");
}

/// A transport of an application's own, which calls its streams what it likes.
struct Foreign(MemoryConnector);

impl Connector for Foreign {
    async fn connect(&self) -> io::Result<Stream> {
        let (reader, writer) = self.0.connect().await?.into_parts();
        Ok(Stream::new(reader, writer, PeerAddr::Memory(1)))
    }

    fn target(&self) -> String {
        "a serial line".to_owned()
    }
}

#[tokio::test]
async fn a_transport_of_ones_own_is_a_network() {
    let world = World::new(Router::new().authenticate(authenticate));
    let connect = async |config| {
        Client::connect_with(Foreign(world.connector.clone()), config, Router::new()).await
    };
    let refused = connect(known()).await;
    let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error, ConfigError::PlaintextToken);
    let client = connect(known().allow_plaintext_token()).await.expect("it is let in");
    client.ping().await.expect("it is let in");
}

#[tokio::test]
async fn an_impossible_token_is_told_before_anything_is_sent() {
    for length in [0, limits::MAX_TOKEN_LEN + 1] {
        let config = ClientConfig::default().token("x".repeat(length));
        let RawServer { connector, .. } = RawServer::new(PIPE);
        let refused = Client::connect_with(connector, config, Router::new()).await;
        let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error, ConfigError::TokenLength { length, limit: limits::MAX_TOKEN_LEN });
    }
}

#[tokio::test]
async fn a_python_server_gets_it_in_meta_where_it_ignores_it() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let (client, hello) =
        tokio::join!(Client::connect_with(connector, known(), Router::new()), async {
            let mut raw = server.accept().await;
            raw.say(PYTHON).await.expect("the client reads");
            let hello = raw.hear().await.expect("the client's hello");
            raw.say(crate::support::ACK).await.expect("the client reads");
            (raw, hello)
        });
    client.expect("it connects");
    assert!(hello.1.contains(r#""veltix":{"going_away":true,"token":"swordfish"}"#), "{}", hello.1);
}

#[test]
fn nothing_of_it_is_printed() {
    let token = Token::from(SECRET);
    let printed = format!("{token:?} {:?}", known());
    assert!(!printed.contains(SECRET), "{printed}");
}

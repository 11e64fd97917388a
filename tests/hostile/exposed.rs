//! R19: a port belongs to one server, and a server that listens on all interfaces logs a warning.

use veltix::transport::Tcp;
use veltix::{BindError, Router, Server, ServerConfig};

use super::Log;

async fn bind(addr: &str) -> Result<Server, BindError> {
    Server::bind(ServerConfig::default().addr(addr), Router::new()).await
}

#[tokio::test]
async fn r19_a_port_that_is_taken_is_never_shared() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let addr = first.local_addr().to_string();
    for _ in 0..10 {
        let second = bind(&addr).await;
        assert!(matches!(second, Err(BindError::AddressInUse { .. })), "{second:?}");
    }
}

#[tokio::test]
async fn r19_the_default_is_the_loopback() {
    // The default port may be taken. In both cases the address is the loopback.
    match Server::bind(ServerConfig::default(), Router::new()).await {
        Ok(server) => {
            let addr = server.local_addr().socket_addr().expect("it is TCP");
            assert!(addr.ip().is_loopback() && addr.port() == 8080, "{addr}");
        }
        Err(BindError::AddressInUse { addr, .. }) => assert_eq!(addr, "127.0.0.1:8080"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn r19_who_listens_to_the_world_is_warned_once() {
    let (log, _guard) = Log::begin();
    let inside = bind("127.0.0.1:0").await.unwrap();
    assert_eq!(log.lines("WARN"), [""; 0]);
    let outside = bind("0.0.0.0:0").await.unwrap();
    let warnings = log.lines("WARN");
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    for word in ["TLS", "authenticate the peers", "127.0.0.1", &outside.local_addr().to_string()] {
        assert!(warning.contains(word), "{warning}");
    }
    drop(outside);
    #[cfg(feature = "tls")]
    {
        // A server that requires certificates authenticates its peers, so it logs no warning.
        let authority = crate::support::certificates::Authority::new();
        for (tls, more) in [
            (authority.server().require_client_certificates(authority.roots()).unwrap(), 0),
            (authority.server().accept_client_certificates(authority.roots()).unwrap(), 1),
        ] {
            let config = ServerConfig::default().addr("0.0.0.0:0").tls(tls);
            let before = log.lines("authenticate the peers").len();
            drop(Server::bind(config, Router::new()).await.unwrap());
            assert_eq!(log.lines("authenticate the peers").len(), before + more);
        }
    }
    // Each listener is judged by its own address and its own TLS.
    let before = log.lines("WARN").len();
    let another = Tcp::bind("127.0.0.1:0").await.unwrap();
    let inside = inside.also_listen(another).unwrap();
    assert_eq!(log.lines("WARN").len(), before);
    let inside = inside.also_listen(Tcp::bind("0.0.0.0:0").await.unwrap()).unwrap();
    assert_eq!(log.lines("WARN").len(), before + 1);
    let longest = log.check();
    assert!(longest <= 256, "{longest} characters");
    drop(inside);
}

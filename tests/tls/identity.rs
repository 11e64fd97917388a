//! Identity over TLS: the token of a client may be sent, and the hook receives the result of the
//! TLS handshake.

use veltix::{
    Client, ClientConfig, ConnectError, HandshakeError, HandshakeInfo, Identity, Message, Refuse,
    Router, Server, ServerConfig,
};

use crate::support::ECHO;
use crate::support::certificates::both_sides;

struct User(String);

async fn authenticate(info: HandshakeInfo) -> Result<User, Refuse> {
    let tls = info.tls().ok_or_else(|| Refuse::new("no TLS"))?;
    match info.require_token()?.is("swordfish") {
        true => Ok(User(format!("ann by {:?}", tls.version()))),
        false => Err(Refuse::new("the token is wrong")),
    }
}

#[tokio::test]
async fn a_token_goes_over_tls_and_so_does_a_refusal() {
    let (ours, theirs) = both_sides();
    let config = ServerConfig::default().addr("127.0.0.1:0").tls(ours);
    let router = Router::new()
        .authenticate(authenticate)
        .route(ECHO, |Identity(user): Identity<User>| user.0.clone());
    let server = Server::bind(config, router).await.expect("a free port");
    let addr = server.local_addr().to_string();
    tokio::spawn(server.run());
    let connect = async |token: &str| {
        let config = ClientConfig::default().addr(&addr).tls(theirs.clone()).token(token);
        Client::connect(config, Router::new()).await
    };
    match connect("marlin").await {
        Err(ConnectError::Handshake { source: HandshakeError::Refused { reason }, .. }) => {
            assert_eq!(reason, "the token is wrong");
        }
        other => panic!("{other:?}"),
    }
    let client = connect("swordfish").await.expect("it is let in");
    let answer = client.request(&Message::from_text(ECHO, "")).await.expect("it is answered");
    assert_eq!(answer.text().expect("it is text"), "ann by TLSv1_3");
}

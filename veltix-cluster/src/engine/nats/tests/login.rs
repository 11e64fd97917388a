//! Logins, lists of servers, and servers that are away.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_login_is_taken_from_the_settings_or_from_the_url() {
    let Some(server) = NatsServer::start(&["--user", "a", "--pass", "p@:"]).await else { return };
    let url = |login: &str| format!("nats://{login}@127.0.0.1:{}", server.port());
    Nats::connect(&url("a:p%40%3A"), "test").await.expect("it connects");
    let right = NatsConfig::new(&url("a:wrong"), "test").user_and_password("a", "p@:");
    right.connect().await.expect("the settings count before the URL");
    for config in
        [config(&server), NatsConfig::new(&url("a:wrong"), "test"), config(&server).optional()]
    {
        let error = config.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused), "{error}");
    }
    let Some(server) = NatsServer::start(&["--auth", "secret"]).await else { return };
    let config = config(&server);
    config.clone().token("secret").connect().await.expect("it connects");
    let url = format!("nats://secret@127.0.0.1:{}", server.port());
    Nats::connect(&url, "test").await.expect("it connects");
    let error = config.token("wrong").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_uses_another_server_of_its_list_if_one_is_lost() {
    let Some(absent) = NatsServer::prepare(&[], "") else { return };
    let Some(mut first) = NatsServer::start(&[]).await else { return };
    let urls = format!("{},{}", absent.url(), first.url());
    let mut engine = Engine::connected(NatsConfig::new(&urls, "test")).await;
    first.kill();
    engine.is_disconnected().await;
    let mut second = absent;
    second.restart().await;
    engine.is_connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_optional_server_may_be_absent() {
    let Some(mut server) = NatsServer::prepare(&[], "") else { return };
    let never = Duration::MAX;
    let error = config(&server).connect_timeout(never).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
    let nats = config(&server).optional().connect().await.expect("it starts alone");
    let mut engine = Engine::start(nats).await;
    engine.is_disconnected().await;
    engine.is_disconnected_for("refused").await;
    server.restart().await;
    engine.is_connected().await;
    let mut other = Engine::connected(config(&server)).await;
    let batch = engine.publish(Destination::Node(other.me), Bytes::from_static(b"x")).await;
    assert_eq!(other.next().await, Heard::Received(batch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let limit = Duration::from_millis(200);
    let error = NatsConfig::new(&url, "test").connect_timeout(limit).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut), "{error}");
    let config = NatsConfig::new(&url, "test").connect_timeout(limit).optional();
    config.connect().await.expect("it starts alone");
}

/// The list of further servers and the error come before a login, and from anybody on the path.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hostile_server_names_no_other_server_and_writes_no_escapes() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hostile = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", hostile.local_addr().unwrap());
    let other = elsewhere.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = hostile.accept().await {
            let info = format!(
                "INFO {{\"server_id\":\"x\",\"max_payload\":1048576,\"connect_urls\":[\"{other}\"]}}\r\n\
                 -ERR 'Maximum \x1b[2J\u{202e} Connections'\r\n"
            );
            let _ = stream.write_all(info.as_bytes()).await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    let config = NatsConfig::new(&url, "test");
    let error = config.clone().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("Maximum"), "{error}");
    assert!(!error.to_string().contains(['\x1b', '\u{202e}']), "{error}");
    let mut engine = Engine::start(config.optional().connect().await.expect("it starts")).await;
    engine.is_disconnected_for("Maximum").await;
    let accepted = timeout(Duration::from_secs(3), elsewhere.accept()).await;
    assert!(accepted.is_err(), "the login would have gone there");
}

#[cfg(feature = "nats-nkeys")]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_logs_in_by_an_nkey() {
    // A pair that was made for this test.
    let seed = "SUAB6GEQ3OYEOWK74GPP6B7CFJJZ46T6EM7OYH6UOZGM6VUEYATEFB4U3Q";
    let public = "UDA3ZQ45QNF63LVOGCD7KJ4JKELZULKCKZ6EABRGM7KJOWG3JTLN7DQL";
    let text = format!("authorization {{ users = [ {{ nkey: {public} }} ] }}");
    let Some(server) = NatsServer::configured(&text).await else { return };
    config(&server).nkey(seed).connect().await.expect("it connects");
    let error = config(&server).nkey("SUA").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused), "{error}");
    let error = config(&server).credentials("no credentials").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Credentials(_)), "{error}");
    let missing = server.directory().join("missing.creds");
    let error = config(&server).credentials_file(missing).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Credentials(_)), "{error}");
}

/// The operator, the account and the user were made for this test.
#[cfg(feature = "nats-nkeys")]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_logs_in_by_a_credentials_file() {
    let Some(server) = NatsServer::configured(include_str!("operator.conf")).await else { return };
    let text = include_str!("user.creds");
    config(&server).credentials(text).connect().await.expect("it connects");
    let path = server.file("user.creds", text);
    let mut engine = Engine::connected(config(&server).credentials_file(path)).await;
    engine.publish(Destination::All, Bytes::from_static(b"x")).await;
    let error = config(&server).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused), "{error}");
}

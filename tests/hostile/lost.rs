//! A client that ends before its messages are sent.

use tokio::runtime::Builder;
use veltix::{ClientConfig, Message, Router};

use super::Log;
use crate::support::{ECHO, RawServer};

/// The server takes nothing, so the pipe holds only a part of the messages.
#[test]
fn a_warning_counts_the_messages_that_a_dropped_client_loses() {
    for ends_at_once in [true, false] {
        let (log, _guard) = Log::begin();
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().expect("one");
        let (peer, _raw) = runtime.block_on(async {
            let mut server = RawServer::new(1_024);
            let (client, raw) = server.client(ClientConfig::default(), Router::new()).await;
            for _ in 0..100 {
                client.send(&Message::new(ECHO, vec![7; 1_000])).await.expect("it is connected");
            }
            let peer = client.peer();
            drop(client);
            if !ends_at_once {
                // The second in which the client writes passes.
                peer.closed().await;
            }
            (peer, raw)
        });
        drop(runtime);
        let lost = peer.stats().sent.dropped();
        assert!((90..=100).contains(&lost), "{lost} messages were lost");
        let lines = log.lines("await `Client::close`");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN") && lines[0].contains(&format!("undelivered={lost}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lost_nothing_is_silent() {
    let (log, _guard) = Log::begin();
    let mut server = RawServer::new(64 << 10);
    let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
    client.send(&Message::empty(ECHO)).await.expect("it is connected");
    let reads = tokio::spawn(async move { raw.rest().await.len() });
    client.close().await;
    assert_eq!(reads.await.expect("it ends"), 1);
    assert!(log.lines("Client::close").is_empty());
}

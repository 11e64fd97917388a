//! The last client is dropped, and the program ends.

use std::sync::mpsc;
use std::thread;

use tokio::runtime::Builder;
use veltix::{Client, ClientConfig, Message, Router, Server, ServerConfig};

use crate::support::{ECHO, PATIENCE};

/// The number of messages that are sent before the drop.
const COUNT: usize = 500;

/// The runtime has one thread, so the connection's task has no turn between the last `send` and the
/// end of the runtime.
#[test]
fn messages_that_the_socket_accepts_arrive_though_the_runtime_ends_at_once() {
    for closes_unawaited in [false, true] {
        let (told, tells) = mpsc::channel();
        let (addressed, address) = mpsc::channel();
        let server = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let router = Router::new().route(ECHO, move |message: Message| {
                    told.send(message.text().expect("text").to_owned()).expect("the test listens");
                });
                let config = ServerConfig::default().addr("127.0.0.1:0");
                let server = Server::bind(config, router).await.expect("a free port");
                let hub = server.hub();
                addressed.send((server.local_addr().to_string(), hub)).expect("the test listens");
                server.run().await.expect("it runs");
            });
        });
        let (addr, hub) = address.recv_timeout(PATIENCE).expect("the server runs");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let peer = runtime.block_on(async {
            let config = ClientConfig::default().addr(addr);
            let client = Client::connect(config, Router::new()).await.expect("it connects");
            for number in 0..COUNT {
                let message = Message::from_text(ECHO, number.to_string());
                client.send(&message).await.expect("it is connected");
            }
            if closes_unawaited {
                drop(client.close());
            }
            client.peer()
        });
        drop(runtime);
        let sent = peer.stats().sent;
        assert_eq!((sent.written, sent.dropped()), (COUNT as u64, 0));
        for number in 0..COUNT {
            let text = tells.recv_timeout(PATIENCE).expect("the message arrives");
            assert_eq!(text, number.to_string());
        }
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(hub.shutdown());
        server.join().expect("the server does not panic");
    }
}

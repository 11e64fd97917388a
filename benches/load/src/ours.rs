//! The server under test, through its public API.

use veltix::{Message, Router, Server, ServerConfig};

#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
}

/// Which shape the handlers have.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Plain,
    Async,
}

pub(crate) fn serve(kind: Kind) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let router = match kind {
            Kind::Plain => Router::new()
                .route(Load::Echo, |message: Message| message)
                .route(Load::Sink, |_: Message| ()),
            Kind::Async => Router::new()
                .route(Load::Echo, async |message: Message| message)
                .route(Load::Sink, async |_: Message| ()),
        };
        let config = ServerConfig::default().addr("127.0.0.1:0");
        let server = Server::bind(config, router).await.expect("a port is free");
        announce(&server.local_addr().to_string());
        server.run().await.expect("it runs");
    });
}

#[allow(clippy::print_stdout, reason = "the generator reads it")]
pub(crate) fn announce(addr: &str) {
    println!("{addr}");
}

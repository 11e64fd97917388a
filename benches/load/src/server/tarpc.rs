//! A service on tarpc, after its example: TCP with Bincode, and a task for each call.

use std::future;

use futures::StreamExt;
use tarpc::context::Context;
use tarpc::server::incoming::{Incoming, spawn_incoming};
use tarpc::server::{BaseChannel, Config};
use tarpc::tokio_serde::formats::Bincode;

use super::{announce, run_on_two_workers};
use crate::wire::Echo;

#[derive(Clone)]
struct Service;

impl Echo for Service {
    async fn echo(self, _: Context, body: Vec<u8>) -> Vec<u8> {
        body
    }
}

pub(super) fn serve() {
    run_on_two_workers(async {
        let listener = tarpc::serde_transport::tcp::listen("127.0.0.1:0", Bincode::default).await;
        let listener = listener.expect("a port is free");
        announce(listener.local_addr());
        let channels = listener
            .filter_map(|transport| future::ready(transport.ok()))
            .map(|transport| {
                // Without it, two segments of one frame wait for each other.
                let _ = transport.get_ref().set_nodelay(true);
                BaseChannel::new(Config::default(), transport)
            })
            .execute(Service.serve());
        spawn_incoming(channels).await;
    });
}

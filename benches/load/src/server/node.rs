//! Our server as a node of a cluster.

use bytes::Bytes;
use veltix::{Hub, Message, Peer, Router, SendError, Server, ServerConfig, TagError, tag};
use veltix_cluster::Nats;

use super::veltix::{Variant, listens_at, local, router};
use super::{announce, run_on_two_workers};
use crate::wire::code;

/// The name of the cluster, and the name of its tag for rooms.
const NAME: &str = "load";
const ROOM: &str = "numbered";

/// Serves plain functions, joined to the broker of this URL, or alone without one.
pub(super) fn serve(broker: Option<&str>) {
    let broker = broker.map(str::to_owned);
    run_on_two_workers(async move {
        let router = rooms(router(Variant::Plain));
        let server = Server::bind(local(ServerConfig::default()), router).await;
        let mut server = server.expect("the configuration works");
        if let Some(url) = broker {
            let nats = Nats::connect(&url, NAME).await.expect("the broker accepts it");
            server = server.cluster(nats);
        }
        announce(listens_at(server.local_addr()));
        server.run().await.expect("it runs");
    });
}

#[veltix::message]
enum Rooms {
    Join = 206,
    Publish = 207,
}

const _: () = assert!(code::JOIN_ROOM == 206 && code::PUBLISH_ROOM == 207);

fn rooms(router: Router) -> Router {
    router.route(Rooms::Join, join).route(Rooms::Publish, publish)
}

fn join(peer: Peer, message: Message) -> Result<Message, TagError> {
    peer.set_tag((ROOM, number(message.body())))?;
    Ok(message)
}

fn publish(hub: Hub, message: Message) -> Result<(), SendError> {
    hub.to(tag(ROOM).is(number(message.body()))).send(&message)?;
    Ok(())
}

/// Returns the number of the room at the beginning of a body.
fn number(body: &Bytes) -> i64 {
    body.first_chunk().map_or(0, |number| i64::from_be_bytes(*number))
}

//! A relay between servers, as a user writes it without a cluster: broadcasts go to one subject of a
//! NATS server, and everything that arrives there goes to all peers.
//!
//! It batches like a cluster: one task publishes everything that is queued, up to 64 KiB in a batch,
//! without a timer. The messages of a batch are delivered together, by the same call as those of a
//! cluster. It has no targets, no sequence numbers and no checks, so that a comparison shows the cost of
//! these.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use veltix::{Hub, Message, Peer, RequestId, SendError, Server, ServerConfig, all, tag};
use veltix_core::Frame;
use veltix_tokio::Foreign;

use super::veltix::{listens_at, local};
use super::{announce, run_on_two_workers};

const SUBJECT: &str = "load.relay";

/// The bytes after which a batch is full.
const BATCH: usize = 64 * 1024;

/// The messages that wait for the publisher task. Another one is not passed on.
const QUEUE: usize = 16 * 1024;

#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
    Publish = 202,
    PublishTag = 203,
    Join = 204,
}

pub(super) fn serve(broker: &str) {
    let broker = broker.to_owned();
    run_on_two_workers(async move {
        let options = async_nats::ConnectOptions::new().no_echo();
        let client = options.connect(&broker).await.expect("the broker accepts it");
        let messages = client.subscribe(SUBJECT).await.expect("it is connected");
        client.flush().await.expect("it is connected");
        let (queue, queued) = mpsc::channel::<Message>(QUEUE);
        let router = veltix::Router::new()
            .route(Load::Echo, |message: Message| message)
            .route(Load::Sink, |_: Message| ())
            .route(Load::Publish, move |hub: Hub, peer: Peer, message: Message| {
                publish(&hub, &peer, message, &queue)
            })
            .route(Load::PublishTag, |hub: Hub, message: Message| {
                hub.to(tag("room")).send(&message).map(drop)
            })
            .route(Load::Join, |peer: Peer, message: Message| {
                peer.add_tag("room").map(|_| message)
            });
        let server = Server::bind(local(ServerConfig::default()), router).await;
        let server = server.expect("the configuration works");
        tokio::spawn(pass_on(client, queued));
        tokio::spawn(deliver(server.hub(), messages));
        announce(listens_at(server.local_addr()));
        server.run().await.expect("it runs");
    });
}

fn publish(
    hub: &Hub,
    peer: &Peer,
    message: Message,
    queue: &mpsc::Sender<Message>,
) -> Result<(), SendError> {
    hub.to(all()).except(peer).send(&message)?;
    let _ = queue.try_send(message);
    Ok(())
}

/// Publishes everything that is queued.
async fn pass_on(client: async_nats::Client, mut queued: mpsc::Receiver<Message>) {
    while let Some(first) = queued.recv().await {
        let mut batch = BytesMut::new();
        write(&first, &mut batch);
        while batch.len() < BATCH
            && let Ok(next) = queued.try_recv()
        {
            write(&next, &mut batch);
        }
        client.publish(SUBJECT, batch.freeze()).await.expect("the broker stays");
    }
}

/// Delivers everything that has arrived.
async fn deliver(hub: Hub, mut messages: async_nats::Subscriber) {
    while let Some(first) = messages.next().await {
        let mut batch = Vec::new();
        read(first.payload, &mut batch);
        while let Some(Some(next)) = messages.next().now_or_never() {
            read(next.payload, &mut batch);
        }
        hub.deliver(batch).await;
    }
}

/// Appends a message to a batch: its code, the length of its body, and the body.
fn write(message: &Message, batch: &mut BytesMut) {
    batch.put_u16(message.code());
    batch.put_u32(message.body().len() as u32);
    batch.put_slice(message.body());
}

fn read(mut batch: Bytes, messages: &mut Vec<Foreign>) {
    while batch.remaining() > 6 {
        let (code, len) = (batch.get_u16(), batch.get_u32());
        let frame = Frame::new(code, RequestId::new(0), batch.split_to(len as usize));
        messages.push(Foreign { target: all(), except: Vec::new(), frame });
    }
}

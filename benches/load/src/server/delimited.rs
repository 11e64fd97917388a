//! A hub on tokio-util's `LengthDelimitedCodec`, as programs usually have it: a reader loop and a
//! writer task for each connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::SinkExt;
use futures::stream::{SplitSink, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::hub::{Hub, Id};
use super::{announce, run_on_two_workers};
use crate::wire::{Kind, Request};

type Sink = SplitSink<Framed<TcpStream, LengthDelimitedCodec>, Bytes>;

/// How a writer sends the messages in its queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Writing {
    /// It sends each message alone, by `send`.
    OneByOne,
    /// It sends all ready messages, by `feed`, and then flushes once.
    Batched,
}

/// The messages that a writer takes from its queue at once.
const BATCH: usize = 64;

pub(super) fn serve(writing: Writing) {
    run_on_two_workers(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        announce(listener.local_addr().expect("it is bound"));
        let hub = Arc::new(Hub::default());
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            tokio::spawn(connection(stream, Arc::clone(&hub), writing));
        }
    });
}

async fn connection(stream: TcpStream, hub: Arc<Hub<Bytes>>, writing: Writing) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (sink, mut frames) = Framed::new(stream, LengthDelimitedCodec::new()).split();
    let (id, replies, queue) = hub.join();
    match writing {
        Writing::OneByOne => tokio::spawn(write_one_by_one(sink, queue)),
        Writing::Batched => tokio::spawn(write_batched(sink, queue)),
    };
    while let Some(Ok(frame)) = frames.next().await {
        if !handle(frame.freeze(), &hub, id, &replies).await {
            break;
        }
    }
    hub.leave(id);
}

/// Executes the request of a message. Returns whether the connection goes on.
async fn handle(frame: Bytes, hub: &Hub<Bytes>, id: Id, replies: &mpsc::Sender<Bytes>) -> bool {
    let Some(request) = Request::of(&frame) else { return false };
    match request {
        Request::Message(Kind::Sink) => {}
        Request::Message(Kind::Publish) => hub.publish(id, &frame),
        Request::Message(Kind::PublishTag) => hub.publish_to_room(id, &frame),
        Request::Message(Kind::Echo) => return replies.send(frame).await.is_ok(),
        Request::Join => {
            hub.enter_room(id);
            return replies.send(frame).await.is_ok();
        }
    }
    true
}

async fn write_one_by_one(mut sink: Sink, mut queue: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(frame) = queue.recv().await {
        sink.send(frame).await?;
    }
    Ok(())
}

async fn write_batched(mut sink: Sink, mut queue: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await != 0 {
        for frame in batch.drain(..) {
            sink.feed(frame).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

//! A hub on tokio-tungstenite, after its example of a chat server: the queue of each connection is
//! forwarded to its socket, which flushes when the queue is empty. The example does this in the
//! reading task. A task of its own is several times faster, since a delivery then does not try to
//! read.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::hub::{Hub, Id};
use super::{announce, run_on_two_workers};
use crate::wire::{Kind, Request};

pub(super) fn serve() {
    run_on_two_workers(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        announce(listener.local_addr().expect("it is bound"));
        let hub = Arc::new(Hub::default());
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            tokio::spawn(connection(stream, Arc::clone(&hub)));
        }
    });
}

async fn connection(stream: TcpStream, hub: Arc<Hub<Message>>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (outgoing, incoming) = socket.split();
    let (id, replies, queue) = hub.join();
    let queue = futures::stream::unfold(queue, async |mut queue| {
        queue.recv().await.map(|message| (Ok(message), queue))
    });
    tokio::spawn(queue.forward(outgoing));
    let _ = incoming.try_for_each(|message| handle(message, &hub, id, &replies)).await;
    hub.leave(id);
}

/// Executes the request of a message. An error ends the connection.
async fn handle(
    message: Message,
    hub: &Hub<Message>,
    id: Id,
    replies: &mpsc::Sender<Message>,
) -> Result<(), Error> {
    let Message::Binary(payload) = &message else { return Ok(()) };
    match Request::of(payload).ok_or(Error::ConnectionClosed)? {
        Request::Message(Kind::Sink) => {}
        Request::Message(Kind::Publish) => hub.publish(id, &message),
        Request::Message(Kind::PublishTag) => hub.publish_to_room(id, &message),
        Request::Message(Kind::Echo) => reply(replies, message).await?,
        Request::Join => {
            hub.enter_room(id);
            reply(replies, message).await?;
        }
    }
    Ok(())
}

async fn reply(replies: &mpsc::Sender<Message>, message: Message) -> Result<(), Error> {
    replies.send(message).await.map_err(|_| Error::ConnectionClosed)
}

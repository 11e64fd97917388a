//! The Rust side that the Python scripts expect: its automatic answers and the other messages that
//! it received.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use veltix::{
    Client, ClientConfig, CloseReason, Disconnected, Event, EventStream, Hub, Message, MessageType,
    Peer, RequestError, Router, ServerConfig, State,
};

use super::process::PATIENCE;
use crate::support::bind_again;

pub(crate) const SAY: MessageType = MessageType::new(200, "say", "");
pub(crate) const JOIN: MessageType = MessageType::new(201, "join", "");
pub(crate) const ROSTER: MessageType = MessageType::new(202, "roster", "");
pub(crate) const MOTD: MessageType = MessageType::new(203, "motd", "");
/// A message that is answered with its body.
pub(crate) const ECHO: MessageType = MessageType::new(210, "echo", "");
/// A message that is answered with the asking peer's answer to a [`QUESTION`] with the same body.
pub(crate) const ASK_BACK: MessageType = MessageType::new(211, "ask_back", "");
/// A message that is answered with its body in upper case (ASCII letters).
pub(crate) const QUESTION: MessageType = MessageType::new(212, "question", "");
/// A message that carries `{"n": n}`.
pub(crate) const COUNT: MessageType = MessageType::new(213, "count", "");
/// A message that is answered with `pong` after a ping to the asking peer.
pub(crate) const PING_ME: MessageType = MessageType::new(214, "ping_me", "");

/// An event on a connection that was not answered automatically.
enum Heard {
    Message(Message),
    Ended(CloseReason),
}

type Mouth = mpsc::UnboundedSender<Heard>;

/// Returns the routes of both roles, and the stream of messages without a route.
pub(crate) fn routes() -> (Router, Ears) {
    let (sender, heard) = mpsc::unbounded_channel();
    let router = Router::new()
        .route(ECHO, |body: Bytes| body)
        .route(ASK_BACK, ask_back)
        .route(QUESTION, |body: Bytes| body.to_ascii_uppercase())
        .route(PING_ME, ping_me)
        .fallback(hear)
        .on_disconnect(hear_end)
        .with_state(sender);
    (router, Ears(heard))
}

async fn ask_back(peer: Peer, body: Bytes) -> Result<Bytes, RequestError> {
    Ok(peer.request(&Message::new(QUESTION, body)).expect(QUESTION).await?.into_body())
}

async fn ping_me(peer: Peer) -> &'static str {
    if peer.ping().await.is_ok() { "pong" } else { "no pong" }
}

// The test may have ended and no longer listen.

fn hear(State(ears): State<Mouth>, message: Message) {
    let _ = ears.send(Heard::Message(message.detach()));
}

fn hear_end(State(ears): State<Mouth>, end: Disconnected) {
    let _ = ears.send(Heard::Ended(end.reason));
}

/// The messages that were not answered.
pub(crate) struct Ears(mpsc::UnboundedReceiver<Heard>);

impl Ears {
    /// Returns the next message, which must be of this type.
    pub(crate) async fn next(&mut self, message_type: MessageType) -> Message {
        match soon("a message", self.0.recv()).await.expect("the router lives") {
            Heard::Message(message) if message.code() == message_type.code() => message,
            Heard::Message(another) => panic!("another message arrived first: {another:?}"),
            Heard::Ended(reason) => panic!("the connection ended first: {reason:?}"),
        }
    }

    /// Fails if a message has arrived.
    pub(crate) fn heard_nothing(&mut self) {
        while let Ok(heard) = self.0.try_recv() {
            if let Heard::Message(message) = heard {
                panic!("{message:?} came");
            }
        }
    }
}

/// A server in this process.
pub(crate) struct Lab {
    pub(crate) hub: Hub,
    pub(crate) port: u16,
    pub(crate) ears: Ears,
    pub(crate) events: EventStream,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(ServerConfig::default(), 0).await
    }

    pub(crate) async fn with(config: ServerConfig, port: u16) -> Self {
        let config = config.addr(format!("127.0.0.1:{port}"));
        let mut ears = None;
        let server = bind_again(config, || {
            let (router, heard) = routes();
            ears = Some(heard);
            router
        });
        let (server, ears) = (server.await, ears.expect("it has its routes"));
        let addr: SocketAddr = server.local_addr().to_string().parse().expect("an address");
        let (hub, events) = (server.hub(), server.hub().events());
        tokio::spawn(server.run());
        Self { hub, port: addr.port(), ears, events }
    }

    /// Waits for the next peer.
    pub(crate) async fn joined(&mut self) -> Peer {
        event(&mut self.events, "a connected peer", |event| match event {
            Event::Connected { peer } => Some(peer),
            _ => None,
        })
        .await
    }
}

/// A client in this process, with the same routes.
pub(crate) async fn client(config: ClientConfig, port: u16) -> (Client, Ears) {
    let (router, ears) = routes();
    let config = config.addr(format!("127.0.0.1:{port}"));
    let connected = soon("a connection", Client::connect(config, router)).await;
    (connected.expect("the server takes it"), ears)
}

/// Waits for an event from which `pick` selects a value.
pub(crate) async fn event<T>(
    events: &mut EventStream,
    what: &str,
    pick: impl Fn(Event) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            let event = events.next().await.expect("the endpoint lives");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    })
    .await
}

/// Waits for a future, up to a limit.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(PATIENCE, what, future).await
}

pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}

/// Waits until a condition holds that no event reports.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

//! `buffer_size`, `max_message_size` and `max_typed_body`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use veltix::transport::{Listener, MemoryListener, PeerAddr, Stream, StreamWriter, memory};
use veltix::{
    BufferSize, ClientConfig, CloseReason, EncodeError, Event, Json, Message, ProtocolError,
    RequestError, Router, SendError, Server, ServerConfig, Text,
};

use crate::support::{ECHO, OTHER, PIPE, RawPeer, RawServer, World, frame, until};

/// A listener whose streams record the number of bytes of each read.
struct Watched {
    listener: MemoryListener,
    reads: Arc<Mutex<Vec<usize>>>,
}

impl Listener for Watched {
    async fn accept(&mut self) -> io::Result<Stream> {
        let (reader, writer) = self.listener.accept().await?.into_parts();
        let reader = WatchedReader { reader, reads: Arc::clone(&self.reads) };
        Ok(Stream::new(reader, Boxed(writer), PeerAddr::Memory(1)))
    }

    fn local_addr(&self) -> PeerAddr {
        self.listener.local_addr()
    }
}

struct WatchedReader {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    reads: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for WatchedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        self.reads.lock().expect("nobody panics").push(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

/// A boxed writer does not implement the trait itself.
struct Boxed(Box<dyn StreamWriter>);

impl StreamWriter for Boxed {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

/// Returns the largest read of a server with this buffer, for which 4 MiB of small messages are
/// available.
async fn largest_read(size: BufferSize) -> usize {
    const READY: usize = 4 << 20;
    let (listener, connector) = memory(READY);
    let reads = Arc::default();
    let listener = Watched { listener, reads: Arc::clone(&reads) };
    let config = ServerConfig::default().buffer_size(size);
    let router = Router::new().route(ECHO, |body: Bytes| body).route(OTHER, || {});
    let server = Server::with_listener(listener, config, router).expect("the config works");
    tokio::spawn(server.run());
    let mut raw = RawPeer::new(connector.stream().await.expect("it listens"));
    raw.shake_hands().await.expect("the handshake works");
    let small = frame(OTHER.code(), 0, vec![7; 49]);
    let mut bytes = BytesMut::new();
    while bytes.len() + small.len() <= READY {
        bytes.extend_from_slice(&small);
    }
    reads.lock().expect("nobody panics").clear();
    raw.write(&bytes).await.expect("it fits the pipe");
    raw.send(ECHO.code(), 7, "all read").await.expect("it reads");
    raw.next().await.expect("an answer");
    let reads = reads.lock().expect("nobody panics");
    assert!(reads.iter().sum::<usize>() >= bytes.len());
    reads.iter().copied().max().expect("it has read")
}

#[tokio::test(start_paused = true)]
async fn one_read_takes_in_the_buffer_size() {
    for (size, bytes) in [
        (BufferSize::Small, 1024),
        (BufferSize::Medium, 8 * 1024),
        (BufferSize::Large, 64 * 1024),
        (BufferSize::Huge, 1024 * 1024),
        (BufferSize::Bytes(3000), 3000),
        // A buffer smaller than a few headers is useless.
        (BufferSize::Bytes(0), 64),
    ] {
        assert_eq!(size.bytes(), bytes);
        assert_eq!(largest_read(size).await, bytes, "{size:?}");
    }
    assert_eq!(BufferSize::default(), BufferSize::Large);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_larger_than_the_buffer_at_will() {
    for size in [BufferSize::Bytes(64), BufferSize::Small, BufferSize::Huge] {
        let config = ServerConfig::default().buffer_size(size);
        let world = World::with(config, PIPE, Router::new().route(ECHO, |body: Bytes| body));
        let client = world.client_with(ClientConfig::default().buffer_size(size), Router::new());
        let large = Message::new(ECHO, (0..3 << 20).map(|n| n as u8).collect::<Vec<_>>());
        assert_eq!(client.await.request(&large).await.unwrap().body(), large.body(), "{size:?}");
    }
}

/// Returns a frame of this total length.
fn message(length: usize) -> Message {
    Message::new(ECHO, vec![7; length - 15])
}

#[tokio::test(start_paused = true)]
async fn nothing_larger_than_max_message_size_is_sent() {
    let config = ServerConfig::default().max_message_size(1000);
    let world = World::with(config, PIPE, Router::new());
    let (mut raw, peer) = world.join().await;
    let too_large =
        |error: &EncodeError| matches!(error, EncodeError::TooLarge { size: 1001, limit: 1000 });
    for result in [
        peer.send(&message(1001)).await,
        peer.try_send(&message(1001)),
        world.hub.broadcast(&message(1001)).map(|_| ()),
    ] {
        let Err(SendError::Encode(error)) = result else { panic!("{result:?}") };
        assert!(too_large(&error), "{error}");
    }
    let Err(RequestError::Encode(error)) = peer.request(&message(1001)).await else { panic!() };
    assert!(too_large(&error), "{error}");
    peer.send(&message(1000)).await.unwrap();
    assert_eq!(raw.next().await.unwrap().body().len(), 985);
    let sent = peer.stats().sent;
    assert_eq!((sent.accepted, sent.written), (1, 1), "a rejected message was not accepted");
}

#[tokio::test(start_paused = true)]
async fn a_client_sends_nothing_larger_either() {
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().max_message_size(1000);
    let (client, mut raw) = server.client(config, Router::new()).await;
    let refused = client.send(&message(1001)).await;
    assert!(matches!(refused, Err(SendError::Encode(EncodeError::TooLarge { .. }))));
    client.send(&message(1000)).await.unwrap();
    assert_eq!(raw.next().await.unwrap().body().len(), 985);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_too_large_fails_its_handler() {
    let config = ServerConfig::default().max_message_size(1000);
    let router = Router::new().route(OTHER, || vec![7; 986]).route(ECHO, || vec![7; 985]);
    let world = World::with(config, PIPE, router);
    let (mut raw, _) = world.join().await;
    let mut events = world.hub.events();
    raw.send(OTHER.code(), 7, "").await.unwrap();
    let failed = |event| match event {
        Event::HandlerFailed { code, error, .. } => Some((code, error)),
        _ => None,
    };
    let (code, error) = until(&mut events, failed).await;
    assert_eq!(code, OTHER.code());
    assert!(error.contains("1001 bytes is over max_message_size (1000)"), "{error}");
    raw.send(ECHO.code(), 8, "").await.unwrap();
    assert_eq!(raw.next().await.unwrap().id().value(), 8, "the connection continues");
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_more_than_max_message_size_is_closed() {
    let config = ServerConfig::default().max_message_size(1000);
    let world = World::with(config, PIPE, Router::new().route(ECHO, |body: Bytes| body));
    let (mut raw, peer) = world.join().await;
    raw.send(ECHO.code(), 7, vec![7; 985]).await.unwrap();
    assert_eq!(raw.next().await.unwrap().body().len(), 985);
    raw.send(ECHO.code(), 7, vec![7; 986]).await.unwrap();
    let error = ProtocolError::Oversize { total: 1001, limit: 1000 };
    assert_eq!(peer.closed().await.reason, CloseReason::Protocol(error));

    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().max_message_size(1000);
    let (client, mut raw) = server.client(config, Router::new()).await;
    raw.send(ECHO.code(), 7, vec![7; 986]).await.unwrap();
    assert_eq!(client.peer().closed().await.reason, CloseReason::Protocol(error));
}

#[tokio::test(start_paused = true)]
async fn larger_messages_than_the_default_are_possible() {
    let config = || ServerConfig::default().max_message_size(32 << 20).outbox(10, 64 << 20);
    let world = World::with(config(), PIPE, Router::new().route(ECHO, |body: Bytes| body));
    let config = ClientConfig::default().max_message_size(32 << 20).outbox(10, 64 << 20);
    let client = world.client_with(config, Router::new()).await;
    let answer = client.request(&message(32 << 20)).await.unwrap();
    assert_eq!(answer.body().len(), (32 << 20) - 15);
}

#[tokio::test(start_paused = true)]
async fn max_typed_body_is_what_text_and_json_parse() {
    let config = ServerConfig::default().max_typed_body(10);
    let router = Router::new()
        .route(ECHO, |Text(text): Text| text)
        .route(OTHER, |Json(text): Json<String>| text);
    let world = World::with(config, PIPE, router);
    let (mut raw, peer) = world.join().await;
    for (message_type, body) in [(ECHO, "0123456789"), (OTHER, "\"12345678\"")] {
        raw.send(message_type.code(), 7, format!("{body} ")).await.unwrap();
        raw.send(message_type.code(), 8, body).await.unwrap();
        assert_eq!(raw.next().await.unwrap().id().value(), 8);
    }
    let received = peer.stats().received;
    assert_eq!((received.handled, received.rejected), (2, 2));
}

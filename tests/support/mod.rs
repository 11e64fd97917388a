//! Parts that the tests share: a server in memory, and a peer made of raw bytes.

pub mod alone;
#[cfg(feature = "tls")]
pub mod certificates;
#[path = "../../veltix-core/src/hostile/seed.rs"]
mod seed;
pub mod skipped;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use veltix::transport::{Listener, MemoryConnector, MemoryListener, Stream, StreamWriter, memory};
use veltix::{
    BindError, Client, ClientConfig, Event, EventStream, Hub, Message, MessageType, Peer,
    RequestId, Router, Server, ServerConfig, all,
};
use veltix_core::{ClientHandshake, ClientStep, Frame, FrameDecoder, Hello};

pub(crate) use self::seed::seed;

/// A message type for tests.
pub const ECHO: MessageType = MessageType::new(200, "echo", "");
/// Another one.
pub const OTHER: MessageType = MessageType::new(201, "other", "");

/// Bytes that each direction of a connection in memory holds, as a socket's buffers would.
pub const PIPE: usize = 64 * 1024;

/// A server on a port that another one has left. A process that another test is just starting has
/// the old listener until it executes its program, and nobody tells when it does.
pub async fn bind_again(config: ServerConfig, mut router: impl FnMut() -> Router) -> Server {
    const PATIENCE: Duration = Duration::from_secs(10);
    let bound = timeout(PATIENCE, async {
        loop {
            match Server::bind(config.clone(), router()).await {
                Err(BindError::AddressInUse { .. }) => sleep(Duration::from_millis(1)).await,
                bound => return bound,
            }
        }
    });
    bound.await.expect("the port was left").expect("the server can be bound")
}

/// A server in memory, running.
pub struct World {
    pub hub: Hub,
    pub connector: MemoryConnector,
    running: JoinHandle<()>,
}

impl World {
    pub fn new(router: Router) -> Self {
        Self::with(ServerConfig::default(), PIPE, router)
    }

    pub fn with(config: ServerConfig, pipe: usize, router: Router) -> Self {
        let (listener, connector) = memory(pipe);
        let server = Server::with_listener(listener, config, router).expect("the config works");
        let hub = server.hub();
        let running = tokio::spawn(async move { server.run().await.expect("it runs") });
        Self { hub, connector, running }
    }

    /// A client with these routes.
    pub async fn client(&self, router: Router) -> Client {
        self.client_with(ClientConfig::default(), router).await
    }

    pub async fn client_with(&self, config: ClientConfig, router: Router) -> Client {
        Client::connect_with(self.connector.clone(), config, router).await.expect("it connects")
    }

    /// A peer that has shaken hands and says only what the test makes it say.
    pub async fn raw(&self) -> RawPeer {
        let mut peer = self.silent().await;
        peer.shake_hands().await.expect("the handshake works");
        peer
    }

    /// A peer that has connected and said nothing.
    pub async fn silent(&self) -> RawPeer {
        RawPeer::new(self.connector.stream().await.expect("the server listens"))
    }

    /// A raw peer, and what the server has of it.
    pub async fn join(&self) -> (RawPeer, Peer) {
        let raw = self.raw().await;
        (raw, self.newest())
    }

    /// The listed peer that came last.
    pub fn newest(&self) -> Peer {
        self.hub
            .list(all())
            .expect("it is valid")
            .into_iter()
            .max_by_key(Peer::id)
            .expect("a peer is listed")
    }

    /// Waits until `run` has returned.
    pub async fn stopped(self) {
        self.running.await.expect("the server does not panic");
    }

    /// Aborts the server, as dropping the future of `run` does.
    pub fn abort(&self) {
        self.running.abort();
    }
}

/// A server that says only what the test makes it say.
pub struct RawServer {
    pub listener: MemoryListener,
    pub connector: MemoryConnector,
}

impl RawServer {
    pub fn new(pipe: usize) -> Self {
        let (listener, connector) = memory(pipe);
        Self { listener, connector }
    }

    /// The next connection, before any handshake.
    pub async fn accept(&mut self) -> RawPeer {
        RawPeer::new(self.listener.accept().await.expect("a client connects"))
    }

    /// A client that has connected, and this side of its connection.
    pub async fn client(&mut self, config: ClientConfig, router: Router) -> (Client, RawPeer) {
        let connector = self.connector.clone();
        let (client, raw) = tokio::join!(Client::connect_with(connector, config, router), async {
            let mut raw = self.accept().await;
            raw.welcome(PYTHON).await.expect("the handshake works");
            raw
        });
        (client.expect("it connects"), raw)
    }
}

/// The hello of a Python peer.
pub const PYTHON: &str = r#"{"v": "3.3.0", "pv": "1.0", "meta": {}}"#;

/// The hello of a peer of ours without any extension.
pub const NATIVE: &str = r#"{"v": "0.1.0", "pv": "1.0", "meta": {"veltix": {}}}"#;

/// The hello of a peer of ours that listens for the notice of a server that goes away.
pub const LISTENING: &str =
    r#"{"v": "0.1.0", "pv": "1.0", "meta": {"veltix": {"going_away": true}}}"#;

/// The hello of a peer of ours that listens for reports of protocol errors.
pub const REPORTING: &str =
    r#"{"v": "0.1.0", "pv": "1.0", "meta": {"veltix": {"protocol_error": true}}}"#;

/// How a server ends a handshake, byte for byte.
pub const ACK: &str = r#"{"result": "ok"}"#;

/// One end of a stream, spoken by hand.
pub struct RawPeer {
    /// `None` once dropped by the test, to break the connection.
    pub reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub writer: Option<Box<dyn StreamWriter>>,
    pub buffer: BytesMut,
    decoder: FrameDecoder,
}

impl RawPeer {
    pub fn new(stream: Stream) -> Self {
        let (reader, writer) = stream.into_parts();
        let decoder = FrameDecoder::new(64 << 20);
        Self { reader: Some(reader), writer: Some(writer), buffer: BytesMut::new(), decoder }
    }

    /// The client's side of the handshake, without any of our extensions.
    pub async fn shake_hands(&mut self) -> io::Result<Hello> {
        self.shake_hands_saying(NATIVE).await
    }

    /// The client's side of the handshake, with this hello.
    pub async fn shake_hands_saying(&mut self, hello: &str) -> io::Result<Hello> {
        let mut handshake = ClientHandshake::new();
        loop {
            match handshake.receive(&mut self.buffer).map_err(io::Error::other)? {
                ClientStep::Wait => self.read_more().await?,
                ClientStep::Send(_) => self.say(hello).await?,
                ClientStep::Done(hello) => return Ok(hello),
            }
        }
    }

    /// The client's side of the handshake, as a Python client does it.
    pub async fn shake_hands_as_python(&mut self) -> io::Result<()> {
        self.hear().await?;
        self.say(PYTHON).await?;
        assert_eq!(self.hear().await?, ACK);
        Ok(())
    }

    /// The server's side of the handshake, with this hello.
    pub async fn welcome(&mut self, hello: &str) -> io::Result<()> {
        self.say(hello).await?;
        self.hear().await?;
        self.say(ACK).await
    }

    /// Says one message of a handshake.
    pub async fn say(&mut self, json: &str) -> io::Result<()> {
        self.write(&said(json)).await
    }

    /// Hears one message of a handshake.
    pub async fn hear(&mut self) -> io::Result<String> {
        while self.buffer.len() < 2 {
            self.read_more().await?;
        }
        let length = usize::from(self.buffer.get_u16());
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        String::from_utf8(self.buffer.split_to(length).into()).map_err(io::Error::other)
    }

    /// Reads what comes next into the buffer; the end is an error.
    pub async fn read_more(&mut self) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Err(io::ErrorKind::NotConnected.into()) };
        match reader.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next message; the end of the stream is an error.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            match self.decoder.decode(&mut self.buffer).map_err(io::Error::other)? {
                Some(message) => return Ok(message),
                None => self.read_more().await?,
            }
        }
    }

    /// Reads to the end, and gives the messages that came.
    pub async fn rest(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Ok(message) = self.next().await {
            messages.push(message);
        }
        messages
    }

    /// Reads to the end as [`rest`](RawPeer::rest) does, but what is not a frame fails the test.
    /// The rest of a frame that was cut stays in the buffer.
    pub async fn all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Ok(message) => messages.push(message),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return messages,
                Err(error) => panic!("after {} messages: {error}", messages.len()),
            }
        }
    }

    /// Writes all of it, waiting for room.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Err(io::ErrorKind::NotConnected.into()) };
        while !bytes.is_empty() {
            match writer.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_fn(|cx| writer.poll_write_ready(cx)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends a message under this id.
    pub async fn send(&mut self, code: u16, id: u16, body: impl Into<Bytes>) -> io::Result<()> {
        self.write(&frame(code, id, body)).await
    }

    /// Gives the writing half to another task.
    pub fn split_writer(&mut self) -> Self {
        let decoder = FrameDecoder::new(0);
        Self { reader: None, writer: self.writer.take(), buffer: BytesMut::new(), decoder }
    }

    /// Ends this side of the stream; the other may go on.
    pub fn end(&mut self) {
        self.writer = None;
    }
}

/// The bytes of a message of a handshake.
pub fn said(json: &str) -> Vec<u8> {
    let length = u16::try_from(json.len()).expect("it is short");
    [&length.to_be_bytes(), json.as_bytes()].concat()
}

/// The bytes of a frame.
pub fn frame(code: u16, id: u16, body: impl Into<Bytes>) -> BytesMut {
    let mut bytes = BytesMut::new();
    Frame::new(code, RequestId::new(id), body.into()).write_to(&mut bytes);
    bytes
}

/// Longer than anything that a test waits for: what has not come by then never comes.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Returns the first value that `take` returns for an event, and skips the events before it.
pub async fn until<T>(events: &mut EventStream, take: impl Fn(Event) -> Option<T>) -> T {
    let taken = async {
        loop {
            let event = events.next().await.expect("the emitter of the events is there");
            if let Some(taken) = take(event) {
                return taken;
            }
        }
    };
    timeout(PATIENCE, taken).await.expect("the event comes")
}

/// Waits until everybody else waits: before that a paused clock stands still.
pub async fn quiet() {
    sleep(Duration::from_millis(1)).await;
}

/// The repository, since this package is only a part of it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is inside the repository")
}

/// A directory of a test's own, removed with everything in it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};

        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // The target directory's path may be too long for the address of a socket.
        let name = format!("veltix-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A gate at which handlers wait until the test lets them through.
#[derive(Clone)]
pub struct Door(Arc<Semaphore>);

impl Door {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub async fn pass(&self) {
        self.0.acquire().await.expect("doors are never taken away").forget();
    }

    /// Lets this number of handlers through, now or later.
    pub fn open(&self, many: usize) {
        self.0.add_permits(many);
    }

    /// A handler that waits here.
    pub fn handler(&self) -> impl Fn() -> BoxFuture<'static, ()> + Clone + Send + Sync + use<> {
        let door = self.clone();
        move || {
            let door = door.clone();
            Box::pin(async move { door.pass().await })
        }
    }
}

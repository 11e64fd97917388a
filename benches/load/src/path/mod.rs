//! The way of a message through a server, alone: for counting its instructions.
//!
//! A made-up stream gives the server frames out of memory and takes its answers into nothing, on
//! one thread, so that `valgrind --tool=callgrind` counts the same each time. The difference of two
//! runs, divided by the difference of their messages, is what one message costs; see
//! `benches/instructions.sh`.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tower_layer::layer_fn;
use tower_service::Service;
use veltix::transport::{Listener, PeerAddr, Stream, StreamWriter};
use veltix::{BodyError, Hub, Inbound, Message, Msg, RequestId, Router, Server, ServerConfig};
use veltix_core::{ClientHandshake, Frame};

#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
    Typed = 202,
}

#[veltix::message]
enum Chat {
    #[message(code = 202)]
    Say { from: String, text: String },
}

/// What a user would write without typed messages.
#[derive(serde::Deserialize)]
struct Line {
    from: String,
    text: String,
}

/// A layer that does nothing but call what is in it.
#[derive(Clone)]
struct Through<S>(S);

impl<S: Service<Inbound>> Service<Inbound> for Through<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound) -> S::Future {
        self.0.call(inbound)
    }
}

/// A body of 64 bytes, JSON so that every case can take it.
const BODY: &str = r#"{"from":"a peer of the harness","text":"64 bytes, no more of it"}"#;

/// What a case's frames are, and who handles them.
fn case(name: &str) -> Option<(Load, Router)> {
    let router = Router::new();
    Some(match name {
        "sink" => (Load::Sink, router.route(Load::Sink, |_: Message| ())),
        "sink-async" => (Load::Sink, router.route(Load::Sink, async |_: Message| ())),
        "echo" => (Load::Echo, router.route(Load::Echo, |message: Message| message)),
        "echo-async" => (Load::Echo, router.route(Load::Echo, async |message: Message| message)),
        "sink-layered" => {
            let router = router.route(Load::Sink, |_: Message| ());
            (Load::Sink, router.layer(layer_fn(Through)))
        }
        "typed" => (Load::Typed, router.on(|Msg(say): Msg<Say>| drop(black_box(say)))),
        "by-hand" => {
            let by_hand = |message: Message| -> Result<(), BodyError> {
                let line: Line = message.json()?;
                black_box((line.from, line.text));
                Ok(())
            };
            (Load::Typed, router.route(Load::Typed, by_hand))
        }
        _ => return None,
    })
}

pub(crate) fn run(name: &str, messages: usize) {
    let (message_type, router) = case(name).expect("usage: path CASE MESSAGES");
    let router = router.on_disconnect(|hub: Hub| drop(hub.shutdown()));
    let frame =
        Frame::new(message_type.code(), RequestId::new(1), Bytes::from_static(BODY.as_bytes()));
    let mut bytes = BytesMut::new();
    frame.write_to(&mut bytes);
    let source = Source { hello: hello(), frame: bytes.freeze(), at: 0, left: messages };
    let stream = Stream::new(source, Nothing, PeerAddr::Memory(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime can be built").block_on(async {
        let listener = Once(Some(stream));
        let server = Server::with_listener(listener, ServerConfig::default(), router);
        server.expect("the config works").run().await.expect("it runs");
    });
}

/// What a client says in the handshake.
fn hello() -> Vec<u8> {
    let mut handshake = ClientHandshake::new();
    let mut heard = BytesMut::from(&veltix_core::ServerHandshake::hello()[..]);
    match handshake.receive(&mut heard) {
        Ok(veltix_core::ClientStep::Send(bytes)) => bytes.to_vec(),
        other => panic!("a client answers a server's hello, not {other:?}"),
    }
}

/// Gives one stream, then nothing.
struct Once(Option<Stream>);

impl Listener for Once {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.0.take() {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

/// A hello, then the same frame so many times, then the end.
struct Source {
    hello: Vec<u8>,
    frame: Bytes,
    at: usize,
    left: usize,
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.hello.is_empty() {
            let hello = std::mem::take(&mut self.hello);
            buffer.put_slice(&hello);
            return Poll::Ready(Ok(()));
        }
        while self.left > 0 && buffer.remaining() > 0 {
            let rest = &self.frame[self.at..];
            let fits = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..fits]);
            self.at += fits;
            if self.at == self.frame.len() {
                self.at = 0;
                self.left -= 1;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Takes everything.
struct Nothing;

impl StreamWriter for Nothing {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_write_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

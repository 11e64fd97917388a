//! The cases: the frames, their handlers, and the receivers of one message.

use std::hint::black_box;

use bytes::BytesMut;
use tower_layer::layer_fn;
use veltix::{Hub, Message, Msg, Peer, RequestId, Router, SendError, all};
use veltix_core::Frame;

use crate::through::Through;

/// The peers beside the one that publishes.
const SUBSCRIBERS: usize = 100;

#[veltix::message]
enum Load {
    Echo = 200,
    Sink = 201,
    Line = 202,
    Publish = 204,
}

#[veltix::message]
enum Chat {
    #[message(code = 202)]
    Say { from: String, text: String },
    #[message(code = 203, reply = Ask)]
    Ask { from: String, text: String },
}

/// A body as a user writes it without typed messages.
#[derive(serde::Deserialize)]
struct Line {
    from: String,
    text: String,
}

/// A body of 64 bytes. It is JSON, so that every case can use it.
const BODY: &str = r#"{"from":"a peer of the harness","text":"64 bytes, no more of it"}"#;

/// A path through the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Messages of the longer of the two runs that are compared.
    messages: usize,
    /// The peers that only receive. If there are any, deliveries are counted.
    pub(crate) subscribers: usize,
    /// The messages of one read, or `None` for as many as fit into the server's buffer.
    pub(super) per_read: Option<usize>,
    /// Whether each message is sent back to its sender.
    pub(super) answers: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No server: frames are found and checked as the limit does it.
    Raw,
    /// A handler of the body in the read buffer.
    Sink,
    /// A handler of an owned message.
    SinkOwned,
    SinkAsync,
    SinkLayered,
    Echo,
    EchoAsync,
    ByHand,
    Typed,
    TypedEcho,
    Publish,
}

/// A case whose handler has no result.
const fn sink(name: &'static str, kind: Kind) -> Case {
    Case { name, messages: 40_000, subscribers: 0, per_read: None, answers: false, kind }
}

/// A case whose handler answers each message.
const fn echo(name: &'static str, kind: Kind) -> Case {
    Case { answers: true, ..sink(name, kind) }
}

/// A case that sends each message to all subscribers.
const fn broadcast(name: &'static str, messages: usize, per_read: usize) -> Case {
    let per_read = Some(per_read);
    Case { messages, subscribers: SUBSCRIBERS, per_read, ..sink(name, Kind::Publish) }
}

/// All cases, in the order of the tables. Broadcasts need many messages: the handshakes of all
/// subscribers cost as much as thousands of deliveries, and not the same in each run.
pub(crate) const CASES: &[Case] = &[
    sink("raw", Kind::Raw),
    sink("sink", Kind::Sink),
    sink("sink-owned", Kind::SinkOwned),
    sink("sink-async", Kind::SinkAsync),
    sink("sink-layered", Kind::SinkLayered),
    echo("echo", Kind::Echo),
    Case { per_read: Some(1), ..echo("echo-one", Kind::Echo) },
    echo("echo-async", Kind::EchoAsync),
    sink("by-hand", Kind::ByHand),
    sink("typed", Kind::Typed),
    echo("typed-echo", Kind::TypedEcho),
    // One delivery for each call, so that it counts calls.
    Case { subscribers: 1, ..sink("broadcast-one", Kind::Publish) },
    broadcast("broadcast", 20_000, 1),
    broadcast("broadcast-batch", 128_000, 64),
];

impl Case {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }

    /// Returns the messages of the shorter and of the longer run. Their difference is the cost of the
    /// messages alone. The keys of hash maps change the cost of a whole run by 1 % and more, so the
    /// shorter run is much shorter: half of the longer one would double this error.
    pub(crate) const fn runs(&self) -> (usize, usize) {
        (self.messages / 8, self.messages)
    }

    /// Returns the number of counted units in each message: its deliveries, or the message itself.
    pub(crate) const fn per_message(&self) -> usize {
        if self.subscribers > 0 { self.subscribers } else { 1 }
    }

    pub(super) fn is_raw(&self) -> bool {
        self.kind == Kind::Raw
    }

    /// Returns the bytes of one message.
    pub(super) fn frame(&self) -> BytesMut {
        let code = match self.kind {
            Kind::Raw | Kind::Sink | Kind::SinkOwned | Kind::SinkAsync | Kind::SinkLayered => 201,
            Kind::Echo | Kind::EchoAsync => 200,
            Kind::ByHand | Kind::Typed => 202,
            Kind::TypedEcho => 203,
            Kind::Publish => 204,
        };
        let mut bytes = BytesMut::new();
        Frame::new(code, RequestId::new(1), BODY.into()).write_to(&mut bytes);
        bytes
    }

    pub(super) fn router(&self) -> Router {
        let router = Router::new();
        match self.kind {
            Kind::Raw => router,
            Kind::Sink => router.route(Load::Sink, |body: &[u8]| {
                black_box(body);
            }),
            Kind::SinkOwned => router.route(Load::Sink, |_: Message| ()),
            Kind::SinkAsync => router.route(Load::Sink, async |_: Message| ()),
            Kind::SinkLayered => router.route(Load::Sink, |_: Message| ()).layer(layer_fn(Through)),
            Kind::Echo => router.route(Load::Echo, |message: Message| message),
            Kind::EchoAsync => router.route(Load::Echo, async |message: Message| message),
            Kind::ByHand => router.route(Load::Line, by_hand),
            Kind::Typed => router.on(|Msg(say): Msg<Say>| drop(black_box(say))),
            Kind::TypedEcho => router.on(|Msg(ask): Msg<Ask>| ask),
            Kind::Publish => router.route(Load::Publish, publish),
        }
    }
}

fn by_hand(body: &[u8]) -> serde_json::Result<()> {
    let line: Line = serde_json::from_slice(body)?;
    black_box((line.from, line.text));
    Ok(())
}

fn publish(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
    hub.to(all()).except(&peer).send(&message)?;
    Ok(())
}

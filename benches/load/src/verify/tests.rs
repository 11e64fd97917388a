//! Servers that lie are found out.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use veltix_core::{Frame, FrameDecoder, Message, ServerHandshake};

use super::verify;
use crate::generator::Target;
use crate::wire::{Veltix, code};
use crate::workload::WorkloadKind;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    ChangesEchoes,
    DoublesEchoes,
    AnswersSinks,
    ChangesLarge,
    ReachesThePublisher,
    ForgetsOne,
    Doubles,
    Swaps,
    IgnoresTags,
}

/// Everybody who is connected, and whether with the tag.
type Peers = Arc<Mutex<Vec<(TcpStream, bool)>>>;

/// The verdict on a server with this lie.
fn judged(lie: Lie) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let peers = Peers::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, peers) = (stream.expect("a connection"), Arc::clone(&peers));
            std::thread::spawn(move || connection(stream, &peers, lie));
        }
    });
    let can = [
        WorkloadKind::Echo,
        WorkloadKind::Ingest,
        WorkloadKind::Large,
        WorkloadKind::Fanout { in_flight: 1 },
        WorkloadKind::Tag,
    ];
    let target = Target { addr, wire: &Veltix::plain(), process: None };
    verify(target, &can).map_err(|error| format!("{error:#}"))
}

/// Serves one connection until it ends.
fn connection(mut stream: TcpStream, peers: &Peers, lie: Lie) -> Option<()> {
    let (mut buffer, mut handshake) = (BytesMut::new(), ServerHandshake::new());
    stream.write_all(&ServerHandshake::hello()).ok()?;
    while handshake.receive(&mut buffer).ok()?.is_none() {
        read_more(&mut stream, &mut buffer)?;
    }
    let me = {
        let mut peers = peers.lock().expect("nobody panicked");
        stream.write_all(&ServerHandshake::accepted()).ok()?;
        peers.push((stream.try_clone().ok()?, false));
        peers.len() - 1
    };
    let mut decoder = FrameDecoder::new(2 << 20);
    let mut published = 0;
    loop {
        while let Some(message) = decoder.decode(&mut buffer).ok()? {
            let mut peers = peers.lock().expect("nobody panicked");
            match message.code() {
                code::ECHO if lie == Lie::ChangesEchoes => {
                    let changed = [&message.body()[1..], b"!"].concat();
                    send(&mut stream, message.code(), &message, Bytes::from(changed));
                }
                code::ECHO if lie == Lie::ChangesLarge && message.body().len() > 1_000 => {
                    let changed = message.body().iter().rev().copied().collect();
                    send(&mut stream, message.code(), &message, changed);
                }
                code::ECHO => {
                    let copies = if lie == Lie::DoublesEchoes { 2 } else { 1 };
                    (0..copies).for_each(|_| pass_on(&mut stream, &message));
                }
                code::SINK if lie != Lie::AnswersSinks => {}
                code::SINK => send(&mut stream, code::ECHO, &message, message.body().clone()),
                code::JOIN => {
                    peers[me].1 = true;
                    pass_on(&mut stream, &message);
                }
                publish => {
                    published += 1;
                    for (number, (peer, tagged)) in peers.iter_mut().enumerate() {
                        let meant = publish == code::PUBLISH || *tagged || lie == Lie::IgnoresTags;
                        let sender = number == me && lie != Lie::ReachesThePublisher;
                        let copies = match lie {
                            Lie::ForgetsOne if published == 7 => 0,
                            Lie::Doubles if published == 7 => 2,
                            _ => 1,
                        };
                        if meant && !sender {
                            (0..copies).for_each(|_| pass_on(peer, &swapped(&message, lie)));
                        }
                    }
                }
            }
        }
        read_more(&mut stream, &mut buffer)?;
    }
}

/// The publish before an odd one and the odd one itself change places.
fn swapped(message: &Message, lie: Lie) -> Message {
    let mut body = message.body().to_vec();
    if lie == Lie::Swaps {
        body[7] ^= 1;
    }
    Message::from_parts(message.code(), message.id(), body.into())
}

fn read_more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<()> {
    let mut piece = [0; 4096];
    let read = stream.read(&mut piece).ok().filter(|&read| read > 0)?;
    buffer.extend_from_slice(&piece[..read]);
    Some(())
}

fn pass_on(stream: &mut TcpStream, message: &Message) {
    send(stream, message.code(), message, message.body().clone());
}

/// Whoever is gone already gets nothing.
fn send(stream: &mut TcpStream, code: u16, to: &Message, body: Bytes) {
    let mut bytes = BytesMut::new();
    Frame::new(code, to.id(), body).write_to(&mut bytes);
    let _ = stream.write_all(&bytes);
}

#[test]
fn an_honest_server_passes() {
    assert_eq!(judged(Lie::None), Ok(()));
}

#[test]
fn a_lie_is_found_and_named() {
    for (lie, named) in [
        (Lie::ChangesEchoes, "echo: a body that was not sent"),
        (Lie::DoublesEchoes, "echo: a body that was not sent, or not so often"),
        (Lie::AnswersSinks, "messages without an answer: more came"),
        (Lie::ChangesLarge, "a message of 1 MiB: a body that was not sent"),
        (Lie::ReachesThePublisher, "broadcast: it is for others"),
        (Lie::ForgetsOne, "broadcast: not in order"),
        (Lie::Doubles, "broadcast: a body that was not sent, or not so often"),
        (Lie::Swaps, "broadcast: not in order"),
        (Lie::IgnoresTags, "broadcast to a tag: it is for others"),
    ] {
        let error = judged(lie).expect_err("it lies");
        assert!(error.starts_with(named), "{lie:?}: {error}");
    }
}

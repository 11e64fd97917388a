//! Servers with faults are recognised.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use veltix_core::{Frame, FrameDecoder, Message, ServerHandshake};

use super::verify;
use crate::generator::Target;
use crate::wire::{Veltix, code};
use crate::workload::WorkloadKind;

/// The fault of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
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

/// All connected peers, and whether they have the tag.
type Peers = Arc<Mutex<Vec<(TcpStream, bool)>>>;

/// Returns the verdict on a server with this fault.
fn judged(fault: Fault) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it is bound");
    let peers = Peers::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, peers) = (stream.expect("a connection"), Arc::clone(&peers));
            std::thread::spawn(move || connection(stream, &peers, fault));
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
fn connection(mut stream: TcpStream, peers: &Peers, fault: Fault) -> Option<()> {
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
                code::ECHO if fault == Fault::ChangesEchoes => {
                    let changed = [&message.body()[1..], b"!"].concat();
                    send(&mut stream, message.code(), &message, Bytes::from(changed));
                }
                code::ECHO if fault == Fault::ChangesLarge && message.body().len() > 1_000 => {
                    let changed = message.body().iter().rev().copied().collect();
                    send(&mut stream, message.code(), &message, changed);
                }
                code::ECHO => {
                    let copies = if fault == Fault::DoublesEchoes { 2 } else { 1 };
                    (0..copies).for_each(|_| pass_on(&mut stream, &message));
                }
                code::SINK if fault != Fault::AnswersSinks => {}
                code::SINK => send(&mut stream, code::ECHO, &message, message.body().clone()),
                code::JOIN => {
                    peers[me].1 = true;
                    pass_on(&mut stream, &message);
                }
                publish => {
                    published += 1;
                    for (number, (peer, tagged)) in peers.iter_mut().enumerate() {
                        let meant =
                            publish == code::PUBLISH || *tagged || fault == Fault::IgnoresTags;
                        let sender = number == me && fault != Fault::ReachesThePublisher;
                        let copies = match fault {
                            Fault::ForgetsOne if published == 7 => 0,
                            Fault::Doubles if published == 7 => 2,
                            _ => 1,
                        };
                        if meant && !sender {
                            (0..copies).for_each(|_| pass_on(peer, &swapped(&message, fault)));
                        }
                    }
                }
            }
        }
        read_more(&mut stream, &mut buffer)?;
    }
}

/// Exchanges each publish with an odd number and the one before it.
fn swapped(message: &Message, fault: Fault) -> Message {
    let mut body = message.body().to_vec();
    if fault == Fault::Swaps {
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

/// A peer that has left gets nothing.
fn send(stream: &mut TcpStream, code: u16, to: &Message, body: Bytes) {
    let mut bytes = BytesMut::new();
    Frame::new(code, to.id(), body).write_to(&mut bytes);
    let _ = stream.write_all(&bytes);
}

#[test]
fn an_honest_server_passes() {
    assert_eq!(judged(Fault::None), Ok(()));
}

#[test]
fn a_lie_is_found_and_named() {
    for (fault, named) in [
        (Fault::ChangesEchoes, "echo: received a body that was not sent"),
        (Fault::DoublesEchoes, "echo: received a body that was not sent, or one body twice"),
        (Fault::AnswersSinks, "messages without an answer: the server sent more"),
        (Fault::ChangesLarge, "a message of 1 MiB: received a body that was not sent"),
        (Fault::ReachesThePublisher, "broadcast: a peer that must not receive it"),
        (Fault::ForgetsOne, "broadcast: the deliveries are not in order"),
        (Fault::Doubles, "broadcast: received a body that was not sent, or one body twice"),
        (Fault::Swaps, "broadcast: the deliveries are not in order"),
        (Fault::IgnoresTags, "broadcast to a tag: a peer that must not receive it"),
    ] {
        let error = judged(fault).expect_err("the server has a fault");
        assert!(error.starts_with(named), "{fault:?}: {error}");
    }
}

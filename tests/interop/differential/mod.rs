//! Random streams, decoded by ours and by the decoder of the Python package 3.3.0, by each of its
//! engines.
//!
//! Both decode valid streams in the same way. For others, [`model`] describes Python's behaviour
//! and the [`Difference`] at which the two diverge: Python must do exactly that, ours must have
//! decoded the same messages up to there, and PROTOCOL.md must list the difference. So each
//! difference is documented.

mod model;
mod streams;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use bytes::{Buf, Bytes, BytesMut};
use fastrand::Rng;
use veltix_core::{FrameDecoder, ProtocolError};

use self::model::{Difference, Engine, Model};
use self::streams::Stream;
use super::env;
use super::run::run_with;
use crate::support::seed;

const VERSION: &str = "3.3.0";

/// The number of streams of each kind.
const STREAMS: usize = 20_000;

/// The code, id and body of a message.
type Message = (u16, u16, Bytes);

/// The result of a decoder: the messages whose code is known, and the number of bytes that wait for
/// more.
#[derive(Debug, PartialEq)]
struct Read {
    messages: Vec<Message>,
    left: usize,
}

/// The codes that the Python process knows.
const KNOWN: [u16; 8] = [0, 1, 200, 201, 499, 500, 22_104, 65_535];

/// Returns the messages that ours decodes from a stream, chunk by chunk.
fn ours(stream: &Stream) -> (Read, Result<(), ProtocolError>) {
    let mut decoder = FrameDecoder::new(stream.max_message_size as usize);
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    let mut end = Ok(());
    'stream: for chunk in &stream.chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match decoder.decode_batch(&mut buffer) {
                Ok(Some(burst)) => messages.extend(
                    // The connection drops messages with unknown codes.
                    burst
                        .filter(|message| KNOWN.contains(&message.code()))
                        .map(|message| (message.code(), message.id().value(), message.into_body())),
                ),
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break 'stream;
                }
            }
        }
    }
    (Read { messages, left: buffer.len() }, end)
}

/// Returns the results of Python for the streams.
fn pythons(streams: &[Stream], engine: Engine, name: &str) -> Vec<Read> {
    let python = env::python(VERSION).expect("`run` has looked");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/python/decode.py");
    let [input, output] = ["in", "out"]
        .map(|end| env::dir().join(format!("{name}-{engine}-{}.{end}", std::process::id())));
    fs::write(&input, streams::encoded(streams)).unwrap();
    let mut command = Command::new(python);
    command.arg("-B").arg(script).args([&input, &output]).arg(engine.to_string());
    let done = command.args(KNOWN[2..].iter().map(u16::to_string)).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut bytes = Bytes::from(fs::read(&output).unwrap());
    for file in [input, output] {
        fs::remove_file(file).unwrap();
    }
    let message = |bytes: &mut Bytes| {
        let (code, id, length) = (bytes.get_u16(), bytes.get_u16(), bytes.get_u32());
        (code, id, bytes.split_to(length as usize))
    };
    let mut read = Vec::new();
    while bytes.has_remaining() {
        let messages = (0..bytes.get_u32()).map(|_| message(&mut bytes)).collect();
        read.push(Read { messages, left: bytes.get_u32() as usize });
    }
    assert_eq!(read.len(), streams.len());
    read
}

#[test]
fn r08_valid_streams_are_the_same_messages() {
    run_with(VERSION, "decoder", "r08_valid_streams", async {
        let seed = seed();
        let mut rng = Rng::with_seed(seed);
        let streams: Vec<_> = (0..STREAMS).map(|_| Stream::valid(&mut rng)).collect();
        let ours: Vec<_> = streams.iter().map(ours).collect();
        assert!(ours.iter().map(|(read, _)| read.messages.len()).sum::<usize>() > 2 * STREAMS);
        for engine in Engine::BOTH {
            let theirs = pythons(&streams, engine, "valid");
            for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert_eq!(ours.1, Ok(()), "stream {number} of seed {seed}");
                assert_eq!(ours.0, *theirs, "stream {number} of seed {seed}, {engine}");
            }
        }
    });
}

#[test]
fn r08_every_difference_is_named_in_the_protocol() {
    run_with(VERSION, "decoder", "r08_differences", async {
        let seed = seed();
        let mut rng = Rng::with_seed(seed);
        let streams: Vec<_> = (0..STREAMS).map(|_| Stream::invalid(&mut rng)).collect();
        let mut seen = BTreeMap::<Difference, usize>::new();
        for engine in Engine::BOTH {
            let theirs = pythons(&streams, engine, "invalid");
            for (number, (stream, theirs)) in streams.iter().zip(theirs).enumerate() {
                let place = format!("stream {number} of seed {seed}, {engine}");
                let model = Model::of(stream, engine);
                assert_eq!(theirs, model.read, "{place}: the model does not match Python");
                let (ours, end) = ours(stream);
                let Some((difference, before)) = model.parted else {
                    assert_eq!((ours, end), (theirs, Ok(())), "{place}: not listed");
                    continue;
                };
                assert_eq!(
                    ours.messages.get(..before),
                    Some(&theirs.messages[..before]),
                    "{place}"
                );
                assert!(difference.is_how_ours_ends(end), "{place}: {difference:?}, but {end:?}");
                if end.is_err() && difference != Difference::BufferFull {
                    assert_eq!(ours.messages.len(), before, "{place}: read past the error");
                }
                *seen.entry(difference).or_default() += 1;
            }
        }
        println!("the differences that occurred: {seen:?}");
        let all: Vec<_> = Difference::ALL.into_iter().collect();
        assert_eq!(seen.into_keys().collect::<Vec<_>>(), all, "each difference occurred");
        let protocol = include_str!("../../../PROTOCOL.md");
        for difference in all {
            let line = format!("| {} |", difference.name());
            assert!(protocol.contains(&line), "PROTOCOL.md has no line {line:?}");
        }
    });
}

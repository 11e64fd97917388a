//! R6: the way in which a stream is cut does not matter.

use fastrand::Rng;

use super::seed::seed;
use super::*;

const LIMIT: usize = 1 << 20;

#[test]
fn r06_every_two_cuts_give_the_same_messages() {
    let mut stream = frame(200, 1, b"first");
    stream.extend_from_slice(&frame(65535, 65535, b""));
    stream.extend_from_slice(&frame(300, 2, &[0x56; 100]));
    let whole = read(LIMIT, [&stream[..]]);
    assert_eq!((whole.0.len(), whole.1), (3, Ok(())));
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let parts = read(LIMIT, cut(&stream, vec![first, second]));
            assert_eq!(parts, whole, "cut at {first} and {second}");
        }
    }
}

#[test]
fn r06_fifty_thousand_random_cuts_give_the_same_messages() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    for stream_number in 0..1_000 {
        let (mut stream, mut expected) = (BytesMut::new(), Vec::new());
        for _ in 0..rng.usize(1..6) {
            let body: Vec<u8> = (0..rng.usize(..300)).map(|_| rng.u8(..)).collect();
            let (code, id) = (rng.u16(..), rng.u16(..));
            stream.unsplit(frame(code, id, &body));
            expected.push(Message::from_parts(code, RequestId::new(id), body.into()));
        }
        for _ in 0..50 {
            let cuts = (0..rng.usize(..12)).map(|_| rng.usize(..=stream.len())).collect();
            let (messages, end) = read(LIMIT, cut(&stream, cuts));
            assert_eq!(end, Ok(()), "stream {stream_number} of seed {seed}");
            assert_eq!(messages, expected, "stream {stream_number} of seed {seed}");
        }
    }
}

//! Bodies in postcard.

use veltix::typed::{ToMessage, Typed};
use veltix::{BodyError, EncodeError, limits};

use super::{ROOM, received};

#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
enum Telemetry {
    #[message(code = 300, postcard, derive(PartialEq))]
    Sample { at: u64, values: Vec<u8>, tag: Option<bool> },
    #[message(code = 301, postcard)]
    Level(u32),
}

#[test]
fn postcard_bodies_are_compact_and_read_back() {
    let sample = Sample { at: 300, values: vec![1, 2], tag: Some(true) };
    let message = sample.to_message().unwrap();
    assert_eq!(message.body().as_ref(), [0xac, 2, 2, 1, 2, 1, 1]);
    assert_eq!(Telemetry::from(sample.clone()).to_message().unwrap(), message);
    assert_eq!(Sample::from_message(message.clone(), ROOM).unwrap(), sample);
    assert_eq!(Telemetry::from_message(message, ROOM).unwrap(), sample.into());
    assert_eq!(Level(5).to_message().unwrap().body().as_ref(), [5]);
    assert_eq!(Telemetry::Level(5).to_message().unwrap().body().as_ref(), [5]);
}

#[test]
fn what_is_not_postcard_is_refused() {
    for body in [&[0xac][..], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f], &[1, 0, 2]] {
        let error = Sample::from_message(received(300, body), ROOM).unwrap_err();
        assert!(matches!(error, BodyError::Postcard(_)), "{error:?}");
    }
}

#[test]
fn what_follows_is_of_a_later_version() {
    let sample = Sample::from_message(received(300, &[1, 0, 0, 9, 9][..]), ROOM).unwrap();
    assert_eq!(sample, Sample { at: 1, values: vec![], tag: None });
}

/// A recursive type, whose bodies take one byte per level.
#[veltix::message]
#[derive(Clone, Debug)]
enum Chains {
    #[message(code = 310, postcard)]
    Link(Chain),
    #[message(code = 311, postcard)]
    Optional(Nested),
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Chain {
    End,
    Next(Box<Self>),
    Named { next: Box<Self> },
    Pair(u8, Box<Self>),
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Nested(Option<Box<Self>>);

/// Without a limit, a body of one MiB ends the reader's stack, and with it the process.
#[test]
fn a_deep_body_is_refused() {
    for byte in [1, 2] {
        let error = Link::from_message(received(310, vec![byte; 1 << 20]), 1 << 20).unwrap_err();
        assert!(matches!(error, BodyError::TooDeep), "{error:?}");
    }
    let body = [3, 0].repeat(1 << 19);
    let error = Chains::from_message(received(310, body), 1 << 20).unwrap_err();
    assert!(matches!(error, BodyError::TooDeep), "{error:?}");
    let error = Optional::from_message(received(311, vec![1; 1 << 20]), 1 << 20).unwrap_err();
    assert!(matches!(error, BodyError::TooDeep), "{error:?}");
}

#[veltix::message]
#[derive(Clone, Debug)]
enum Lists {
    #[message(code = 312, postcard)]
    Nothings(Vec<Vec<()>>),
    #[message(code = 313, postcard, max = 2_000_000)]
    Wrapped(Vec<(((u8, ()),),)>),
    #[message(code = 314, postcard)]
    Keys(std::collections::HashMap<(), ()>),
}

/// Returns a length as postcard writes it.
fn length(mut length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

/// Ten bytes would occupy the reader for years.
#[test]
fn a_list_without_bytes_has_a_limit() {
    let most = limits::EMPTY_ELEMENTS as u64;
    for list in [u64::MAX, most + 100] {
        let error = Nothings::from_message(received(312, [length(1), length(list)].concat()), ROOM);
        assert!(matches!(error, Err(BodyError::TooManyElements)), "{error:?}");
        let error = Keys::from_message(received(314, length(list)), ROOM);
        assert!(matches!(error, Err(BodyError::TooManyElements)), "{error:?}");
    }
    let halves = [length(2), length(most / 2 + 100), length(most / 2 + 100)].concat();
    let error = Nothings::from_message(received(312, halves), ROOM);
    assert!(matches!(error, Err(BodyError::TooManyElements)), "all lists together: {error:?}");
    let lists = Nothings(vec![vec![(); 10_000]; 100]);
    let read = Nothings::from_message(lists.to_message().unwrap(), ROOM).unwrap();
    assert_eq!(read.0, lists.0);
    // Elements with bytes are as many as the body has.
    let wrapped = Wrapped(vec![(((7, ()),),); 1_100_000]);
    let read = Wrapped::from_message(wrapped.to_message().unwrap(), ROOM).unwrap();
    assert_eq!(read.0.len(), 1_100_000);
}

/// Both directions have the same limit.
#[test]
fn a_value_is_sent_as_deep_as_it_is_read() {
    let wraps: [fn(Box<Chain>) -> Chain; 3] =
        [Chain::Next, |next| Chain::Named { next }, |next| Chain::Pair(0, next)];
    for wrap in wraps {
        let chain = |length| Link((0..length).fold(Chain::End, |inner, _| wrap(Box::new(inner))));
        let deepest = chain(limits::BODY_DEPTH);
        let read = Link::from_message(deepest.to_message().unwrap(), ROOM).unwrap();
        assert_eq!(read.0, deepest.0);
        let error = chain(limits::BODY_DEPTH + 1).to_message().unwrap_err();
        assert!(matches!(error, EncodeError::TooDeep { .. }), "{error:?}");
    }
    let nested = |length| {
        let inner = (0..length).fold(None, |inner, _| Some(Box::new(Nested(inner))));
        Optional(Nested(inner))
    };
    let deepest = nested(limits::BODY_DEPTH);
    let read = Optional::from_message(deepest.to_message().unwrap(), ROOM).unwrap();
    assert_eq!(read.0, deepest.0);
    let error = nested(limits::BODY_DEPTH + 1).to_message().unwrap_err();
    assert!(matches!(error, EncodeError::TooDeep { .. }), "{error:?}");
}

//! Target `typed_body`: bodies of any bytes, decoded as messages of every encoding.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use veltix::typed::Typed;
use veltix::{BodyError, Message, RequestId};

/// A value with every kind of field that a JSON body may contain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    name: String,
    #[serde(default)]
    around: Vec<Self>,
    at: Option<(i64, u8)>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Room,
    Corridor { length: u32 },
    Portal(char, Box<Self>),
}

/// An enum with one variant for each encoding and shape.
#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
enum Body {
    #[message(code = 200, derive(PartialEq))]
    Say {
        from: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
        #[serde(flatten)]
        rest: BTreeMap<String, bool>,
    },
    #[message(code = 201, text, derive(PartialEq))]
    Motd(String),
    #[message(code = 202, raw, derive(PartialEq))]
    Blob(Bytes),
    #[message(code = 203, derive(PartialEq))]
    Typing,
    #[message(code = 204)]
    Place(Place),
    #[message(code = 205, max = 64, derive(PartialEq))]
    Scores(BTreeMap<i32, Vec<u8>>),
    #[message(code = 206, derive(PartialEq))]
    #[serde(deny_unknown_fields)]
    Strict { exact: bool },
}

/// The codes and their own limits. The body of a message without a body is not checked.
const BODIES: [(u16, Option<usize>); 7] = [
    (200, None),
    (201, None),
    (202, None),
    (203, Some(usize::MAX)),
    (204, None),
    (205, Some(64)),
    (206, None),
];

#[cfg(feature = "postcard")]
#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
enum Compact {
    #[message(code = 300, postcard, derive(PartialEq))]
    Sample { at: u64, values: Vec<i16>, tag: Option<String>, more: BTreeMap<u8, (bool, char)> },
    #[message(code = 301, postcard, derive(PartialEq))]
    Level(i64),
    #[message(code = 302, postcard)]
    Tree(Tree),
}

#[cfg(feature = "postcard")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    branches: Vec<(u8, Kind)>,
}

#[cfg(feature = "postcard")]
const COMPACT: [(u16, Option<usize>); 3] = [(300, None), (301, None), (302, None)];

/// Decodes a body and checks the result. The first byte selects the code, the second the limit, and
/// the rest is the body. It is decoded or refused with the right error. A decoded value is the same
/// after another round trip.
pub fn typed_body(data: &[u8]) {
    let Some((&[code, limit], body)) = data.split_first_chunk::<2>() else { return };
    let limit = if limit == 0 { usize::MAX } else { 8 * usize::from(limit) };
    let body = Bytes::copy_from_slice(body);
    let message = |first: u16| {
        Message::from_parts(first + u16::from(code % 8), RequestId::new(7), body.clone())
    };
    check::<Body>(&message(200), limit, &BODIES);
    #[cfg(feature = "postcard")]
    check::<Compact>(&message(300), limit, &COMPACT);
    check_one::<Say>(&message(200), limit, 200);
    check_one::<Motd>(&message(200), limit, 201);
    check_one::<Blob>(&message(200), limit, 202);
    check_one::<Strict>(&message(200), limit, 206);
}

/// Decodes the body as the enum.
fn check<T>(message: &Message, limit: usize, bodies: &[(u16, Option<usize>)])
where
    T: Typed + Clone + Debug + PartialEq,
{
    let own = bodies.iter().find(|(code, _)| *code == message.code());
    let limit_here = own.map(|(_, own)| own.unwrap_or(limit));
    let read = T::from_message(message.clone(), limit);
    check_refusal(message, limit_here, &read);
    let Ok(read) = read else { return };
    let again = read.to_message().expect("what was read can be written");
    assert_eq!(again.code(), message.code());
    let same = T::from_message(again.clone(), usize::MAX);
    // The limit of a type also applies to bodies that we encode.
    if matches!(same, Err(BodyError::TooLarge { .. })) {
        assert!(limit_here.is_some_and(|limit| again.body().len() > limit));
        return;
    }
    assert_eq!(same.expect("what was written can be read"), read);
    assert_eq!(read.to_message().expect("again").body(), again.body());
    if matches!(message.code(), 201 | 202) {
        assert_eq!(again.body(), message.body(), "text and bytes are encoded unchanged");
    }
}

/// Decodes the body as the struct of one variant.
fn check_one<T>(message: &Message, limit: usize, code: u16)
where
    T: Typed + Clone + Debug + PartialEq,
{
    let here = (message.code() == code).then_some(limit);
    let read = T::from_message(message.clone(), limit);
    check_refusal(message, here, &read);
    if let Ok(read) = read {
        let again = read.to_message().expect("what was read can be written");
        assert_eq!(T::from_message(again, usize::MAX).expect("and read again"), read);
    }
}

/// Checks that the error is the right one for this message: first its code, then its size, then its
/// content. No limit means that the type does not have the code.
fn check_refusal<T>(message: &Message, limit: Option<usize>, read: &Result<T, BodyError>) {
    let size = message.body().len();
    match (read, limit) {
        (Err(BodyError::WrongType { code, .. }), None) => assert_eq!(*code, message.code()),
        (Err(BodyError::TooLarge { size: told, limit: over }), Some(limit)) => {
            assert_eq!((*told, *over), (size, limit));
            assert!(size > limit);
        }
        (_, None) => panic!("a body of code {} was decoded", message.code()),
        (Ok(_) | Err(_), Some(limit)) => {
            assert!(size <= limit, "{size} bytes were parsed, {limit} are allowed");
            check_kind(message.code(), read);
        }
    }
}

/// Checks that a refusal comes from the encoding.
fn check_kind<T>(code: u16, read: &Result<T, BodyError>) {
    let fits = match read {
        Ok(_) => true,
        Err(BodyError::Json(_)) => matches!(code, 200 | 204..=206),
        Err(BodyError::Utf8(_)) => code == 201,
        #[cfg(feature = "postcard")]
        Err(BodyError::Postcard(_)) => matches!(code, 300..=302),
        Err(_) => false,
    };
    assert!(fits, "code {code}: {:?}", read.as_ref().err());
}

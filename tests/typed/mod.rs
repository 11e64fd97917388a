//! `#[veltix::message]` on enums with bodies: the bytes on the wire, and how they are decoded.

mod ask;
mod bodies;
mod classes;
mod from_errors;
mod generics;
#[cfg(feature = "postcard")]
mod postcard;
mod refused;
mod round_trip;
mod served;
mod unreadable;
mod values;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use veltix::Message;
use veltix::typed::{ToMessage, Typed, TypedMessage};

/// The members of a room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Roster {
    room: String,
    names: Vec<String>,
}

/// The messages of the tests.
#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
#[serde(rename_all_fields = "camelCase")]
enum Chat {
    /// A line of chat,
    /// to everybody.
    ///
    /// More about it.
    #[message(code = 200, derive(PartialEq))]
    Say {
        from: String,
        #[serde(rename = "text")]
        words: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u32>,
        #[serde(default, with = "hexadecimal")]
        color: u32,
        #[serde(flatten)]
        rest: BTreeMap<String, i32>,
    },
    #[message(code = 201, text, max = 4)]
    Motd(String),
    #[message(code = 202, raw)]
    Blob(Bytes),
    #[message(code = 203)]
    Typing,
    #[message(code = 204, reply = Roster, error = NoSuchRoom, name = "who-is-there")]
    Who { room: String },
    #[message(code = 205)]
    Roster(Roster),
    #[message(code = 206)]
    NoSuchRoom { room: String },
    #[message(code = 207, raw, max = 2 * 1024 * 1024)]
    Octets(Vec<u8>),
    #[message(code = 208)]
    Scores(Vec<(String, u8)>),
    #[message(code = 209, derive(PartialEq))]
    #[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
    Strict { exact: bool },
    #[message(code = 210, reply = Typing)]
    Nudge {},
    #[message(code = 211)]
    #[serde(tag = "kind")]
    Tagged { is: bool },
    #[message(code = 212, latest = "0")]
    Color(#[serde(with = "hexadecimal")] u32),
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(color: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{color:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// A limit that no test reaches.
const ROOM: usize = 1024;

fn say() -> Say {
    Say {
        from: "ann".to_owned(),
        words: "grüß dich".to_owned(),
        reply_to: None,
        color: 0xff,
        rest: BTreeMap::from([("mood".to_owned(), -1)]),
    }
}

fn roster() -> Roster {
    Roster { room: "lobby".to_owned(), names: vec!["ann".to_owned(), "bob".to_owned()] }
}

/// Asserts that a message and the enum that contains it encode to these bytes under this code, and
/// that both decode again.
#[track_caller]
fn check<T>(message: T, code: u16, body: &[u8])
where
    T: TypedMessage + Clone + Into<Chat>,
{
    let encoded = message.to_message().unwrap();
    assert_eq!(T::TYPE.code(), code);
    assert_eq!((encoded.code(), encoded.body().as_ref()), (code, body));
    let chat: Chat = message.into();
    assert_eq!(chat.to_message().unwrap(), encoded);
    assert_eq!(Chat::from_message(encoded.clone(), ROOM).unwrap(), chat);
    let again = T::from_message(encoded, ROOM).unwrap();
    assert_eq!(again.into(), chat);
    assert_eq!((chat.code(), chat.message_type().name()), (code, T::TYPE.name()));
}

fn received(code: u16, body: impl Into<Bytes>) -> Message {
    Message::from_parts(code, veltix::RequestId::new(7), body.into())
}

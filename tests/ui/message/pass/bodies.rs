//! Every kind of body, and the items that the attribute adds to an enum with bodies.

use veltix::typed::{Ask, NoError, NoReply, ToMessage, Told, Typed, TypedMessage};
use veltix::{Message, MessageType};

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Roster {
    names: Vec<String>,
}

#[veltix::message]
pub enum Chat {
    /// A line of chat.
    #[message(code = 200)]
    Say { from: String, text: String },
    #[message(code = 201, text)]
    Motd(String),
    #[message(code = 202, raw)]
    Blob(bytes::Bytes),
    #[message(code = 203, raw, max = 1 << 24)]
    Octets(Vec<u8>),
    #[message(code = 204)]
    Typing,
    #[message(code = 205, reply = Roster, error = Refused)]
    Who { room: String },
    #[message(code = 206)]
    Roster(Roster),
    #[message(code = 207, name = "no")]
    Refused { why: String },
    #[message(code = 208)]
    Scores(Vec<u32>),
}

const TYPES: &[MessageType] = Chat::TYPES;
const SAY: MessageType = Say::TYPE;

fn one<T: TypedMessage + std::fmt::Debug + Clone + Into<Chat>>(message: T) -> Message {
    let encoded = message.to_message().expect("it encodes");
    let whole: Chat = message.clone().into();
    assert_eq!(whole.to_message().expect("it encodes"), encoded);
    assert_eq!(whole.message_type(), T::TYPE);
    assert!(Chat::from_message(encoded.clone(), 1024).is_ok());
    encoded
}

fn asks<T: Ask<Reply = Roster, Error = Refused>>() {}
fn is_asked<T: TypedMessage<Reply = Roster, Error = Told<Refused>>>() {}
fn is_told<T: TypedMessage<Reply = NoReply, Error = NoError>>() {}

fn main() {
    asks::<Who>();
    is_asked::<Who>();
    is_told::<Say>();
    is_told::<Roster>();
    let say = Say { from: "ann".into(), text: "hi".into() };
    assert_eq!(one(say).body().as_ref(), br#"{"from":"ann","text":"hi"}"#);
    assert_eq!(one(Motd("hi".into())).body().as_ref(), b"hi");
    assert_eq!(one(Blob("hi".into())).body().as_ref(), b"hi");
    assert_eq!(one(Octets(vec![1])).body().as_ref(), [1]);
    assert_eq!(one(Typing).body().as_ref(), b"");
    assert_eq!(one(Roster { names: vec![] }).code(), 206);
    assert_eq!(one(Scores(vec![1, 2])).body().as_ref(), b"[1,2]");
    assert_eq!(one(Refused { why: String::new() }).code(), 207);
    assert_eq!(one(Who { room: String::new() }).code(), 205);
    assert_eq!((SAY.name(), SAY.description()), ("say", "A line of chat."));
    assert_eq!((TYPES.len(), TYPES[7].name()), (9, "no"));
    assert_eq!(Chat::registry().iter().count(), 9);
}

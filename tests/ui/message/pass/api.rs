//! The items that the attribute adds to an enum.

use std::collections::HashSet;

use veltix::typed::{ToMessage, UnknownCode};
use veltix::{Message, MessageType};

#[veltix::message]
pub enum App {
    /// A line of chat,
    /// to everybody.
    ///
    /// More about it.
    Chat = 200,
    FileTransfer = 0x_C9,
    HTTPGet = 65535,
}

const CHAT: MessageType = App::Chat.message_type();
const CODE: u16 = App::Chat.code();

fn send(message: &impl ToMessage) -> Message {
    message.to_message().expect("an empty body always encodes")
}

fn main() {
    assert_eq!(CODE, 200);
    assert_eq!(CHAT.name(), "chat");
    assert_eq!(CHAT.description(), "A line of chat, to everybody.");
    assert_eq!(App::FileTransfer.message_type().name(), "file_transfer");
    assert_eq!(App::FileTransfer.message_type().description(), "");
    assert_eq!(App::HTTPGet.message_type().name(), "http_get");
    assert_eq!(App::ALL, [App::Chat, App::FileTransfer, App::HTTPGet]);

    assert_eq!(u16::from(App::FileTransfer), 201);
    assert_eq!(MessageType::from(App::FileTransfer), MessageType::new(201, "", ""));
    assert_eq!(App::try_from(201), Ok(App::FileTransfer));
    assert_eq!(App::try_from(202), Err(UnknownCode::new(202, "App")));
    let text = App::try_from(202).map_err(|error| error.to_string());
    assert_eq!(text, Err("no message type of `App` has code 202".to_owned()));

    let mut registry = App::registry();
    for message in App::ALL {
        assert!(registry.register(message.message_type()).is_err(), "{message:?} is there");
    }
    assert!(registry.register(MessageType::new(202, "free", "")).is_ok());

    assert_eq!(send(&App::Chat), Message::empty(App::Chat));
    assert_eq!(Message::from_text(App::Chat, "hi").code(), 200);

    let copy = App::Chat;
    let seen: HashSet<App> = [App::Chat, copy].into();
    assert_eq!(format!("{seen:?}"), "{Chat}");
}

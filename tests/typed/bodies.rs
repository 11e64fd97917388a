//! Each body consists of exactly the bytes that a Python peer sends and reads.

use veltix::MessageType;
use veltix::typed::{DeliveryClass, ToMessage};

use super::*;

#[test]
fn named_fields_are_a_json_object() {
    let json = r#"{"from":"ann","text":"grüß dich","color":"ff","mood":-1}"#;
    check(say(), 200, json.as_bytes());
    let answer = Say { reply_to: Some(3), rest: BTreeMap::new(), ..say() };
    let json = r#"{"from":"ann","text":"grüß dich","replyTo":3,"color":"ff"}"#;
    check(answer, 200, json.as_bytes());
    check(Nudge {}, 210, b"{}");
}

#[test]
fn what_serde_is_told_of_a_struct_holds_for_the_enum_too() {
    check(Strict { exact: true }, 209, br#"{"EXACT":true}"#);
    check(Tagged { is: true }, 211, br#"{"kind":"Tagged","is":true}"#);
}

#[test]
fn text_and_bytes_are_as_they_are() {
    check(Motd("ü\0".to_owned()), 201, "ü\0".as_bytes());
    check(Motd(String::new()), 201, b"");
    check(Blob(Bytes::from_static(b"\xff\x00")), 202, b"\xff\x00");
    check(Octets(vec![0xff, 0]), 207, b"\xff\x00");
}

#[test]
fn no_fields_are_no_body() {
    check(Typing, 203, b"");
}

#[test]
fn one_field_is_its_value() {
    check(roster(), 205, br#"{"room":"lobby","names":["ann","bob"]}"#);
    check(Scores(vec![("ann".to_owned(), 3)]), 208, br#"[["ann",3]]"#);
    check(Color(0xff), 212, br#""ff""#);
    let (one, whole) = (Color(7).to_message().unwrap(), Chat::Color(7).to_message().unwrap());
    assert_eq!((one.delivery_class(), one.delivery_class()), (whole.delivery_class(), &latest(7)));
}

fn latest(key: u32) -> DeliveryClass {
    DeliveryClass::of_key(key)
}

#[test]
fn what_json_dumps_writes_is_read() {
    let python = r#"{"from": "ann", "text": "gr\u00fc\u00df dich", "color": "ff", "mood": -1}"#;
    assert_eq!(Say::from_message(received(200, python), ROOM).unwrap(), say());
    let chat = Chat::from_message(received(200, python), ROOM).unwrap();
    assert_eq!(chat, Chat::from(say()));
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_have_defaults() {
    let json = r#"{"room": "lobby", "since": 2, "nested": {"room": 1}}"#;
    let who = Who::from_message(received(204, json), ROOM).unwrap();
    assert_eq!(who.room, "lobby");
    let say = Say::from_message(received(200, r#"{"from": "", "text": ""}"#), ROOM).unwrap();
    assert_eq!((say.color, say.reply_to, say.rest.len()), (0, None, 0));
}

#[test]
fn a_body_that_nobody_asked_for_is_ignored() {
    let large = vec![0xff; 10];
    assert!(Typing::from_message(received(203, large.clone()), 4).is_ok());
    assert_eq!(Chat::from_message(received(203, large), 4).unwrap(), Chat::Typing);
}

#[test]
fn a_message_without_a_body_may_be_given_fields() {
    assert!(Nudge::from_message(received(210, ""), ROOM).is_ok());
    assert_eq!(Chat::from_message(received(210, ""), ROOM).unwrap(), Chat::Nudge {});
}

#[test]
fn raw_bytes_are_not_copied() {
    let body = Bytes::from(vec![7; 100]);
    let blob = Blob::from_message(received(202, body.clone()), ROOM).unwrap();
    assert_eq!(blob.0.as_ptr(), body.as_ptr());
    assert_eq!(Chat::Blob(blob.0).to_message().unwrap().body().as_ptr(), body.as_ptr());
}

#[test]
fn the_types_are_known_by_code_name_and_description() {
    let types: Vec<_> = Chat::TYPES.iter().map(|one| (one.code(), one.name())).collect();
    let names = [
        (200, "say"),
        (201, "motd"),
        (202, "blob"),
        (203, "typing"),
        (204, "who-is-there"),
        (205, "roster"),
        (206, "no_such_room"),
        (207, "octets"),
        (208, "scores"),
        (209, "strict"),
        (210, "nudge"),
        (211, "tagged"),
        (212, "color"),
    ];
    assert_eq!(types, names);
    assert_eq!(Say::TYPE.description(), "A line of chat, to everybody.");
    let registry = Chat::registry();
    assert_eq!(registry.iter().collect::<Vec<_>>(), Chat::TYPES);
    assert_eq!(registry.find(204).map(MessageType::name), Some("who-is-there"));
    const CODE: u16 = <Roster as TypedMessage>::TYPE.code();
    assert_eq!(Chat::Roster(roster()).code(), CODE);
}

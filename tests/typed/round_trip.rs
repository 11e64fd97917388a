//! A sent value equals the received value, for the struct and for the enum.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use veltix::typed::ToMessage;

use super::*;

/// Names that differ from those of the adjacent fields.
const REST: &str = "x[a-z]{1,5}";

fn chat() -> impl Strategy<Value = Chat> {
    let say = (any::<String>(), any::<String>(), option::of(any::<u32>()), any::<u32>())
        .prop_flat_map(|fields| (Just(fields), btree_map(REST, any::<i32>(), 0..3)))
        .prop_map(|((from, words, reply_to, color), rest)| Chat::Say {
            from,
            words,
            reply_to,
            color,
            rest,
        });
    let roster = (any::<String>(), vec(any::<String>(), 0..4))
        .prop_map(|(room, names)| Chat::Roster(Roster { room, names }));
    prop_oneof![
        say,
        "[a-zß-ÿ]{0,2}".prop_map(Chat::Motd),
        vec(any::<u8>(), 0..64).prop_map(|bytes| Chat::Blob(bytes.into())),
        Just(Chat::Typing),
        any::<String>().prop_map(|room| Chat::Who { room }),
        roster,
        any::<String>().prop_map(|room| Chat::NoSuchRoom { room }),
        vec(any::<u8>(), 0..64).prop_map(Chat::Octets),
        vec((any::<String>(), any::<u8>()), 0..4).prop_map(Chat::Scores),
        any::<bool>().prop_map(|exact| Chat::Strict { exact }),
        Just(Chat::Nudge {}),
        any::<bool>().prop_map(|is| Chat::Tagged { is }),
        any::<u32>().prop_map(Chat::Color),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(chat in chat()) {
        let message = chat.to_message().unwrap();
        prop_assert_eq!(message.code(), chat.code());
        prop_assert_eq!(Chat::from_message(message, usize::MAX).unwrap(), chat);
    }

    #[test]
    fn no_body_panics(code in 200_u16..214, body in vec(any::<u8>(), 0..64)) {
        let _ = Chat::from_message(received(code, body), ROOM);
    }

    #[test]
    fn no_text_panics(code in 200_u16..214, body in r#"[\{\}\[\]":,a-z0-9 ]{0,40}"#) {
        let _ = Chat::from_message(received(code, body), ROOM);
    }
}

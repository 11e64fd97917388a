//! An enum with bodies may stand inside a function, where items have no path.

use veltix::typed::{ToMessage, Typed};

fn main() {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Roster(u8);

    mod with {
        pub fn is_zero(value: &u8) -> bool {
            *value == 0
        }
    }

    #[veltix::message]
    enum Chat {
        #[message(code = 200)]
        Say {
            text: String,
            #[serde(default, skip_serializing_if = "with::is_zero")]
            count: u8,
        },
        #[message(code = 201)]
        Roster(Roster),
        #[message(code = 202, reply = Roster)]
        Typing,
    }

    let message = Chat::from(Say { text: "hi".into(), count: 0 }).to_message().unwrap();
    assert_eq!(message.body().as_ref(), br#"{"text":"hi"}"#);
    {
        #[veltix::message]
        enum Chat {
            #[message(code = 200)]
            Say { text: String },
        }

        let Chat::Say { text } = Chat::from_message(message, 99).unwrap();
        assert_eq!(text, "hi");
    }
    assert_eq!(Chat::from(Roster(1)).code(), Chat::Roster(Roster(2)).code());
    assert_eq!(Chat::from(Typing).code(), 202);
}

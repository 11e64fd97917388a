//! A variant under a `#[cfg]` exists or not, together with all items of it.

use veltix::typed::{Typed, TypedMessage};

#[veltix::message]
pub(crate) enum Chat {
    #[message(code = 200)]
    Always { text: String },
    #[cfg(all())]
    #[message(code = 201)]
    Here { text: String, #[cfg(any())] gone: Nowhere, #[cfg(all())] here: u8 },
    #[cfg(any())]
    #[message(code = 201, reply = Nowhere)]
    Gone { text: Nowhere },
    #[cfg(any())]
    #[message(code = 202)]
    Nowhere(Nowhere),
    #[cfg(any())]
    #[message(code = 203, text)]
    Text(Nowhere),
}

fn main() {
    assert_eq!(Chat::TYPES, [Always::TYPE, Here::TYPE]);
    assert_eq!(Chat::from(Here { text: String::new(), here: 1 }).code(), 201);
    let message = veltix::Message::from_text(Here::TYPE, r#"{"text": "", "here": 2}"#);
    assert!(matches!(Chat::from_message(message, 99), Ok(Chat::Here { here: 2, .. })));
    assert_eq!(Chat::from(Always { text: String::new() }).message_type(), Always::TYPE);
}

//! No name in scope, and no name of an enum or of a variant, changes the meaning of the generated
//! code.

#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]

mod core {}
mod std {}
mod serde {}
mod veltix {}
mod bytes {}
struct Message;
struct MessageType;
struct Infallible;
struct u16;
trait Clone {}
trait Debug {}
trait Send {}
trait From {}
trait Typed {}

mod option {
    #[::veltix::message]
    pub enum Option {
        #[message(code = 200)]
        Some { value: u8 },
        #[message(code = 201)]
        None,
    }
}

mod result {
    #[::veltix::message]
    pub enum Result {
        #[message(code = 200)]
        Ok,
        #[message(code = 201, reply = Ok, error = Error)]
        Err { r#type: u8 },
        #[message(code = 202)]
        Error,
        #[message(code = 203)]
        Self_,
    }
}

mod types {
    #[::veltix::message]
    pub enum Types {
        #[message(code = 200)]
        String { text: ::std::string::String, vec: ::std::vec::Vec<u8> },
        #[message(code = 201, raw)]
        Vec(::std::vec::Vec<u8>),
        #[message(code = 202, text)]
        Text(::std::string::String),
        #[message(code = 203, raw)]
        Bytes(::bytes::Bytes),
        #[message(code = 204)]
        Message(::std::vec::Vec<::std::option::Option<u8>>),
        #[message(code = 205)]
        Box,
        #[message(code = 206)]
        Default,
    }
}

#[::veltix::message]
enum Here {
    #[message(code = 200, latest = "text")]
    Say { from: ::std::string::String, text: ::std::string::String, message: bool },
    #[message(code = 201)]
    Numbers(Vec<u8>),
    #[message(code = 202)]
    #[serde(transparent)]
    Cloned { text: String },
}

fn main() {
    use ::veltix::typed::{ToMessage, Typed};

    let some = option::Option::from(option::Some { value: 1 }).to_message().unwrap();
    assert!(option::Some::from_message(some, 99).is_ok());
    let err = result::Result::from(result::Err { r#type: 1 }).to_message().unwrap();
    assert_eq!(err.body().as_ref(), br#"{"type":1}"#);
    let vec = types::Types::from(types::Vec(vec![1])).to_message().unwrap();
    assert!(types::Types::from_message(vec, 99).is_ok());
    let say = Here::Say { from: "a".into(), text: "b".into(), message: true };
    let json = br#"{"from":"a","text":"b","message":true}"#;
    assert_eq!(say.to_message().unwrap().body().as_ref(), json);
    let cloned = Here::Cloned { text: "b".into() }.to_message().unwrap();
    assert_eq!(cloned.body().as_ref(), br#""b""#);
}

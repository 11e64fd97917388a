//! No name in scope, and no name of a variant, changes the meaning of the generated code.

#![allow(non_camel_case_types, non_upper_case_globals, dead_code)]

mod core {}
mod std {}
mod veltix {}
struct Result;
struct u16;
struct MessageType;
trait TryFrom {}
trait From {}
const code: () = ();
const message: () = ();

#[::veltix::message]
enum App {
    Error = 200,
    Ok = 201,
    Err = 202,
    r#Type = 203,
    Self_ = 204,
    MessageType = 205,
}

fn main() {
    assert_eq!(App::r#Type.message_type().name(), "type");
    assert!(matches!(<App as ::core::convert::TryFrom<_>>::try_from(200), Ok(App::Error)));
}

// The errors of the compiler for a type that is not the required typed message.
use veltix::typed::{Ask, Typed, TypedMessage};

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
}

fn typed<T: Typed>() {}
fn one<T: TypedMessage>() {}
fn ask<T: Ask>(_: T) {}

fn main() {
    typed::<String>();
    one::<Chat>();
    ask("hello");
}

#[veltix::message]
enum Chat<'a> {
    #[message(code = 200)]
    Say { text: &'a str },
}

fn main() {
    let _ = Chat::Say { text: "hi" };
}

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
    Typing = 201,
    Motd(String) = 202,
    #[message(code = 203)]
    Quiet = 203,
}

fn main() {
    let _ = (Chat::Typing, Chat::from(Motd(String::new())));
}

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Pair(String, u8),
    #[message(code = 201)]
    None(),
    #[message(code = 202)]
    Conditional(#[cfg(all())] String),
    #[message(code = 203)]
    String { text: String },
}

fn main() {
    // The enum is there all the same.
    let _ = Chat::Pair(Default::default(), 1);
}

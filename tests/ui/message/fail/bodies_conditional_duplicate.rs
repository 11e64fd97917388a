// Which of two conditional variants remain is known to rustc alone, so it is rustc that refuses
// two with the same code.
#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
    #[cfg(all())]
    #[message(code = 200)]
    Motd(String),
    #[cfg_attr(all(), message(code = 201))]
    Typing,
}

fn main() {}

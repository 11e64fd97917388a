const CODE: u16 = 200;

#[veltix::message]
enum Chat {
    Missing { text: String },
    #[message]
    AlsoMissing(String),
    #[message(text)]
    StillMissing(String),
    #[message(code = 199)]
    Reserved { text: String },
    #[message(code = -1)]
    Negative,
    #[message(code = 65536)]
    High,
    #[message(code = 300)]
    First,
    #[message(code = 0x12C)]
    Second,
    #[message(code = CODE)]
    Const,
    #[message(code = "301")]
    Text,
    #[message(code)]
    NoValue,
    #[message = 302]
    Sign,
}

fn main() {
    let _ = (Chat::from(Missing { text: String::new() }), Chat::from(NoValue));
}

#[veltix::message]
enum Chat {
    #[message(code = 200, text)]
    Say { text: String },
    #[message(code = 201, raw)]
    Blob { bytes: Vec<u8> },
    #[message(code = 202, text, raw)]
    Both(String),
    #[message(code = 203, raw)]
    Nothing,
    #[message(code = 204, max = 10)]
    Limit,
}

fn main() {}

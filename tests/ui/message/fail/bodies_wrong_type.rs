#[veltix::message]
enum Chat {
    #[message(code = 200, text)]
    Number(u32),
    #[message(code = 201, raw)]
    Text(String),
    #[message(code = 202, max = "4 KiB")]
    Limit(String),
    #[message(code = 203, latest = "x")]
    Position { x: f64 },
}

fn main() {}

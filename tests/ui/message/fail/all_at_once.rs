#[veltix::message(code = 1)]
enum App {
    Chat,
    Ping = 1,
    File = 200,
    Copy = 200,
    High = 70000,
    #[message(code = 203)]
    Say {
        text: String,
    },
}

fn main() {}

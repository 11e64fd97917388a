#[veltix::message(code = 1)]
enum App {
    Chat,
    #[message(code = 1)]
    Ping,
    #[message(code = 200)]
    File,
    #[message(code = 200, txt)]
    Copy(String),
    #[message(code = 70000)]
    High,
    #[message(code = 203, nam = "s", reply = File, reply = Copy, error)]
    Say { text: String },
    Old = 204,
}

fn main() {
    // All of it is there all the same.
    let _ = App::from(Say { text: String::new() });
}

#[veltix::message]
enum App {
    Say { from: String, text: String },
    Motd(String) = 201,
    Typing = 202,
}

fn main() {
    let _ = App::Motd(String::new());
}

#[veltix::message]
enum App {
    Chat = 200,
    File = 0xC8,
    Typing = 201,
    Third = 200,
}

fn main() {}

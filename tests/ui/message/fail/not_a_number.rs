const CHAT: isize = 200;

#[veltix::message]
enum App {
    Chat = CHAT,
    File = 200 + 1,
    Letter = b'z' as isize,
}

fn main() {}

#[veltix::message]
enum App {
    Ping = 0,
    Almost = 199,
    Negative = -1,
    Chat = 200,
}

fn main() {}

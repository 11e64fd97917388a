#[veltix::message(crate = ::nowhere)]
enum App {
    Chat = 200,
}

fn main() {}

#[veltix::message]
enum App {
    Chat = 200,
    ALL = 201,
}

fn main() {}

#[veltix::message]
enum App {
    Chat = 65536,
    File = 0xFFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF,
}

fn main() {}

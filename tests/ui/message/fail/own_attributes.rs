#[veltix::message]
#[veltix::message]
enum Twice {
    Chat = 200,
}

#[veltix::message]
enum Variants {
    #[message(code = 200)]
    Chat,
}

fn main() {}

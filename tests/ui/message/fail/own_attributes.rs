#[veltix::message]
#[veltix::message]
enum Twice {
    Chat = 200,
}

#[veltix::message]
#[message(code = 200)]
enum OnTheEnum {
    #[message(code = 201)]
    Typing,
}

fn main() {}

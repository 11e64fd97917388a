#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Chat { text: String },
    #[message(code = 201)]
    TYPES,
}

fn main() {}

#[veltix::message]
enum Chat {
    #[message(code = 200, postcard)]
    Say { text: String },
    #[message(code = 201, postcard)]
    Level(u32),
}

fn main() {}

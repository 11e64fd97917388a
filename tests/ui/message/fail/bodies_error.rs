#[veltix::message]
enum Chat {
    #[message(code = 200, error = Refused)]
    Who { room: String },
    #[message(code = 201)]
    Refused { why: String },
    #[message(code = 202, reply = Refused, error = Refused)]
    Nudge,
}

fn main() {}

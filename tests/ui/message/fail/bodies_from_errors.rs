#[veltix::message]
enum Rooms {
    #[message(code = 200, reply = Roster, error = Fault)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
    #[message(code = 202, from_errors)]
    Fault { why: String },
    #[message(code = 203, from_errors = Fault)]
    Other,
}

fn main() {}

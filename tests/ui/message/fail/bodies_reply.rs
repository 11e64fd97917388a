struct Roster;

#[veltix::message]
enum Chat {
    #[message(code = 200, reply = Roster)]
    Who { room: String },
    #[message(code = 201, reply = Typing, error = String)]
    Nudge,
    #[message(code = 202)]
    Typing,
    #[message(code = 203, reply = Nowhere)]
    Lost,
}

fn main() {}

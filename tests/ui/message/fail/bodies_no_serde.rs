#[derive(Clone, Debug)]
struct Player;

#[derive(Clone, Debug)]
struct Roster;

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Joined { room: String, player: Player },
    #[message(code = 201)]
    Roster(Roster),
}

fn main() {}

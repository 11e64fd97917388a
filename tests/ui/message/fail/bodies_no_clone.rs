#[derive(serde::Serialize, serde::Deserialize)]
struct Player;

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Joined { room: String, player: Player },
}

fn main() {}

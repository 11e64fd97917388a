#[veltix::message]
enum Game {
    #[message(code = 200, latest = "playr")]
    Position { player: u32, x: u32 },
    #[message(code = 201, latest = "1")]
    Cursor(u32),
    #[message(code = 202, latest = "at")]
    Tick,
    #[message(code = 203, on_full = "drop_old")]
    Sound,
    #[message(code = 204, on_full = "explode")]
    Spark,
    #[message(code = 205, on_full = "disconnect", latest)]
    Both,
    #[message(code = 206, latest = player)]
    Unquoted { player: u32 },
}

fn main() {}

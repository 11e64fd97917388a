//! A game of many players in which only the newest positions count. Each player sends its position 64 times
//! per second, and the server sends it to the other players of the arena. A slow peer receives fewer
//! positions, but never old ones, and delays no other peer.
//!
//! ```sh
//! cargo run --release --example game
//! python examples/game_player.py ann     # in a second terminal; needs pip install veltix==3.3.0
//! ```
//!
//! The program is the server and the bots. Each second it prints the number of players, of received moves and
//! of sent updates, and the updates that slow peers did not receive. Ctrl-C ends it.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `VELTIX_ADDR` | address to listen on; port 0 selects a free one | `127.0.0.1:8080` |
//! | `VELTIX_PLAYERS` | number of bots | 64 |
//! | `VELTIX_SLOW` | number of bots that read too slowly | 1 |
//! | `VELTIX_SECONDS` | duration | until Ctrl-C |
//!
//! `arena` is the server and its messages, `bot` a player, `report` the printed lines.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod arena;
mod bot;
mod report;

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use veltix::{Hub, Server, ServerConfig, stop_signal};

use arena::Enter;
use bot::Bot;
use report::Report;

/// The arena of the bots.
const ARENA: &str = "main";

/// The time that a slow bot takes for each position.
const SLOW: Duration = Duration::from_millis(2);

/// Newer positions cannot replace those that the system has accepted, so the system receives few at a time.
const MAX_UNSENT: u32 = 8 * 1024;

struct Settings {
    addr: String,
    players: usize,
    slow: usize,
    seconds: Option<u64>,
}

impl Settings {
    fn from_env() -> Result<Self, String> {
        Ok(Self {
            addr: variable("VELTIX_ADDR")?.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            players: variable("VELTIX_PLAYERS")?.unwrap_or(64),
            slow: variable("VELTIX_SLOW")?.unwrap_or(1),
            seconds: variable("VELTIX_SECONDS")?,
        })
    }
}

fn variable<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    let parsed = value.to_str().and_then(|value| value.parse().ok());
    parsed.map(Some).ok_or_else(|| format!("{name} cannot be {}", value.display()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = play(settings).await {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn play(settings: Settings) -> veltix::Result<()> {
    let over = over(settings.seconds, stop_signal());
    let config = ServerConfig::default().addr(&settings.addr).max_unsent(MAX_UNSENT);
    let server = Server::bind(config, arena::router()).await?;
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    println!("listening on {addr}");
    let running = tokio::spawn(server.run());

    let bots = bots(&settings, &addr).await?;
    tokio::select! {
        failed = report(&hub) => failed?,
        () = over => {}
    }
    let report = hub.shutdown().await;
    // The server has ended, so the bots end.
    bots.join_all().await.into_iter().collect::<veltix::Result<()>>()?;
    running.await.expect("the server does not panic")?;
    println!("over, for {} players", report.connections);
    Ok(())
}

/// Lets the bots join one after the other, because a server limits pending handshakes per address.
async fn bots(settings: &Settings, addr: &str) -> veltix::Result<JoinSet<veltix::Result<()>>> {
    let mut bots = JoinSet::new();
    for number in 0..settings.players {
        let look = if number < settings.slow { SLOW } else { Duration::ZERO };
        let enter = Enter { name: format!("bot {number}"), arena: ARENA.to_owned() };
        let bot = Bot::join(addr, &enter, look).await?;
        bots.spawn(bot.play(number as f32));
    }
    Ok(bots)
}

/// Prints a report each second. It ends only with an error.
async fn report(hub: &Hub) -> veltix::Result<()> {
    let mut report = Report::default();
    let mut seconds = interval(Duration::from_secs(1));
    // The first tick completes at once.
    seconds.tick().await;
    loop {
        seconds.tick().await;
        println!("{}", report.next(hub)?);
    }
}

/// Waits for the end of the time, if there is one, or for the stop signal.
async fn over(seconds: Option<u64>, stop: impl Future<Output = ()>) {
    let Some(seconds) = seconds else { return stop.await };
    tokio::select! {
        () = sleep(Duration::from_secs(seconds)) => {}
        () = stop => {}
    }
}

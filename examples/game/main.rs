//! A game of many players, of whose positions only the newest count: each says 64 times a second
//! where it is, and the others of its arena are told. A peer that does not keep up gets fewer
//! positions, but never old ones, and delays nobody.
//!
//! ```sh
//! cargo run --release --example game
//! python examples/game_player.py ann     # in a second terminal; needs pip install veltix==3.3.0
//! ```
//!
//! It is the server and the bots at once, and each second it prints who is there, how many moves
//! came in and updates went out, and what slow peers were spared. Ctrl-C ends it.
//!
//! | variable | what it says | default |
//! |---|---|---|
//! | `VELTIX_ADDR` | where to listen; port 0 picks a free one | `127.0.0.1:8080` |
//! | `VELTIX_PLAYERS` | how many bots play | 64 |
//! | `VELTIX_SLOW` | how many of them are too slow for what they are told | 1 |
//! | `VELTIX_SECONDS` | for how long | until Ctrl-C |
//!
//! `arena` is the server and its messages, `bot` a player, `report` what is printed.

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

/// Where the bots are.
const ARENA: &str = "main";

/// How long a slow bot looks at each position.
const SLOW: Duration = Duration::from_millis(2);

/// Positions that the system has taken cannot be replaced by newer ones, so it gets few at a time.
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
    // They have nobody to play with any more, and end.
    bots.join_all().await.into_iter().collect::<veltix::Result<()>>()?;
    running.await.expect("the server does not panic")?;
    println!("over, for {} players", report.connections);
    Ok(())
}

/// Lets the bots join, one after the other: a server has few handshakes at a time with one address.
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

/// Says each second what happened. It ends only with an error.
async fn report(hub: &Hub) -> veltix::Result<()> {
    let mut report = Report::default();
    let mut seconds = interval(Duration::from_secs(1));
    // The first tick is now.
    seconds.tick().await;
    loop {
        seconds.tick().await;
        println!("{}", report.next(hub)?);
    }
}

/// Waits for the end of the time, if there is one, or until it is told to stop.
async fn over(seconds: Option<u64>, stop: impl Future<Output = ()>) {
    let Some(seconds) = seconds else { return stop.await };
    tokio::select! {
        () = sleep(Duration::from_secs(seconds)) => {}
        () = stop => {}
    }
}

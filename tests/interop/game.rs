//! The example `game` with its Python player, `examples/game_player.py`.

use tokio::process::Command;

use super::env;
use super::examples::example;
use super::process::Process;
use super::python::{Core, Kind};
use super::run::{run, run_alone};
use crate::support::repository;

const NEWEST: Kind = Kind { version: "3.3.0", core: Core::Async };

/// Starts the game with this many bots, for this many seconds. Returns its port.
async fn game(players: u32, seconds: u32) -> (Process, u16) {
    let mut command = example("game");
    command.env("VELTIX_ADDR", "127.0.0.1:0").env("VELTIX_SLOW", "0");
    command.env("VELTIX_PLAYERS", players.to_string());
    command.env("VELTIX_SECONDS", seconds.to_string());
    let mut game = Process::start("game", command);
    let port = game.find("listening on ADDR", |line| {
        line.strip_prefix("listening on 127.0.0.1:")?.parse().ok()
    });
    let port = port.await;
    (game, port)
}

fn player(kind: Kind, name: &str, port: u16, seconds: u32) -> Process {
    let script = repository().join("examples/game_player.py");
    let python = env::python(kind.version).expect("`run` has looked");
    let mut command = Command::new(python);
    command.arg("-B").arg(script).args([name, &port.to_string(), &seconds.to_string()]);
    Process::start(format!("game_player.py {name}"), command)
}

/// Waits for a line with this beginning.
async fn says(process: &mut Process, beginning: &str) {
    process.find(beginning, |line| line.starts_with(beginning).then_some(())).await;
}

#[test]
fn python_player() {
    run("game", "python_player", NEWEST, |kind| async move {
        let (mut game, port) = game(3, 60).await;
        let mut ann = player(kind, "ann", port, 60);
        says(&mut ann, "ann is in, with ").await;
        says(&mut ann, "sees 3: bot 0 at ").await;

        let mut bob = player(kind, "bob", port, 3);
        ann.line("bob joined").await;
        says(&mut ann, "sees 4: ").await;
        says(&mut bob, "sees 4: ann at ").await;
        says(&mut game, "5 players, ").await;
        assert!(bob.ended().await.success());
        ann.line("bob left").await;

        let mut nameless = player(kind, "", port, 60);
        says(&mut nameless, "stderr: the server refuses: ").await;
        assert!(!nameless.ended().await.success());

        game.interrupt().await;
        game.line("over, for 4 players").await;
        assert!(game.ended().await.success());
        ann.line("the game is over").await;
        assert!(ann.ended().await.success());
    });
}

#[test]
fn ends_by_itself() {
    run_alone("game", "ends_by_itself", async {
        let (mut game, _) = game(2, 2).await;
        says(&mut game, "2 players, ").await;
        game.line("over, for 2 players").await;
        assert!(game.ended().await.success());
    });
}

#[test]
fn says_what_is_wrong_with_a_variable() {
    run_alone("game", "says_what_is_wrong_with_a_variable", async {
        let mut command = example("game");
        command.env("VELTIX_PLAYERS", "many");
        let mut game = Process::start("game", command);
        game.line("stderr: error: VELTIX_PLAYERS cannot be many").await;
        assert_eq!(game.ended().await.code(), Some(2));
    });
}

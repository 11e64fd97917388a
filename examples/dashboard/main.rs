//! A live view of a server: peers, rates, dropped frames with their reasons, slow peers, failures.
//!
//! Run it with `cargo run --example dashboard`. It serves an echo and a chat on `VELTIX_ADDR`, by
//! default on a free port, produces its own load, and draws its board each second: as a table on a
//! terminal, as one line otherwise. It ends after `VELTIX_SECONDS`, by default 10, or with Ctrl-C.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod app;
mod board;
mod load;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use app::App;
use board::Board;
use tokio::time::{Instant, interval_at, sleep};
use veltix::{EventStream, Hub, Server};

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let addr = env::var("VELTIX_ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let seconds = env::var("VELTIX_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let stop = veltix::stop_signal();
    // The board counts panics, so their texts are not needed.
    std::panic::set_hook(Box::new(|_| {}));

    let server = Server::bind(app::config().addr(addr), app::router()).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    println!("listening on {addr}, for {seconds} s or until Ctrl-C");
    let showing = tokio::spawn(show(hub.clone(), hub.events()));
    let mut load = load::start(&addr, &hub);
    let running = tokio::spawn(server.run());

    tokio::select! {
        () = sleep(Duration::from_secs(seconds)) => {}
        () = stop => {}
    }
    load.shutdown().await;
    let report = hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    showing.await.expect("the board does not panic");
    println!("drained {} connections in {:?}", report.connections, report.took);
    Ok(())
}

/// Counts events and draws the board each second, until the server has ended.
async fn show(hub: Hub, mut events: EventStream) {
    let second = Duration::from_secs(1);
    let (mut board, mut drawn) = (Board::default(), 0);
    let mut pace = interval_at(Instant::now() + second, second);
    loop {
        tokio::select! {
            // A slow reader loses events and receives their number: `Event::Lagged`.
            event = events.next() => match event {
                Some(event) => board.note(&event),
                None => return,
            },
            _ = pace.tick() => {
                board.look(&hub, &App::registry(), second);
                drawn = draw(&board, drawn);
            }
        }
    }
}

/// Draws the board over the previous one of `over` lines, and returns its number of lines.
fn draw(board: &Board, over: usize) -> usize {
    let mut out = io::stdout().lock();
    let lines = board.table();
    let drawn = if out.is_terminal() {
        // Moves up to the first line of the previous board and clears to the end of the screen.
        let up = if over > 0 { format!("\x1b[{over}A\x1b[J") } else { String::new() };
        writeln!(out, "{up}{}", lines.join("\n"))
    } else {
        writeln!(out, "{board}")
    };
    // If the output is closed, the server continues.
    drawn.map_or(0, |()| lines.len())
}

//! Sends files in chunks, with a window of chunks in flight. A file arrives whole or not at all: the receiver
//! verifies its SHA-256. After a cut, or a restart of either program, the transfer continues at its offset.
//!
//! ```sh
//! cargo run --release -p file_transfer serve DIR [ADDR]
//! cargo run --release -p file_transfer send FILE [ADDR]
//! ```
//!
//! ADDR is `127.0.0.1:8080` by default; port 0 selects a free one for `serve`. The exit code is 0 if the file
//! has arrived, 1 if it could not be sent (a second call continues), 2 for wrong arguments, and 3 if the
//! receiver refuses the file.
//!
//! `protocol` defines the messages. `sender` is one side, `receiver`, `store` and `upload` are the other.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod checksum;
mod protocol;
mod receiver;
mod sender;
mod store;
mod upload;

use std::convert::Infallible;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use veltix::text::format_bytes;
use veltix::{Client, ClientConfig, ClientStatus, Reconnect, Router, Server, ServerConfig};

use sender::{Source, TransferError};
use store::Store;

const USAGE: &str = "usage: file_transfer serve DIR [ADDR]\n       file_transfer send FILE [ADDR]";

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["serve", directory] => serve(directory, "127.0.0.1:8080").await,
        ["serve", directory, addr] => serve(directory, addr).await,
        ["send", file] => send(file, "127.0.0.1:8080").await,
        ["send", file, addr] => send(file, addr).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    match error.downcast_ref() {
        Some(TransferError::Refused(_)) => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    }
}

async fn serve(directory: &str, addr: &str) -> Result<(), Box<dyn Error>> {
    let store = Store::open(directory)?;
    let config = ServerConfig::default().addr(addr);
    let server = Server::bind(config, receiver::router(store)).await?;
    println!("listening on {}, storing files in {directory}", server.local_addr());
    server.run_until(veltix::stop_signal()).await?;
    Ok(())
}

async fn send(file: &str, addr: &str) -> Result<(), Box<dyn Error>> {
    let source = Source::open(file).await.map_err(TransferError::Io)?;
    let (first, longest) = (Duration::from_millis(200), Duration::from_secs(5));
    let reconnect = Reconnect::backoff().windows(first, longest).attempts(10);
    let config = ClientConfig::default().addr(addr).reconnect(reconnect);
    let client = Client::connect(config, Router::new()).await?;

    let (started, bar) = (Instant::now(), bar(source.size()));
    tokio::select! {
        sent = sender::send(&client, &source, |bytes| bar.set_position(bytes)) => sent?,
        never = print_reconnects(&client, &bar) => match never {},
    }
    bar.finish_and_clear();
    println!("{file}: {} in {:.1?}", format_bytes(source.size()), started.elapsed());
    client.close().await;
    Ok(())
}

/// Returns the progress bar. It is drawn only on a terminal.
fn bar(size: u64) -> ProgressBar {
    let template = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is right");
    ProgressBar::new(size).with_style(style)
}

/// Prints reconnects. It never ends by itself: the sender detects a client that has given up.
async fn print_reconnects(client: &Client, bar: &ProgressBar) -> Infallible {
    let mut status = client.status();
    while status.changed().await.is_ok() {
        if let ClientStatus::Reconnecting { attempt } = *status.borrow_and_update() {
            bar.suspend(|| eprintln!("the connection was lost: attempt {attempt}"));
        }
    }
    std::future::pending().await
}

//! R42: a process that is terminated, terminated twice, or killed, or whose main function panics.

use std::env;
use std::io::{self, BufRead};
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::runtime::Builder;
use veltix::transport::{PeerAddr, Stream};
use veltix::{
    Client, ClientConfig, CloseReason, Message, Router, Server, ServerConfig, stop_signal,
};

use crate::interop::examples::{auth_server, chat_server, example};
use crate::interop::process::Process;
use crate::support::alone::measured;
use crate::support::{ECHO, OTHER, RawPeer, TempDir};

/// The time within which a second signal ends a process.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Connects a peer that never closes its side, so that a drain takes the two seconds of a close.
async fn lingerer(port: u16) -> RawPeer {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
    let addr = PeerAddr::Tcp(stream.peer_addr().expect("it is connected"));
    let (reader, writer) = stream.into_split();
    let mut raw = RawPeer::new(Stream::new(reader, writer, addr));
    raw.shake_hands().await.expect("the handshake works");
    raw
}

/// Starts a server that drains, and a peer that delays the drain.
async fn draining(signal: &str) -> (Process, RawPeer) {
    let (mut server, port) = chat_server(0).await;
    let mut raw = lingerer(port).await;
    raw.next().await.expect("the message of the day");
    server.signal(signal).await;
    assert!(raw.all().await.is_empty(), "the drain has begun and reached this peer");
    (server, raw)
}

fn code(status: ExitStatus) -> Option<i32> {
    // The process was not killed: it has exited by itself, with this code.
    status.code()
}

#[tokio::test]
async fn r42_the_first_signal_drains() {
    for signal in ["-TERM", "-INT"] {
        let (mut server, raw) = draining(signal).await;
        let begun = Instant::now();
        drop(raw);
        assert_eq!(code(server.ended().await), Some(0));
        // It does not wait longer than necessary, and not until the deadline of ten seconds.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn r42_the_second_signal_ends_at_once() {
    let cases = [("-TERM", "-TERM", 143), ("-TERM", "-INT", 130), ("-INT", "-INT", 130)];
    for (first, second, expected) in cases {
        let (mut server, _raw) = draining(first).await;
        let told = server.signal(second).await;
        assert_eq!(code(server.ended().await), Some(expected), "{first}, {second}");
        let took = told.elapsed();
        assert!(took <= AT_ONCE, "{took:?}");
        measured(42, format!("{first}, {second}: exit {expected} after {took:.1?}"));
    }
}

/// Every example that serves until it receives a signal.
#[tokio::test]
async fn r42_all_servers_among_the_examples_drain() {
    let dir = TempDir::new();
    let program = |name: &str, args: &[&str]| {
        let mut command = example(name);
        command.args(args).env("VELTIX_ADDR", "127.0.0.1:0").env("VELTIX_SECONDS", "600");
        // A slow player of the game has seconds of data to read before it sees the end of the
        // stream.
        command.env("VELTIX_PLAYERS", "4").env("VELTIX_SLOW", "0");
        Process::start(name, command)
    };
    let path = dir.path().to_str().expect("it is text");
    let mut servers = vec![
        auth_server().await,
        listening(program("dashboard", &[])).await,
        listening(program("game", &[])).await,
        listening(program("file_transfer", &["serve", path, "127.0.0.1:0"])).await,
    ];
    for (server, port) in &mut servers {
        // A server that serves listens for signals too; an example that has only printed its
        // address may not do so yet.
        drop(lingerer(*port).await);
        server.terminate().await;
    }
    for (mut server, _) in servers {
        assert_eq!(code(server.ended().await), Some(0));
    }
}

/// Waits until the process prints its address.
async fn listening(mut server: Process) -> (Process, u16) {
    let port = |line: &str| {
        let rest = line.strip_prefix("listening on 127.0.0.1:")?;
        rest.split(',').next()?.parse().ok()
    };
    let port = server.find("where it listens", port).await;
    (server, port)
}

/// The environment variables of a child: its task and its address.
const ROLE: &str = "VELTIX_SIGNALS_ROLE";
const PLACE: &str = "VELTIX_SIGNALS_PLACE";

/// The main function of a child; it does nothing in any other process.
#[test]
fn r42_child() {
    let (Ok(role), Ok(place)) = (env::var(ROLE), env::var(PLACE)) else { return };
    let router = Router::new()
        .route(ECHO, |message: Message| message)
        .route(OTHER, || thread::sleep(Duration::from_secs(60)));
    // One thread, so that a handler that blocks it blocks all tasks.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let server = Server::bind_unix(place, ServerConfig::default(), router).expect("its path");
        println!("\nlistening");
        if role == "serves" {
            server.run_until(stop_signal()).await.expect("it runs");
            return;
        }
        let running = tokio::spawn(server.run());
        let line = tokio::task::spawn_blocking(|| io::stdin().lock().lines().next());
        line.await.expect("no panic");
        drop(running);
        panic!("in the main function");
    });
}

/// Starts the process and waits until it listens.
async fn child(role: &str, place: &Path) -> Process {
    let mut command = Command::new(env::current_exe().expect("a test has a program"));
    command
        .args(["hostile::signals::r42_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PLACE, place);
    let mut child = Process::start(role, command);
    child.line("listening").await;
    child
}

async fn connect(place: &Path) -> Client {
    let client = Client::connect_unix(place, ClientConfig::default(), Router::new()).await;
    client.expect("it is listened to")
}

async fn check_echo(client: &Client) {
    let reply = client.request(&Message::from_text(ECHO, "hello")).await.expect("an answer");
    assert_eq!(reply.text().expect("text"), "hello");
}

#[tokio::test]
async fn r42_no_handler_that_blocks_is_in_its_way() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let mut server = child("serves", &path).await;
    let client = connect(&path).await;
    check_echo(&client).await;
    client.send(&Message::empty(OTHER)).await.expect("there is room");
    // The thread is blocked when the server no longer answers.
    while client.ping().timeout(Duration::from_millis(100)).await.is_ok() {}
    server.terminate().await;
    // A signal that arrives before the previous one was handled would be merged with it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let told = server.terminate().await;
    assert_eq!(code(server.ended().await), Some(143));
    let took = told.elapsed();
    assert!(took <= AT_ONCE, "{took:?}");
    measured(42, format!("with its only thread blocked: exit 143 after {took:.1?}"));
}

#[tokio::test]
async fn r42_what_a_killed_server_leaves_needs_no_repair() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    for _ in 0..3 {
        let mut server = child("serves", &path).await;
        let client = connect(&path).await;
        check_echo(&client).await;
        server.kill().await;
        assert!(path.exists(), "it could not close its connections");
        let end = client.peer().closed().await.reason;
        assert!(matches!(end, CloseReason::PeerClosed | CloseReason::Io(_)), "{end}");
    }
    let mut server = child("serves", &path).await;
    check_echo(&connect(&path).await).await;
    server.terminate().await;
    assert!(server.ended().await.success());
    let left = std::fs::read_dir(dir.path()).expect("it is there").count();
    assert_eq!(left, 0, "no socket and no lock file is left");
}

#[tokio::test]
async fn r42_a_panic_in_the_main_function_takes_the_server_with_it() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let mut server = child("panics", &path).await;
    let client = connect(&path).await;
    check_echo(&client).await;
    server.write("now").await;
    assert_eq!(code(server.ended().await), Some(101));
    let end = client.peer().closed().await.reason;
    assert!(matches!(end, CloseReason::PeerClosed | CloseReason::Io(_)), "{end}");
    assert!(!path.exists(), "its socket file was removed with it");
}

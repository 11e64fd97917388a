//! The examples as child processes, used through their standard streams.

use std::path::PathBuf;

use tokio::process::Command;

use super::process::Process;

/// Starts `chat_server` on a port, 0 for any free one. Returns the port on which it listens.
pub(crate) async fn chat_server(port: u16) -> (Process, u16) {
    let mut command = example("chat_server");
    command.env("VELTIX_ADDR", format!("127.0.0.1:{port}"));
    listening(Process::start("chat_server", command)).await
}

/// Starts a node of `cluster_chat` on a free port. Returns the port on which it listens.
#[cfg(feature = "cluster-nats")]
pub(crate) async fn cluster_chat(name: &str, nats: &str) -> (Process, u16) {
    let mut command = example("cluster_chat");
    command.envs([("VELTIX_ADDR", "127.0.0.1:0"), ("VELTIX_NODE", name), ("VELTIX_NATS", nats)]);
    listening(Process::start(format!("cluster_chat {name}"), command)).await
}

/// Starts the server of `auth`. Returns the port on which it listens.
pub(crate) async fn auth_server() -> (Process, u16) {
    let mut command = example("auth");
    command.arg("serve").env("VELTIX_ADDR", "127.0.0.1:0");
    listening(Process::start("auth", command)).await
}

/// Waits until a server prints its address.
async fn listening(mut server: Process) -> (Process, u16) {
    let port = server.find("listening on ADDR", |line| {
        line.strip_prefix("listening on 127.0.0.1:")?.parse().ok()
    });
    let port = port.await;
    (server, port)
}

/// Starts `chat_client` with a name.
pub(crate) fn chat_client(name: &str, port: u16) -> Process {
    let mut command = example("chat_client");
    command.args([name, &format!("127.0.0.1:{port}")]);
    Process::start(format!("chat_client {name}"), command)
}

/// An example of the root package or of this one: a plain `cargo test` builds both beside the tests.
pub(crate) fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("a test has a file");
    let dir = this.parent().and_then(|deps| deps.parent()).expect("it is in target/PROFILE/deps");
    let path: PathBuf = dir.join("examples").join(name);
    let how = match name {
        "tls" => "-p veltix-tests --features tls --example tls",
        "cluster_chat" => "-p veltix-tests --features cluster-nats --example cluster_chat",
        _ => "--examples",
    };
    assert!(path.exists(), "{} is missing: run `cargo build {how}`", path.display());
    Command::new(path)
}

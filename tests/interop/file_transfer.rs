//! The programs of the example `file_transfer`: their output and their exit codes.

use std::fs;
use std::path::Path;

use crate::support::TempDir;

use super::examples::example;
use super::process::Process;
use super::run::run_alone;

/// Starts a receiver that stores files in `inbox` of this directory. Returns it with its address.
async fn receiver(directory: &Path) -> (Process, String) {
    let mut command = example("file_transfer");
    command.current_dir(directory).args(["serve", "inbox", "127.0.0.1:0"]);
    let mut receiver = Process::start("file_transfer serve", command);
    let addr = receiver.find("listening on ADDR", |line| {
        let addr = line.strip_prefix("listening on ")?;
        addr.strip_suffix(", storing files in inbox").map(str::to_owned)
    });
    let addr = addr.await;
    (receiver, addr)
}

/// Sends a file of this directory. Checks the exit code of the sender and a line of its output.
async fn send(directory: &Path, args: &[&str], line: &str, code: i32) {
    let mut command = example("file_transfer");
    command.current_dir(directory).args(args);
    let mut sender = Process::start(format!("file_transfer {args:?}"), command);
    sender.find(line, |said| said.starts_with(line).then_some(())).await;
    assert_eq!(sender.ended().await.code(), Some(code));
}

#[test]
fn ends_with_what_became_of_the_file() {
    run_alone("file_transfer", "ends_with_what_became_of_the_file", async {
        let directory = TempDir::new();
        let path = directory.path();
        let (mut receiver, addr) = receiver(path).await;
        fs::write(path.join("a.bin"), vec![7; 1 << 20]).unwrap();
        fs::write(path.join("empty"), "").unwrap();
        fs::write(path.join(".hidden"), "x").unwrap();

        send(path, &["send", "a.bin", &addr], "a.bin: 1 MB in ", 0).await;
        send(path, &["send", "empty", &addr], "empty: 0 B in ", 0).await;
        assert_eq!(fs::read(path.join("inbox/a.bin")).unwrap(), vec![7; 1 << 20]);
        let refused = "stderr: error: the receiver refused the file: ";
        send(path, &["send", ".hidden", &addr], refused, 3).await;
        let unreadable = "stderr: error: the file cannot be read: ";
        send(path, &["send", "absent", &addr], unreadable, 1).await;
        send(path, &["send"], "stderr: usage: ", 2).await;

        receiver.interrupt().await;
        assert!(receiver.ended().await.success());
        let unreachable = format!("stderr: error: {addr} cannot be reached");
        send(path, &["send", "a.bin", &addr], &unreachable, 1).await;
    });
}

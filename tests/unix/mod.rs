//! The files of Unix sockets, and the system's information about connecting processes.

use std::error::Error as _;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use tokio::net::UnixSocket;
use veltix::transport::{PeerAddr, UnixSocketListener};
use veltix::{
    BindError, Client, ClientConfig, ConnectError, Hub, Message, Router, Server, ServerConfig, all,
};

use crate::support::{ECHO, TempDir};

fn bind(path: &Path) -> Result<Server, BindError> {
    Server::bind_unix(path, ServerConfig::default(), Router::new().route(ECHO, |m: Message| m))
}

fn serve(path: &Path) -> Hub {
    let server = bind(path).expect("it binds");
    let hub = server.hub();
    tokio::spawn(server.run());
    hub
}

async fn connect(path: &Path) -> Result<Client, ConnectError> {
    Client::connect_unix(path, ClientConfig::default(), Router::new()).await
}

async fn check_echo(path: &Path) {
    let client = connect(path).await.expect("the server listens");
    client.request(&Message::from_text(ECHO, "hello")).await.expect("an answer");
}

/// Leaves the file of a socket without a listener, as a server that was killed does. The socket
/// never had a listener, because a listener may outlive its drop here: a process that another test
/// is starting holds it until it executes its program.
fn leave_dead(path: &Path) {
    UnixSocket::new_stream().unwrap().bind(path).unwrap();
}

fn names(dir: &TempDir) -> Vec<PathBuf> {
    fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_living_server_is_not_touched() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let hub = serve(&path);
    let error = bind(&path).unwrap_err();
    let BindError::SocketInUse { path: told, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*told, path);
    let text = error.to_string();
    assert!(text.contains("stop it, or bind another path"), "{text}");
    assert!(error.source().is_some());
    check_echo(&path).await;
    assert!(hub.shutdown().await.complete);
    assert!(names(&dir).is_empty(), "a server removes its file when it ends");
}

#[tokio::test]
async fn a_server_whose_backlog_is_full_lives_too() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    // The server listens, and does not accept.
    let _server = bind(&path).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::net::UnixStream::connect(&path).await {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the backlog is bounded");
    }
    assert!(matches!(bind(&path), Err(BindError::SocketInUse { .. })));
}

#[tokio::test]
async fn the_file_of_a_dead_server_is_taken_over() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    leave_dead(&path);
    assert!(path.exists(), "a killed server leaves its file");
    serve(&path);
    check_echo(&path).await;
    assert_eq!(names(&dir), [path]);
}

#[tokio::test]
async fn another_file_is_not_touched() {
    let dir = TempDir::new();
    let (path, target) = (dir.path().join("file"), dir.path().join("target"));
    fs::write(&path, "precious").unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(&error, BindError::NotASocket { path: told } if *told == path), "{error:?}");
    assert!(error.to_string().contains("exists and is not a socket: remove it"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // It is not replaced even if it is a link to a socket: a listener would not listen at the link.
    leave_dead(&target);
    fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    assert!(matches!(bind(&path), Err(BindError::NotASocket { .. })));
    assert!(target.exists());
}

#[tokio::test]
async fn a_file_that_is_another_servers_by_now_stays() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let hub = serve(&path);
    // An administrator does this to start another server there at once.
    fs::remove_file(&path).unwrap();
    let next = serve(&path);
    hub.shutdown().await;
    check_echo(&path).await;
    next.shutdown().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_server_that_never_ran_takes_its_file_too() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    drop(bind(&path).unwrap());
    assert!(names(&dir).is_empty());
    let bad = ServerConfig::default().max_message_size(1);
    assert!(matches!(Server::bind_unix(&path, bad, Router::new()), Err(BindError::Config(_))));
    assert!(names(&dir).is_empty());
}

#[tokio::test]
async fn of_servers_that_start_together_one_wins() {
    const SERVERS: usize = 4;
    for stale in [true, false] {
        for _ in 0..100 {
            let dir = TempDir::new();
            let path = dir.path().join("socket");
            if stale {
                leave_dead(&path);
            }
            let barrier = Barrier::new(SERVERS);
            let runtime = tokio::runtime::Handle::current();
            let bound: Vec<_> = thread::scope(|scope| {
                let start = || {
                    let _runtime = runtime.enter();
                    barrier.wait();
                    UnixSocketListener::bind(&path)
                };
                let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let lost =
                |bound: &&Result<_, BindError>| matches!(bound, Err(BindError::SocketInUse { .. }));
            assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1, "{bound:?}");
            assert_eq!(bound.iter().filter(lost).count(), SERVERS - 1, "{bound:?}");
            tokio::net::UnixStream::connect(&path).await.expect("the winner is reached");
            drop(bound);
            assert!(names(&dir).is_empty(), "no file is left");
        }
    }
}

#[tokio::test]
async fn a_lock_is_minded_while_somebody_holds_it() {
    let dir = TempDir::new();
    let (path, lock) = (dir.path().join("socket"), dir.path().join(".socket.lock"));
    let file = fs::File::create_new(&lock).unwrap();
    file.lock().unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::SocketInUse { .. }), "{error:?}");
    assert_eq!(
        error.source().unwrap().to_string(),
        "another server is starting at this path: stop it or use another path"
    );
    // Its server was killed: the file still exists, and no process holds the lock. The lock is not
    // released by a drop, because a process that another test is starting also holds it.
    file.unlock().unwrap();
    serve(&path);
    check_echo(&path).await;
    assert_eq!(names(&dir), [path], "both the killed server's lock and ours are released");
}

#[tokio::test]
async fn only_our_user_may_connect_unless_the_mode_says_so() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let mode = || fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
    drop((UnixSocketListener::bind(&path).unwrap(), assert_eq!(mode(), 0o600)));
    drop((UnixSocketListener::bind_with_mode(&path, 0o666).unwrap(), assert_eq!(mode(), 0o666)));
}

#[tokio::test]
async fn a_path_that_is_no_address_is_told() {
    let dir = TempDir::new();
    let long = dir.path().join("x".repeat(120));
    for path in [long.as_path(), Path::new(""), Path::new("a\0b")] {
        let error = bind(path).unwrap_err();
        assert!(matches!(&error, BindError::SocketPath { path: told, .. } if *told == path));
        assert!(error.to_string().contains("choose a shorter path (at most 107 bytes"), "{error}");
        let error = connect(path).await.unwrap_err();
        let ConnectError::Unreachable { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::InvalidInput);
    }
    let error = bind(&long).unwrap_err();
    let length = long.as_os_str().len();
    let expected =
        format!("its {length} bytes exceed the limit of this system: use a shorter path");
    assert_eq!(error.source().unwrap().to_string(), expected);
}

#[tokio::test]
async fn what_the_system_refuses_is_told() {
    let dir = TempDir::new();
    let error = bind(&dir.path().join("missing/socket")).unwrap_err();
    let BindError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    let path = dir.path().join("socket");
    let missing = connect(&path).await.unwrap_err();
    leave_dead(&path);
    let dead = connect(&path).await.unwrap_err();
    for (error, kind) in
        [(missing, io::ErrorKind::NotFound), (dead, io::ErrorKind::ConnectionRefused)]
    {
        assert!(error.is_transient());
        let ConnectError::Unreachable { addr, source } = error else { panic!("{error:?}") };
        assert_eq!((addr.as_str(), source.kind()), (path.to_str().unwrap(), kind));
    }
    let outside = thread::spawn(move || UnixSocketListener::bind(path)).join().unwrap();
    assert!(matches!(outside, Err(BindError::NoRuntime)), "there is no runtime: {outside:?}");
}

#[tokio::test]
async fn each_side_knows_the_others_process() {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let hub = serve(&path);
    let client = connect(&path).await.unwrap();
    client.ping().await.unwrap();
    let uid = fs::metadata(dir.path()).unwrap().uid();
    let peers = [client.peer(), hub.list(all()).unwrap().pop().unwrap()];
    for (peer, expected) in peers.iter().zip([Some(path.as_path()), None]) {
        let PeerAddr::Unix(addr) = peer.addr() else { panic!("{peer}") };
        assert_eq!(addr.path(), expected);
        let credentials = addr.credentials().expect("the system reports them");
        assert_eq!(credentials.uid, uid);
        if cfg!(target_os = "linux") {
            assert_eq!(credentials.pid, i32::try_from(std::process::id()).ok());
        }
        assert_eq!((peer.addr().ip(), peer.addr().socket_addr()), (None, None));
    }
}

//! HAProxy in front of three servers, with the configuration of `docs/load-balancer.md`. The tests are skipped where
//! HAProxy is not installed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixStream};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use veltix::transport::{PeerAddr, Stream};
use veltix::{Event, EventStream, Hub, Peer, Router, Server, ServerConfig, all};

use crate::hostile::Log;
use crate::interop::process::{PATIENCE, Process};
use crate::support::skipped::skip;
use crate::support::{ECHO, RawPeer, TempDir, bind_again, repository, until};

/// The address of the clients, which is not that of HAProxy.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);

const NODES: usize = 3;

/// A pause between two questions to HAProxy, which announces nothing by itself.
const PAUSE: Duration = Duration::from_millis(5);

/// Returns the path of HAProxy, or records that this test is skipped.
fn haproxy(test: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // The directory of servers is in the path of the administrator alone.
    let directories = std::env::split_paths(&paths).chain(["/usr/sbin".into()]);
    let found = directories.map(|directory| directory.join("haproxy")).find(|path| path.exists());
    if found.is_none() {
        skip(test, "there is no haproxy (Debian: haproxy)");
    }
    found
}

/// A server behind HAProxy.
struct Node {
    hub: Hub,
    events: EventStream,
}

impl Node {
    fn config(addr: SocketAddr) -> ServerConfig {
        ServerConfig::default().addr(addr.to_string()).trust_proxy(["127.0.0.1"])
    }

    fn router() -> Router {
        Router::new().route(ECHO, |body: Bytes| body)
    }

    async fn start() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::run(Server::bind(Self::config(any), Self::router()).await.expect("a free port"))
    }

    /// Starts a server at the address of one that was stopped.
    async fn start_again(addr: SocketAddr) -> Self {
        Self::run(bind_again(Self::config(addr), Self::router).await)
    }

    fn run(server: Server) -> Self {
        let hub = server.hub();
        tokio::spawn(server.run());
        Self { events: hub.events(), hub }
    }

    fn addr(&self) -> SocketAddr {
        self.hub.local_addr().socket_addr().expect("it is TCP")
    }

    fn peers(&self) -> usize {
        self.hub.count(all()).expect("it is valid")
    }
}

/// HAProxy with three servers.
struct Scene {
    nodes: Vec<Node>,
    haproxy: Process,
    front: SocketAddr,
    commands: PathBuf,
    _dir: TempDir,
}

impl Scene {
    async fn start(haproxy: &Path) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Node::start().await);
        }
        let dir = TempDir::new();
        let commands = dir.path().join("admin.sock");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let front = listener.local_addr().expect("it is bound");
        // HAProxy takes the port from here.
        drop(listener);
        let mut config = documented();
        let mut replace = |from: &str, to: &str| {
            assert_eq!(config.matches(from).count(), 1, "the configuration has {from:?} once");
            config = config.replace(from, to);
        };
        replace("/run/haproxy/admin.sock", commands.to_str().expect("it is text"));
        replace("bind 0.0.0.0:8080", &format!("bind {front}"));
        // More checks in the time of a test.
        replace("inter 2s", "inter 50ms");
        for (number, node) in nodes.iter().enumerate() {
            replace(&format!("10.0.3.1{}:8080", number + 1), &node.addr().to_string());
        }
        let path = dir.path().join("haproxy.cfg");
        fs::write(&path, config).expect("it can be written");
        let mut command = Command::new(haproxy);
        // In the foreground, as one process.
        command.arg("-db").arg("-f").arg(path).current_dir(dir.path());
        let haproxy = Process::start("haproxy", command);
        let mut scene = Self { nodes, haproxy, front, commands, _dir: dir };
        let listens = async {
            while UnixStream::connect(&scene.commands).await.is_err() {
                sleep(PAUSE).await;
            }
        };
        if timeout(PATIENCE, listens).await.is_err() {
            scene.haproxy.fail("does not listen");
        }
        for number in 0..NODES {
            scene.wait_for(number, "UP").await;
        }
        // Nothing but the checks has reached the servers.
        assert!(scene.nodes.iter_mut().all(|node| node.peers() == 0));
        scene
    }

    /// Sends a command to HAProxy, and returns its answer.
    async fn command(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(&self.commands).await.expect("HAProxy listens");
        stream.write_all(format!("{command}\n").as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    /// Sets the state of a server, as an administrator does.
    async fn set_state(&self, number: usize, state: &str) {
        let command = format!("set server nodes/node{} state {state}", number + 1);
        assert_eq!(self.command(&command).await.trim(), "", "{command}");
    }

    /// Waits until HAProxy has this state for a server, after a check of it.
    async fn wait_for(&self, number: usize, state: &str) {
        let reached = async {
            loop {
                let all = self.command("show stat").await;
                let name = format!("nodes,node{},", number + 1);
                let line = all.lines().find(|line| line.starts_with(&name)).expect("it is listed");
                // A check has run if its result is known: L4OK, or L4CON of a refused connection.
                if line.split(',').nth(17) == Some(state) && line.contains(",L4") {
                    return;
                }
                sleep(PAUSE).await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "node{} is not {state}", number + 1);
    }

    /// Connects a client through HAProxy. Returns it with its own address.
    async fn client(&self) -> (RawPeer, SocketAddr) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((CLIENT, 0).into()).expect("it is this machine's");
        let stream = socket.connect(self.front).await.expect("HAProxy listens");
        let addr = stream.local_addr().expect("it is connected");
        let (reader, writer) = stream.into_split();
        let mut raw = RawPeer::new(Stream::new(reader, writer, PeerAddr::Tcp(self.front)));
        raw.shake_hands().await.expect("a server answers");
        raw.send(ECHO.code(), 7, "through").await.expect("it is read");
        assert_eq!(raw.next().await.expect("an answer").text().ok(), Some("through"));
        (raw, addr)
    }

    async fn clients(&self, count: usize) -> Vec<(RawPeer, SocketAddr)> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.client().await);
        }
        clients
    }

    fn peers(&self) -> [usize; NODES] {
        std::array::from_fn(|number| self.nodes[number].peers())
    }

    /// Checks that no handshake has failed since the last call.
    async fn nothing_failed(&mut self) {
        for node in &mut self.nodes {
            // All earlier events precede the one of this peer.
            while let Ok(Some(event)) = timeout(Duration::ZERO, node.events.next()).await {
                assert!(!matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
            }
        }
    }
}

/// Returns the configuration in the documentation.
fn documented() -> String {
    let page = fs::read_to_string(repository().join("docs/load-balancer.md")).expect("a page");
    let (_, rest) = page.split_once("```haproxy\n").expect("it has a configuration");
    rest.split_once("```").expect("the configuration ends").0.to_owned()
}

#[tokio::test]
async fn clients_are_spread_and_their_addresses_arrive() {
    const TEST: &str = "listeners::haproxy::clients_are_spread_and_their_addresses_arrive";
    let Some(haproxy) = haproxy(TEST) else { return };
    let mut scene = Scene::start(&haproxy).await;
    let clients = scene.clients(6).await;
    assert_eq!(scene.peers(), [2, 2, 2]);
    let peers = scene.nodes.iter().flat_map(|node| node.hub.list(all()).expect("it is valid"));
    let mut arrived: Vec<_> = peers.map(|peer: Peer| peer.addr().clone()).collect();
    for (_, addr) in &clients {
        let at = arrived.iter().position(|arrived| *arrived == PeerAddr::Tcp(*addr));
        arrived.swap_remove(at.unwrap_or_else(|| panic!("{addr} is not in {arrived:?}")));
    }
    assert_eq!(arrived, []);
    scene.nothing_failed().await;
}

#[tokio::test]
async fn health_checks_leave_no_trace() {
    const TEST: &str = "listeners::haproxy::health_checks_leave_no_trace";
    const CHECKS: usize = 30;
    let Some(haproxy) = haproxy(TEST) else { return };
    let (log, _guard) = Log::begin();
    let mut scene = Scene::start(&haproxy).await;
    let checked = async {
        // The line is at the level `trace`.
        while log.lines("closed before its first byte").len() < CHECKS {
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, checked).await.expect("HAProxy checks each server 20 times a second");
    assert_eq!(log.lines("handshake failed"), Vec::<String>::new());
    // The servers have said that they listen, and nothing since.
    let said = ["DEBUG", "INFO", "WARN", "ERROR"].map(|level| log.lines(level)).concat();
    let said: Vec<_> = said.iter().filter(|line| line.contains("veltix_tokio")).collect();
    assert!(said.iter().all(|line| line.contains("listening")), "{said:#?}");
    scene.nothing_failed().await;
}

#[tokio::test]
async fn a_rolling_restart_sends_clients_to_the_other_servers() {
    const TEST: &str = "listeners::haproxy::a_rolling_restart_sends_clients_to_the_other_servers";
    let Some(haproxy) = haproxy(TEST) else { return };
    let mut scene = Scene::start(&haproxy).await;
    let mut clients = scene.clients(3).await;
    assert_eq!(scene.peers(), [1, 1, 1]);
    // As in the documentation: it is taken away, stopped, started and brought back.
    scene.set_state(0, "drain").await;
    clients.extend(scene.clients(4).await);
    assert_eq!(scene.peers(), [1, 3, 3], "its client stays, and no other one comes");
    let node = &scene.nodes[0];
    let (addr, report) = (node.addr(), node.hub.shutdown().await);
    assert_eq!((report.connections, report.complete), (1, true));
    clients.extend(scene.clients(2).await);
    assert_eq!(scene.peers(), [0, 4, 4]);
    scene.nodes[0] = Node::start_again(addr).await;
    scene.set_state(0, "ready").await;
    scene.wait_for(0, "UP").await;
    clients.extend(scene.clients(3).await);
    assert_eq!(scene.peers(), [3, 4, 4], "it has the fewest connections");
    // The others are served all the time.
    let mut answered = 0;
    for (raw, _) in &mut clients {
        if raw.send(ECHO.code(), 7, "still there?").await.is_ok() && raw.next().await.is_ok() {
            answered += 1;
        }
    }
    assert_eq!(answered, clients.len() - 1);
    scene.nothing_failed().await;
}

/// Without step 1 of the documentation.
#[tokio::test]
async fn a_client_whose_server_is_gone_goes_to_another() {
    const TEST: &str = "listeners::haproxy::a_client_whose_server_is_gone_goes_to_another";
    let Some(haproxy) = haproxy(TEST) else { return };
    let mut scene = Scene::start(&haproxy).await;
    scene.nodes[1].hub.shutdown().await;
    let before = scene.clients(4).await;
    scene.wait_for(1, "DOWN").await;
    let after = scene.clients(4).await;
    assert_eq!(scene.peers(), [4, 0, 4]);
    drop((before, after));
    let left = |event| matches!(event, Event::Disconnected { .. }).then_some(());
    for number in [0, 2] {
        for _ in 0..4 {
            until(&mut scene.nodes[number].events, left).await;
        }
    }
    assert_eq!(scene.peers(), [0, 0, 0]);
}

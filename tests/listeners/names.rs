//! Servers and clients of a name with several addresses, which a hosts file of the test gives.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use veltix::{BindError, Client, ClientConfig, Message, Reconnect, Router, Server, ServerConfig};

use crate::support::alone::{Alone, alone};
use crate::support::{ECHO, TempDir};

/// Runs with a hosts file and a network of its own.
fn apart() -> Alone {
    Alone::within(Duration::from_secs(60))
        .under(["unshare", "--net", "--mount"])
        .needs("ip")
        .needs("mount")
}

fn run(program: &str, words: &str) {
    let done = Command::new(program).args(words.split(' ')).output().expect("it starts");
    assert!(done.status.success(), "{program} {words}: {done:?}");
}

/// Replaces the hosts file, and brings up the loopback interface.
fn network(hosts: &str) -> TempDir {
    let dir = TempDir::new();
    let path = dir.path().join("hosts");
    fs::write(&path, hosts).unwrap();
    run("mount", &format!("--bind {} /etc/hosts", path.display()));
    run("ip", "link set lo up");
    dir
}

/// Starts a server. Returns its port, and the number of its addresses.
async fn serve(addr: &str) -> (u16, usize) {
    let router = Router::new().route(ECHO, |message: Message| message);
    let server = Server::bind(ServerConfig::default().addr(addr), router).await.unwrap();
    let addrs = server.local_addrs();
    let ports: Vec<_> = addrs.iter().map(|addr| addr.socket_addr().unwrap().port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{addrs:?}");
    tokio::spawn(server.run());
    (ports[0], addrs.len())
}

/// Asks the server at an address.
async fn ask(addr: String) {
    let config = ClientConfig::default().addr(addr);
    let client = Client::connect(config, Router::new()).await.unwrap();
    client.request(&Message::from_text(ECHO, "there?")).await.unwrap();
}

#[test]
fn a_server_listens_on_all_addresses_of_its_name() {
    alone!(apart(), async {
        let _dir = network("127.0.0.1 both\n::1 both\n127.0.0.1 both\n");
        let (port, addrs) = serve("both:0").await;
        assert_eq!(addrs, 2);
        for host in ["127.0.0.1", "[::1]", "both"] {
            ask(format!("{host}:{port}")).await;
        }
        for host in ["127.0.0.1", "[::1]", "both"] {
            let addr = format!("{host}:{port}");
            let second = Server::bind(ServerConfig::default().addr(&addr), Router::new()).await;
            let Err(BindError::AddressInUse { addr: told, .. }) = second else {
                panic!("{second:?}");
            };
            assert_eq!(told, addr);
        }
    });
}

#[test]
fn a_family_that_the_system_lacks_is_left_out() {
    alone!(apart(), async {
        let _dir = network("::1 both six\n127.0.0.1 both\n");
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        let (port, addrs) = serve("both:0").await;
        assert_eq!(addrs, 1);
        ask(format!("127.0.0.1:{port}")).await;
        ask(format!("both:{port}")).await;
        let none = Server::bind(ServerConfig::default().addr("six:0"), Router::new()).await;
        assert!(matches!(none, Err(BindError::Io { .. })), "{none:?}");
    });
}

#[test]
fn an_address_that_drops_packets_costs_a_quarter_of_a_second() {
    alone!(apart().needs("nft"), async {
        let _dir = network("127.0.0.2 both\n127.0.0.3 both\n");
        let (port, _) = serve("127.0.0.3:0").await;
        run("nft", "add table inet cut");
        run("nft", "add chain inet cut some { type filter hook input priority 0 ; }");
        run("nft", "add rule inet cut some ip daddr 127.0.0.2 drop");
        let begun = Instant::now();
        ask(format!("both:{port}")).await;
        let took = begun.elapsed();
        let expected = Duration::from_millis(250)..Duration::from_secs(2);
        assert!(expected.contains(&took), "{took:?}");
    });
}

#[test]
fn the_attempt_after_a_silent_server_begins_at_another_address() {
    alone!(apart(), async {
        let _dir = network("127.0.0.2 both\n127.0.0.3 both\n");
        let (port, _) = serve("127.0.0.3:0").await;
        // The system accepts connections for it, and no program reads them.
        let _silent = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        let reconnect = Reconnect::fixed(Duration::from_millis(10)).initial(true);
        let config = ClientConfig::default()
            .addr(format!("both:{port}"))
            .handshake_timeout(Duration::from_millis(500))
            .reconnect(reconnect);
        let connecting = Client::connect(config, Router::new());
        let client = timeout(Duration::from_secs(10), connecting).await.expect("it is served");
        client.unwrap().request(&Message::from_text(ECHO, "there?")).await.unwrap();
    });
}

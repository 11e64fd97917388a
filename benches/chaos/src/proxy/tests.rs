//! The proxy between two plain sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a connection through a proxy: the client's end and the server's end.
async fn through(fate: fn(&mut fastrand::Rng) -> Fate) -> (FaultProxy, TcpStream, TcpStream) {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let addr = server.local_addr().expect("it is bound");
    let proxy = FaultProxy::start(addr, 1, fate).await.expect("a port is free");
    let client = TcpStream::connect(proxy.addr()).await.expect("it listens");
    let (accepted, _) = server.accept().await.expect("the proxy connects");
    (proxy, client, accepted)
}

/// Sends bytes in one direction. Returns the received bytes and the time that they took.
async fn passed(
    fate: fn(&mut fastrand::Rng) -> Fate,
    bytes: &[u8],
) -> (io::Result<usize>, Vec<u8>, Duration) {
    let (_proxy, mut client, mut server) = through(fate).await;
    let start = Instant::now();
    let mut came = Vec::new();
    let send = async {
        client.write_all(bytes).await?;
        client.shutdown().await
    };
    let (_, read) = tokio::join!(send, timeout(PATIENCE, server.read_to_end(&mut came)));
    (read.expect("it ends"), came, start.elapsed())
}

const fn up(shape: Shape) -> Fate {
    Fate { up: shape, ..Fate::UNHARMED }
}

#[tokio::test]
async fn slow_links_change_no_byte() {
    let bytes: Vec<_> = (0..50_000_u32).map(|n| n as u8).collect();
    let (read, came, _) = passed(|_| Fate::UNHARMED, &bytes).await;
    assert_eq!((read.is_ok(), &came), (true, &bytes));
    let slice = |_: &mut fastrand::Rng| up(Shape { slice: 7, ..Shape::UNHARMED });
    let (read, came, _) = passed(slice, &bytes).await;
    assert_eq!((read.is_ok(), &came), (true, &bytes));
    let delay = Duration::from_millis(40);
    let delayed =
        |_: &mut fastrand::Rng| up(Shape { delay: Duration::from_millis(40), ..Shape::UNHARMED });
    let (read, came, took) = passed(delayed, &bytes).await;
    assert_eq!((read.is_ok(), &came), (true, &bytes));
    assert!(took >= delay, "{took:?}");
    let throttled =
        |_: &mut fastrand::Rng| up(Shape { rate: Some(200_000), slice: 1_000, ..Shape::UNHARMED });
    let (read, came, took) = passed(throttled, &bytes).await;
    assert_eq!((read.is_ok(), &came), (true, &bytes));
    assert!(took >= Duration::from_millis(240), "50 kB at 200 kB/s in {took:?}");
}

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_reset_is_seen_as_one_by_both() {
    let fate = |_: &mut fastrand::Rng| Fate { end: End::Reset { after: SOON }, ..Fate::UNHARMED };
    let (_proxy, mut client, mut server) = through(fate).await;
    for end in [&mut client, &mut server] {
        let read = timeout(PATIENCE, end.read_u8()).await.expect("the end arrives");
        assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn a_cut_looks_like_an_end() {
    let fate = |_: &mut fastrand::Rng| Fate { end: End::Cut { after: SOON }, ..Fate::UNHARMED };
    let (_proxy, mut client, mut server) = through(fate).await;
    for end in [&mut client, &mut server] {
        let read = timeout(PATIENCE, end.read(&mut [0])).await.expect("the end arrives");
        assert_eq!(read.expect("no reset"), 0);
    }
}

#[tokio::test]
async fn what_is_swallowed_does_not_come_out() {
    let held = Duration::from_secs(1);
    let fate = |_: &mut fastrand::Rng| {
        let held = Duration::from_secs(1);
        Fate { end: End::Swallowed { after: Duration::ZERO, held }, ..Fate::UNHARMED }
    };
    let start = Instant::now();
    let (_proxy, mut client, mut server) = through(fate).await;
    sleep(SOON).await;
    client.write_all(b"lost").await.expect("it does not know that the link is broken");
    let read = timeout(PATIENCE, server.read_u8()).await.expect("in the end the reset arrives");
    assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    assert!(start.elapsed() >= held);
}

#[tokio::test]
async fn calm_breaks_off_what_is_harmed_and_harms_nobody_else() {
    let fate = |_: &mut fastrand::Rng| {
        let end = End::Reset { after: Duration::from_secs(3_600) };
        Fate { end, ..Fate::UNHARMED }
    };
    let (proxy, mut client, _server) = through(fate).await;
    proxy.calm();
    let read = timeout(PATIENCE, client.read_u8()).await.expect("the end arrives");
    assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn the_same_seed_is_the_same_fate() {
    let fates = |seed| (0..50).map(|number| draw(seed, number, Fate::draw)).collect::<Vec<_>>();
    assert_eq!(fates(7), fates(7));
    assert_ne!(fates(7), fates(8));
    let kinds = |is: fn(&Fate) -> bool| fates(7).iter().filter(|fate| is(fate)).count();
    assert!(kinds(|fate| matches!(fate.end, End::Never)) > 0);
    assert!(kinds(|fate| matches!(fate.end, End::Reset { .. })) > 0);
    assert!(kinds(|fate| matches!(fate.end, End::Cut { .. })) > 0);
    assert!(kinds(|fate| matches!(fate.end, End::Swallowed { .. })) > 0);
    assert!(kinds(|fate| fate.up.slice < 64 && fate.up.rate.is_none()) > 0);
    assert!(kinds(|fate| fate.down.rate.is_some()) > 0);
}

//! Whether the board of the example `dashboard` says what has happened.

use std::time::Duration;

use veltix::testing::TestServer;
use veltix::typed::TypedMessage;
use veltix::{Event, EventStream, Message, MessageType};

#[path = "../../examples/dashboard/app.rs"]
mod app;
#[path = "../../examples/dashboard/board.rs"]
mod board;

use app::{App, Echo, Fail, HowAreYou, Panic, Say, Subscribe};
use board::{Board, Flow};

const SECOND: Duration = Duration::from_secs(1);

/// Lets the board see everything that has happened.
async fn catch_up(board: &mut Board, events: &mut EventStream, server: &TestServer) {
    server.settle().await;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        board.note(&event);
    }
    board.look(server.hub(), &App::registry(), SECOND);
}

#[tokio::test]
async fn rates_and_totals_survive_the_peers() {
    let server = TestServer::start(app::router()).await;
    let (mut board, mut events) = (Board::default(), server.hub().events());
    let ann = server.client("ann").await;
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.peers, board.total), (1, Flow::default()));

    for _ in 0..3 {
        ann.request(&Echo("hello".into())).await;
    }
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.total, board.rate), (flow(3, 3), flow(3, 3)));

    // Messages between the last reading and the end count too, and only once.
    let bob = server.client("bob").await;
    bob.request(&Echo("hello".into())).await;
    ann.request(&Echo("hello".into())).await;
    ann.client().close().await;
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.peers, board.total, board.rate), (1, flow(5, 5), flow(2, 2)));
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.total, board.rate), (flow(5, 5), flow(0, 0)));
}

fn flow(received: u64, written: u64) -> Flow {
    Flow { received, written }
}

#[tokio::test]
async fn failures_are_counted_by_kind() {
    let server = TestServer::start(app::router()).await;
    server.allow_failures();
    let (mut board, mut events) = (Board::default(), server.hub().events());
    let ann = server.client("ann").await;
    ann.send(&Message::new(Echo::TYPE, vec![0xff])).await;
    ann.send(&Fail).await;
    ann.send(&Message::empty(MessageType::new(499, "secret", ""))).await;
    server.settle().await;
    let call = server.peer(&ann).request(&HowAreYou).timeout(SECOND);
    assert!(call.await.is_err());
    ann.send(&Panic).await;
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.rejected, board.failed, board.unknown_codes), (1, 1, 1));
    assert_eq!((board.timed_out, board.panicked), (1, 1));
    assert_eq!((board.connected, board.disconnected, board.slow_consumers), (1, 1, 0));
}

#[tokio::test]
async fn who_reads_too_slowly_is_seen_and_costs_only_old_pictures() {
    let server = TestServer::start_with(app::config(), app::router()).await;
    let (mut board, mut events) = (Board::default(), server.hub().events());
    let viewer = server.client("viewer").await;
    viewer.send(&Subscribe).await;
    server.settle().await;
    viewer.link().freeze();
    for _ in 0..40 {
        app::film(server.hub(), 1).await.unwrap();
    }
    catch_up(&mut board, &mut events, &server).await;
    let [(name, dropped, superseded)] = board.dropped.as_slice() else { panic!("{board:?}") };
    assert_eq!(name, "picture(204)");
    assert!(*superseded > 30 && dropped == superseded, "{board:?}");
    assert_eq!(board.peers, 1);

    for _ in 0..40 {
        server.hub().broadcast(&Say { text: "x".repeat(100_000) }).unwrap();
    }
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!(board.slow_consumers, 1, "{board:?}");
    assert!(board.dropped.iter().any(|(name, ..)| name == "say(202)"), "{board:?}");
}

#[tokio::test]
async fn a_board_that_was_too_slow_says_so_and_counts_nobody_twice() {
    let server = TestServer::start(app::router()).await;
    let (mut board, mut events) = (Board::default(), server.hub().events());
    let ann = server.client("ann").await;
    ann.request(&Echo("hello".into())).await;
    catch_up(&mut board, &mut events, &server).await;
    board.note(&Event::Lagged(7));
    catch_up(&mut board, &mut events, &server).await;
    ann.request(&Echo("hello".into())).await;
    catch_up(&mut board, &mut events, &server).await;
    assert_eq!((board.missed, board.total), (7, flow(2, 2)));
    assert!(board.to_string().ends_with("missed 7"), "{board}");
    assert!(board.table().iter().any(|line| line.starts_with("missed")), "{board}");
}

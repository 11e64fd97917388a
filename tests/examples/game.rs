//! The arena of the example `game`, over links that a test can freeze.

#[path = "../../examples/game/arena.rs"]
mod arena;

use std::time::Duration;

use veltix::testing::{TestClient, TestServer};
use veltix::typed::Typed;
use veltix::{Message, RequestError};

use arena::{Enter, Joined, Left, Move, Player, Position, Welcome};

/// Enters, and sees who is there.
async fn enter(server: &TestServer, name: &str, arena: &str) -> (TestClient, Welcome) {
    let client = server.client(name).await;
    let welcome = client.request(&as_player(name, arena)).await;
    (client, welcome)
}

fn as_player(name: &str, arena: &str) -> Enter {
    Enter { name: name.to_owned(), arena: arena.to_owned() }
}

fn read_position(message: Message) -> Position {
    Position::from_message(message, 1024).expect("it is a position")
}

#[tokio::test]
async fn the_others_of_an_arena_hear_who_comes_goes_and_moves() {
    let server = TestServer::start(arena::router()).await;
    let (mut ann, first) = enter(&server, "ann", "main").await;
    assert_eq!(first.players, []);
    let (mut eve, _) = enter(&server, "eve", "other").await;
    let (mut bob, second) = enter(&server, "bob", "main").await;
    assert_eq!(second.players, [Player { player: first.player, name: "ann".to_owned() }]);
    let Joined(joined) = ann.expect_typed().await;
    assert_eq!(joined, Player { player: second.player, name: "bob".to_owned() });

    ann.send(&Move { x: 1.5, y: 2.5 }).await;
    let expected = Position { player: first.player, x: 1.5, y: 2.5 };
    assert_eq!(bob.expect_typed::<Position>().await, expected);

    bob.client().close().await;
    assert_eq!(ann.expect_typed::<Left>().await.player, second.player);
    ann.expect_nothing().await;
    eve.expect_nothing().await;
}

#[tokio::test]
async fn nobody_leaves_the_field() {
    let server = TestServer::start(arena::router()).await;
    let (ann, _) = enter(&server, "ann", "main").await;
    let (mut bob, _) = enter(&server, "bob", "main").await;
    ann.send(&Move { x: -7.0, y: f32::MAX }).await;
    let position: Position = bob.expect_typed().await;
    assert_eq!((position.x, position.y), (0.0, arena::SIDE));
}

#[tokio::test]
async fn a_player_has_a_name_and_one_arena() {
    let server = TestServer::start(arena::router()).await;
    server.allow_failures();
    let (ann, _) = enter(&server, "ann", "main").await;
    let refused = async |enter: Enter| {
        let client = server.client("somebody").await;
        matches!(client.client().request(&enter).await, Err(RequestError::Remote(_)))
    };
    for name in ["", "\u{1b}[2J", &"x".repeat(33)] {
        assert!(refused(as_player(name, "main")).await, "{name:?}");
        assert!(refused(as_player("bob", name)).await, "{name:?}");
    }
    let again = ann.client().request(&as_player("ann", "other")).await;
    assert!(matches!(again, Err(RequestError::Remote(_))), "{again:?}");
    assert_eq!(server.hub().count(veltix::tag("arena")).unwrap(), 1);
}

/// Promise and point of the example: who does not read costs the others nothing, is spared what is
/// old, and has the newest in the end.
#[tokio::test]
async fn who_falls_behind_gets_the_newest_positions() {
    const MOVES: u16 = 5_000;
    let server = TestServer::start(arena::router()).await;
    let (ann, Welcome { player, .. }) = enter(&server, "ann", "main").await;
    let (mut bob, _) = enter(&server, "bob", "main").await;
    let (mut cid, _) = enter(&server, "cid", "main").await;
    // Of cid.
    bob.expect_typed::<Joined>().await;
    let at = |n: u16| Position { player, x: f32::from(n) / 10.0, y: 0.0 };

    bob.link().freeze();
    for n in 0..MOVES {
        ann.send(&Move { x: at(n).x, y: 0.0 }).await;
        assert_eq!(cid.expect_typed::<Position>().await, at(n));
    }
    let queued = server.peer(&bob).stats().sent.queued;
    assert!(queued <= 2, "{queued} wait, though each is newer than the one before");

    bob.link().heal();
    server.advance(Duration::from_secs(1)).await;
    let seen: Vec<_> = bob.waiting().into_iter().map(read_position).collect();
    assert_eq!(seen.last(), Some(&at(MOVES - 1)));
    assert!(seen.is_sorted_by(|one, next| one.x < next.x), "an old one came after a newer");
    let sent = server.peer(&bob).stats().sent;
    assert_eq!(seen.len() as u64 + sent.dropped_superseded, u64::from(MOVES));
    assert!(sent.dropped_superseded > u64::from(MOVES / 2), "{sent:?}");
}

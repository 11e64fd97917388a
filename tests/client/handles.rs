//! `ClientHandle`: a client in its own handlers; and closes by this side.

use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};
use veltix::client::NotConnected;
use veltix::{
    Client, ClientHandle, ClientStatus, CloseReason, Message, Peer, Reconnect, RequestError,
    Router, State,
};

use super::{accept, break_and_accept, config, connected, gave_up, lost, seconds};
use crate::support::{ECHO, OTHER, PATIENCE, PIPE, PYTHON, RawServer, World, quiet};

#[tokio::test(start_paused = true)]
async fn a_close_by_a_handler_ends_the_client_without_another_attempt() {
    let mut server = RawServer::new(PIPE);
    let router = Router::new().route(ECHO, async |peer: Peer| {
        peer.close().await;
    });
    let (client, mut raw) = server.client(config(Reconnect::fixed(seconds(1))), router).await;
    let mut events = client.events();
    raw.send(ECHO.code(), 0, "").await.unwrap();
    assert_eq!(gave_up(&mut events).await, 0);
    assert_eq!(lost(&client).await, CloseReason::Closed.to_string());
    assert!(matches!(client.connected().await, Err(NotConnected::Lost { .. })));
    tokio::select! {
        _ = server.accept() => panic!("it came back"),
        () = sleep(seconds(3600)) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_and_then_a_retry_is_a_reconnect() {
    for within in [true, false] {
        let mut server = RawServer::new(PIPE);
        let router = Router::new().route(ECHO, |client: ClientHandle| {
            drop(client.peer().close());
            client.retry(1);
        });
        let (client, mut raw) = server.client(config(Reconnect::fixed(seconds(1))), router).await;
        // A number that was set before is no wish to undo a later close.
        client.retry(5);
        quiet().await;
        let peer = client.peer();
        if within {
            raw.send(ECHO.code(), 0, "").await.unwrap();
        } else {
            drop(client.peer().close());
            client.retry(1);
        }
        assert!(raw.rest().await.is_empty());
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.unwrap();
        connected(&client).await;
        assert_ne!(client.peer(), peer);
        // It was asked for that close alone.
        drop(client.peer().close());
        assert_eq!(lost(&client).await, CloseReason::Closed.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_take_the_client_from_the_first_connection_on() {
    let world = World::new(Router::new());
    let (told, mut tells) = unbounded_channel();
    let on_connect = move |client: ClientHandle, peer: Peer| {
        told.send((client.peer() == peer, client.status().borrow().clone())).expect("it listens");
    };
    let router = Router::new().on_connect(on_connect).route(ECHO, async |client: ClientHandle| {
        client.close().await;
    });
    let client = world.client(router).await;
    assert_eq!(tells.recv().await, Some((true, ClientStatus::Reconnecting { attempt: 0 })));
    world.newest().send(&Message::empty(ECHO)).await.unwrap();
    let mut status = client.status();
    let closed = status.wait_for(|status| *status == ClientStatus::Closed);
    timeout(PATIENCE, closed).await.expect("a handler closes it").expect("it is there");
    assert_eq!(client.connected().await, Err(NotConnected::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_handle_in_the_clients_own_state_keeps_nothing_open() {
    /// The state of the router holds the client's handle once it is connected.
    #[derive(Clone, Default)]
    struct App(std::sync::Arc<std::sync::OnceLock<ClientHandle>>);
    let world = World::new(Router::new());
    let remember = |State(App(slot)): State<App>, client: ClientHandle| drop(slot.set(client));
    let app = App::default();
    let client = world.client(Router::new().on_connect(remember).with_state(app.clone())).await;
    let handle = app.0.get().expect("it was set");
    assert!(handle.is_connected());
    let at_server = world.newest();
    drop(client);
    let end = timeout(PATIENCE, at_server.closed()).await.expect("the client has closed");
    assert_eq!(end.reason, CloseReason::PeerClosed);
    quiet().await;
    assert_eq!(handle.connected().await, Err(NotConnected::Closed));
    assert_eq!(handle.close().await.reason, CloseReason::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_server_has_no_client() {
    let world = World::new(
        Router::new()
            .route(ECHO, |_: ClientHandle, veltix::Text(text): veltix::Text| text)
            .route(OTHER, |client: Option<ClientHandle>| format!("{}", client.is_none())),
    );
    let client = world.client(Router::new()).await;
    let answer = client.request(&Message::empty(OTHER)).await.expect("an answer");
    assert_eq!(answer.text().unwrap(), "true");
    client.send(&Message::empty(ECHO)).await.unwrap();
    client.ping().await.unwrap();
    assert_eq!(world.newest().stats().received.rejected, 1);
}

/// Each kind of handler of a client, in which no connection can be awaited.
#[tokio::test(start_paused = true)]
async fn waiting_for_the_connection_within_a_handler_fails_at_once() {
    let mut server = RawServer::new(PIPE);
    let (told, mut tells) = unbounded_channel();
    let report = move |place: &'static str, ends: bool| {
        let told = told.clone();
        move |client: ClientHandle| {
            let told = told.clone();
            async move {
                if ends {
                    // The end of the connection lets the handler finish.
                    until_closed(&client.peer()).await;
                }
                told.send((place, client.connected().await.err())).expect("it listens");
            }
        }
    };
    let router = Router::new()
        .on_connect(report("connect", false))
        .on_disconnect(report("disconnect", false))
        .route(ECHO, report("open", false))
        .route(OTHER, report("ending", true));
    let (client, mut raw) = server.client(config(Reconnect::fixed(seconds(3))), router).await;
    let within = Some(NotConnected::WithinHandler);
    assert_eq!(tells.recv().await, Some(("connect", within.clone())));
    raw.send(ECHO.code(), 0, "").await.unwrap();
    assert_eq!(tells.recv().await, Some(("open", None)));
    raw.send(OTHER.code(), 0, "").await.unwrap();
    let start = Instant::now();
    let _raw = break_and_accept(&mut server, raw).await;
    assert!(start.elapsed() < seconds(4), "no handler holds the client up");
    connected(&client).await;
    assert_eq!(tells.recv().await, Some(("ending", within.clone())));
    assert_eq!(tells.recv().await, Some(("disconnect", within)));
}

/// Waits for the beginning of the end.
async fn until_closed(peer: &Peer) {
    while !peer.is_closed() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_handler_may_wait_for_the_connection() {
    let mut server = RawServer::new(PIPE);
    let (told, mut tells) = unbounded_channel();
    let on_disconnect = move |client: ClientHandle| {
        let told = told.clone();
        tokio::spawn(async move { told.send(client.connected().await.is_ok()) });
    };
    let router = Router::new().on_disconnect(on_disconnect);
    let (client, raw): (Client, _) =
        server.client(config(Reconnect::fixed(seconds(3))), router).await;
    let _raw = break_and_accept(&mut server, raw).await;
    connected(&client).await;
    assert_eq!(tells.recv().await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn both_sides_that_call_in_on_connect_learn_that_they_wait_for_each_other() {
    let (told, mut tells) = unbounded_channel();
    let asks = move |side: &'static str| {
        let told = told.clone();
        move |peer: Peer| {
            let told = told.clone();
            async move {
                let error = peer.request(&Message::empty(ECHO)).await.expect_err("no answer");
                told.send((side, error)).expect("it listens");
                // A refusal would end the other side's call as well.
                sleep(seconds(1)).await;
            }
        }
    };
    let echo = Router::new().route(ECHO, |message: Message| message);
    let world = World::new(echo.on_connect(asks("server")));
    let echo = Router::new().route(ECHO, |message: Message| message);
    let start = Instant::now();
    let client = world.client(echo.on_connect(asks("client"))).await;
    assert_eq!(start.elapsed(), seconds(6));
    for _ in 0..2 {
        let (side, error) = tells.recv().await.expect("both report");
        assert!(matches!(error, RequestError::BothConnecting), "{side}: {error:?}");
        assert!(error.to_string().contains("`on_connect`"));
    }
    // A side that gives up first refuses the other, which learns the reason, too.
    let impatient = async |peer: Peer| {
        let call = peer.request(&Message::empty(ECHO)).timeout(seconds(1));
        let error = call.await.expect_err("no answer");
        assert!(matches!(error, RequestError::BothConnecting), "{error:?}");
        Err::<(), _>(error)
    };
    let echo = Router::new().route(ECHO, |message: Message| message);
    let world = World::new(echo.on_connect(impatient));
    let (told, mut tells) = unbounded_channel();
    let asks = move |peer: Peer| {
        let told = told.clone();
        async move {
            let error = peer.request(&Message::empty(ECHO)).await.expect_err("no answer");
            told.send(error).expect("it listens");
        }
    };
    let config = veltix::ClientConfig::default();
    let router = Router::new().route(ECHO, |message: Message| message).on_connect(asks);
    let connect = Client::connect_with(world.connector.clone(), config, router);
    drop(connect.await);
    let error = tells.recv().await.expect("it reports");
    assert!(matches!(error, RequestError::BothConnecting), "{error:?}");
    // One side alone may call, also while the other's messages wait.
    let world = World::new(Router::new().on_connect(async |peer: Peer| {
        peer.send(&Message::empty(OTHER)).await.expect("it is open");
        let answer = peer.request(&Message::empty(ECHO)).timeout(seconds(2)).await;
        assert!(matches!(answer, Err(RequestError::Timeout { .. })), "{answer:?}");
    }));
    let silent = world.client(Router::new().fallback(|| {})).await;
    silent.send(&Message::empty(OTHER)).await.unwrap();
    sleep(seconds(3)).await;
    assert!(silent.is_connected() && client.is_connected());
}

//! Tower layers around all routes and around a single route.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{MapRequestLayer, MapResultLayer};
use tower::{Layer, Service, layer::layer_fn, service_fn};
use veltix::handler::Handler;
use veltix::layer::{Inbound, MessageService};
use veltix::typed::TypedMessage;
use veltix::{BoxError, CloseReason, Event, Message, Msg, Reply, RequestId, Router, Text};

use super::typed::{Divide, Fault, Quotient};
use super::{THIRD, ask, failure, rejection, seconds};
use crate::promises::paused;
use crate::support::{Door, ECHO, OTHER, World, quiet, until};

/// Returns a layer that appends a letter to each message on its way to the handler.
fn append(
    letter: &'static str,
) -> impl Layer<MessageService, Service: veltix::layer::InboundService> + Clone + Send + Sync {
    MapRequestLayer::new(move |mut inbound: Inbound| {
        let message = inbound.message().clone();
        let text = format!("{}{letter}", message.text().expect("text"));
        *inbound.message_mut() =
            Message::from_parts(message.code(), message.id(), text.into_bytes().into());
        inbound
    })
}

fn echo(Text(text): Text) -> String {
    text
}

#[test]
fn tower_s_timeout_ends_a_handler() {
    paused(async {
        let door = Door::new();
        let router = Router::new().route(OTHER, door.handler()).route(ECHO, echo);
        let world = World::new(router.layer(TimeoutLayer::new(seconds(2))));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        let start = Instant::now();
        raw.send(OTHER.code(), 5, "").await.unwrap();
        assert_eq!(ask(&mut raw, ECHO.code(), "next").await.text().unwrap(), "next");
        assert_eq!(start.elapsed(), seconds(2));
        assert_eq!(failure(&mut events).await, "request timed out");
    });
}

#[test]
fn a_limit_of_all_routes_is_waited_for_in_order() {
    paused(async {
        let door = Door::new();
        let router = Router::new()
            .route(OTHER, door.handler())
            .route(ECHO, echo)
            .layer(GlobalConcurrencyLimitLayer::new(1))
            .route(THIRD, echo);
        let world = World::new(router);
        let (mut one, mut two) = (world.raw().await, world.raw().await);
        one.send(OTHER.code(), 1, "").await.unwrap();
        quiet().await;
        for (code, id) in [(ECHO.code(), 1), (THIRD.code(), 2), (ECHO.code(), 3)] {
            two.send(code, id, "text").await.unwrap();
        }
        quiet().await;
        assert_eq!(world.newest().stats().received.waiting, 3, "in order, with or without layers");
        door.open(1);
        for id in 1..=3 {
            assert_eq!(two.next().await.unwrap().id().value(), id);
        }
    });
}

#[test]
fn a_layer_around_one_route_leaves_the_others_alone() {
    paused(async {
        let door = Door::new();
        let limited = door.handler().layer(ConcurrencyLimitLayer::new(1));
        let world = World::new(Router::new().route(OTHER, limited).route(ECHO, echo));
        let (mut one, mut two) = (world.raw().await, world.raw().await);
        one.send(OTHER.code(), 1, "").await.unwrap();
        assert_eq!(ask(&mut two, ECHO.code(), "free").await.text().unwrap(), "free");
        two.send(OTHER.code(), 1, "").await.unwrap();
        quiet().await;
        let waiting = world.newest().stats().received.waiting;
        assert_eq!(waiting, 1);
        door.open(2);
        quiet().await;
        assert_eq!(world.newest().stats().received.waiting, 0);
    });
}

/// A cancelled call returns its permit. Otherwise the layer would be full forever.
#[test]
fn a_limit_is_free_again_when_the_peer_is_closed() {
    paused(async {
        let door = Door::new();
        let router = Router::new().route(OTHER, door.handler()).route(ECHO, echo);
        let world = World::new(router.layer(GlobalConcurrencyLimitLayer::new(1)));
        let (mut one, peer) = world.join().await;
        one.send(OTHER.code(), 1, "").await.unwrap();
        let mut two = world.raw().await;
        two.send(OTHER.code(), 1, "").await.unwrap();
        quiet().await;
        world.newest().close().await;
        peer.close().await;
        assert_eq!(ask(&mut world.raw().await, ECHO.code(), "free").await.text().unwrap(), "free");
    });
}

#[test]
fn load_that_is_shed_is_told_and_the_connection_goes_on() {
    paused(async {
        let door = Door::new();
        let router = Router::new()
            .route(OTHER, door.handler())
            .layer(GlobalConcurrencyLimitLayer::new(1))
            .layer(LoadShedLayer::new());
        let world = World::new(router.route(ECHO, echo));
        let mut events = world.hub.events();
        let (mut one, mut two) = (world.raw().await, world.raw().await);
        one.send(OTHER.code(), 1, "").await.unwrap();
        quiet().await;
        two.send(OTHER.code(), 1, "").await.unwrap();
        assert_eq!(failure(&mut events).await, "service overloaded");
        assert_eq!(ask(&mut two, ECHO.code(), "next").await.text().unwrap(), "next");
        assert_eq!(world.newest().stats().received.handled, 2);
    });
}

#[test]
fn the_layer_that_is_added_last_sees_a_message_first() {
    paused(async {
        let router = Router::new()
            .route(OTHER, echo.layer(append("2")).layer(append("1")))
            .fallback(echo)
            .layer(append("b"))
            .layer(append("a"))
            .route(ECHO, echo);
        let world = World::new(router);
        let mut raw = world.raw().await;
        assert_eq!(ask(&mut raw, OTHER.code(), "-").await.text().unwrap(), "-ab12");
        assert_eq!(ask(&mut raw, 300, "-").await.text().unwrap(), "-ab", "the fallback too");
        assert_eq!(ask(&mut raw, ECHO.code(), "-").await.text().unwrap(), "-", "added after them");
    });
}

#[test]
fn each_part_of_a_merged_router_keeps_its_layers() {
    paused(async {
        let one = Router::new().route(ECHO, echo).layer(append("one"));
        let two = Router::new().route(OTHER, echo).fallback(echo).layer(append("two"));
        let world = World::new(one.merge(two).layer(append("both ")));
        let mut raw = world.raw().await;
        assert_eq!(ask(&mut raw, ECHO.code(), "").await.text().unwrap(), "both one");
        assert_eq!(ask(&mut raw, OTHER.code(), "").await.text().unwrap(), "both two");
        assert_eq!(ask(&mut raw, 300, "").await.text().unwrap(), "both two");
    });
}

/// Returns a layer made of a function from the inner service and a message to the reply.
fn around<F>(
    handle: F,
) -> impl Layer<MessageService, Service: veltix::layer::InboundService> + Clone + Send + Sync
where
    F: Fn(MessageService, Inbound) -> BoxFuture<'static, Result<Option<Reply>, BoxError>>
        + Clone
        + Send
        + Sync
        + 'static,
{
    layer_fn(move |inner: MessageService| {
        let handle = handle.clone();
        service_fn(move |inbound| handle(inner.clone(), inbound))
    })
}

#[test]
fn a_layer_may_refuse_or_answer_itself() {
    paused(async {
        let guard = around(|mut inner, inbound| {
            Box::pin(async move {
                match inbound.message().text()? {
                    "refuse" => Err(format!("{} may not", inbound.peer().id()).into()),
                    "cached" => Ok(Some(Reply::same("from the cache"))),
                    "silent" => Ok(None),
                    _ => inner.call(inbound).await,
                }
            })
        });
        let handled = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handled);
        let handler = move |Text(text): Text| {
            counter.fetch_add(1, Ordering::Relaxed);
            text
        };
        let world = World::new(Router::new().route(OTHER, handler).layer(guard));
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        raw.send(OTHER.code(), 1, "refuse").await.unwrap();
        assert_eq!(failure(&mut events).await, "1 may not");
        raw.send(OTHER.code(), 1, "silent").await.unwrap();
        let cached = ask(&mut raw, OTHER.code(), "cached").await;
        assert_eq!((cached.code(), cached.text().unwrap()), (OTHER.code(), "from the cache"));
        assert_eq!(ask(&mut raw, OTHER.code(), "on").await.text().unwrap(), "on");
        assert_eq!(handled.load(Ordering::Relaxed), 1);
        let received = peer.stats().received;
        assert_eq!((received.handled, received.waiting), (4, 0));
    });
}

#[test]
fn a_layer_may_replace_the_message_and_the_answer_finds_its_call_all_the_same() {
    paused(async {
        let replace = MapRequestLayer::new(|mut inbound: Inbound| {
            *inbound.message_mut() = Message::from_text(ECHO, "another");
            inbound
        });
        let handler = |id: RequestId, message: Message| {
            format!("{id} {} {}", message.code(), message.text().expect("text"))
        };
        let world = World::new(Router::new().route(OTHER, handler).layer(replace));
        let answer = ask(&mut world.raw().await, OTHER.code(), "one").await;
        assert_eq!(answer.text().unwrap(), "0 200 another");
        assert_eq!((answer.code(), answer.id().value()), (OTHER.code(), 7));
    });
}

/// Adds three layers that do nothing, one of them with another error type.
fn through(router: Router) -> Router {
    router
        .layer(append(""))
        .layer(TimeoutLayer::new(seconds(60)))
        .layer(MapResultLayer::new(|result: Result<Option<Reply>, BoxError>| result))
}

#[test]
fn how_a_handler_ended_is_intact_outside_of_the_layers() {
    paused(async {
        let divide = |Msg(Divide(a, b)): Msg<Divide>| match a.checked_div(b) {
            Some(quotient) => Ok(Quotient(quotient)),
            None => Err(Fault::ByZero),
        };
        let router = Router::new().on(divide).route(OTHER, |Text(_): Text| Err::<(), _>("failed"));
        let world = World::new(through(router));
        let mut events = world.hub.events();
        let client = world.client(Router::new()).await;
        let peer = world.newest();
        assert_eq!(client.request(&Divide(42, 2)).await.unwrap(), Quotient(21));
        let error = client.request(&Divide(42, 0)).await.expect_err("the error is sent");
        assert!(matches!(error, veltix::RequestError::Remote(Fault::ByZero)), "{error:?}");
        let answer = client.request(&Message::from_text(Divide::TYPE, "{")).await.unwrap();
        assert_eq!(answer.code(), Fault::TYPE.code(), "a rejection is reported as well");
        rejection(&mut events).await;
        client.send(&Message::empty(OTHER)).await.unwrap();
        assert_eq!(failure(&mut events).await, "failed");
        let received = peer.stats().received;
        assert_eq!((received.rejected, received.handled, received.waiting), (1, 3, 0));
    });
}

async fn check_panic(router: Router) {
    let world = World::new(router);
    let mut events = world.hub.events();
    let (mut raw, peer) = world.join().await;
    raw.send(OTHER.code(), 1, "").await.unwrap();
    let panicked = |event| match event {
        Event::HandlerPanicked { message, .. } => Some(message),
        _ => None,
    };
    assert_eq!(until(&mut events, panicked).await, "planned, and caught");
    let outcome = peer.closed().await;
    assert_eq!(outcome.reason, CloseReason::HandlerPanicked);
    assert_eq!((outcome.received.handled, outcome.received.waiting), (1, 0));
    assert_eq!(world.hub.handler_panics(), 1);
}

fn panics() {
    panic!("planned, and caught");
}

#[test]
fn a_panic_inside_of_layers_is_one_outside() {
    paused(async {
        check_panic(through(Router::new().route(OTHER, panics))).await;
        check_panic(through(Router::new().route(OTHER, async || panics()))).await;
        let later = async || {
            sleep(seconds(1)).await;
            panics();
        };
        check_panic(through(Router::new().route(OTHER, later))).await;
    });
}

#[test]
fn layers_see_a_panic_as_an_error() {
    paused(async {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let count = MapResultLayer::new(move |result: Result<Option<Reply>, BoxError>| {
            let text = result.as_ref().err().map(ToString::to_string);
            assert_eq!(text.as_deref(), Some("the handler panicked: planned, and caught"));
            counter.fetch_add(1, Ordering::Relaxed);
            result
        });
        let later = async || {
            sleep(seconds(1)).await;
            panics();
        };
        check_panic(Router::new().route(OTHER, panics).layer(count.clone())).await;
        check_panic(Router::new().route(OTHER, later).layer(count)).await;
        assert_eq!(seen.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn layers_see_an_error_with_its_causes() {
    paused(async {
        let check = MapResultLayer::new(|result: Result<Option<Reply>, BoxError>| {
            let error = result.as_ref().expect_err("it fails");
            let cause = error.source().map(ToString::to_string);
            assert_eq!(
                (error.to_string(), cause.as_deref()),
                ("buying".to_owned(), Some("no money"))
            );
            result
        });
        let fail = || Err::<(), _>(anyhow::anyhow!("no money").context("buying"));
        let world = World::new(Router::new().route(OTHER, fail).layer(check));
        let mut events = world.hub.events();
        world.raw().await.send(OTHER.code(), 1, "").await.unwrap();
        assert_eq!(failure(&mut events).await, "buying: no money");
    });
}

/// A layer that panics at a configured place.
#[derive(Clone, Copy, PartialEq)]
enum Panics {
    Ready,
    Call,
    Future,
    Clone,
}

struct Panicking(Panics, MessageService);

impl Clone for Panicking {
    fn clone(&self) -> Self {
        assert!(self.0 != Panics::Clone, "planned, and caught");
        Self(self.0, self.1.clone())
    }
}

impl Service<Inbound> for Panicking {
    type Response = Option<Reply>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Option<Reply>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(self.0 != Panics::Ready, "planned, and caught");
        self.1.poll_ready(cx)
    }

    fn call(&mut self, _: Inbound) -> Self::Future {
        assert!(self.0 != Panics::Call, "planned, and caught");
        Box::pin(async { panic!("planned, and caught") })
    }
}

#[test]
fn a_layer_that_panics_is_caught_wherever_it_does() {
    paused(async {
        for at in [Panics::Ready, Panics::Call, Panics::Future, Panics::Clone] {
            let layer = layer_fn(move |inner: MessageService| Panicking(at, inner));
            check_panic(Router::new().route(OTHER, echo).layer(layer)).await;
        }
    });
}

#[test]
fn a_service_that_cannot_get_ready_is_a_failed_handler() {
    paused(async {
        #[derive(Clone)]
        struct Broken(MessageService);
        impl Service<Inbound> for Broken {
            type Response = Option<Reply>;
            type Error = BoxError;
            type Future = BoxFuture<'static, Result<Option<Reply>, BoxError>>;

            fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
                std::task::ready!(self.0.poll_ready(cx))?;
                Poll::Ready(Err("the backend is away".into()))
            }

            fn call(&mut self, _: Inbound) -> Self::Future {
                unreachable!("it is not ready")
            }
        }
        let world = World::new(Router::new().route(OTHER, echo).layer(layer_fn(Broken)));
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        raw.send(OTHER.code(), 1, "").await.unwrap();
        assert_eq!(failure(&mut events).await, "the backend is away");
        assert_eq!(peer.stats().received.handled, 1);
    });
}

#[test]
fn a_client_s_routes_are_layered_alike() {
    paused(async {
        let world = World::new(Router::new());
        let _client = world.client(Router::new().route(OTHER, echo).layer(append("!"))).await;
        let answer = world.newest().request(&Message::from_text(OTHER, "hello")).await.unwrap();
        assert_eq!(answer.text().unwrap(), "hello!");
    });
}

#[test]
fn a_route_may_be_layered_concurrent_and_timed() {
    paused(async {
        let slow = async |Text(text): Text| {
            sleep(seconds(text.parse().expect("a number"))).await;
            text
        };
        let handler = slow.concurrent(3).timeout(seconds(5)).layer(append("0"));
        let world = World::new(Router::new().route(OTHER, handler));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        let start = Instant::now();
        for (id, text) in [(1, "0"), (2, "00"), (3, "1"), (4, "0")] {
            raw.send(OTHER.code(), id, text).await.unwrap();
        }
        let error = failure(&mut events).await;
        assert_eq!(error, "the handler did not return within 5s: raise its `timeout`");
        assert_eq!(start.elapsed(), seconds(5), "the one of ten seconds");
        for id in [1, 2, 4] {
            assert_eq!(raw.next().await.unwrap().id().value(), id);
        }
    });
}

//! `Router::merge`: parts that add their own routes, and the mistakes that it reports.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use tokio::sync::mpsc::unbounded_channel;
use veltix::{Disconnected, MessageType, PING, Peer, Router, State, Text};

use super::ask;
use super::typed::Note;
use crate::promises::paused;
use crate::support::{ECHO, OTHER, World};

#[test]
fn both_parts_are_served() {
    paused(async {
        let (told, mut tells) = unbounded_channel();
        let came = told.clone();
        let one = Router::new()
            .route(ECHO, |State(name): State<&'static str>| name)
            .on_connect(move |peer: Peer| drop(came.send(format!("{} came", peer.id()))))
            .with_state("state");
        let two = Router::new()
            .route(OTHER, || "other")
            .fallback(|Text(text): Text| text)
            .on_disconnect(move |peer: Peer, _: Disconnected| {
                drop(told.send(format!("{} went", peer.id())));
            });
        let world = World::new(one.merge(Router::new()).merge(two));
        let mut raw = world.raw().await;
        assert_eq!(tells.recv().await.unwrap(), "1 came");
        assert_eq!(ask(&mut raw, ECHO.code(), "").await.text().unwrap(), "state");
        assert_eq!(ask(&mut raw, OTHER.code(), "").await.text().unwrap(), "other");
        assert_eq!(ask(&mut raw, 4711, "fallback").await.text().unwrap(), "fallback");
        drop(raw);
        assert_eq!(tells.recv().await.unwrap(), "1 went");
    });
}

#[test]
fn the_first_part_s_fallback_stays_when_the_second_has_none() {
    paused(async {
        let world = World::new(Router::new().fallback(|| "ours").merge(Router::new()));
        assert_eq!(ask(&mut world.raw().await, 4711, "").await.text().unwrap(), "ours");
        let world = World::new(Router::new().merge(Router::new().fallback(|| "theirs")));
        assert_eq!(ask(&mut world.raw().await, 4711, "").await.text().unwrap(), "theirs");
    });
}

thread_local! {
    /// The location of the last panic of this thread, if a test records it.
    static SEEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a function that panics. Returns the panic text and its line in this file.
fn panic_of(mistake: impl FnOnce() -> Router) -> (String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let wanted = SEEN.with_borrow_mut(|seen| {
                let at = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                seen.as_mut().map(|seen| *seen = at.unwrap_or_default())
            });
            if wanted.is_none() {
                before(info);
            }
        }));
    });
    SEEN.set(Some(String::new()));
    let panic = catch_unwind(AssertUnwindSafe(mistake)).expect_err("it panics");
    let seen = SEEN.take().expect("it was set");
    let (file, line) = seen.rsplit_once(':').expect("a file and a line");
    assert_eq!(file, file!(), "the mistake is here, not in the library");
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    };
    (text, line.parse().expect("a number"))
}

#[test]
fn a_code_with_two_handlers_names_both_places() {
    let first = line!() + 1;
    let router = || Router::new().route(ECHO, || {});
    let same = MessageType::new(200, "same", "");
    type Mistake<'a> = Box<dyn FnOnce() -> Router + 'a>;
    let mistakes: [Mistake<'_>; 3] = [
        Box::new(|| router().route(same, || {})),
        Box::new(|| router().route_blocking(same, || {})),
        Box::new(|| router().merge(Router::new().route(same, || {}))),
    ];
    let second = line!() - 4;
    for (mistake, line) in mistakes.into_iter().zip(second..) {
        let (text, at) = panic_of(mistake);
        let before = format!("{}:{first}:", file!());
        assert!(text.starts_with("message code 200 has a route already"), "{text}");
        assert!(text.contains(&before), "{text}");
        assert_eq!(at, line);
    }
    let on = || Router::new().on(|_: veltix::Msg<Note>| {});
    let (text, _) = panic_of(|| on().on(|_: veltix::Msg<Note>| {}));
    assert!(text.starts_with("message code 300"), "{text}");
    let (text, _) = panic_of(|| on().on_blocking(|_: veltix::Msg<Note>| {}));
    assert!(text.starts_with("message code 300"), "{text}");
}

#[test]
fn what_both_parts_have_once_is_named() {
    let (text, _) = panic_of(|| Router::new().fallback(|| {}).merge(Router::new().fallback(|| {})));
    assert!(text.starts_with("both routers have set `fallback`"), "{text}");
    let part = || Router::new().on_connect(|| {});
    let (text, _) = panic_of(|| part().merge(part()));
    assert!(text.starts_with("both routers have set `on_connect`"), "{text}");
    let part = || Router::new().on_disconnect(|| {});
    let (text, _) = panic_of(|| part().merge(part()));
    assert!(text.starts_with("both routers have set `on_disconnect`"), "{text}");
}

#[test]
fn a_code_of_the_protocol_is_refused_where_it_is_written() {
    let (text, at) = panic_of(|| Router::new().route(PING, || {}));
    assert_eq!(at, line!() - 1);
    assert!(text.contains("never reach a handler"), "{text}");
}

//! The span of a handled message, as a subscriber of the application sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::sleep;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};
use veltix::testing::TestServer;

use super::*;

/// Counts spans of messages, and events of this file inside and outside of them.
#[derive(Clone, Default)]
struct Spans(Arc<Counts>);

#[derive(Default)]
struct Counts {
    opened: AtomicUsize,
    closed: AtomicUsize,
    inside: AtomicUsize,
    outside: AtomicUsize,
}

impl Spans {
    /// Returns the counters: spans opened, spans closed, events inside, events outside.
    fn counts(&self) -> [usize; 4] {
        let Counts { opened, closed, inside, outside } = &*self.0;
        [opened, closed, inside, outside].map(|count| count.load(Ordering::Relaxed))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "message" {
            self.0.opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if context.span(&id).is_some_and(|span| span.name() == "message") {
            self.0.closed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == module_path!() {
            let is_inside = context.lookup_current().is_some_and(|span| span.name() == "message");
            let count = if is_inside { &self.0.inside } else { &self.0.outside };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_message_has_a_span_until_its_handler_has_ended() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let router = Router::new()
        .route(ECHO, async || {
            tracing::info!("before it waits");
            sleep(seconds(1)).await;
            tracing::info!("after it waited");
        })
        .route(OTHER, || tracing::info!("at once"));
    let server = TestServer::start(router).await;
    let ann = server.client("ann").await;
    ann.send(&Message::from_text(ECHO, "")).await;
    server.settle().await;
    assert_eq!(spans.counts(), [1, 0, 1, 0]);
    server.advance(seconds(2)).await;
    assert_eq!(spans.counts(), [1, 1, 2, 0]);
    ann.send(&Message::from_text(OTHER, "")).await;
    server.settle().await;
    assert_eq!(spans.counts(), [2, 2, 3, 0]);
}

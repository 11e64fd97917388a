//! A rate limit for each peer, as a tower layer around all routes: a bucket of tokens that fills
//! with time, and a price for each type of message.
//!
//! Run it with `cargo run --example rate_limit`.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, Ready, ready};
use tokio::time::Instant;
use tower::{Layer, Service};
use veltix::layer::Inbound;
use veltix::{BoxError, Client, ClientConfig, Message, Reply, Router};
use veltix::{Server, ServerConfig};

#[veltix::message]
enum Api {
    /// Cheap.
    Look = 200,
    /// Costs as much as ten looks.
    Search = 201,
}

/// What a message of this code costs.
fn price(code: u16) -> f64 {
    if code == Api::Search.code() { 10.0 } else { 1.0 }
}

/// How fast the bucket of a peer fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
    pub(crate) price: fn(u16) -> f64,
}

impl<S> Layer<S> for RateLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limit: *self }
    }
}

/// Passes on what the sender's bucket pays for.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    limit: RateLimit,
}

impl<S> Service<Inbound> for Limited<S>
where
    S: Service<Inbound, Response = Option<Reply>, Error = BoxError>,
{
    type Response = Option<Reply>;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<Option<Reply>, BoxError>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        let (peer, code) = (inbound.peer(), inbound.message().code());
        // The bucket goes where the peer goes: it is gone with its connection, and every route
        // pays from the same one. A peer's messages come one after the other, so nobody else
        // attaches a second bucket meanwhile.
        let bucket = peer.attached::<Arc<Mutex<Bucket>>>().map_or_else(
            || {
                let full = Bucket::full(self.limit.burst, Instant::now());
                let bucket = Arc::new(Mutex::new(full));
                peer.attach(Arc::clone(&bucket));
                bucket
            },
            |bucket| Arc::clone(&bucket),
        );
        let price = (self.limit.price)(code);
        // The lock is over before the handler is called.
        let paid = bucket.lock().expect("no panic").pay(price, self.limit, Instant::now());
        match paid {
            Ok(()) => Either::Left(self.inner.call(inbound)),
            Err(wait) => Either::Right(ready(Err(TooFast { wait }.into()))),
        }
    }
}

/// A peer's tokens at a moment.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn full(burst: f64, now: Instant) -> Self {
        Self { tokens: burst, filled_at: now }
    }

    /// Takes the price out, or says how long it takes until there is enough.
    pub(crate) fn pay(
        &mut self,
        price: f64,
        limit: RateLimit,
        now: Instant,
    ) -> Result<(), Duration> {
        let passed = now.duration_since(self.filled_at).as_secs_f64();
        self.tokens = limit.burst.min(self.tokens + passed * limit.per_second);
        self.filled_at = now;
        if self.tokens < price {
            return Err(Duration::from_secs_f64((price - self.tokens) / limit.per_second));
        }
        self.tokens -= price;
        Ok(())
    }
}

/// A peer asks for more than it may; told as `HandlerFailed`.
#[derive(Debug)]
pub(crate) struct TooFast {
    wait: Duration,
}

impl fmt::Display for TooFast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer is too fast by {:?}", self.wait)
    }
}

impl std::error::Error for TooFast {}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let limit = RateLimit { per_second: 5.0, burst: 12.0, price };
    let router = Router::new()
        .route(Api::Look, async || "a look")
        .route(Api::Search, async || "what was searched for")
        .layer(limit);
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    let client = Client::connect(ClientConfig::default().addr(addr), Router::new()).await?;
    for question in [Api::Search, Api::Look, Api::Look, Api::Look, Api::Search] {
        let patience = Duration::from_millis(200);
        let asked = client.request(&Message::empty(question)).timeout(patience).await;
        match asked {
            Ok(answer) => println!("{question:?}: {}", answer.text()?),
            Err(error) => println!("{question:?}: {error}"),
        }
    }

    client.close().await;
    hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    Ok(())
}

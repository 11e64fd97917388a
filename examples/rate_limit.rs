//! A rate limit for each peer, as a tower layer around all routes: a token bucket, and a price for each
//! type of message.
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
    /// Costs one token.
    Look = 200,
    /// Costs ten tokens.
    Search = 201,
}

/// Returns the price of a message with this code.
fn price(code: u16) -> f64 {
    if code == Api::Search.code() { 10.0 } else { 1.0 }
}

/// The rate at which the bucket of a peer fills, its capacity and the prices.
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

/// Passes on messages that the sender's bucket can pay.
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
        // The bucket is attached to the peer: it ends with the connection, and all routes share it. Messages
        // of a peer arrive one after the other, so no second bucket is attached meanwhile.
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
        // The lock is released before the handler is called.
        let paid = bucket.lock().expect("no panic").pay(price, self.limit, Instant::now());
        match paid {
            Ok(()) => Either::Left(self.inner.call(inbound)),
            Err(wait) => Either::Right(ready(Err(TooFast { wait }.into()))),
        }
    }
}

/// The tokens of a peer at a moment.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn full(burst: f64, now: Instant) -> Self {
        Self { tokens: burst, filled_at: now }
    }

    /// Takes the price, or returns the time until the bucket has enough tokens.
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

/// The error for a peer above its rate. The hub emits it as `HandlerFailed`.
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
        .route(Api::Search, async || "a search result")
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

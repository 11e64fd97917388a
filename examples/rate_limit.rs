//! A rate limit for each peer, as a tower layer around all routes: a token bucket, and a price for each
//! type of message. A call above the rate is answered with the time to wait.
//!
//! Run it with `cargo run --example rate_limit`.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, Ready, ready};
use tokio::time::Instant;
use tower::{Layer, Service};
use veltix::layer::Inbound;
use veltix::typed::TypedMessage;
use veltix::{
    BoxError, Client, ClientConfig, Msg, Rejection, Reply, RequestError, Router, Server,
    ServerConfig,
};

#[veltix::message]
pub(crate) enum Api {
    /// Costs one token.
    #[message(code = 200, reply = Found, error = Refused)]
    Look,
    /// Costs ten tokens.
    #[message(code = 201, reply = Found, error = Refused)]
    Search,
    #[message(code = 202, text)]
    Found(String),
    #[message(code = 203)]
    Refused { why: String, retry_after_ms: u128 },
}

/// The layer's rejection becomes the answer of the route.
impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        let retry_after_ms = match rejection {
            Rejection::TooFast { retry_after } => retry_after.as_millis(),
            _ => 0,
        };
        Self { why: rejection.to_string(), retry_after_ms }
    }
}

/// Returns the price of a message with this code.
fn price(code: u16) -> f64 {
    if code == Search::TYPE.code() { 10.0 } else { 1.0 }
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
            Err(retry_after) => {
                Either::Right(ready(Err(Rejection::TooFast { retry_after }.into())))
            }
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

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let limit = RateLimit { per_second: 5.0, burst: 12.0, price };
    let router = Router::new()
        .on(async |_: Msg<Look>| Found("a look".to_owned()))
        .on(async |_: Msg<Search>| Found("a search result".to_owned()))
        .layer(limit);
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    let client = Client::connect(ClientConfig::default().addr(addr), Router::new()).await?;
    println!("search: {}", client.request(&Search).await?.0);
    for _ in 0..3 {
        match client.request(&Look).await {
            Ok(Found(look)) => println!("look: {look}"),
            Err(RequestError::Remote(refused)) => println!("look: {}", refused.why),
            Err(error) => return Err(error.into()),
        }
    }

    client.close().await;
    hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    Ok(())
}

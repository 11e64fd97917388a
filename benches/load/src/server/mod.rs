//! The servers that are part of this program. Each has a function `serve`, which prints the
//! server's address and runs until the process is killed.

mod delimited;
mod hub;
mod limit;
mod message_io;
#[cfg(feature = "cluster")]
mod node;
#[cfg(feature = "cluster")]
mod relay;
mod tarpc;
mod tungstenite;
mod veltix;

use std::future::Future;
use std::net::SocketAddr;

pub(crate) use self::limit::Batch;
use self::veltix::Variant;

/// Runs the server of this name. Returns `None` if there is none. A node of a cluster joins the broker
/// of this URL.
pub(crate) fn serve(name: &str, broker: Option<&str>) -> Option<()> {
    match name {
        "limit" => limit::serve(None),
        "limit-tls" => limit::serve(Some(crate::tls::server())),
        "veltix" => veltix::serve(Variant::Plain),
        "veltix-async" => veltix::serve(Variant::Async),
        "veltix-typed" => veltix::serve(Variant::Typed),
        "veltix-by-hand" => veltix::serve(Variant::ByHand),
        "veltix-layered" => veltix::serve(Variant::Layered),
        "veltix-tls" => serve_over_tls(),
        "veltix-node" | "relay-node" => serve_node(name, broker),
        "veltix-threading" => veltix::serve(Variant::Threading),
        "delimited" => delimited::serve(delimited::Writing::OneByOne),
        "delimited-batch" => delimited::serve(delimited::Writing::Batched),
        "message-io" => message_io::serve(),
        "tarpc" => tarpc::serve(),
        "tungstenite" => tungstenite::serve(),
        _ => return None,
    }
    Some(())
}

#[cfg(feature = "tls")]
fn serve_over_tls() {
    veltix::serve_over_tls();
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
fn serve_over_tls() {
    println!("this program was built without TLS: build it with --features tls");
}

#[cfg(feature = "cluster")]
fn serve_node(name: &str, broker: Option<&str>) {
    match (name, broker) {
        ("relay-node", Some(broker)) => relay::serve(broker),
        (_, broker) => node::serve(broker),
    }
}

#[cfg(not(feature = "cluster"))]
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
fn serve_node(_: &str, _: Option<&str>) {
    println!("{}", crate::cluster::NOT_BUILT);
}

/// Runs a server on two workers, like every server on Tokio here.
fn run_on_two_workers(serve: impl Future<Output = ()> + Send + 'static) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // The calling thread is none of the two. It only waits.
    runtime.expect("a runtime can be built").block_on(async {
        tokio::spawn(serve).await.expect("the server does not panic");
    });
}

/// Prints the server's address for the parent process.
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
fn announce(addr: SocketAddr) {
    println!("{addr}");
}

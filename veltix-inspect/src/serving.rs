//! The connections of an inspector: each is served by HTTP/1, with limits of time, size and number.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use veltix_core::limits::{
    INSPECT_CONNECTION, INSPECT_HEAD_BYTES, INSPECT_HEAD_TIME, INSPECT_HEADERS,
};

use crate::connections::{Connections, Permit};
use crate::routes::Routes;

/// The wait after a failed `accept`: the descriptors may be used up for a moment.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Accepts connections until the inspector is stopped or the server has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the inspector does not run");
            return;
        }
    };
    let (routes, connections) = (Arc::new(routes), Connections::default());
    let mut tasks = JoinSet::new();
    let ended = routes.ended();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            // The value of `Inspecting` may be dropped: the inspector goes on.
            Ok(_) = stopped.wait_for(|stopped| *stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, addr)) => {
                    if let Some(permit) = connections.take(addr.ip()) {
                        tasks.spawn(serve_one(stream, Arc::clone(&routes), permit));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the inspector accepts no connection");
                    sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    tasks.shutdown().await;
}

/// Serves one connection.
async fn serve_one(stream: TcpStream, routes: Arc<Routes>, permit: Permit) {
    let service = service_fn(|request| {
        let routes = Arc::clone(&routes);
        async move { Ok::<_, Infallible>(routes.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    // Without the timer, the limit of time has no effect.
    http.timer(TokioTimer::new())
        .header_read_timeout(INSPECT_HEAD_TIME)
        .max_headers(INSPECT_HEADERS)
        .max_buf_size(INSPECT_HEAD_BYTES)
        .half_close(false);
    let served = http.serve_connection(TokioIo::new(stream), service);
    match timeout(INSPECT_CONNECTION, served).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request to the inspector failed"),
    }
    drop(permit);
}

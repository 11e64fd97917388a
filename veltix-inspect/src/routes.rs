//! [`Routes`]: the answers to the requests.

use std::future::Future;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::runtime::Handle;
use veltix_tokio::Hub;

use crate::exposition::{Exposition, expose_all};
use crate::{health, host};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The answers to the requests.
pub(crate) struct Routes {
    hub: Hub,
    /// The runtime of the application.
    application: Handle,
    labels: Vec<(String, String)>,
}

type Answer = Response<Full<Bytes>>;

impl Routes {
    pub(crate) const fn new(hub: Hub, application: Handle, labels: Vec<(String, String)>) -> Self {
        Self { hub, application, labels }
    }

    /// Waits for the end of the server.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let closed = self.hub.closed();
        async move {
            closed.await;
        }
    }

    /// Returns the answer to a request. Its body is not read.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Answer {
        let path = request.uri().path();
        // Supervisors name this machine as they like. These two carry no data.
        let is_health = matches!(path, "/livez" | "/readyz");
        if !is_health && !is_for_this_machine(request) {
            return error(
                StatusCode::MISDIRECTED_REQUEST,
                "host",
                "the Host header must be an address or localhost",
            );
        }
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            return error(StatusCode::NOT_FOUND, "not_found", "there is no such page");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer =
                error(StatusCode::METHOD_NOT_ALLOWED, "method", "only GET and HEAD are answered");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match path {
            "/livez" if health::is_live(&self.application).await => {
                of(StatusCode::OK, TEXT, "ok\n")
            }
            "/livez" => of(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "the runtime of the application is blocked\n",
            ),
            "/readyz" => self.ready(),
            _ => self.metrics(request),
        }
    }

    fn ready(&self) -> Answer {
        let reasons = health::unready(&self.hub);
        if reasons.is_empty() {
            return of(StatusCode::OK, JSON, "{\"ready\":true}\n");
        }
        let reasons = format!("{{\"ready\":false,\"reasons\":[\"{}\"]}}\n", reasons.join("\",\""));
        of(StatusCode::SERVICE_UNAVAILABLE, JSON, reasons)
    }

    fn metrics<B>(&self, request: &Request<B>) -> Answer {
        let accept = request.headers().get(header::ACCEPT).and_then(|it| it.to_str().ok());
        let format = Exposition::of_accept(accept.unwrap_or_default());
        #[cfg(target_os = "linux")]
        let process = crate::process::metrics();
        #[cfg(not(target_os = "linux"))]
        let process = Vec::new();
        let metrics = self.hub.metrics();
        let text = expose_all(metrics.families(), &process, &self.labels, format);
        of(StatusCode::OK, format.content_type(), text)
    }
}

fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let one = hosts.next().filter(|_| hosts.next().is_none());
    one.and_then(|host| host.to_str().ok()).is_some_and(host::is_local)
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    of(status, JSON, format!("{{\"error\":\"{code}\",\"message\":\"{message}\"}}\n"))
}

fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

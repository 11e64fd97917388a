//! [`Inspector`]: the builder, and [`Inspecting`]: the running inspector.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use veltix_core::limits::INSPECT_PORT;
use veltix_tokio::Hub;

use crate::error::InspectError;
use crate::routes::Routes;
use crate::serving::serve;

/// Answers requests of HTTP about a server: `/metrics` for Prometheus, `/livez` and `/readyz` for a supervisor or a
/// load balancer.
///
/// It has a thread and a runtime of its own, so that it answers while the workers of the application are blocked.
/// It has no timer and no task while nobody asks.
///
/// ```no_run
/// use veltix::inspect::Inspector;
/// # async fn f(server: veltix::Server) -> Result<(), Box<dyn std::error::Error>> {
///
/// let inspecting = Inspector::new(server.hub()).start().await?;
/// println!("metrics on {}metrics", inspecting.url());
/// # Ok(()) }
/// ```
#[must_use = "nothing listens before `start`"]
pub struct Inspector {
    hub: Hub,
    addr: SocketAddr,
    labels: Vec<(String, String)>,
}

impl Inspector {
    /// Creates an inspector of a server. It listens on 127.0.0.1, port 8088.
    pub fn new(hub: Hub) -> Self {
        let addr = (Ipv4Addr::LOCALHOST, INSPECT_PORT).into();
        Self { hub, addr, labels: Vec::new() }
    }

    /// Sets the address, which must be one of this machine alone. With port 0 the system chooses a free port.
    pub fn addr(mut self, addr: impl Into<SocketAddr>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Adds a constant label to each series, for example the name of this server among several.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Starts the inspector. It ends with the server, or by [`Inspecting::stop`].
    ///
    /// # Errors
    /// [`InspectError`] if the address belongs to other machines too or cannot be used, or if the system gives no
    /// thread.
    ///
    /// # Panics
    /// Panics outside of a Tokio runtime.
    pub async fn start(self) -> Result<Inspecting, InspectError> {
        let Self { hub, addr, labels } = self;
        if !addr.ip().is_loopback() {
            return Err(InspectError::NotLoopback { addr });
        }
        let bind = |source| InspectError::Bind { addr, source };
        let listener = TcpListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let (stopping, stopped) = watch::channel(false);
        let routes = Routes::new(hub, Handle::current(), labels);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(InspectError::Thread)?;
        let run = move || runtime.block_on(serve(listener, routes, stopped));
        spawn(run).map_err(InspectError::Thread)?;
        Ok(Inspecting { addr, stopping })
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("veltix-inspect".to_owned()).spawn(run).map(drop)
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// A running inspector. It goes on if this value is dropped, until the server ends.
#[derive(Debug)]
pub struct Inspecting {
    addr: SocketAddr,
    stopping: watch::Sender<bool>,
}

impl Inspecting {
    /// Returns the address on which the inspector listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address as a URL with a slash at its end, as in `http://127.0.0.1:8088/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// Ends the inspector: it accepts no more requests, and its connections are closed.
    ///
    /// # Cancel safety
    /// The end has begun even if the future is dropped.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        self.stopping.closed().await;
    }
}

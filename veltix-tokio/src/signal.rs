//! [`stop_signal`]: the signals that ask a process to end.

use std::future::{Future, pending};
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

/// The exit code that a shell reports for a process that Ctrl-C has ended: 128 plus the signal's
/// number.
const INTERRUPTED: i32 = 130;

/// The exit code for SIGTERM.
#[cfg(unix)]
const TERMINATED: i32 = 143;

/// Waits until a signal asks the process to end: SIGTERM or Ctrl-C (SIGINT). The next such signal
/// ends the process at once, in any state. The future is for
/// [`Server::run_until`](crate::Server::run_until):
///
/// ```no_run
/// # async fn f() -> veltix::Result<()> {
/// use veltix::{Router, Server, ServerConfig, stop_signal};
///
/// let server = Server::bind(ServerConfig::default(), Router::new()).await?;
/// server.run_until(stop_signal()).await // then drains
/// # }
/// ```
///
/// The first call takes the signals over for good, before any poll, so no signal is missed between
/// the call and the poll. There may be any number of these futures, and all of them complete at the
/// first signal. The second signal exits the process with code 130 (Ctrl-C) or 143 (SIGTERM), as a
/// shell reports it for a process that a signal has ended. Then nothing is dropped and no
/// destructor runs. A separate thread listens for the signals, so neither a blocking handler nor a
/// busy runtime delays them.
///
/// On systems other than Unix, only Ctrl-C is supported. If the process cannot listen to a signal,
/// the log reports it, the future never completes, and the signal ends the process as usual.
///
/// # Cancel safety
/// Cancel safe. Dropping the future does not restore the signals: a second one still ends the
/// process.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    static STOPPED: OnceLock<Option<watch::Sender<bool>>> = OnceLock::new();
    let stopped = STOPPED.get_or_init(|| {
        listen()
            .inspect_err(|error| {
                tracing::error!(
                    %error,
                    "the process cannot listen to SIGTERM and Ctrl-C, so they end it at once without a drain"
                );
            })
            .ok()
    });
    let stopped = stopped.as_ref().map(watch::Sender::subscribe);
    async move {
        match stopped {
            // The sender is never dropped, so the wait ends only with the value.
            Some(mut stopped) => drop(stopped.wait_for(|stopped| *stopped).await),
            None => pending().await,
        }
    }
}

/// Starts the thread that listens. When the function returns, the thread receives the signals.
fn listen() -> io::Result<watch::Sender<bool>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let stopped = watch::Sender::new(false);
    let stop = stopped.clone();
    let (report, started) = sync_channel(1);
    let listen = move || {
        runtime.block_on(async {
            // The signals are registered on this thread: a registration is never undone, so without
            // this thread they would have no effect.
            let mut signals = match Signals::new() {
                Ok(signals) => signals,
                Err(error) => return drop(report.send(Err(error))),
            };
            drop(report.send(Ok(())));
            loop {
                let code = signals.next().await;
                if stop.send_replace(true) {
                    // No log line is written: a blocked reader of the log must not delay the exit.
                    std::process::exit(code);
                }
            }
        });
    };
    thread::Builder::new().name("veltix-signals".to_owned()).spawn(listen)?;
    started.recv().map_err(io::Error::other)??;
    Ok(stopped)
}

/// The listeners for both signals.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal, and returns its exit code.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            Some(()) = self.interrupt.recv() => INTERRUPTED,
            Some(()) = self.terminate.recv() => TERMINATED,
            else => pending().await,
        }
    }
}

/// The listener for Ctrl-C.
#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> i32 {
        match self.0.recv().await {
            Some(()) => INTERRUPTED,
            None => pending().await,
        }
    }
}

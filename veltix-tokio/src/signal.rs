//! The signals by which a process is told to end.

use std::future::{Future, pending};
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

/// What a shell says of a process that Ctrl-C has ended: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// The same for SIGTERM.
#[cfg(unix)]
const TERMINATED: i32 = 143;

/// Waits until the process is told to end, by SIGTERM or Ctrl-C (SIGINT); the next such signal ends
/// it at once, however far it has come. For [`Server::run_until`](crate::Server::run_until):
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
/// The signals belong to it from the first call on, for good, and not from the first poll on, so none
/// is missed between the two. There may be any number of these futures, and all of them are ready
/// from the first signal on. The second one exits with 130 (Ctrl-C) or 143 (SIGTERM), as what a shell
/// says of a process that a signal has ended; then nothing is dropped and no destructor runs. A thread
/// of its own listens, so neither a handler that blocks its thread nor a busy runtime is in its way.
///
/// On systems other than Unix there is Ctrl-C alone. Where a signal cannot be listened to, the log
/// says so, the future is never ready, and the signal ends the process as it always does.
///
/// # Cancel safety
/// Cancel safe. Dropping it gives the signals back to nobody: a second one still ends the process.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    static STOPPED: OnceLock<Option<watch::Sender<bool>>> = OnceLock::new();
    let stopped = STOPPED.get_or_init(|| {
        listen()
            .inspect_err(|error| tracing::error!(%error, "signals to end cannot be listened to"))
            .ok()
    });
    let stopped = stopped.as_ref().map(watch::Sender::subscribe);
    async move {
        match stopped {
            // The sender stays for ever, so the wait ends only with the value.
            Some(mut stopped) => drop(stopped.wait_for(|stopped| *stopped).await),
            None => pending().await,
        }
    }
}

/// Starts the thread that listens. The signals are its own when this returns.
fn listen() -> io::Result<watch::Sender<bool>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let stopped = watch::Sender::new(false);
    let stop = stopped.clone();
    let (tell, told) = sync_channel(1);
    let listen = move || {
        runtime.block_on(async {
            // Here, since nobody gives signals back: without this thread they would end nothing.
            let mut signals = match Signals::new() {
                Ok(signals) => signals,
                Err(error) => return drop(tell.send(Err(error))),
            };
            drop(tell.send(Ok(())));
            loop {
                let code = signals.next().await;
                if stop.send_replace(true) {
                    // Without a word: whoever does not read our log must not hold us up.
                    std::process::exit(code);
                }
            }
        });
    };
    thread::Builder::new().name("veltix-signals".to_owned()).spawn(listen)?;
    told.recv().map_err(io::Error::other)??;
    Ok(stopped)
}

/// Both signals.
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

    /// The code that the next signal stands for.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            Some(()) = self.interrupt.recv() => INTERRUPTED,
            Some(()) = self.terminate.recv() => TERMINATED,
            else => pending().await,
        }
    }
}

/// Ctrl-C.
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

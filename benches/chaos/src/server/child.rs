//! The server under test, inside its own process.

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;
use veltix::{Hub, Message, Server, ServerConfig, SocketCore, all, tag};

use super::ledger::{self, Ledger};
use super::router::{OnPurpose, TAG, router};
use super::talk::{News, Question, Report, Setup, Shutdown};
use crate::wire::{Code, Line};

/// The limit of pending handshakes. All peers connect from one address and at once.
const PENDING: usize = 4_096;

/// The stream of the server's own numbers. Peers choose others.
const STREAM: u64 = 0;

/// Serves until the input ends.
pub(crate) fn serve(setup: &Setup) -> Result<()> {
    if let Some(descriptors) = setup.descriptors {
        veltix_stage::process::lower_file_limit(descriptors)?;
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    hide_deliberate_panics();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ledger = Ledger::new(setup.keeps_entries, setup.lies);
    let server = runtime.block_on(Server::bind(config(setup)?, router(ledger.clone())))?;
    let addr = server.local_addr().to_string();
    let hub = server.hub();
    runtime.spawn(server.run());
    write_line(&addr)?;
    let mut child = Child { runtime: runtime.handle().clone(), hub, ledger, publisher: None };
    for line in stdin().lock().lines() {
        let question = serde_json::from_str(&line?).context("the input is no request")?;
        child.answer(&question)?;
    }
    // The parent process has ended. The rest ends with this process.
    Ok(())
}

fn config(setup: &Setup) -> Result<ServerConfig> {
    let core = if setup.threading { SocketCore::Threading } else { SocketCore::Async };
    let mut config = ServerConfig::default()
        .addr(&setup.addr)
        .max_pending_handshakes(PENDING, PENDING)
        .heartbeat(setup.heartbeat)
        .write_stall(Some(setup.write_stall))
        .drain_timeout(setup.drain)
        .max_message_size(setup.max_message_size)
        .outbox(setup.outbox.0, setup.outbox.1)
        .socket_core(core);
    if let Some(bytes) = setup.max_unsent {
        config = config.max_unsent(bytes);
    }
    #[cfg(feature = "tls")]
    if let Some(pem) = &setup.tls {
        config = config.tls(pem.server()?);
    }
    Ok(config)
}

/// Makes the panic hook ignore deliberate panics, of which there are a thousand.
fn hide_deliberate_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<OnPurpose>() {
            hook(info);
        }
    }));
}

/// The state for answers.
struct Child {
    runtime: Handle,
    hub: Hub,
    ledger: Ledger,
    publisher: Option<Publisher>,
}

/// The task that publishes or has published, if there is one.
struct Publisher {
    task: AbortHandle,
    published: Arc<AtomicU64>,
}

impl Child {
    fn answer(&mut self, question: &Question) -> Result<()> {
        match question {
            Question::Report => write_json(&self.report()?),
            Question::Ended => write_json(&self.ledger.take()),
            Question::Living => {
                let peers = self.hub.list(all())?;
                let entries = peers.iter().map(|peer| ledger::entry(peer, String::new()));
                write_json(&entries.collect::<Vec<_>>())
            }
            Question::Publish(news) => {
                self.publish(*news);
                write_json(&())
            }
            Question::Quiet => {
                self.publisher.take().inspect(|publisher| publisher.task.abort());
                write_json(&())
            }
            Question::Shutdown => write_json(&self.shutdown()),
        }
    }

    fn report(&self) -> Result<Report> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let published = self.publisher.as_ref().map(|publisher| &publisher.published);
        Ok(Report {
            peers: self.hub.count(all())?,
            tagged: self.hub.count(tag(TAG))? + self.hub.count(tag("number"))?,
            tasks: self.runtime.metrics().num_alive_tasks(),
            panics: self.hub.handler_panics(),
            ended: self.ledger.ended(),
            broken: self.ledger.broken(),
            published: published.map_or(0, |count| count.load(Ordering::Acquire)),
            clock: clock.as_secs_f64(),
        })
    }

    fn publish(&mut self, news: News) {
        let published = Arc::<AtomicU64>::default();
        let publish = publish(self.hub.clone(), news, Arc::clone(&published));
        let task = self.runtime.spawn(publish).abort_handle();
        if let Some(earlier) = self.publisher.replace(Publisher { task, published }) {
            earlier.task.abort();
        }
    }

    fn shutdown(&self) -> Shutdown {
        let report = self.runtime.block_on(self.hub.shutdown());
        // The task of the server, and its own tasks, end just after the report.
        let start = Instant::now();
        let alive = || self.runtime.metrics().num_alive_tasks();
        while alive() > 0 && start.elapsed() < Duration::from_millis(500) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Shutdown {
            connections: report.connections,
            queued: report.queued,
            accepted: report.accepted,
            flushed: report.flushed,
            dropped: report.dropped,
            aborted_handlers: report.aborted_handlers,
            complete: report.complete,
            took: report.took.as_secs_f64(),
            tasks: alive(),
        }
    }
}

/// Publishes at an even rate and catches up after a delay.
async fn publish(hub: Hub, news: News, published: Arc<AtomicU64>) {
    let start = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut number = 0;
    while number < news.messages {
        ticks.tick().await;
        let due = start.elapsed().as_micros() as u64 * news.per_second / 1_000_000;
        while number < due.min(news.messages) {
            let body = Line::new(STREAM, number).body(news.size);
            // The body is shorter than the limit, and the target `all` is never too large.
            let _ = hub.broadcast(&Message::new(Code::News, body));
            number += 1;
            published.store(number, Ordering::Release);
        }
    }
}

fn write_json(answer: &impl serde::Serialize) -> Result<()> {
    write_line(&serde_json::to_string(answer)?)
}

/// Writes one line to the parent process.
fn write_line(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

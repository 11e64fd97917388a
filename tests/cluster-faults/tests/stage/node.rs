//! [`Node`]: a server in a process of its own.

use std::collections::BTreeMap;
use std::process::{Command as Signal, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, watch};
use veltix_cluster_faults::{Call, Counted, Ended, Line, LoadReport, News, Order, Place};
use veltix_cluster_faults::{Load, Sent, Settings, State, Surveyed, Watched};

use super::{ports, soon};

/// A node. Its process ends with this value.
pub(crate) struct Node {
    pub(crate) settings: Settings,
    /// The id of the node in the cluster.
    pub(crate) id: String,
    process: Child,
    orders: Mutex<ChildStdin>,
    last: AtomicU64,
    told: Arc<watch::Sender<Told>>,
}

/// Everything that a node has told.
#[derive(Default)]
pub(crate) struct Told {
    started: Option<String>,
    failed: Vec<String>,
    answers: BTreeMap<u64, Value>,
    pub(crate) news: Vec<(u64, News)>,
    pub(crate) watched: Vec<(u64, Watched)>,
    pub(crate) ended: Option<Ended>,
    has_closed: bool,
}

impl Node {
    /// Starts a node with the first address that is free, and waits until it listens.
    pub(crate) async fn start(mut settings: Settings) -> Self {
        settings.addr = format!("127.0.0.1:{}", ports::free());
        Self::start_again(settings).await
    }

    /// Starts a node with these settings, and waits until it listens.
    pub(crate) async fn start_again(settings: Settings) -> Self {
        Self::attempt(settings).await.unwrap_or_else(|reason| panic!("it does not start: {reason}"))
    }

    /// Starts a node, or returns the reason for which it does not start.
    pub(crate) async fn attempt(settings: Settings) -> Result<Self, String> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cluster-fault-node"))
            .arg(serde_json::to_string(&settings).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let orders = Mutex::new(process.stdin.take().unwrap());
        let told = Arc::new(watch::Sender::new(Told::default()));
        tokio::spawn(read(process.stdout.take().unwrap(), Arc::clone(&told)));
        let last = AtomicU64::new(0);
        let mut node = Self { settings, id: String::new(), process, orders, last, told };
        let started = |told: &Told| match (&told.started, told.failed.last()) {
            (Some(id), _) => Some(Ok(id.clone())),
            (None, Some(reason)) => Some(Err(reason.clone())),
            (None, None) => told.has_closed.then(|| Err("it has ended".to_owned())),
        };
        node.id = node.until(started).await?;
        Ok(node)
    }

    /// Waits until something was told.
    pub(crate) async fn until<T>(&self, mut find: impl FnMut(&Told) -> Option<T>) -> T {
        let mut told = self.told.subscribe();
        soon(async {
            loop {
                if let Some(found) = find(&told.borrow_and_update()) {
                    return found;
                }
                told.changed().await.unwrap();
            }
        })
        .await
    }

    /// Returns something of what was told until now.
    pub(crate) fn told<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.told.borrow())
    }

    /// Waits for an event, and returns the time of the first one from `since` on.
    pub(crate) async fn news(&self, since: u64, is_it: impl Fn(&News) -> bool) -> u64 {
        let find = |told: &Told| {
            told.news.iter().find(|(at, news)| *at >= since && is_it(news)).map(|(at, _)| *at)
        };
        self.until(find).await
    }

    /// Returns the events from `since` on.
    pub(crate) fn news_since(&self, since: u64) -> Vec<News> {
        let since = |told: &Told| {
            told.news.iter().filter(|(at, _)| *at >= since).map(|(_, it)| it.clone()).collect()
        };
        self.told(since)
    }

    /// Gives an order, and returns its number.
    pub(crate) async fn order(&self, order: &Order) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let line = serde_json::to_string(&(number, order)).unwrap() + "\n";
        // A node that was killed reads nothing.
        let _ = self.orders.lock().await.write_all(line.as_bytes()).await;
        number
    }

    /// Waits for the answer to an order.
    pub(crate) async fn answer<T: DeserializeOwned>(&self, number: u64) -> T {
        let find = |told: &Told| {
            let failed = told.failed.first();
            assert!(failed.is_none(), "{failed:?}");
            told.answers.get(&number).cloned()
        };
        serde_json::from_value(self.until(find).await).unwrap()
    }

    async fn ask<T: DeserializeOwned>(&self, order: Order) -> T {
        self.answer(self.order(&order).await).await
    }

    pub(crate) async fn state(&self) -> State {
        self.ask(Order::State).await
    }

    pub(crate) async fn load(&self, load: Load) -> LoadReport {
        self.ask(Order::Load(load)).await
    }

    pub(crate) async fn end_loads(&self) {
        self.ask(Order::EndLoads).await
    }

    pub(crate) async fn send(&self, to: Place, length: usize) -> Sent {
        self.ask(Order::Send { to, length }).await
    }

    pub(crate) async fn send_each(&self, room: &str, rooms: u64) -> Sent {
        self.ask(Order::SendEach { room: room.to_owned(), rooms }).await
    }

    pub(crate) async fn count(&self, place: Place) -> Counted {
        self.ask(Order::Count(place)).await
    }

    pub(crate) async fn request(&self, peer: &str, timeout: u64) -> Call {
        self.ask(Order::Request { peer: peer.to_owned(), timeout }).await
    }

    pub(crate) async fn survey(&self, room: &str, timeout: u64) -> Surveyed {
        self.ask(Order::Survey { room: room.to_owned(), timeout }).await
    }

    pub(crate) async fn watch(&self, room: &str, grace: Option<u64>) {
        self.ask(Order::Watch { room: room.to_owned(), grace }).await
    }

    pub(crate) async fn peers(&self) -> Vec<String> {
        self.ask(Order::Peers).await
    }

    /// Waits until this node has a broker and knows that number of other nodes.
    pub(crate) async fn sees(&self, others: usize) {
        soon(async {
            loop {
                let state = self.state().await;
                if state.degraded.is_none() && state.others.len() == others {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Drains the node, and returns its report once its process has ended.
    pub(crate) async fn drain(&mut self) -> Ended {
        self.order(&Order::Drain).await;
        let ended = self.until(|told| told.ended.clone()).await;
        soon(self.process.wait()).await.unwrap();
        ended
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().expect("it runs").to_string();
        assert!(Signal::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Ends the process at once, as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.start_kill().unwrap();
        soon(self.process.wait()).await.unwrap();
    }

    /// Starts a new process at the same address and with the same name, in place of one that has ended.
    pub(crate) async fn restart(&mut self) {
        // Its messages are those of another origin.
        let number = self.settings.number + 100;
        *self = Self::start_again(Settings { number, ..self.settings.clone() }).await;
    }
}

async fn read(output: ChildStdout, told: Arc<watch::Sender<Told>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: Line =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        told.send_modify(|told| match line {
            Line::Started { node, .. } => told.started = Some(node),
            Line::Failed { reason } => told.failed.push(reason),
            Line::Answer(number, answer) => _ = told.answers.insert(number, answer),
            Line::News { at, news } => told.news.push((at, news)),
            Line::Watched { at, change } => told.watched.push((at, change)),
            Line::Ended(ended) => told.ended = Some(ended),
        });
    }
    told.send_modify(|told| told.has_closed = true);
}

//! [`Reader`]: a client that keeps what it hears.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use veltix::{Client, ClientConfig, Message, Reconnect, Router};
use veltix_cluster_faults::{ASK, JOIN, LEAVE, SAY, Said, now};

use super::soon;

/// A message, and the time at which it has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) said: Said,
    pub(crate) at: u64,
    /// The number of the connection.
    pub(crate) connection: usize,
}

impl Heard {
    /// Returns the time of the call, and the microseconds from it to the arrival.
    pub(crate) const fn timed(&self) -> (u64, u64) {
        (self.said.sent, self.age())
    }

    /// Returns the microseconds from the call to the arrival.
    pub(crate) const fn age(&self) -> u64 {
        self.at.saturating_sub(self.said.sent)
    }
}

/// A connected client.
pub(crate) struct Reader {
    pub(crate) client: Client,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    heard: Mutex<Vec<Heard>>,
    broken: AtomicU64,
    asked: AtomicU64,
    /// The times at which it has connected.
    connects: Mutex<Vec<u64>>,
}

impl Reader {
    /// Connects, and joins these rooms. A client of the room `mute` answers no question.
    pub(crate) async fn connect(addr: &str, user: &str, rooms: &[&str]) -> Self {
        let kept = Arc::<Kept>::default();
        let [hearing, connecting, asked] = [(); 3].map(|()| Arc::clone(&kept));
        let is_mute = rooms.contains(&"mute");
        let router = Router::new()
            .route(SAY, move |body: &[u8]| hearing.hear(body))
            .route(JOIN, || {})
            .route(ASK, move || {
                asked.asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    if is_mute {
                        std::future::pending::<()>().await;
                    }
                    "here"
                }
            })
            .on_connect(move || connecting.connects.lock().unwrap().push(now()));
        let reconnect = Reconnect::backoff()
            .windows(Duration::from_millis(200), Duration::from_secs(1))
            .initial(true);
        let config = ClientConfig::default().addr(addr).reconnect(reconnect);
        let client = soon(async { Client::connect(config, router).await.unwrap() }).await;
        let reader = Self { client, kept };
        let join = Message::from_text(JOIN, format!("user={user}\n{}", rooms.join("\n")));
        reader.client.restore("join", &join).unwrap();
        soon(async { reader.client.request(&join).await.unwrap() }).await;
        reader
    }

    /// Joins these rooms, which a new connection does not.
    pub(crate) async fn join(&self, rooms: &[String]) {
        let join = Message::from_text(JOIN, rooms.join("\n"));
        soon(async { self.client.request(&join).await.unwrap() }).await;
    }

    /// Leaves all rooms.
    pub(crate) async fn leave(&self) {
        soon(async { self.client.request(&Message::from_text(LEAVE, "")).await.unwrap() }).await;
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.kept.heard.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.heard.lock().unwrap().len()
    }

    /// Forgets what was heard until now.
    pub(crate) fn clear(&self) {
        self.kept.heard.lock().unwrap().clear();
    }

    /// Returns the number of messages with a changed body.
    pub(crate) fn broken(&self) -> u64 {
        self.kept.broken.load(Ordering::Relaxed)
    }

    /// Waits until that number of questions has come.
    pub(crate) async fn is_asked(&self, questions: u64) {
        soon(async {
            while self.kept.asked.load(Ordering::Relaxed) < questions {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) fn connects(&self) -> Vec<u64> {
        self.kept.connects.lock().unwrap().clone()
    }

    /// Returns what was heard of an origin.
    pub(crate) fn of(&self, origin: u16) -> Vec<Heard> {
        let heard = self.kept.heard.lock().unwrap();
        heard.iter().filter(|heard| heard.said.origin == origin).copied().collect()
    }

    /// Waits until it has heard that number of messages.
    pub(crate) async fn hears(&self, messages: usize) {
        soon(async {
            while self.len() < messages {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Returns the number of messages that came twice, and of those that came before one that was sent earlier.
    pub(crate) fn faults(&self) -> (usize, usize) {
        let (mut twice, mut early) = (0, 0);
        let mut last = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for Heard { said, .. } in self.heard() {
            let is_new = seen.insert((said.origin, said.number));
            let before = last.insert(said.origin, said.number);
            twice += usize::from(!is_new);
            early += usize::from(is_new && before.is_some_and(|before| before > said.number));
        }
        (twice, early)
    }
}

impl Kept {
    fn hear(&self, body: &[u8]) {
        let at = now();
        let Some(said) = Said::decode(body) else {
            self.broken.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let connection = self.connects.lock().unwrap().len();
        self.heard.lock().unwrap().push(Heard { said, at, connection });
    }
}

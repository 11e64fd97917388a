//! Honest peers beside every other activity: they send requests, check the answers and time them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::accounts::Seen;
use crate::peer::RawPeer;
use crate::wire::{Code, Line, now};

/// The number of honest peers.
const PEERS: u64 = 20;

/// The pause between two requests of one peer.
const PAUSE: Duration = Duration::from_millis(10);

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// Twenty peers that request an echo a hundred times per second.
#[derive(Debug)]
pub(crate) struct Honest {
    peers: JoinSet<Peer>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Peer {
    seen: Seen,
    took: Vec<Duration>,
    error: Option<String>,
}

/// The results of the honest peers.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) seen: Vec<Seen>,
    pub(crate) errors: Vec<String>,
    took: Vec<Duration>,
}

impl Outcome {
    /// Returns the number of answers.
    pub(crate) fn answers(&self) -> usize {
        self.took.len()
    }

    /// Returns the 99th percentile of the answer times in milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        percentile(self.took.clone(), 0.99)
    }
}

impl Honest {
    /// Connects the peers one after the other. They start at once.
    pub(crate) async fn join(addr: SocketAddr) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let mut peers = JoinSet::new();
        for number in 0..PEERS {
            let peer = RawPeer::join(addr).await.context("an honest peer cannot join")?;
            peers.spawn(ask(peer, number, stop.subscribe()));
        }
        Ok(Self { peers, stop })
    }

    /// Disconnects the peers.
    pub(crate) async fn leave(mut self) -> Outcome {
        self.stop.send_replace(true);
        let mut outcome = Outcome::default();
        while let Some(ended) = self.peers.join_next().await {
            match ended {
                Ok(peer) => {
                    outcome.seen.push(peer.seen);
                    outcome.took.extend(peer.took);
                    outcome.errors.extend(peer.error);
                }
                Err(error) => outcome.errors.push(error.to_string()),
            }
        }
        outcome
    }
}

/// Sends requests until it is stopped or an answer is wrong.
async fn ask(mut peer: RawPeer, stream: u64, stop: watch::Receiver<bool>) -> Peer {
    let (mut took, mut error) = (Vec::new(), None);
    for number in 0.. {
        if *stop.borrow() {
            break;
        }
        let start = Instant::now();
        let body = Line::new(stream + 1, number).body(64);
        match timeout(PATIENCE, peer.ask(Code::Echo, body.clone())).await {
            Ok(Ok(answer)) if *answer.body() == body => took.push(start.elapsed()),
            Ok(Ok(_)) => error = Some(format!("#{}: an answer to another request", peer.id())),
            Ok(Err(failure)) => error = Some(format!("#{}: {failure}", peer.id())),
            Err(_) => error = Some(format!("#{}: no answer in {PATIENCE:?}", peer.id())),
        }
        if error.is_some() {
            break;
        }
        sleep(PAUSE).await;
    }
    Peer { seen: peer.leave().await, took, error }
}

/// Returns a percentile in milliseconds. `part` is the part of the times that are not longer.
pub(crate) fn percentile(mut took: Vec<Duration>, part: f64) -> f64 {
    took.sort_unstable();
    let at = (took.len() as f64 * part).ceil() as usize;
    took.get(at.saturating_sub(1)).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
}

/// Returns the time since a message was sent.
pub(crate) fn age(line: Line) -> Duration {
    Duration::from_nanos(now().saturating_sub(line.sent_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_there_were() {
        let took: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(took.clone(), 0.99), 99.0);
        assert_eq!(percentile(took, 1.0), 100.0);
        assert!(percentile(Vec::new(), 0.99).is_nan(), "a percentile of nothing is no pass");
    }
}

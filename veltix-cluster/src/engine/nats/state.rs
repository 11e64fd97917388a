//! [`StateTask`]: reports the state of the connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::Client;
use async_nats::connection::State;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use veltix_core::cluster::NodeId;
use veltix_core::limits::{
    CLUSTER_CONFIRM, CLUSTER_CONFIRMED, CLUSTER_RECONNECT_LATER, CLUSTER_STATE_EVERY,
};

use super::link::{Link, random_below};
use super::probe;
use super::subjects::Subjects;
use crate::backplane::{ClusterInbox, EngineState};

/// Reports the state of the connection: connected from the server's answer at both subscriptions on.
///
/// The client's events go through a channel that drops what finds no room, so the state itself is read. A
/// server that removes a permission removes the subscription and keeps the connection. So the connection alone
/// shows nothing.
pub(super) struct StateTask {
    client: Client,
    link: Arc<Link>,
    subjects: Subjects,
    me: NodeId,
    inbox: ClusterInbox,
    told: Option<EngineState>,
    /// The number of the connection that the fields below speak of.
    connection: u64,
    question: u64,
    /// The first question without an answer, and its time.
    unanswered: Option<(u64, Instant)>,
    /// The time of the last question.
    asked: Option<Instant>,
    confirmed: Option<Instant>,
    /// The time from which on a connection without permissions is made again.
    again: Option<Instant>,
}

impl StateTask {
    pub(super) const fn new(
        client: Client,
        link: Arc<Link>,
        subjects: Subjects,
        me: NodeId,
        inbox: ClusterInbox,
    ) -> Self {
        Self {
            client,
            link,
            subjects,
            me,
            inbox,
            told: None,
            connection: 0,
            question: 0,
            unanswered: None,
            asked: None,
            confirmed: None,
            again: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut ticks = interval(CLUSTER_STATE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(state) = self.look().await {
                self.tell(state);
            }
        }
    }

    /// Returns the state, or `None` if the server has not answered yet.
    async fn look(&mut self) -> Option<EngineState> {
        let connection = self.client.statistics().connects.load(Ordering::Relaxed);
        if self.client.connection_state() != State::Connected {
            self.forget(connection);
            return Some(self.disconnected("the connection to the NATS server is lost"));
        }
        if connection != self.connection {
            self.forget(connection);
            if self.told == Some(EngineState::Connected) {
                // The break was shorter than the time between two looks. It has lost messages all the same, and
                // the subscriptions are not confirmed yet.
                return Some(self.disconnected("the connection to the NATS server was lost"));
            }
        }
        let denied = self.link.denied().borrow().clone();
        if let Some(reason) = denied {
            self.confirmed = None;
            self.connect_again().await;
            return Some(EngineState::Disconnected { reason });
        }
        self.take_answer();
        self.ask().await;
        let is_late = match (self.confirmed, self.unanswered) {
            (Some(confirmed), _) if confirmed.elapsed() < CLUSTER_CONFIRMED => {
                return Some(EngineState::Connected);
            }
            (Some(_), _) => true,
            // A slow server is given half of that time.
            (None, Some((_, asked))) => asked.elapsed() > CLUSTER_CONFIRMED / 2,
            (None, None) => false,
        };
        if !is_late {
            return None;
        }
        self.connect_again().await;
        Some(self.disconnected("the NATS server does not confirm the subscriptions of this node"))
    }

    /// Forgets what was known of the former connection.
    const fn forget(&mut self, connection: u64) {
        self.connection = connection;
        self.unanswered = None;
        self.asked = None;
        self.confirmed = None;
        self.again = None;
    }

    fn take_answer(&mut self) {
        let Some((question, asked)) = self.unanswered else { return };
        // An error that the server has sent before its answer needs a moment to be an event.
        if asked.elapsed() >= CLUSTER_STATE_EVERY && self.link.is_answered(question) {
            self.unanswered = None;
            self.again = None;
            self.confirmed = Some(Instant::now());
            self.link.confirmed();
        }
    }

    /// Asks the server if it is time to, without waiting for room in a queue.
    async fn ask(&mut self) {
        if self.asked.is_some_and(|asked| asked.elapsed() < CLUSTER_CONFIRM) {
            return;
        }
        let now = Instant::now();
        self.question += 1;
        self.asked = Some(now);
        if self.unanswered.is_none() {
            self.link.asks();
            self.unanswered = Some((self.question, now));
        }
        let asked = async {
            if self.confirmed.is_none() {
                probe::say_nothing(&self.client, &self.subjects).await?;
            }
            probe::ask(&self.client, &self.subjects, self.me, self.question).await
        };
        // Without room now, it is asked again.
        let _ = timeout(CLUSTER_STATE_EVERY, asked).await;
    }

    /// Connects again after a random time, so that the client subscribes anew.
    async fn connect_again(&mut self) {
        let now = Instant::now();
        let again = *self.again.get_or_insert_with(|| now + random_below(CLUSTER_RECONNECT_LATER));
        if now >= again {
            self.again = None;
            let _ = timeout(CLUSTER_STATE_EVERY, self.client.force_reconnect()).await;
        }
    }

    fn disconnected(&self, otherwise: &str) -> EngineState {
        EngineState::Disconnected {
            reason: self.link.failure().unwrap_or_else(|| otherwise.into()),
        }
    }

    fn tell(&mut self, state: EngineState) {
        if self.told.as_ref() == Some(&state) {
            return;
        }
        let me = self.me;
        match &state {
            EngineState::Connected => tracing::info!(%me, "the NATS server passes on messages"),
            EngineState::Disconnected { reason } => {
                tracing::warn!(%me, %reason, "the NATS server passes on no messages");
            }
        }
        self.told = Some(state.clone());
        self.inbox.state(state);
    }
}

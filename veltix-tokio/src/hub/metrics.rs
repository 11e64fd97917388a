//! [`Hub::metrics`]: the snapshot of the metrics of a server.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;
use veltix_core::limits::METRICS_SHARED;

use super::peers::Totals;
use super::{Endpoint, HandshakeFailure, Hub};
use crate::close::CloseReason;
use crate::metrics::{Families, Metrics, TypeNames};
use crate::outbox::Dropped;

impl Hub {
    /// Returns the metrics of this server until now. Callers within 250 ms share one snapshot.
    ///
    /// It takes time in proportion to the number of peers, in the thread of the caller. No timer and no task runs
    /// for it between two calls.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.0.metrics()
    }
}

impl Endpoint {
    /// Returns the metrics, at most [`METRICS_SHARED`] old.
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        let now = Instant::now();
        let mut last = self.last_metrics().lock();
        if let Some((made, metrics)) = &*last
            && now.duration_since(*made) < METRICS_SHARED
        {
            return Arc::clone(metrics);
        }
        let metrics = Arc::new(self.read_metrics());
        *last = Some((now, Arc::clone(&metrics)));
        metrics
    }

    fn read_metrics(&self) -> Metrics {
        let totals = self.peers().totals();
        let mut families = Families::default();
        self.read_side(&mut families);
        self.read_connections(&mut families, &totals);
        read_messages(&mut families, &totals);
        self.read_frames(&mut families, &totals);
        self.read_resources(&mut families);
        families.finish()
    }

    fn read_side(&self, families: &mut Families) {
        let version = env!("CARGO_PKG_VERSION").into();
        let tls = if cfg!(feature = "__tls") { "yes" } else { "no" };
        families.info(
            "veltix_build_info",
            "The version of the crate, and whether it was built with TLS; always 1.",
            vec![("version", version), ("tls", tls.into())],
        );
        let started = self.services().meters().started().duration_since(UNIX_EPOCH);
        families.gauge(
            "veltix_start_time_seconds",
            "The Unix time at which the server was created.",
            started.unwrap_or_default().as_secs_f64(),
        );
        families.gauge(
            "veltix_draining",
            "1 while a shutdown runs.",
            f64::from(u8::from(self.drain().has_begun())),
        );
    }

    fn read_connections(&self, families: &mut Families, totals: &Totals) {
        let (meters, slots) = (self.services().meters(), self.slots());
        families.gauge("veltix_peers", "Listed peers.", self.peers().len() as f64);
        families.gauge("veltix_peers_limit", "The most peers.", slots.max() as f64);
        families.gauge(
            "veltix_peers_blocked",
            "Peers whose stream takes no more bytes.",
            totals.blocked as f64,
        );
        families.gauge(
            "veltix_handshakes_pending",
            "Connections before the end of their handshake.",
            self.handshakes().len() as f64,
        );
        families.counter(
            "veltix_connections_accepted_total",
            "Connections that were accepted, before their handshake.",
            meters.accepted.get(),
        );
        families.counters(
            "veltix_connections_opened_total",
            "Peers that were admitted: those of this crate, and others.",
            "kind",
            meters.opened.with(["rust", "other"]),
        );
        families.counters(
            "veltix_connections_closed_total",
            "Connections that ended after their handshake.",
            "reason",
            meters.closed.with(CloseReason::LABELS),
        );
        families.counters(
            "veltix_handshakes_failed_total",
            "Connections that ended before the end of their handshake.",
            "reason",
            meters.handshakes_failed.with(HandshakeFailure::LABELS),
        );
        families.histogram(
            "veltix_connection_age_seconds",
            "The age of connections at their end.",
            meters.ages.read(),
        );
    }

    fn read_frames(&self, families: &mut Families, totals: &Totals) {
        let (meters, sent) = (self.services().meters(), &totals.stats.sent);
        families.counter(
            "veltix_frames_accepted_total",
            "Frames that a sending call accepted: accepted = written + dropped + queued.",
            sent.accepted,
        );
        families.counter(
            "veltix_frames_written_total",
            "Frames that were completely handed to the operating system.",
            sent.written,
        );
        families.counter_pairs(
            "veltix_frames_dropped_total",
            "Accepted frames that were dropped.",
            ["message", "reason"],
            dropped_by_type(&self.services().drops().snapshot(), meters.types()),
        );
        families.gauge("veltix_frames_queued", "Frames in all outboxes.", sent.queued as f64);
        families.gauge(
            "veltix_queued_bytes",
            "The memory of the frames in all outboxes.",
            totals.queued_bytes as f64,
        );
        families.counter(
            "veltix_sent_bytes_total",
            "Bytes of frames that streams have taken, with headers and without TLS.",
            totals.sent_bytes,
        );
        families.histogram(
            "veltix_ping_duration_seconds",
            "The round trip of pings that the application has sent.",
            meters.pings.read(),
        );
        families.gauge(
            "veltix_outbox_oldest_seconds",
            "The longest time for which a peer takes no bytes now.",
            totals.stalled.as_secs_f64(),
        );
        families.counter(
            "veltix_slow_consumers_total",
            "Times at which the outbox of a peer had no room.",
            meters.slow_consumers.get(),
        );
        families.counter(
            "veltix_rate_exceeded_total",
            "Times at which a peer was slowed down for its rate.",
            meters.rates_exceeded.get(),
        );
        families.counter(
            "veltix_evictions_total",
            "Peers that were disconnected for the memory budget.",
            meters.evictions.get(),
        );
    }

    fn read_resources(&self, families: &mut Families) {
        let memory = self.services().memory();
        families.gauge(
            "veltix_memory_used_bytes",
            "The counted memory of all connections.",
            memory.held() as f64,
        );
        families.gauge("veltix_memory_limit_bytes", "The memory budget.", memory.budget() as f64);
    }
}

fn read_messages(families: &mut Families, totals: &Totals) {
    let received = &totals.stats.received;
    families.counter(
        "veltix_messages_received_total",
        "Decoded frames: received = handled + rejected + discarded + waiting.",
        received.received,
    );
    families.gauge(
        "veltix_messages_waiting",
        "Messages that wait for a handler, or are in one.",
        received.waiting as f64,
    );
    families.counters(
        "veltix_messages_discarded_total",
        "Received messages that no handler got.",
        "reason",
        [
            ("unknown", received.discarded_unknown),
            ("unread", received.discarded_unread),
            ("late", received.discarded_late),
            ("closed", received.discarded_closed),
            ("shutdown", received.discarded_shutdown),
        ],
    );
}

/// Returns the dropped frames for each label of a type and each reason. All series exist.
fn dropped_by_type(
    dropped: &[Dropped],
    types: &TypeNames,
) -> impl Iterator<Item = ([&'static str; 2], u64)> {
    types.labels().flat_map(move |label| {
        let of_label = dropped.iter().filter(move |it| types.label(it.code) == label);
        let sum = of_label.fold(Dropped::default(), Dropped::plus);
        let counts = [
            ("slow_consumer", sum.slow_consumer),
            ("disconnected", sum.disconnected),
            ("policy", sum.policy),
            ("superseded", sum.superseded),
            ("shutdown", sum.shutdown),
            ("too_large", sum.too_large),
        ];
        counts.into_iter().map(move |(reason, count)| ([label, reason], count))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use tokio::time::sleep;
    use veltix_core::{Message, MessageType};

    use super::*;
    use crate::metrics::Value;
    use crate::transport::{MemoryConnector, memory};
    use crate::{Client, ClientConfig, Router, Server, ServerConfig};

    const SAY: MessageType = MessageType::new(200, "say", "");
    const FAIL: MessageType = MessageType::new(201, "fail", "");

    fn serve() -> (Hub, MemoryConnector) {
        let (listener, connector) = memory(64 * 1024);
        let router = Router::new().route(SAY, || "said").route(FAIL, |_: crate::Text| {});
        let server = Server::with_listener(listener, ServerConfig::default(), router).unwrap();
        let hub = server.hub();
        tokio::spawn(server.run());
        (hub, connector)
    }

    async fn connect(connector: &MemoryConnector) -> Client {
        let connect =
            Client::connect_with(connector.clone(), ClientConfig::default(), Router::new());
        connect.await.unwrap()
    }

    /// Returns all counters, and the counts of histograms, by name and labels.
    fn counters(metrics: &Metrics) -> BTreeMap<String, u64> {
        let mut counters = BTreeMap::new();
        for family in metrics.families() {
            for series in family.series() {
                let labels: Vec<_> = series.labels().collect();
                let name = format!("{}{labels:?}", family.name());
                let count = match series.value() {
                    Value::Counter(count) => *count,
                    Value::Histogram(values) => values.count(),
                    Value::Gauge(_) => continue,
                };
                assert!(counters.insert(name, count).is_none(), "{} is there twice", family.name());
            }
        }
        counters
    }

    fn sum(metrics: &Metrics, name: &str) -> u64 {
        let family = metrics.families().iter().find(|family| family.name() == name).unwrap();
        let value = |value: &Value| match value {
            Value::Counter(count) => *count,
            Value::Gauge(number) => *number as u64,
            Value::Histogram(values) => values.count(),
        };
        family.series().iter().map(|series| value(series.value())).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn no_counter_falls_when_peers_leave_and_the_sums_hold() {
        let (hub, connector) = serve();
        let mut before = counters(&hub.metrics());
        let mut stays = Vec::new();
        for round in 0..12_u64 {
            let client = connect(&connector).await;
            assert_eq!(client.request(&Message::empty(SAY)).await.unwrap().text().unwrap(), "said");
            client.ping().await.unwrap();
            hub.broadcast(&Message::empty(SAY)).unwrap();
            if round.is_multiple_of(3) {
                stays.push(client);
            } else {
                client.close().await;
            }
            sleep(METRICS_SHARED).await;
            let metrics = hub.metrics();
            let now = counters(&metrics);
            assert_eq!(now.len(), before.len(), "each series exists from the start");
            for (name, count) in &now {
                assert!(*count >= before[name], "{name} fell from {} to {count}", before[name]);
            }
            let sum = |name| sum(&metrics, name);
            let frames = sum("veltix_frames_written_total")
                + sum("veltix_frames_dropped_total")
                + sum("veltix_frames_queued");
            assert_eq!(sum("veltix_frames_accepted_total"), frames);
            assert_eq!(sum("veltix_connections_opened_total"), round + 1);
            let ended = round + 1 - stays.len() as u64;
            assert_eq!(sum("veltix_connections_closed_total"), ended);
            assert_eq!(sum("veltix_connection_age_seconds"), ended);
            assert_eq!(sum("veltix_peers"), stays.len() as u64);
            before = now;
        }
        assert_eq!(sum(&hub.metrics(), "veltix_messages_received_total"), 24);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_share_a_snapshot_for_a_moment() {
        let (hub, connector) = serve();
        let first = hub.metrics();
        let _client = connect(&connector).await;
        assert!(Arc::ptr_eq(&first, &hub.metrics()));
        sleep(METRICS_SHARED - Duration::from_millis(1)).await;
        assert!(Arc::ptr_eq(&first, &hub.metrics()));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(hub.metrics().get("veltix_peers", &[]), Some(Value::Gauge(1.0)));
    }

    #[test]
    fn each_reason_has_a_label_of_its_own() {
        let mut labels = CloseReason::LABELS.to_vec();
        labels.extend(HandshakeFailure::LABELS.map(|label| match label {
            // Both kinds of ends have these.
            "protocol" | "tls" | "io" | "refused" => "",
            label => label,
        }));
        labels.retain(|label| !label.is_empty());
        let count = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), count);
        assert_eq!(CloseReason::LABELS[CloseReason::SlowConsumer.index()], "slow_consumer");
        assert_eq!(CloseReason::LABELS[CloseReason::Aborted.index()], "aborted");
        assert_eq!(HandshakeFailure::LABELS[HandshakeFailure::Shed.index()], "shed");
    }
}

//! The samples of one entrant in one workload.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::entrant::Entrant;
use crate::generator::Measured;
use crate::results::{Missing, Series};
use crate::workload::Workload;

/// The percentiles of a latency that are stored.
const PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

/// The failed rounds after which a measurement is not tried again, since each may cost its
/// time-outs.
const FAILURES: usize = 2;

/// The results of one entrant in one workload so far.
pub(crate) struct Tally {
    pub(crate) entrant: Entrant,
    samples: Vec<Option<f64>>,
    latencies: Option<Histogram<u64>>,
    notes: Vec<String>,
    failures: usize,
}

impl Tally {
    pub(crate) const fn new(entrant: Entrant) -> Self {
        Self { entrant, samples: Vec::new(), latencies: None, notes: Vec::new(), failures: 0 }
    }

    /// Measures once more, unless too many rounds have failed.
    pub(crate) fn add_round(&mut self, workload: &Workload, lasts: Duration) {
        if self.failures < FAILURES {
            self.add(self.entrant.measure(workload, lasts));
        } else {
            self.samples.push(None);
        }
    }

    fn add(&mut self, measured: Result<Measured>) {
        let note = match measured {
            Ok(Measured { value, latencies, note }) => {
                self.samples.push(Some(value));
                self.latencies = match (self.latencies.take(), latencies) {
                    (Some(all), Some(more)) => Some(all + more),
                    (before, new) => before.or(new),
                };
                note
            }
            Err(error) => {
                self.failures += 1;
                self.samples.push(None);
                Some(format!("round {}: {error:#}", self.samples.len()))
            }
        };
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    /// Appends the samples to the series, or an entry to `missing` if there are none.
    pub(crate) fn finish(
        self,
        workload: &Workload,
        series: &mut Vec<Series>,
        missing: &mut Vec<Missing>,
    ) {
        let peer = self.entrant.name().to_owned();
        let note = (!self.notes.is_empty()).then(|| self.notes.join("; "));
        if self.samples.iter().all(Option::is_none) {
            let workload = Some(workload.id.to_owned());
            let why = note.unwrap_or_else(|| "there was no round".to_owned());
            missing.push(Missing { peer, workload, why });
            return;
        }
        let percentile = |latencies: &Histogram<u64>, percentile: f64| {
            (percentile, latencies.value_at_percentile(percentile) as f64 / 1e3)
        };
        let percentiles = self.latencies.map_or_else(Vec::new, |latencies| {
            PERCENTILES.iter().map(|&at| percentile(&latencies, at)).collect()
        });
        series.push(Series {
            workload: workload.id.to_owned(),
            peer,
            unit: workload.unit.to_owned(),
            better: workload.better,
            x: workload.x(),
            samples: self.samples,
            percentiles,
            note,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PEERS;
    use crate::workload::WORKLOADS;

    #[test]
    fn a_failed_round_keeps_its_place() {
        let mut tally = Tally::new(Entrant::Server(&PEERS[0]));
        tally.add(Ok(1.0.into()));
        tally.add(Err(anyhow::anyhow!("no answer")));
        tally.add(Ok(3.0.into()));
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        tally.finish(&WORKLOADS[0], &mut series, &mut missing);
        assert_eq!(series[0].samples, [Some(1.0), None, Some(3.0)]);
        assert_eq!(series[0].note.as_deref(), Some("round 2: no answer"));
        assert!(missing.is_empty());
    }

    #[test]
    fn whoever_never_succeeds_is_missing() {
        let mut tally = Tally::new(Entrant::Server(&PEERS[0]));
        tally.add(Err(anyhow::anyhow!("no answer")));
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        tally.finish(&WORKLOADS[0], &mut series, &mut missing);
        assert!(series.is_empty());
        assert_eq!(missing[0].why, "round 1: no answer");
    }
}

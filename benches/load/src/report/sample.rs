//! Small reports for the tests.

use veltix_stage::Machine;

use crate::results::{Better, Report, Series};

pub(crate) fn series(workload: &str, peer: &str, samples: &[Option<f64>]) -> Series {
    Series {
        workload: workload.to_owned(),
        peer: peer.to_owned(),
        unit: "messages/s".to_owned(),
        better: Better::Higher,
        x: None,
        samples: samples.to_vec(),
        percentiles: Vec::new(),
        note: None,
    }
}

pub(crate) fn report(series: Vec<Series>) -> Report {
    Report {
        machine: Machine {
            cores: 2,
            kernel: "Linux 6.18".to_owned(),
            rustc: "1.95.0".to_owned(),
            cpu: "a CPU".to_owned(),
        },
        date: "2026-01-02".to_owned(),
        rounds: series.first().map_or(0, |series| series.samples.len()),
        series,
        missing: Vec::new(),
    }
}

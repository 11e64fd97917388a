//! The system's figures of a process, read from outside, since a process without a free descriptor
//! cannot read its own.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use veltix_stage::process::kib;

/// The ticks of processor time per second, as Linux reports them to all programs.
const TICKS: u64 = 100;

/// A process, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe(pub(crate) u32);

impl Probe {
    /// Returns the resident memory in MiB.
    pub(crate) fn resident(self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// Returns the highest resident memory in MiB since [`Probe::forget_peak`].
    pub(crate) fn peak(self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    /// Resets the highest resident memory to the present one.
    pub(crate) fn forget_peak(self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").context("the peak of its memory")
    }

    /// Returns the number of open descriptors.
    pub(crate) fn descriptors(self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0)).context("the process has ended")?.count())
    }

    /// Returns the processor time of the process.
    pub(crate) fn processor(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name is the second field and may contain spaces.
        let (_, fields) = stat.rsplit_once(") ").context("no line of fields")?;
        let fields: Vec<_> = fields.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("no time of the processor")?;
        Ok(Duration::from_millis((ticks.0 + ticks.1) * 1_000 / TICKS))
    }

    fn memory(self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0));
        Ok(kib(&status.context("the process has ended")?, name)? / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_it_does() {
        let this = Probe(std::process::id());
        let before = this.descriptors().expect("it runs");
        let file = fs::File::open("/dev/null").expect("it is there");
        assert!(this.descriptors().expect("it runs") > before);
        drop(file);
        this.forget_peak().expect("it is ours");
        let resident = this.resident().expect("it runs");
        let block = vec![1_u8; 64 << 20];
        assert!(this.peak().expect("it runs") > resident + 60.0);
        drop(block);
        assert!(this.processor().expect("it runs") < Duration::from_secs(600));
    }
}

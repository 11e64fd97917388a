//! The metrics of the process, from `/proc`.

use std::fs;

use crate::exposition::Plain;

/// Returns the metrics of the process. Numbers that the system does not tell are left out.
pub(crate) fn metrics() -> Vec<Plain> {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return Vec::new() };
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    Process { descriptors, ..Process::read(&stat, &limits) }.metrics()
}

/// The ticks of the processor time and the size of a page on all Linux systems that Rust supports with them.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE: u64 = 4096;

#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    descriptors: Option<usize>,
    max_descriptors: Option<u64>,
}

impl Process {
    fn read(stat: &str, limits: &str) -> Self {
        // The name of the program may have spaces and parentheses.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_ascii_whitespace().collect())
            .unwrap_or_default();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let ticks = number(11).zip(number(12)).map(|(user, system)| user + system);
        let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            cpu_seconds: ticks.map(|ticks| ticks as f64 / TICKS_PER_SECOND),
            resident_bytes: number(21).map(|pages| pages * PAGE),
            descriptors: None,
            max_descriptors: open_files
                .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()),
        }
    }

    fn metrics(&self) -> Vec<Plain> {
        let plain = |name, help, is_counter, number: Option<f64>| {
            number.map(|number| Plain { name, help, is_counter, number })
        };
        let all = [
            plain(
                "process_cpu_seconds_total",
                "The processor time of the process.",
                true,
                self.cpu_seconds,
            ),
            plain(
                "process_resident_memory_bytes",
                "The resident memory of the process.",
                false,
                self.resident_bytes.map(|bytes| bytes as f64),
            ),
            plain(
                "process_open_fds",
                "Open descriptors.",
                false,
                self.descriptors.map(|count| count as f64),
            ),
            plain(
                "process_max_fds",
                "The most open descriptors.",
                false,
                self.max_descriptors.map(|count| count as f64),
            ),
        ];
        all.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_does_not_move_the_fields() {
        let stat =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 99 0 0 0 150 50 0 0 20 0 3 0 100 1000000 250 1 1";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        let read = Process::read(stat, limits);
        let expected = Process {
            cpu_seconds: Some(2.0),
            resident_bytes: Some(250 * PAGE),
            descriptors: None,
            max_descriptors: Some(1024),
        };
        assert_eq!(read, expected);
        assert_eq!(Process::read("", ""), Process::default());
    }

    #[test]
    fn this_process_has_all_of_them() {
        let names: Vec<_> = metrics().iter().map(|it| (it.name, it.number > 0.0)).collect();
        let expected = [
            ("process_resident_memory_bytes", true),
            ("process_open_fds", true),
            ("process_max_fds", true),
        ];
        assert_eq!(names[1..], expected);
        assert_eq!(names[0].0, "process_cpu_seconds_total");
    }
}

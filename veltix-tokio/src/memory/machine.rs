//! The memory that this process may expect to have, according to its system.

use std::path::Path;
use std::sync::OnceLock;

use veltix_core::limits::{MEMORY_BUDGET, MEMORY_PART};

/// Returns the default budget of a server. It is a part of the machine's memory and of the limit of
/// the process's control group, and at most [`MEMORY_BUDGET`]. The system is asked once.
pub(crate) fn default_budget() -> usize {
    static BUDGET: OnceLock<usize> = OnceLock::new();
    *BUDGET.get_or_init(|| {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let part =
            limit(read).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX) / MEMORY_PART);
        part.unwrap_or(MEMORY_BUDGET).min(MEMORY_BUDGET)
    })
}

/// Returns the lowest known limit, or `None` if no limit is known.
fn limit(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let group = groups.lines().filter_map(|line| group_limit(line, &read)).min();
    machine.into_iter().chain(group).min()
}

/// Returns the machine's memory from `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the lowest limit of a control group and its ancestors, from its line in
/// `/proc/self/cgroup`: `0::/path` with version 2, `4:memory:/path` with version 1. In a container
/// the path may be one of the host's, which does not exist there. The root is then the container's
/// own group.
fn group_limit(line: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (root, file) = if controllers.is_empty() {
        ("/sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return None;
    };
    let path = Path::new(path.trim_start_matches('/'));
    // `max`, for no limit, is not a number. Version 1 reports an enormous number instead.
    path.ancestors()
        .filter_map(|group| read(&Path::new(root).join(group).join(file))?.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_memory_is_read() {
        let meminfo = "MemTotal:       24576 kB\nMemFree:         1024 kB\n";
        assert_eq!(total(meminfo), Some(24 << 20));
        assert_eq!(total("MemFree: 1 kB"), None);
        assert_eq!(total("MemTotal: lots"), None);
    }

    /// Returns a reader that knows only these files.
    fn files(files: &[(&str, &str)]) -> impl Fn(&Path) -> Option<String> {
        move |path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    #[track_caller]
    fn check(line: &str, of: &[(&str, &str)], expected: Option<u64>) {
        assert_eq!(group_limit(line, files(of)), expected, "{line}");
    }

    #[test]
    fn the_least_counts() {
        let machine = ("/proc/meminfo", "MemTotal: 1024 kB");
        let group = ("/proc/self/cgroup", "0::/app\n");
        let larger = ("/sys/fs/cgroup/app/memory.max", "8388608");
        let smaller = ("/sys/fs/cgroup/app/memory.max", "4096");
        assert_eq!(limit(files(&[machine, group, larger])), Some(1 << 20));
        assert_eq!(limit(files(&[machine, group, smaller])), Some(4096));
        assert_eq!(limit(files(&[machine])), Some(1 << 20));
        assert_eq!(limit(files(&[group, smaller])), Some(4096));
        assert_eq!(limit(files(&[])), None);
    }

    #[test]
    fn a_group_is_limited_by_those_around_it_too() {
        let v2 = [
            ("/sys/fs/cgroup/app/web/memory.max", "max\n"),
            ("/sys/fs/cgroup/app/memory.max", "536870912\n"),
        ];
        check("0::/app/web", &v2, Some(512 << 20));
        check("0::/other", &v2, None);
        check("0::/", &[("/sys/fs/cgroup/memory.max", "1000")], Some(1000));
        // A container sees its own group as the root, and the host's path in its list.
        check("0::/docker/0815", &[("/sys/fs/cgroup/memory.max", "1000")], Some(1000));
    }

    #[test]
    fn version_1_has_a_group_for_memory_alone() {
        let v1 = [
            ("/sys/fs/cgroup/memory/app/memory.limit_in_bytes", "1048576\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        check("4:memory:/app", &v1, Some(1 << 20));
        check("5:cpu,memory:/app", &v1, Some(1 << 20));
        check("6:cpu:/app", &v1, None);
        check("nonsense", &v1, None);
    }

    #[test]
    fn this_machine_has_a_budget() {
        assert!((1..=MEMORY_BUDGET).contains(&default_budget()));
    }
}

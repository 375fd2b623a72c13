//! How much memory the process may use: the minimum of the machine's memory and the limits of its control groups, which
//! containers have.

use std::sync::OnceLock;

/// The limit in bytes; `None` where the system does not report it. Computed once per process.
#[must_use]
pub(crate) fn available() -> Option<u64> {
    static AVAILABLE: OnceLock<Option<u64>> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        if cfg!(any(target_os = "linux", target_os = "android")) { smallest(read) } else { None }
    })
}

/// The minimum according to the files of Linux, which `read` returns.
fn smallest(read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| total_of(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(place_of).flat_map(|(root, file, path)| {
        let read = &read;
        // A group is bounded by those that it is part of, too. Seen from inside of a container its path may not be
        // there, but the root is.
        ancestors(path).filter_map(move |group| read(&format!("{root}{group}/{file}"))?.trim().parse().ok())
    });
    limits.chain(machine).min()
}

/// `MemTotal:       16303428 kB`
fn total_of(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Where the limit of a line like `0::/user.slice` or `4:memory:/docker/1f` stands.
fn place_of(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    match (number, controllers) {
        ("0", "") => Some(("/sys/fs/cgroup", "memory.max", path)),
        (_, controllers) if controllers.split(',').any(|it| it == "memory") => {
            Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path))
        }
        _ => None,
    }
}

/// `/a/b`, `/a` and the root, which is empty.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    std::iter::successors(Some(path), |path| path.rfind('/').map(|end| &path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       1000000 kB\nMemFree: 5 kB\n");

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let find =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        smallest(find)
    }

    #[test]
    fn without_groups_it_is_what_the_machine_has() {
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[MACHINE]), Some(1_024_000_000));
        let unlimited = [("/proc/self/cgroup", "0::/a\n"), ("/sys/fs/cgroup/a/memory.max", "max\n"), MACHINE];
        assert_eq!(limit(&unlimited), Some(1_024_000_000));
    }

    #[test]
    fn the_strictest_group_counts_in_both_versions() {
        let second = [
            MACHINE,
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "300000\n"),
            ("/sys/fs/cgroup/a/memory.max", "200000\n"),
        ];
        assert_eq!(limit(&second), Some(200_000));
        let first = [
            MACHINE,
            ("/proc/self/cgroup", "5:cpu,memory:/docker/1f\n1:name=systemd:/x\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "500000\n"),
        ];
        assert_eq!(limit(&first), Some(500_000), "inside of a container only the root is there");
    }
}

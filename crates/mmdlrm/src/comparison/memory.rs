//! How much memory the process holds at most.

/// Begins to look anew; where the system knows no such thing nothing happens.
pub(super) fn begin() {
    // 5 is what resets the peak (proc_pid_clear_refs(5)). That it cannot be done costs a figure.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Most of it since, in MiB, where the system tells.
pub(super) fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

/// Bytes that are free, for all that the system and the group of processes have, where the system
/// tells.
pub(super) fn available() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let of_group = |file: &str| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/memory.{file}")).ok()?;
        text.trim().parse().ok()
    };
    let free = of_group("max").map(|most| most.saturating_sub(of_group("current").unwrap_or(0)));
    Some((1024 * kib).min(free.unwrap_or(u64::MAX)))
}

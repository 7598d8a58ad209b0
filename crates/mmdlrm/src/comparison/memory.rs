//! How much memory the process holds at most, and how much there is.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

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
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
    let of_group = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = system.available_memory().min(of_group.unwrap_or(u64::MAX));
    (free > 0).then_some(free)
}

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// Where a run was made, in words.
pub(super) fn machine() -> Vec<(&'static str, String)> {
    let wanted = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted);
    let brand = system
        .cpus()
        .first()
        .map(|cpu| cpu.brand().trim().to_owned());
    let gib = system.total_memory() as f64 / f64::from(1 << 30);
    vec![
        (
            "processor",
            brand
                .filter(|it| !it.is_empty())
                .unwrap_or_else(|| "unknown".to_owned()),
        ),
        ("threads", rayon::current_num_threads().to_string()),
        ("memory", format!("{gib:.0} GiB")),
        (
            "system",
            System::long_os_version().unwrap_or_else(|| "unknown".to_owned()),
        ),
        ("mmdlrm", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

//! Tables of millions of rows.

use std::time::Instant;

use mmdlrm_data::generate::PlantedShop;

use super::*;

/// By hand, with `--release`, `--ignored` and `--nocapture`; `docs/benchmarks.md` has its figures.
#[test]
#[ignore = "writes ten million rows"]
fn ten_million_events_with_texts_as_ids() {
    let folder = tempfile::tempdir().unwrap();
    let shop = PlantedShop {
        customers: 1_000_000,
        products: 100_000,
        purchases: 10_000_000,
        ..PlantedShop::default()
    };
    shop.write(folder.path()).unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        let read = files(folder.path().join("purchases.parquet"), None)
            .open()
            .unwrap();
        println!("{} rows in {:?}", read.ratings.len(), start.elapsed());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("no peak known"));
}

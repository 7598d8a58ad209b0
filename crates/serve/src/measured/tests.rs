//! Figures for Prometheus that nobody asks for.

use std::process::Command;

use super::*;

/// Set where the test is alone in a process, so that the process's memory is its own.
const ALONE: &str = "MMDLRM_TEST_ALONE";
const KIB_OF_A_PAGE: usize = 4;

/// Memory of this process, in KiB; none where the system does not say.
fn memory() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: usize = pages.split(' ').nth(1)?.parse().ok()?;
    Some(resident * KIB_OF_A_PAGE)
}

#[test]
fn times_that_nobody_asks_for_do_not_pile_up() {
    if std::env::var_os(ALONE).is_none() {
        let name = "measured::tests::times_that_nobody_asks_for_do_not_pile_up";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name]).env(ALONE, "").output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let measured = Measured::new(Duration::from_millis(1));
    // A million of them take 30 MiB or more while they are kept one by one.
    let record = |count: usize| {
        for _ in 0..count {
            measured.request("/api/movies".to_owned(), 200, Duration::from_millis(3));
        }
    };
    record(10_000);
    let Some(before) = memory() else { return };
    (0..100).for_each(|_| record(10_000));
    let grown = memory().unwrap().saturating_sub(before);
    assert!(grown < 10 << 10, "{grown} KiB");
}

#[test]
fn figures_of_two_servers_do_not_mix() {
    let (first, second) = (Measured::default(), Measured::default());
    first.request("/api/info".to_owned(), 200, Duration::from_millis(3));
    first.called_off();
    first.connections(1.0);
    second.connections(1.0);
    second.connections(-1.0);
    let figures = first.render();
    for line in [
        "mmdlrm_requests_total{route=\"/api/info\",status=\"200\"} 1",
        "mmdlrm_request_seconds_bucket{route=\"/api/info\",le=\"0.005\"} 1",
        "mmdlrm_called_off_total 1",
        "mmdlrm_connections 1",
    ] {
        assert!(figures.contains(line), "no {line} in {figures}");
    }
    let figures = second.render();
    assert!(!figures.contains("total"), "{figures}");
    assert!(figures.contains("mmdlrm_connections 0"), "{figures}");
}

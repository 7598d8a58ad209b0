//! Comparisons with references that nobody here wrote: Meta's DLRM, Hugging
//! Face's transformers, scikit-learn, GroupLens. `cargo test golden` runs them all; those
//! of CLIP and of the real ratings skip where the folder of real data is not there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod clip;
mod dlrm;
mod encoders;
mod metrics;
mod movielens;
mod relatives;
mod vision;
mod weights;

use std::path::{Path, PathBuf};

/// Where golden values lie in the repository.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    let norm = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied())
}

#[test]
fn a_skip_of_what_is_required_fails_and_so_does_a_name_that_is_none() {
    use support::Need::{Chromium, Shared};
    for list in ["", "chromium", " chromium, "] {
        assert_eq!(Shared.check(false, list), Ok(()), "{list}");
    }
    assert_eq!(Shared.check(true, "shared,chromium"), Ok(()));
    for (need, list) in [(Shared, "shared"), (Chromium, "shared,chromium")] {
        let problem = need.check(false, list).unwrap_err();
        assert!(problem.contains("which is not there"), "{problem}");
    }
    let problem = Shared.check(true, "chromium,browser").unwrap_err();
    assert!(problem.contains("'browser'"), "{problem}");
}

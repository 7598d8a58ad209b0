//! Posters and plots help where ratings are few.

use mmdlrm::train::Preset;
use mmdlrm::{Experiment, ExperimentConfig, Silent};

#[test]
fn posters_and_plots_help_on_movies_with_few_ratings_by_more_than_seed_noise() {
    let folder = tempfile::tempdir().unwrap();
    let rmse = |preset: Preset, seed: u64| {
        let config = ExperimentConfig {
            preset,
            seed,
            out: folder.path().join(format!("{preset:?}-{seed}")),
            ..ExperimentConfig::default()
        };
        let report = Experiment::new(config).unwrap().run(&mut Silent).unwrap();
        let errors = report.errors.unwrap();
        assert!(
            errors.few_ratings > 100,
            "{} ratings are too few",
            errors.few_ratings
        );
        errors.few_ratings_rmse.unwrap()
    };
    let seeds = [1, 2, 3];
    let with: Vec<f64> = seeds
        .iter()
        .map(|&seed| rmse(Preset::Mmdlrm, seed))
        .collect();
    let without: Vec<f64> = seeds.iter().map(|&seed| rmse(Preset::Dlrm, seed)).collect();
    // Beyond the noise: the worst with beats the best without.
    let worst = with.iter().copied().fold(f64::MIN, f64::max);
    let best = without.iter().copied().fold(f64::MAX, f64::min);
    assert!(worst < best, "with {with:?}, without {without:?}");
}

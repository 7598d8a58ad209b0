//! Posters and plots help where ratings are few, and vectors of others join.

use mmdlrm::data::{ColumnView, Modality, MovieLens, Split};
use mmdlrm::features::{Dataset, TrainingData};
use mmdlrm::{Experiment, ExperimentConfig, Preset, Silent};

use crate::support;

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

#[test]
fn vectors_in_somebody_elses_parquet_file_become_a_modality() {
    let Some(shared) = support::shared() else {
        return;
    };
    let movielens = MovieLens::open(shared.join("data/ml-latest-small")).unwrap();
    let movies = movielens.movies.index();
    let file = shared.join("data/poster_vectors.parquet");
    let posters = Modality::from_parquet("poster", &movies, &file).unwrap();
    assert_eq!(posters.width(), 1280);
    assert_eq!(posters.present() + posters.left_out(), 4888);
    assert!(posters.present() > 0);
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    let dataset = Dataset::new(&movielens, split, vec![posters]).unwrap();
    let batch = dataset.training_batches(64, 1).next().unwrap().unwrap();
    let rows = batch.column("poster");
    assert!(matches!(rows, Some(ColumnView::Vectors(rows)) if rows.len() == 64));
}

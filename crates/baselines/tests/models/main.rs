//! Models behind the seam, as whoever evaluates, keeps and asks them sees them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bayesian;
mod biases;
mod blend;
#[path = "../common/mod.rs"]
mod common;
mod ease;
mod gaussian_process;
mod ials;
mod knn;
mod knn_rater;
mod known;
mod matrix_factorization;
mod pairwise;
mod pea;
mod popularity;
mod raters;

use std::fs;

use mmdlrm_data::{IdMap, Modality, MovieLens, Split, generate};
use mmdlrm_features::{Dataset, TrainingData};
use mmdlrm_train::{Ranker, Rater, Who, predict_test};

/// A made-up folder, a fifth of it held out and a tenth of the rest validated on.
fn dataset() -> Dataset {
    dataset_with(None)
}

/// The same with these stars in place of those that are held out and validated on.
fn dataset_with(hidden: Option<&str>) -> Dataset {
    dataset_of((40, 60), hidden)
}

/// The same of as many users and movies.
fn dataset_of(shape: (u32, u32), hidden: Option<&str>) -> Dataset {
    dataset_of_modalities(shape, hidden, |_| Vec::new())
}

/// The same with modalities of the movies.
fn dataset_of_modalities(
    (users, movies): (u32, u32),
    hidden: Option<&str>,
    modalities: impl Fn(&IdMap) -> Vec<Modality>,
) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let config = generate::GeneratorConfig {
        users,
        movies,
        ratings: 900,
        seed: 3,
        contents: false,
    };
    generate::write(&dir, &config, |_| {}).unwrap();
    let open = || MovieLens::open(&dir).unwrap();
    let ratings = open().ratings;
    let split = Split::random(ratings.len(), 0.2, 42).unwrap();
    let split = split.with_validation(0.1, &ratings).unwrap();
    if let Some(stars) = hidden {
        let path = dir.join("ratings.csv");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for &row in split.test().iter().chain(split.validation()) {
            let line = &mut lines[row as usize + 1];
            let columns: Vec<&str> = line.split(',').collect();
            *line = format!("{},{},{stars},{}", columns[0], columns[1], columns[3]);
        }
        fs::write(&path, lines.join("\n")).unwrap();
    }
    let movielens = open();
    let movies = IdMap::from_ids(movielens.movies.ids().iter().copied());
    Dataset::new(&movielens, split, modalities(&movies)).unwrap()
}

/// Scores of all movies.
fn scores(model: &dyn Ranker, who: Who) -> Vec<f32> {
    let mut scores = Vec::new();
    model.score(who, &mut scores).unwrap();
    scores
}

/// Predictions of the held-out rows, and their root mean squared error.
fn predictions(model: &dyn Rater, data: &dyn TrainingData) -> (Vec<f32>, f64) {
    let (mut found, mut squares) = (Vec::new(), 0.0);
    predict_test(model, data, |rated| {
        for rated in rated {
            found.push(rated.prediction as f32);
            squares += (rated.prediction - rated.rating).powi(2);
        }
        Ok(())
    })
    .unwrap();
    let error = (squares / found.len() as f64).sqrt();
    (found, error)
}

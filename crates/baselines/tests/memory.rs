//! What learning is said to take of memory, beside what it takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Mutex;

use common::with_settings;
use mmdlrm_baselines::{
    BayesianConfig, BiasConfig, Bm3Config, BprMfConfig, EaseConfig, FreedomConfig,
    GaussianProcessConfig, IalsConfig, KnnConfig, KnnRaterConfig, LightGcnConfig, LightGtConfig,
    MatrixFactorizationConfig, PairwiseTraining, PeaConfig, VbprConfig,
};
use mmdlrm_data::{Modality, MovieLens, Split, generate};
use mmdlrm_features::{Dataset, Known};
use mmdlrm_train::{Fit, Persist, Session};
use peak_alloc::PeakAlloc;
use serde_json::Value;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Of tests that count what is allocated, one at a time.
static ALONE: Mutex<()> = Mutex::new(());

const TEXT: usize = 48;

fn dataset(users: u32, movies: u32, ratings: u64) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let shape = generate::GeneratorConfig {
        users,
        movies,
        ratings,
        seed: 1,
        contents: false,
    };
    generate::write(&dir, &shape, |_| {}).unwrap();
    let movielens = MovieLens::open(&dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.1, 1).unwrap();
    let index = movielens.movies.index();
    let of_movie = |&id: &u32| {
        (
            id,
            (0..TEXT).map(|at| (id as usize * at % 7) as f32).collect(),
        )
    };
    let rows: Vec<(u32, Vec<f32>)> = movielens.movies.ids().iter().map(of_movie).collect();
    let rows = rows.iter().map(|(id, vector)| (*id, &vector[..]));
    let text = Modality::standardized("text", TEXT, &index, rows).unwrap();
    Dataset::new(&movielens, split, vec![text]).unwrap()
}

/// What is said over what is taken.
fn ratio(fit: &impl Fit, data: &Dataset) -> f64 {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    drop(fit.fit(data, Session::default()).unwrap());
    let taken = ALLOCATED.peak_usage() - before;
    fit.memory(data) as f64 / taken as f64
}

/// Few steps of many triples.
fn short(training: &mut PairwiseTraining) {
    (training.epochs, training.batch_size) = (1, 100_000);
}

#[test]
fn what_is_said_is_what_is_taken_within_a_factor() {
    let _alone = ALONE.lock().unwrap();
    let data = dataset(4000, 1000, 200_000);
    let mut ratios: Vec<(&str, f64)> = Vec::new();
    macro_rules! of_pairs {
        ($($name:literal: $config:expr),* $(,)?) => {
            $({
                let mut config = $config;
                short(&mut config.training);
                ratios.push(($name, ratio(&config, &data)));
            })*
        };
    }
    of_pairs!(
        "bpr-mf": BprMfConfig::default(),
        "light-gcn": LightGcnConfig::default(),
        "vbpr": VbprConfig::default(),
        "freedom": FreedomConfig::default(),
        "bm3": Bm3Config::default(),
        "peagat": PeaConfig::peagat(),
        "peasage": PeaConfig::peasage(),
    );
    let mut light_gt = LightGtConfig::default();
    (light_gt.history, light_gt.blocks, light_gt.gcn_layers) = (5, 2, 2);
    light_gt.training.epochs = 1;
    ratios.push(("light-gt", ratio(&light_gt, &data)));
    let mut sparse = EaseConfig::default();
    sparse.dense_up_to = 0;
    let mut bayesian = BayesianConfig::svd_plus_plus_flipped();
    (bayesian.iterations, bayesian.burn_in) = (20, 0);
    ratios.extend([
        ("ials", ratio(&IalsConfig::default(), &data)),
        ("item-knn", ratio(&KnnConfig::default(), &data)),
        ("ease", ratio(&EaseConfig::default(), &data)),
        ("ease by neighbours", ratio(&sparse, &data)),
        ("biases", ratio(&BiasConfig::default(), &data)),
        ("item-knn-stars", ratio(&KnnRaterConfig::items(), &data)),
        (
            "svd-plus-plus",
            ratio(&MatrixFactorizationConfig::svd_plus_plus(), &data),
        ),
        (
            "gaussian-process",
            ratio(&GaussianProcessConfig::default(), &data),
        ),
        ("bayesian-svd-plus-plus", ratio(&bayesian, &data)),
    ]);
    let is_off = |&&(_, ratio): &&(&str, f64)| !(0.7..2.0).contains(&ratio);
    assert_eq!(ratios.iter().filter(is_off).count(), 0, "{ratios:?}");
}

/// Bytes that opening a file of far too large settings takes, which it says are damaged.
fn taken_by<C: Fit<Model: Persist>>(config: &C, settings: &[&str], data: &Dataset) -> usize {
    let known = Known::of(data).unwrap();
    let file = config.fit(data, Session::default()).unwrap();
    let file = with_settings(&file.to_safetensors().unwrap(), |kept: &mut Value| {
        for &setting in settings {
            kept[setting] = if setting.ends_with('s') { 64 } else { 4096 }.into();
        }
    });
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let error = C::Model::load(&file, &known).err().unwrap().to_string();
    assert!(error.contains("in the model's file"), "{error}");
    ALLOCATED.peak_usage() - before
}

#[test]
fn a_file_that_asks_for_more_than_it_has_is_refused_before_there_is_room_for_it() {
    let _alone = ALONE.lock().unwrap();
    let data = dataset(100, 100, 2000);
    let mut taken: Vec<(&str, usize)> = Vec::new();
    macro_rules! of_small {
        ($($name:literal: $config:expr, $settings:expr);* $(;)?) => {
            $({
                let mut config = $config;
                (config.dim, config.training.epochs) = (2, 1);
                taken.push(($name, taken_by(&config, &$settings, &data)));
            })*
        };
    }
    of_small!(
        "bpr-mf": BprMfConfig::default(), ["dim"];
        "light-gcn": LightGcnConfig::default(), ["dim", "layers"];
        "vbpr": VbprConfig::default(), ["dim"];
        "freedom": FreedomConfig::default(), ["dim", "layers", "hops"];
        "bm3": Bm3Config::default(), ["dim", "layers"];
        "light-gt": LightGtConfig::default(), ["dim", "blocks", "heads"];
        "peagat": PeaConfig::peagat(), ["hidden", "repr", "heads"];
    );
    // Names of matrices and the graph; 200 vectors of 4,096 numbers alone would be 3 MB.
    let most = |name: &str| {
        if name == "light-gt" {
            16 << 20
        } else {
            1 << 20
        }
    };
    let is_over = |&&(name, taken): &&(&str, usize)| taken > most(name);
    assert_eq!(taken.iter().filter(is_over).count(), 0, "{taken:?}");
}

/// Bytes that a learned model has.
fn kept_by(fit: &impl Fit, data: &Dataset) -> usize {
    let before = ALLOCATED.current_usage();
    let _model = fit.fit(data, Session::default()).unwrap();
    ALLOCATED.current_usage() - before
}

#[test]
fn what_learning_alone_needs_is_not_kept() {
    let _alone = ALONE.lock().unwrap();
    let data = dataset(1000, 500, 100_000);
    let (mut one, mut other) = (LightGcnConfig::default(), FreedomConfig::default());
    short(&mut one.training);
    short(&mut other.training);
    // Threads keep rooms of their own from the first fit on.
    kept_by(&one, &data);
    let kept = [kept_by(&one, &data), kept_by(&other, &data)];
    // Beside LightGCN's, FREEDOM has a graph of movies and content, and nothing of each rating.
    assert!(kept[1] < kept[0] + 10 * 90_000, "{kept:?}");
    // LightGCN has pairs, a graph, and of each node and number no more than four.
    let most = 90_000 * (4 + 16) + 4 * 1500 * 64 * 4;
    assert!(kept[0] < most, "{kept:?}");
}

//! What biases, neighbours and matrix factorization have in common.

use std::io::Write;
use std::path::PathBuf;

use mmdlrm_baselines::{BiasConfig, KnnRaterConfig, MatrixFactorizationConfig};
use mmdlrm_data::{Batch, MovieLens, Rated, Split};
use mmdlrm_features::{ContextConfig, Dataset, Known, TrainingData};
use mmdlrm_train::{Fit, Kept, Persist, Ranker, Rater, Session, Tensors, Who};
use serde_json::Value;

use crate::{dataset, dataset_of, dataset_with, predictions, scores};

pub fn fit<F: Fit>(config: &F, data: &Dataset) -> F::Model {
    config.fit(data, Session::default()).unwrap()
}

/// ml-latest-small with the test rows of scikit-learn's seed 42, where it is there.
pub fn latest_small() -> Option<Dataset> {
    latest_small_of(|split, _| split)
}

/// The same of another split of so many ratings.
pub fn latest_small_of(change: impl FnOnce(Split, usize) -> Split) -> Option<Dataset> {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("data");
    if !folder.is_dir() {
        // Straight to standard error: the test harness hides what macros print.
        let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
        return None;
    }
    let movielens = MovieLens::open(folder.join("ml-latest-small")).unwrap();
    let rows = folder.join("splits/ml-latest-small-random42-test.csv");
    let split = Split::from_test_rows(&rows, &movielens).unwrap();
    let split = change(split, movielens.ratings.len());
    Some(Dataset::new(&movielens, split, Vec::new()).unwrap())
}

fn one_epoch(mut config: MatrixFactorizationConfig) -> MatrixFactorizationConfig {
    config.epochs = 1;
    config
}

/// Something that holds of any of them.
trait Behaviour {
    fn hold<F: Fit + Sync>(&self, config: &F);
}

fn hold_of_all(behaviour: &impl Behaviour) {
    behaviour.hold(&BiasConfig::default());
    behaviour.hold(&KnnRaterConfig::items());
    behaviour.hold(&KnnRaterConfig::users());
    behaviour.hold(&one_epoch(MatrixFactorizationConfig::svd()));
    behaviour.hold(&one_epoch(MatrixFactorizationConfig::svd_plus_plus()));
}

#[test]
fn held_out_stars_and_contexts_change_nothing() {
    struct Honest;
    impl Behaviour for Honest {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let file = |data: &Dataset| fit(config, data).to_safetensors().unwrap();
            let plain = file(&dataset());
            assert!(plain == file(&dataset_with(Some("0.5"))));
            for timestamps in [true, false] {
                let config = ContextConfig {
                    timestamps,
                    ..ContextConfig::default()
                };
                assert!(plain == file(&dataset().with_context(config).unwrap()));
            }
        }
    }
    hold_of_all(&Honest);
}

#[test]
fn a_file_opens_to_the_same_bits_and_one_that_is_damaged_or_of_other_data_is_refused() {
    struct Kind;
    impl Behaviour for Kind {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let data = dataset();
            let model = fit(config, &data);
            let known = Known::of(&data).unwrap();
            let file = model.to_safetensors().unwrap();
            let opened = F::Model::load(&file, &known).unwrap();
            assert!(opened.to_safetensors().unwrap() == file);
            assert_eq!(opened.parameters(), model.parameters());
            let who = Who::Users(&[0, 1, 39]);
            assert!(scores(&opened, who) == scores(&model, who));
            let met = |model: &F::Model| {
                let visitor = model.meet(&ratings_of(3, &data), None).unwrap();
                scores(model, Who::Visitor(&visitor))
            };
            assert!(met(&opened) == met(&model));
            let stars = |model: &F::Model| predictions(model.rater().unwrap(), &data);
            assert!(stars(&opened) == stars(&model));

            let (settings, kept) = Kept::from_safetensors::<Value>(&file).unwrap();
            for short in names(&kept) {
                let mut tensors = Tensors::default();
                for name in names(&kept) {
                    let numbers = kept.get(name).unwrap();
                    tensors.put(name, &numbers[usize::from(name == short)..]);
                }
                let file = tensors.to_safetensors(&settings).unwrap();
                assert!(F::Model::load(&file, &known).is_err(), "{short}");
            }
            assert!(F::Model::load(&file[..file.len() - 1], &known).is_err());
            assert!(F::Model::load(b"no file", &known).is_err());
            for shape in [(41, 60), (40, 61)] {
                let of_others = Known::of(&dataset_of(shape, None)).unwrap();
                assert!(F::Model::load(&file, &of_others).is_err());
            }
        }
    }
    hold_of_all(&Kind);
}

/// Of all that a file of one of them may have, what it has.
fn names(kept: &Kept) -> Vec<&'static str> {
    let all = [
        "mean",
        "users",
        "movies",
        "similar.lengths",
        "similar.ids",
        "similar.values",
        "users.biases",
        "users.vectors",
        "movies.biases",
        "movies.vectors",
        "movies.implicit",
    ];
    let there = all.into_iter().filter(|name| kept.get(name).is_ok());
    there.collect()
}

#[test]
fn other_numbers_of_threads_give_the_same_bits() {
    struct Threads;
    impl Behaviour for Threads {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let data = dataset();
            let found = [1, 2, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().unwrap().install(|| {
                    let model = fit(config, &data);
                    let scores = scores(&model, Who::Users(&[0, 5, 39]));
                    (model.to_safetensors().unwrap(), scores)
                })
            });
            assert!(found[0] == found[1] && found[1] == found[2]);
        }
    }
    hold_of_all(&Threads);
}

#[test]
fn stars_are_scores_within_bounds_whoever_asks() {
    struct Stars;
    impl Behaviour for Stars {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let data = dataset();
            let model = fit(config, &data);
            let rater = model.rater().unwrap();
            let (users, items) = ([4, 9, 4], [3, 50, 8]);
            let all = scores(&model, Who::Users(&users));
            let movies = data.features().movies().len();
            let pairs = (0..3).flat_map(|row| items.map(|item| (row, item)));
            let unbounded: Vec<f32> = pairs
                .clone()
                .map(|(row, item)| all[row * movies + item as usize])
                .collect();
            let bounded: Vec<f32> = unbounded.iter().map(|x| x.clamp(0.5, 5.0)).collect();
            let mut stars = vec![7.0; 100];
            let who = Who::Users(&users);
            rater.rate_items(who, &items, &mut stars).unwrap();
            assert_eq!(stars, bounded);
            rater.rate_items_unbounded(who, &items, &mut stars).unwrap();
            assert_eq!(stars, unbounded);
            let rows = pairs.map(|(row, movie)| Rated {
                user: users[row],
                movie,
                ..Rated::default()
            });
            let batch = Batch::of(&rows.collect::<Vec<_>>());
            rater.rate(&batch, &mut stars).unwrap();
            assert_eq!(stars, bounded);
            rater.rate_unbounded(&batch, &mut stars).unwrap();
            assert_eq!(stars, unbounded);
        }
    }
    hold_of_all(&Stars);
}

#[test]
fn users_movies_and_stars_that_there_are_not_are_refused() {
    struct Refused;
    impl Behaviour for Refused {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let model = fit(config, &dataset());
            let rater: &dyn Rater = model.rater().unwrap();
            let mut out = Vec::new();
            let refused = |found: mmdlrm_train::Result<()>, why: &str| {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(why), "{error}");
            };
            let score = model.score(Who::Users(&[0, 40]), &mut out);
            refused(score, "no user in row 40");
            let items = rater.rate_items(Who::Users(&[0]), &[60], &mut out);
            refused(items, "no movie in row 60");
            let row = |user, movie| {
                Batch::of(&[Rated {
                    user,
                    movie,
                    ..Rated::default()
                }])
            };
            refused(rater.rate(&row(41, 0), &mut out), "no user in row 41");
            refused(rater.rate(&row(0, 61), &mut out), "no movie in row 61");
            let meet = |movie, stars| {
                let rated = Rated {
                    movie,
                    stars,
                    ..Rated::default()
                };
                model.meet(&[rated], None).map(drop)
            };
            refused(meet(60, 3.0), "no movie in row 60");
            refused(meet(2, f32::NAN), "a rating of NaN stars");
        }
    }
    hold_of_all(&Refused);
}

/// What a user rated in the training set, the latest first.
pub fn ratings_of(user: u32, data: &Dataset) -> Vec<Rated> {
    let mut rated: Vec<Rated> = data.user_histories().row(user).rows_of(7).collect();
    rated.reverse();
    rated
}

#[test]
fn whoever_rated_nothing_is_told_what_a_user_without_ratings_is() {
    struct Nobody;
    impl Behaviour for Nobody {
        fn hold<F: Fit + Sync>(&self, config: &F) {
            let data = dataset();
            let model = fit(config, &data);
            let told = |ratings: &[Rated]| {
                let visitor = model.meet(ratings, None).unwrap();
                assert_eq!(visitor.ratings(), ratings);
                scores(&model, Who::Visitor(&visitor))
            };
            let nothing = told(&[]);
            assert!(nothing.iter().all(|stars| (0.5..5.0).contains(stars)));
            assert!(nothing != told(&ratings_of(3, &data)));
        }
    }
    hold_of_all(&Nobody);
}

//! Models that learn from pairs.

use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_baselines::{
    Bm3Config, BprMfConfig, FreedomConfig, LightGcnConfig, LightGtConfig, PairwiseTraining,
    VbprConfig,
};
use mmdlrm_data::{Modality, MovieLens, Rated, Split, generate};
use mmdlrm_features::{Dataset, Known, TrainingData};
use mmdlrm_train::{
    CheckpointConfig, Checkpoints, Error, Fit, Kept, Persist, Ranker, Session, Tensors, Who,
    validation_ndcg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::with_settings;
use crate::{dataset, dataset_of_modalities, scores};

/// A few short epochs.
fn training(epochs: usize) -> PairwiseTraining {
    let mut training = PairwiseTraining::default();
    training.epochs = epochs;
    training.batch_size = 100;
    training
}

/// What each of the models is fitted by, and asked.
trait Fitted: Fit<Model: 'static> + Copy + Default + DeserializeOwned {
    fn short(epochs: usize) -> Self;
}

macro_rules! fitted {
    ($($config:ty),*) => {
        $(impl Fitted for $config {
            fn short(epochs: usize) -> Self {
                let mut config = Self::default();
                config.training = training(epochs);
                config.dim = 16;
                config
            }
        })*
    };
}

fitted!(
    BprMfConfig,
    LightGcnConfig,
    VbprConfig,
    FreedomConfig,
    Bm3Config,
    LightGtConfig
);

/// Calls a function of any of the models' settings with each.
macro_rules! for_each_model {
    ($function:ident) => {
        $function::<BprMfConfig>();
        $function::<LightGcnConfig>();
        $function::<VbprConfig>();
        $function::<FreedomConfig>();
        $function::<Bm3Config>();
        $function::<LightGtConfig>();
    };
}

/// The made-up folder with two modalities: one that tells movies apart, one that some lack.
fn with_content(hidden: Option<&str>) -> Dataset {
    dataset_of_modalities((40, 60), hidden, |movies| {
        let vector = |movie: u32, width: usize| -> Vec<f32> {
            (0..width)
                .map(|at| ((movie as usize * 7 + at * at) as f32).sin())
                .collect()
        };
        let of = |name: &str, width: usize, every: u32| {
            let ids = movies.ids().iter().filter(|&&id| id % every != 1);
            let vectors: Vec<(u32, Vec<f32>)> = ids.map(|&id| (id, vector(id, width))).collect();
            let vectors = vectors.iter().map(|(id, vector)| (*id, &vector[..]));
            Modality::standardized(name, width, movies, vectors).unwrap()
        };
        vec![of("image", 24, 3), of("text", 8, 1000)]
    })
}

/// The same without validation rows.
pub fn without_validation() -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    generate::write(&dir, &generate::GeneratorConfig::tiny(), |_| {}).unwrap();
    let movielens = MovieLens::open(&dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    let movies = movielens.movies.index();
    let vectors: Vec<(u32, [f32; 2])> = (movies.ids().iter())
        .map(|&id| (id, [id as f32, (id % 3) as f32]))
        .collect();
    let vectors = vectors.iter().map(|(id, vector)| (*id, &vector[..]));
    let text = Modality::standardized("text", 2, &movies, vectors).unwrap();
    Dataset::new(&movielens, split, vec![text]).unwrap()
}

fn fit<C: Fitted>(config: &C, data: &Dataset) -> C::Model {
    config.fit(data, Session::default()).unwrap()
}

const USERS: Who = Who::Users(&[0, 1, 7, 39]);

#[test]
fn losses_fall_and_the_epoch_that_ranks_best_is_kept() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let mut epochs = Vec::new();
        let session = Session::default().on_epoch(|epoch, _model| {
            epochs.push((epoch.train_loss, epoch.validation_ndcg.unwrap()));
            Ok(())
        });
        let model = C::short(12).fit(&data, session).unwrap();
        let kind = C::Model::kind();
        let (first, last) = (epochs[0].0, epochs[11].0);
        assert!(last < 0.97 * first, "{kind}: {first} {last}");
        let best = epochs.iter().map(|epoch| epoch.1).fold(0.0, f64::max);
        let found = validation_ndcg(&model, &data, 10).unwrap();
        assert_eq!(found, Some(best), "{kind}");
        assert!(best > epochs[0].1, "{kind}");
    }
    for_each_model!(check);
}

#[test]
fn labels_that_are_hidden_change_nothing() {
    fn check<C: Fitted>() {
        let config = C::short(2);
        let (seen, noise) = (with_content(None), with_content(Some("0.5")));
        let found = [seen, noise].map(|data| scores(&fit(&config, &data), USERS));
        assert!(found[0] == found[1], "{}", C::Model::kind());
    }
    for_each_model!(check);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let found = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| scores(&fit(&C::short(2), &data), USERS))
        });
        assert!(found[0] == found[1], "{}", C::Model::kind());
    }
    for_each_model!(check);
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bits() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let config = C::short(3);
        let whole = scores(&fit(&config, &data), USERS);
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
        let stop = AtomicBool::new(false);
        let mut steps = 0;
        let session = Session {
            checkpoints: Some(checkpoints.clone()),
            stop: Some(&stop),
            ..Session::default()
        };
        // In the middle of the second epoch.
        let session = session.on_step(|_rows| {
            steps += 1;
            stop.store(steps == 10, Ordering::Relaxed);
        });
        let error = config.fit(&data, session).err();
        assert!(
            matches!(error, Some(Error::Stopped { step: 10 })),
            "{error:?}"
        );
        let session = Session {
            resumed: checkpoints.latest().unwrap().checkpoint,
            checkpoints: Some(checkpoints),
            ..Session::default()
        };
        let model = config.fit(&data, session).unwrap();
        assert!(scores(&model, USERS) == whole, "{}", C::Model::kind());
    }
    for_each_model!(check);
}

#[test]
fn a_file_opens_to_the_same_bits_and_a_damaged_one_does_not() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let known = Known::of(&data).unwrap();
        let model = fit(&C::short(2), &data);
        let file = model.to_safetensors().unwrap();
        let opened = C::Model::load(&file, &known).unwrap();
        assert!(scores(&opened, USERS) == scores(&model, USERS));
        assert!(opened.to_safetensors().unwrap() == file);
        let refused = |file: &[u8]| assert!(C::Model::load(file, &known).is_err());
        refused(&file[..file.len() - 1]);
        refused(b"no file");
        let (config, _) = Kept::from_safetensors::<C>(&file).unwrap();
        refused(&Tensors::default().to_safetensors(&config).unwrap());
        refused(&Tensors::default().to_safetensors(&"no settings").unwrap());
        let others = Known::of(&crate::dataset_of((41, 61), None)).unwrap();
        assert!(C::Model::load(&file, &others).is_err());
    }
    for_each_model!(check);
}

#[test]
fn a_visitor_is_told_much_of_what_a_user_of_the_same_ratings_is() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let model = fit(&C::short(12), &data);
        let mut alike = 0.0;
        for user in 0..40u32 {
            let ratings: Vec<_> = data.user_histories().row(user).rows_of(9).collect();
            let visitor = model.meet(&ratings, None).unwrap();
            let own = scores(&model, Who::Users(&[user]));
            let theirs = scores(&model, Who::Visitor(&visitor));
            alike += correlation(&own, &theirs) / 40.0;
        }
        assert!(alike > 0.6, "{}: {alike}", C::Model::kind());
        let unknown = Rated {
            movie: 60,
            ..Rated::default()
        };
        let error = model.meet(&[unknown], None).unwrap_err().to_string();
        assert!(error.contains("no movie in row 60"), "{error}");
        let error = model.score(Who::Users(&[40]), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("no user in row 40"), "{error}");
    }
    for_each_model!(check);
}

#[test]
fn somebody_of_whom_nothing_is_known_is_told_the_mean_of_all_users() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let model = fit(&C::short(2), &data);
        let users: Vec<u32> = (0..40).collect();
        let of_users = scores(&model, Who::Users(&users));
        let nobody = model.meet(&[], None).unwrap();
        let found = scores(&model, Who::Visitor(&nobody));
        let largest = of_users.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for (movie, found) in found.iter().enumerate() {
            let own = of_users.iter().skip(movie).step_by(60);
            let mean = own.sum::<f32>() / 40.0;
            let kind = C::Model::kind();
            assert!(
                (found - mean).abs() < 1e-4 * largest,
                "{kind}: {found} {mean}"
            );
        }
        assert!(found.iter().any(|x| x.abs() > 1e-3 * largest));
    }
    for_each_model!(check);
}

#[test]
fn a_movie_that_a_visitor_rated_twice_counts_once_in_any_order() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let model = fit(&C::short(2), &data);
        let told = |movies: &[u32]| {
            let rated = movies.iter().map(|&movie| Rated {
                movie,
                ..Rated::default()
            });
            let visitor = model.meet(&rated.collect::<Vec<_>>(), None).unwrap();
            scores(&model, Who::Visitor(&visitor))
        };
        let kind = C::Model::kind();
        assert!(told(&[3, 17, 5, 3, 3, 17]) == told(&[17, 5, 3]), "{kind}");
        assert!(told(&[17, 5, 3]) != told(&[17, 5]), "{kind}");
    }
    for_each_model!(check);
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (of_a, of_b) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f32, f32) -> f32| {
        let pairs = a.iter().zip(b);
        pairs
            .map(|(a, b)| f64::from(of(a - of_a, b - of_b)))
            .sum::<f64>()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Settings with one of another value, by name.
fn with<C: Fitted>(setting: &str, value: impl Serialize) -> C {
    let mut settings = serde_json::to_value(C::short(2)).unwrap();
    let value = serde_json::to_value(value).unwrap();
    match settings.get_mut(setting) {
        Some(there) => *there = value,
        None => settings["training"][setting] = value,
    }
    serde_json::from_value(settings).unwrap()
}

#[track_caller]
fn assert_refused<C: Fitted>(setting: &str, value: impl Serialize) {
    let data = with_content(None);
    let config = with::<C>(setting, value);
    let mut begun = false;
    let session = Session::default().on_step(|_| begun = true);
    let refused = [
        config.check(data.features()).err(),
        config.fit(&data, session).err(),
    ];
    for error in refused {
        let error = error.unwrap().to_string();
        assert!(error.contains(&format!("{setting} is")), "{error}");
    }
    assert!(!begun);
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_learned() {
    fn check<C: Fitted>() {
        for setting in ["dim", "epochs", "batch_size"] {
            assert_refused::<C>(setting, 0);
        }
        assert_refused::<C>("learning_rate", -1.0);
        assert_refused::<C>("patience", 0);
    }
    for_each_model!(check);
    assert_refused::<LightGcnConfig>("decay", -1.0);
    assert_refused::<BprMfConfig>("decay", -1.0);
    assert_refused::<VbprConfig>("penalty", 1e300);
    assert_refused::<FreedomConfig>("dropped", 1.0);
    assert_refused::<FreedomConfig>("others", 1.5);
    assert_refused::<FreedomConfig>("neighbours", 0);
    assert_refused::<FreedomConfig>("layers", 0);
    assert_refused::<Bm3Config>("layers", 0);
    assert_refused::<Bm3Config>("dropout", 1.0);
    for setting in ["history", "blocks", "heads"] {
        assert_refused::<LightGtConfig>(setting, 0);
    }
    for setting in ["dropout", "score_weight", "decay"] {
        assert_refused::<LightGtConfig>(setting, -0.1);
    }
    assert_refused::<LightGtConfig>("dropout", 1.0);
    assert_refused::<LightGtConfig>("score_weight", 1.1);
}

#[test]
fn what_learns_from_content_says_that_there_is_none() {
    fn check<C: Fitted>() {
        let data = dataset();
        let error = C::short(1).check(data.features()).unwrap_err().to_string();
        assert!(
            error.contains("vectors of movies, and there are none"),
            "{error}"
        );
        assert!(C::short(1).fit(&data, Session::default()).is_err());
    }
    check::<VbprConfig>();
    check::<FreedomConfig>();
    check::<Bm3Config>();
    check::<LightGtConfig>();
}

/// More than any setting may be.
const HUGE: u64 = 1 << 60;

/// Numbers that settings may not be, whatever else a model's file has.
const NOT: [(&str, &[u64]); 12] = [
    ("dim", &[0, HUGE]),
    ("layers", &[0, HUGE]),
    ("hops", &[HUGE]),
    ("neighbours", &[0, HUGE]),
    ("history", &[0, HUGE]),
    ("blocks", &[0, HUGE]),
    ("gcn_layers", &[HUGE]),
    ("heads", &[0, HUGE]),
    ("epochs", &[0, HUGE]),
    ("batch_size", &[0, HUGE]),
    ("patience", &[0]),
    // Within bounds, and not what the file has.
    ("dim", &[1, 15, 4096]),
];

#[test]
fn a_file_whose_settings_ask_for_what_it_does_not_have_is_refused() {
    fn check<C: Fitted>() {
        let data = with_content(None);
        let known = Known::of(&data).unwrap();
        let file = fit(&C::short(1), &data).to_safetensors().unwrap();
        assert!(C::Model::load(&with_settings(&file, |_| {}), &known).is_ok());
        for (setting, values) in NOT {
            for &value in values {
                let mut is_there = false;
                let changed = with_settings(&file, |settings| {
                    let training = settings["training"].get(setting).is_some();
                    is_there = training || settings.get(setting).is_some();
                    let of = if training {
                        &mut settings["training"]
                    } else {
                        settings
                    };
                    of[setting] = value.into();
                });
                if is_there {
                    let error = C::Model::load(&changed, &known).err();
                    let error = error.map(|error| error.to_string()).unwrap_or_default();
                    let kind = C::Model::kind();
                    let why = match (1..=4096).contains(&value) {
                        true => "in the model's file".to_owned(),
                        false => format!("{setting} is {value}"),
                    };
                    assert!(error.contains(&why), "{kind} {setting} {value}: {error}");
                }
            }
        }
    }
    for_each_model!(check);
}

#[test]
fn patience_without_validation_rows_is_refused_and_is_no_default() {
    fn check<C: Fitted>() {
        let data = without_validation();
        let error = with::<C>("patience", 3).fit(&data, Session::default());
        let error = error.err().unwrap().to_string();
        assert!(error.contains("patience is 3"), "{error}");
        assert!(error.contains("only validation rows can tell"), "{error}");
        let mut begun = serde_json::to_value(C::default()).unwrap();
        begun["training"]["epochs"] = 1.into();
        let config: C = serde_json::from_value(begun).unwrap();
        config.fit(&data, Session::default()).unwrap();
    }
    for_each_model!(check);
}

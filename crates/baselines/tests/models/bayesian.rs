//! Bayesian matrix factorization and SVD++.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{BayesianConfig, BayesianFactorization};
use mmdlrm_data::{Batch, MovieLens, Rated, Split};
use mmdlrm_features::{Dataset, Known, TrainingData};
use mmdlrm_train::{Error, Fit, Kept, Persist, Ranker, Rater, Session, Tensors, Who, measure};
use serde_json::json;

use crate::{dataset, dataset_of, dataset_with, predictions, scores};

/// A few draws of a few factors.
fn config(histories: bool, audiences: bool) -> BayesianConfig {
    let mut config = BayesianConfig::mf();
    (config.rank, config.iterations, config.stretches) = (3, 25, 4);
    (config.histories, config.audiences) = (histories, audiences);
    config
}

fn configs() -> [BayesianConfig; 4] {
    [(false, false), (true, false), (false, true), (true, true)]
        .map(|(histories, audiences)| config(histories, audiences))
}

fn fit(config: BayesianConfig, data: &Dataset) -> BayesianFactorization {
    config.fit(data, Session::default()).unwrap()
}

/// What a user rated in the training set.
fn ratings_of(user: u32, data: &Dataset) -> Vec<Rated> {
    data.user_histories().row(user).rows_of(7).collect()
}

#[test]
fn stars_are_told_better_than_by_their_mean() {
    let data = dataset();
    let mean = f64::from(data.features().rating_scale().1);
    for config in configs() {
        let (_, error) = predictions(&fit(config, &data), &data);
        assert!(error < mean - 0.1, "{error} {mean}");
    }
}

#[test]
fn nothing_of_it_depends_on_held_out_or_validation_stars() {
    let file = |data: &Dataset| fit(config(true, true), data).to_safetensors().unwrap();
    let (honest, noisy) = (dataset(), dataset_with(Some("0.5")));
    assert_ne!(
        honest.test_batches(9).next().unwrap().unwrap().stars,
        noisy.test_batches(9).next().unwrap().unwrap().stars
    );
    assert!(file(&honest) == file(&noisy));
}

#[test]
fn it_is_the_same_on_any_number_of_threads_and_another_by_another_seed() {
    // More rows than a thread takes at a time.
    let data = dataset_of((90, 300), None);
    let file = |threads: usize, config: BayesianConfig| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let file = pool
            .unwrap()
            .install(|| fit(config, &data).to_safetensors());
        file.unwrap()
    };
    for config in configs() {
        assert!(file(1, config) == file(3, config));
    }
    let mut other = config(true, true);
    other.seed += 1;
    assert!(file(2, other) != file(2, config(true, true)));
}

#[test]
fn a_file_opens_to_the_same_bits_and_a_damaged_one_is_refused() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    for config in configs() {
        let model = fit(config, &data);
        let file = model.to_safetensors().unwrap();
        let opened = BayesianFactorization::load(&file, &known).unwrap();
        assert_eq!(opened.config(), model.config());
        assert_eq!(opened.parameters(), model.parameters());
        assert!(opened.to_safetensors().unwrap() == file);
        let who = Who::Users(&[0, 1, 2]);
        assert!(scores(&opened, who) == scores(&model, who));
        assert!(predictions(&opened, &data) == predictions(&model, &data));
        let visitors = [&opened, &model].map(|it| {
            let visitor = it.meet(&ratings_of(5, &data), None).unwrap();
            scores(it, Who::Visitor(&visitor))
        });
        assert!(visitors[0] == visitors[1]);
        refuse_damaged(&file, &known);
    }
    assert!(BayesianFactorization::load(b"no file", &known).is_err());
    let file = fit(config(true, true), &data).to_safetensors().unwrap();
    let others = Known::of(&dataset_of((41, 60), None)).unwrap();
    let error = BayesianFactorization::load(&file, &others).unwrap_err();
    assert!(error.to_string().contains("numbers of users"), "{error}");
}

/// Files with a number less of one of the tensors, with ridges that are none, and with settings
/// that make no sense.
fn refuse_damaged(file: &[u8], known: &Known) {
    let (config, kept) = Kept::from_safetensors::<BayesianConfig>(file).unwrap();
    let sides = ["users", "items", "draws", "histories"];
    let names = sides
        .iter()
        .flat_map(|side| ["biases", "factors"].map(|it| format!("{side}.{it}")));
    let names: Vec<String> = names.chain(["priors".to_owned()]).collect();
    let names: Vec<&String> = names.iter().filter(|name| kept.get(name).is_ok()).collect();
    let file_with = |config: BayesianConfig, change: &dyn Fn(&str, &mut Vec<f32>)| {
        let mut tensors = Tensors::default();
        for name in &names {
            let mut numbers = kept.get(name).unwrap().to_vec();
            change(name, &mut numbers);
            tensors.put(name.as_str(), numbers);
        }
        tensors.to_safetensors(&config).unwrap()
    };
    let refused = |file: &[u8], why: &str| {
        let error = BayesianFactorization::load(file, known).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    for &short in &names {
        let shorten = |name: &str, numbers: &mut Vec<f32>| {
            numbers.truncate(numbers.len() - usize::from(name == short));
        };
        refused(&file_with(config, &shorten), &format!("numbers of {short}"));
    }
    let last_prior = |x: f32| {
        move |name: &str, numbers: &mut Vec<f32>| {
            if name == "priors" {
                *numbers.last_mut().unwrap() = x;
            }
        }
    };
    refused(&file_with(config, &last_prior(0.0)), "numbers of priors");
    refused(&file_with(config, &last_prior(-1.0)), "numbers of priors");
    let mut senseless = config;
    senseless.rank = 0;
    refused(&file_with(senseless, &|_, _| {}), "rank is 0");
}

#[test]
fn a_visitor_is_told_what_a_user_of_the_same_ratings_is_or_nearly_so() {
    let data = dataset();
    for mut config in [config(false, false), config(true, true)] {
        (config.iterations, config.stretches) = (200, 50);
        let model = fit(config, &data);
        let visitor = model.meet(&ratings_of(5, &data), None).unwrap();
        assert_eq!(visitor.ratings(), ratings_of(5, &data));
        let own = scores(&model, Who::Users(&[5]));
        let met = scores(&model, Who::Visitor(&visitor));
        let nobody = model.meet(&[], None).unwrap();
        let nobody = scores(&model, Who::Visitor(&nobody));
        let apart = |other: &[f32]| {
            let squares = own.iter().zip(other).map(|(x, y)| (x - y).powi(2));
            (squares.sum::<f32>() / own.len() as f32).sqrt()
        };
        let (near, far) = (apart(&met), apart(&nobody));
        assert!(near < 0.06 && far > 3.0 * near, "{near} {far}");
    }
}

#[test]
fn a_visitor_who_changes_a_rating_is_told_so_and_why() {
    let data = dataset();
    for config in configs() {
        let model = fit(config, &data);
        let mut ratings = ratings_of(5, &data);
        let all: Vec<u32> = (0..60).collect();
        let mut ask = |stars: f32| {
            ratings[2].stars = stars;
            let visitor = model.meet(&ratings, None).unwrap();
            let who = Who::Visitor(&visitor);
            let causes = model.because(who, &all, 99).unwrap().unwrap();
            (scores(&model, who), causes)
        };
        let ((low, few), (high, many)) = (ask(4.0), ask(5.0));
        let changed = ratings[2].movie;
        assert!(high[changed as usize] > low[changed as usize] + 0.02);
        let mut seen = 0;
        for item in 0..60 {
            let of = |causes: &[mmdlrm_train::Cause]| {
                causes
                    .iter()
                    .find(|cause| cause.item == changed)
                    .map(|it| it.amount)
            };
            // What takes away is not told.
            if let (Some(few), Some(many)) = (of(&few[item]), of(&many[item])) {
                let (found, expected) = (many - few, high[item] - low[item]);
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                seen += 1;
            }
            let amounts = many[item].windows(2);
            assert!(amounts.clone().all(|pair| pair[0].amount >= pair[1].amount));
        }
        assert!(seen > 0);
    }
}

#[test]
fn stars_of_items_are_scores_within_bounds() {
    let data = dataset();
    let model = fit(config(true, true), &data);
    let items = [3, 50, 8];
    // More users than an item's numbers are read for at a time.
    let users: Vec<u32> = (0..19).rev().collect();
    let mut stars = Vec::new();
    model
        .rate_items(Who::Users(&users), &items, &mut stars)
        .unwrap();
    let all = scores(&model, Who::Users(&users));
    let expected = all
        .chunks_exact(60)
        .flat_map(|of_user| items.map(|item| of_user[item as usize]));
    let expected: Vec<f32> = expected.map(|score| score.clamp(0.5, 5.0)).collect();
    assert_eq!(stars, expected);
    let rows = users
        .iter()
        .flat_map(|&user| items.map(|movie| (user, movie)));
    let rows = rows.map(|(user, movie)| Rated {
        user,
        movie,
        ..Rated::default()
    });
    let batch = Batch::of(&rows.collect::<Vec<_>>());
    model.rate(&batch, &mut stars).unwrap();
    assert_eq!(stars, expected);
    let nobody = model.rate_items(Who::Users(&[]), &items, &mut stars);
    nobody.unwrap();
    assert!(stars.is_empty());
}

#[test]
fn items_that_nobody_rated_are_all_alike_and_have_no_vector() {
    let data = dataset_of((20, 900), None);
    let rated: HashSet<u32> = (0..20)
        .flat_map(|user| data.user_histories().row(user).ids)
        .copied()
        .collect();
    let unknown: Vec<u32> = (0..900).filter(|item| !rated.contains(item)).collect();
    assert!(unknown.len() > 1);
    for config in configs() {
        let model = fit(config, &data);
        let all = scores(&model, Who::Users(&[4]));
        assert!(
            unknown
                .iter()
                .all(|&item| all[item as usize] == all[unknown[0] as usize])
        );
        let vectors = model.item_vectors().unwrap().unwrap();
        let width = vectors.len() / 900;
        let is_zero = |item: u32| {
            let vector = &vectors[item as usize * width..][..width];
            vector.iter().all(|&x| x == 0.0)
        };
        assert!((0..900).all(|item| is_zero(item) != rated.contains(&item)));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let data = dataset();
    let sound = config(true, true);
    let json_of = |name: &str, value: usize| {
        let mut json = serde_json::to_value(sound).unwrap();
        json[name] = json!(value);
        serde_json::from_value::<BayesianConfig>(json).unwrap()
    };
    for (name, value) in [
        ("rank", 0),
        ("rank", 257),
        ("iterations", 0),
        ("iterations", 1_000_001),
        ("burn_in", 25),
        ("stretches", 0),
        ("stretches", 21),
    ] {
        let config = json_of(name, value);
        let why = format!("{name} is {value}");
        let error = config.check(data.features()).unwrap_err().to_string();
        assert!(error.contains(&why), "{error}");
        let error = config
            .fit(&data, Session::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(&why), "{error}");
    }
    assert!(serde_json::from_value::<BayesianConfig>(json!({ "ranks": 3 })).is_err());
    assert_eq!(sound.check(data.features()).unwrap()["rank"], 3);
}

#[test]
fn it_tells_of_its_stretches_and_stops_when_it_is_asked_to() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    let config = config(true, true);
    let (mut rows, stop) = (0, AtomicBool::new(false));
    let errors = RefCell::new(Vec::new());
    let session = Session::default().on_step(|of_step| rows += of_step);
    let session = session.on_epoch(|epoch, model| {
        let opened = BayesianFactorization::load(&model.to_safetensors()?, &known)?;
        assert_eq!(epoch.epoch, errors.borrow().len() + 1);
        errors.borrow_mut().push(measure(&opened, &data)?.test_rmse);
        Ok(())
    });
    let model = config.fit(&data, session).unwrap();
    assert_eq!(rows, config.rows(&data));
    assert_eq!(rows, 25 * data.training_rows());
    let errors = errors.into_inner();
    assert_eq!(
        (errors.len(), errors[3]),
        (4, measure(&model, &data).unwrap().test_rmse)
    );
    let session = Session {
        stop: Some(&stop),
        ..Session::default()
    };
    let told = RefCell::new(0);
    let session = session.on_step(|_| {
        *told.borrow_mut() += 1;
        stop.store(*told.borrow() == 3, std::sync::atomic::Ordering::Relaxed);
    });
    let stopped = config.fit(&data, session);
    assert!(
        matches!(stopped, Err(Error::Stopped { step: 3 })),
        "{stopped:?}"
    );
    assert!(model.meet(&[], Some(&AtomicBool::new(true))).is_err());
}

#[test]
fn users_and_movies_that_there_are_not_are_refused() {
    let data = dataset();
    let model = fit(config(true, true), &data);
    let mut out = Vec::new();
    let refused = |found: mmdlrm_train::Result<()>, why: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(
        model.score(Who::Users(&[0, 40]), &mut out),
        "no user in row 40",
    );
    let items = model.rate_items(Who::Users(&[0]), &[60], &mut out);
    refused(items, "no movie in row 60");
    let row = |user, movie| {
        Batch::of(&[Rated {
            user,
            movie,
            ..Rated::default()
        }])
    };
    refused(model.rate(&row(41, 0), &mut out), "no user in row 41");
    refused(model.rate(&row(0, 61), &mut out), "no movie in row 61");
    let rated = |movie, stars| Rated {
        movie,
        stars,
        ..Rated::default()
    };
    refused(
        model.meet(&[rated(60, 3.0)], None).map(drop),
        "no movie in row 60",
    );
    refused(
        model.meet(&[rated(6, f32::NAN)], None).map(drop),
        "NaN stars",
    );
    refused(
        model.because(Who::Users(&[1, 2]), &[0], 3).map(drop),
        "for one user",
    );
    refused(
        model.because(Who::Users(&[1]), &[60], 3).map(drop),
        "no movie in row 60",
    );
    let other = fit(config(true, true), &dataset_of((40, 50), None));
    let mut wider = config(true, true);
    wider.rank = 4;
    let guest = fit(wider, &data).meet(&[], None).unwrap();
    refused(
        model.score(Who::Visitor(&guest), &mut out),
        "another model met",
    );
    let guest = model.meet(&[rated(55, 3.0)], None).unwrap();
    refused(
        other.score(Who::Visitor(&guest), &mut out),
        "no movie in row 55",
    );
}

#[test]
fn it_rates_ml_latest_small_as_well_as_it_is_known_to() {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("data");
    if !folder.is_dir() {
        // Straight to standard error: the test harness hides what macros print.
        let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
        return;
    }
    let movielens = MovieLens::open(folder.join("ml-latest-small")).unwrap();
    let path = folder.join("splits/ml-latest-small-random42-test.csv");
    let held_out = std::fs::read_to_string(path).unwrap();
    let held_out = held_out.lines().skip(1).map(|line| {
        let mut columns = line.split(',').map(|column| column.parse::<u32>().unwrap());
        (columns.next().unwrap(), columns.next().unwrap())
    });
    let held_out: HashSet<(u32, u32)> = held_out.collect();
    let ratings = &movielens.ratings;
    let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
    let (test, train): (Vec<_>, Vec<_>) = (0..)
        .zip(pairs)
        .partition(|&(_, (&user, &movie))| held_out.contains(&(user, movie)));
    let numbers = |rows: Vec<(u32, _)>| rows.into_iter().map(|(row, _)| row).collect();
    let split = Split::new(ratings.len(), numbers(train), numbers(test)).unwrap();
    let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
    // A fifth of the draws: with all of them 0.841 and 0.826.
    for (mut config, expected) in [
        (BayesianConfig::mf(), 0.860),
        (BayesianConfig::svd_plus_plus_flipped(), 0.828),
    ] {
        config.iterations = 60;
        let found = measure(&fit(config, &data), &data)
            .unwrap()
            .test_rmse
            .unwrap();
        assert!((found - expected).abs() < 0.002, "{found} {expected}");
    }
}

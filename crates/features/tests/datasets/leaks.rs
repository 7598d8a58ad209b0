//! What is held out must not show in what is learned from.

use mmdlrm_data::{Batch, BatchBags, ColumnView, MovieLens, MovieTags, Split};
use mmdlrm_features::{ContextConfig, Dataset, Features, TrainingData};

use crate::Folder;

const TRAIN: &str = "1,1,4.0,100\n1,2,3.0,200\n2,1,2.0,300\n2,3,5.0,400\n3,2,1.0,500\n";
const TEST: &str = "1,3,4.5,600\n3,1,0.5,700\n3,3,2.5,800\n";

fn dataset(ratings: &str) -> (MovieLens, Dataset) {
    dataset_with(ratings, &[])
}

/// With those of the training rows that are validated on.
fn dataset_with(ratings: &str, validation: &[u32]) -> (MovieLens, Dataset) {
    let folder = Folder::new(&[
        (
            "movies.csv",
            b"movieId,title,genres\n1,A (1990),X\n2,B (2000),Y\n3,C (2010),X|Y\n",
        ),
        (
            "ratings.csv",
            format!("userId,movieId,rating,timestamp\n{ratings}").as_bytes(),
        ),
        (
            "tags.csv",
            b"userId,movieId,tag,timestamp\n1,1,old,1\n3,3,spoiler,1\n",
        ),
    ]);
    let movielens = MovieLens::open(folder.path()).unwrap();
    let mut split = Split::new(8, (0..5).collect(), (5..8).collect()).unwrap();
    if !validation.is_empty() {
        split = split.with_validation_rows(validation.to_vec()).unwrap();
    }
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    (movielens, dataset)
}

fn shared<'a>(batch: &'a Batch, name: &str) -> &'a BatchBags {
    match batch.column(name) {
        Some(ColumnView::Shared(bags)) => bags,
        other => panic!("{name} is {other:?}"),
    }
}

fn batches(dataset: &Dataset) -> (Vec<Batch>, Vec<Batch>) {
    let all = |batches: mmdlrm_data::Batches| batches.map(Result::unwrap).collect();
    (
        all(dataset.training_batches(2, 1)),
        all(dataset.test_batches(2)),
    )
}

/// Everything that a model may look at, with the labels of the held-out rows out.
fn visible(dataset: &Dataset) -> String {
    let (train, mut held_out) = batches(dataset);
    held_out.extend(dataset.validation_batches(2).map(Result::unwrap));
    held_out.iter_mut().for_each(|batch| batch.stars.clear());
    format!(
        "{train:?} {held_out:?} {:?} {:?} {:?} {:?}",
        dataset.user_histories(),
        dataset.movie_audiences(),
        dataset.features().rating_scale(),
        dataset.features().movie_counts(),
    )
}

#[test]
fn nothing_that_a_model_sees_depends_on_held_out_labels() {
    let noise = TEST.replace(",4.5,", ",0.5,").replace(",2.5,", ",5.0,");
    let (_, honest) = dataset(&format!("{TRAIN}{TEST}"));
    let (_, noisy) = dataset(&format!("{TRAIN}{noise}"));
    assert_eq!(visible(&honest), visible(&noisy));
    // The planted leak: the same change in a training row must show.
    let changed = TRAIN.replace(",3.0,", ",0.5,");
    let (_, leaky) = dataset(&format!("{changed}{TEST}"));
    assert_ne!(visible(&honest), visible(&leaky));
}

#[test]
fn nothing_in_a_context_depends_on_held_out_labels() {
    let noise = TEST.replace(",4.5,", ",0.5,").replace(",2.5,", ",5.0,");
    let with_context = |ratings: String, timestamps: bool| {
        let config = ContextConfig {
            timestamps,
            ..ContextConfig::default()
        };
        dataset(&ratings).1.with_context(config).unwrap()
    };
    for timestamps in [true, false] {
        let honest = with_context(format!("{TRAIN}{TEST}"), timestamps);
        let noisy = with_context(format!("{TRAIN}{noise}"), timestamps);
        assert_eq!(visible(&honest), visible(&noisy));
        let changed = TRAIN.replace(",3.0,", ",0.5,");
        let leaky = with_context(format!("{changed}{TEST}"), timestamps);
        assert_ne!(visible(&honest), visible(&leaky));
    }
}

#[test]
fn nothing_that_a_model_sees_depends_on_validation_labels() {
    let noise = TRAIN.replace(",3.0,", ",0.5,").replace(",5.0,", ",1.0,");
    for with_context in [false, true] {
        let data = |train: &str, validation: &[u32]| {
            let (_, data) = dataset_with(&format!("{train}{TEST}"), validation);
            match with_context {
                true => data.with_context(ContextConfig::default()).unwrap(),
                false => data,
            }
        };
        let seen = |train: &str, validation: &[u32]| visible(&data(train, validation));
        assert_eq!(seen(TRAIN, &[1, 3]), seen(&noise, &[1, 3]));
        assert_ne!(seen(TRAIN, &[1]), seen(&noise, &[1]));
    }
}

#[test]
fn a_context_without_timestamps_does_not_depend_on_them() {
    let config = ContextConfig {
        timestamps: false,
        ..ContextConfig::default()
    };
    let inputs = |ratings: &str| {
        let (_, plain) = dataset(ratings);
        let (train, test) = batches(&plain.with_context(config).unwrap());
        let inputs = train.into_iter().chain(test);
        inputs
            .map(|mut batch| {
                // The times themselves are no input of a model.
                batch.timestamps.clear();
                batch
            })
            .collect::<Vec<_>>()
    };
    let jumbled = format!("{TRAIN}{TEST}")
        .replace(",100\n", ",450\n")
        .replace(",500\n", ",5\n")
        .replace(",700\n", ",70000\n");
    assert_eq!(inputs(&format!("{TRAIN}{TEST}")), inputs(&jumbled));
}

#[test]
fn a_training_row_leaves_its_own_rating_out_of_both_bags() {
    let config = ContextConfig {
        kept: 1.0,
        ..ContextConfig::default()
    };
    let data = dataset(&format!("{TRAIN}{TEST}")).1;
    let (train, test) = batches(&data.with_context(config).unwrap());
    for batch in train {
        for sample in 0..batch.len() {
            let pairs = [
                (shared(&batch, Features::HISTORY), batch.movies[sample]),
                (shared(&batch, Features::AUDIENCE), batch.users[sample]),
            ];
            for (bags, own) in pairs {
                let left_out = bags.left_out[sample];
                assert_eq!(bags.ids[left_out as usize], own);
                let bag = bags.bag_of[sample] as usize;
                assert!((bags.offsets[bag]..bags.offsets[bag + 1]).contains(&left_out));
            }
        }
        // Users 1 and 2 rated two movies each, user 3 one.
        for (sample, &user) in batch.users.iter().enumerate() {
            let histories = shared(&batch, Features::HISTORY);
            let bag = histories.bag_of[sample] as usize;
            let length = histories.offsets[bag + 1] - histories.offsets[bag];
            assert_eq!(length, [2, 2, 1][user as usize]);
        }
    }
    let whole = |batch: &Batch| {
        let bags = [Features::HISTORY, Features::AUDIENCE].map(|name| shared(batch, name));
        bags.into_iter()
            .all(|bags| bags.left_out.iter().all(|&at| at == BatchBags::WHOLE))
    };
    assert!(test.iter().all(whole));
}

#[test]
fn bags_hold_about_the_share_that_is_kept_and_no_more_than_the_longest() {
    let ratings: String = (0..2000)
        .map(|user| format!("{user},1,{}.0,{user}\n", user % 5 + 1))
        .collect();
    let folder = Folder::new(&[
        ("movies.csv", b"movieId,title,genres\n1,A (1990),X\n"),
        (
            "ratings.csv",
            format!("userId,movieId,rating,timestamp\n{ratings}").as_bytes(),
        ),
    ]);
    let movielens = MovieLens::open(folder.path()).unwrap();
    let audience = |kept: f32, longest: u32, seed: u64| {
        let config = ContextConfig {
            kept,
            longest: Some(longest),
            ..ContextConfig::default()
        };
        let split = Split::new(2000, (0..2000).collect(), Vec::new()).unwrap();
        let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
        let data = data.with_context(config).unwrap();
        let first = data.training_batches(10, seed).next().unwrap();
        shared(&first.unwrap(), Features::AUDIENCE).ids.clone()
    };
    assert!((1500..1700).contains(&audience(0.8, u32::MAX, 1).len()));
    assert!((150..250).contains(&audience(0.8, 200, 1).len()));
    assert_eq!(audience(0.8, 200, 1), audience(0.8, 200, 1));
    assert_ne!(audience(0.8, 200, 1), audience(0.8, 200, 2));
    let fit = ContextConfig::default();
    for nonsense in [
        ContextConfig { kept: 0.0, ..fit },
        ContextConfig {
            longest: Some(0),
            ..fit
        },
    ] {
        let (_, data) = dataset(&format!("{TRAIN}{TEST}"));
        assert!(data.with_context(nonsense).is_err(), "{nonsense:?}");
    }
}

#[test]
fn tags_of_held_out_and_validation_pairs_are_hidden() {
    let (movielens, data) = dataset(&format!("{TRAIN}{TEST}"));
    let tags = |split: &Split| MovieTags::new(&movielens, split, 1).unwrap();
    assert_eq!(tags(data.split()).names(), ["old"]);
    // Held out to test on or to choose by.
    let split = Split::new(8, (0..8).collect(), Vec::new()).unwrap();
    assert_eq!(tags(&split).names(), ["old", "spoiler"]);
    let split = split.with_validation_rows(vec![7]).unwrap();
    assert_eq!(tags(&split).names(), ["old"]);
}

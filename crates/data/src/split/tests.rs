use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};

use super::*;
use crate::movielens::RatingColumns;
use crate::{MovieLens, Movies};

/// Users 1, 2 and 3 with 4, 2 and 1 ratings; times fall with the place.
fn ratings() -> Ratings {
    let columns = RatingColumns {
        users: vec![1, 1, 1, 1, 2, 2, 3],
        movies: vec![10, 20, 30, 40, 10, 20, 50],
        stars: vec![3.0; 7],
        timestamps: vec![70, 60, 60, 40, 30, 20, 80],
    };
    Ratings::from_columns(columns, Path::new("ratings.csv")).unwrap()
}

#[test]
fn a_random_split_holds_each_row_once() {
    let split = Split::random(1000, 0.2, 7).unwrap();
    let mut all = [split.train(), split.test()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
    assert_eq!(split.test.len(), 200);
    assert_eq!(split, Split::random(1000, 0.2, 7).unwrap());
    assert_ne!(split, Split::random(1000, 0.2, 8).unwrap());
}

#[test]
fn splits_are_the_same_on_every_machine() {
    // Written down once: a change would silently make figures of
    // different versions differ.
    assert_eq!(Split::random(20, 0.25, 42).unwrap().test, RANDOM_TEST);
    let folds: Vec<Vec<u32>> = Split::k_fold(6, 3, 42).unwrap().map(|it| it.test).collect();
    assert_eq!(folds, FOLDS);
}

const RANDOM_TEST: [u32; 5] = [9, 10, 11, 18, 19];
const FOLDS: [[u32; 2]; 3] = [[0, 1], [3, 5], [2, 4]];

#[test]
fn shares_that_leave_a_side_empty_are_refused() {
    for share in [0.0, 1.0, -0.1, f64::NAN, 0.9999] {
        assert!(Split::random(100, share, 1).is_err(), "{share}");
        assert!(Split::temporal(&ratings(), share).is_err(), "{share}");
        assert!(Split::cold_users(&ratings(), share, 1).is_err(), "{share}");
    }
    assert!(Split::leave_last_out(&ratings(), 0).is_err());
    assert!(Split::leave_last_out(&ratings(), 4).is_err());
    assert!(Split::k_fold(5, 1, 1).is_err());
    assert!(Split::k_fold(5, 6, 1).is_err());
}

#[test]
fn a_temporal_split_cuts_at_one_moment() {
    let split = Split::temporal(&ratings(), 0.2).unwrap();
    assert_eq!((split.train, split.test), (vec![1, 2, 3, 4, 5], vec![0, 6]));
    // Rows 1 and 2 share the moment of the cut.
    let split = Split::temporal(&ratings(), 0.4).unwrap();
    assert_eq!((split.train, split.test), (vec![3, 4, 5], vec![0, 1, 2, 6]));
}

#[test]
fn the_last_of_each_user_are_held_out() {
    let split = Split::leave_last_out(&ratings(), 1).unwrap();
    assert_eq!((split.train, split.test), (vec![1, 2, 3, 5], vec![0, 4]));
    assert_eq!(split.dropped.len(), 1);
    assert_eq!(split.dropped[0].reason, DropReason::TooFewRatings);
    assert_eq!(split.dropped[0].rows, [6]);
    // Of equal times the later in the file is the last.
    let split = Split::leave_last_out(&ratings(), 2).unwrap();
    assert_eq!((split.train, split.test), (vec![1, 3], vec![0, 2]));
}

#[test]
fn cold_users_and_movies_are_wholly_held_out() {
    for seed in 0..10 {
        let ratings = ratings();
        for (ids, split) in [
            (ratings.user_ids(), Split::cold_users(&ratings, 0.4, seed)),
            (ratings.movie_ids(), Split::cold_movies(&ratings, 0.4, seed)),
        ] {
            let split = split.unwrap();
            let ids = |rows: &[u32]| IdMap::from_ids(rows.iter().map(|&row| ids[row as usize]));
            let (train, test) = (ids(&split.train), ids(&split.test));
            assert_eq!(test.len(), 2);
            assert!(test.ids().iter().all(|&id| train.row(id).is_none()));
            assert_eq!(split.train.len() + split.test.len(), 7);
        }
    }
}

/// A pair is rated once where a release is whole.
fn ratings_of_one() -> Ratings {
    let columns = RatingColumns {
        users: vec![1],
        movies: vec![10],
        stars: vec![3.0],
        timestamps: vec![1],
    };
    Ratings::from_columns(columns, Path::new("ratings.csv")).unwrap()
}

#[test]
fn every_rating_of_a_pair_that_is_named_is_held_out() {
    let columns = RatingColumns {
        users: vec![1, 1, 1, 2],
        movies: vec![10, 10, 20, 10],
        stars: vec![3.0; 4],
        timestamps: vec![1; 4],
    };
    let ratings = Ratings::from_columns(columns, Path::new("ratings.csv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.csv");
    std::fs::write(&path, "userId,movieId\n1,10\n").unwrap();
    let texts = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let movies = RecordBatch::try_from_iter([
        (
            "movieId",
            Arc::new(UInt32Array::from(vec![10, 20])) as ArrayRef,
        ),
        ("title", texts(["Heat", "Big"])),
        ("genres", texts(["", ""])),
    ]);
    let movies = Movies::try_from(movies.unwrap()).unwrap();
    let mut movielens = MovieLens::new(ratings_of_one(), movies).unwrap();
    movielens.ratings = ratings;
    let split = Split::from_test_rows(&path, &movielens).unwrap();
    assert_eq!((split.train, split.test), (vec![2, 3], vec![0, 1]));
    std::fs::write(&path, "userId,movieId\n1,10\n2,20\n2,30\n").unwrap();
    let error = Split::from_test_rows(&path, &movielens).unwrap_err();
    assert!(matches!(error, Error::Row { line: 3, .. }), "{error}");
}

#[test]
fn folds_hold_each_row_out_once() {
    let mut held_out: Vec<u32> = Vec::new();
    for split in Split::k_fold(1001, 10, 3).unwrap() {
        assert!((100..=101).contains(&split.test.len()));
        assert_eq!(split.train.len() + split.test.len(), 1001);
        held_out.extend(split.test);
    }
    held_out.sort_unstable();
    assert_eq!(held_out, (0..1001).collect::<Vec<_>>());
}

#[test]
fn rows_of_the_unseen_are_dropped_with_the_reason() {
    let split = Split::new(7, vec![0, 1, 2], vec![3, 4, 6]).unwrap();
    let split = split.drop_unseen(&ratings()).unwrap();
    assert_eq!(split.test, [] as [u32; 0]);
    let reasons: Vec<_> = split
        .dropped
        .iter()
        .map(|it| (it.reason, &it.rows[..]))
        .collect();
    let expected: [(DropReason, &[u32]); 2] = [
        (DropReason::UserNotInTraining, &[4, 6]),
        (DropReason::MovieNotInTraining, &[3]),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn parts_that_are_no_split_are_refused() {
    let refused = |train: &[u32], test: &[u32], why: &str| {
        let error = Split::new(4, train.to_vec(), test.to_vec()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    refused(
        &[0, 1],
        &[1, 2],
        "test row is 1, but a row belongs to one part",
    );
    refused(
        &[0, 1, 1],
        &[2],
        "training row is 1 after 1, but rows must ascend",
    );
    refused(&[0], &[2, 1], "test row is 1 after 2, but rows must ascend");
    refused(&[0, 4], &[], "training row is 4 of 4 ratings");
    refused(&[0], &[1, 9], "test row is 9 of 4 ratings");
    refused(&[], &[0], "number of training rows is 0");
    assert!(Split::new(4, vec![0, 3], vec![1]).is_ok());
}

#[test]
fn validation_rows_come_once_and_from_the_training_rows() {
    let split = Split::new(7, vec![0, 2, 4, 5], vec![1, 3]).unwrap();
    let refused = |split: &Split, rows: &[u32], why: &str| {
        let error = split.clone().with_validation_rows(rows.to_vec());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(
        &split,
        &[1, 4],
        "validation row is 1, but validation rows are taken",
    );
    refused(
        &split,
        &[2, 6],
        "validation row is 6, but validation rows are taken",
    );
    refused(&split, &[4, 2], "validation row is 2 after 4");
    refused(&split, &[2, 8], "validation row is 8 of 7");
    refused(&split, &[], "number of validation rows is 0");
    refused(&split, &[0, 2, 4, 5], "number of training rows is 0");
    let split = split.with_validation_rows(vec![2, 5]).unwrap();
    assert_eq!(
        (split.train(), split.validation()),
        (&[0, 4][..], &[2, 5][..])
    );
    refused(&split, &[4], "number of validation rows is 2");
    let drawn = Split::temporal(&ratings(), 0.2).unwrap();
    let drawn = drawn.with_validation(0.3, &ratings()).unwrap();
    assert!(drawn.with_validation(0.3, &ratings()).is_err());
}

#[test]
fn ratings_without_a_row_number_of_32_bits_are_refused() {
    for ratings in [1 << 32, 1 << 33] {
        let refused = |error: Error| {
            let error = error.to_string();
            assert!(
                error.contains(&format!("number of ratings is {ratings}")),
                "{error}"
            );
        };
        refused(Split::random(ratings, 0.2, 1).unwrap_err());
        refused(Split::k_fold(ratings, 5, 1).err().unwrap());
        refused(Split::new(ratings, vec![0], vec![1]).unwrap_err());
        refused(row_numbers(ratings).unwrap_err());
    }
    assert_eq!(row_numbers((1 << 32) - 1).unwrap(), u32::MAX);
}

/// 30 users with as many ratings each as their number, movie by movie, over times that
/// go up and down.
fn many() -> Ratings {
    let pairs: Vec<(u32, u32)> = (1..=30)
        .flat_map(|user| (0..user).map(move |place| (user, (7 * place + user) % 41)))
        .collect();
    let columns = RatingColumns {
        users: pairs.iter().map(|pair| pair.0).collect(),
        movies: pairs.iter().map(|pair| pair.1).collect(),
        stars: vec![3.0; pairs.len()],
        timestamps: (0..pairs.len() as u32)
            .map(|row| row * 577 % 7919)
            .collect(),
    };
    Ratings::from_columns(columns, Path::new("ratings.csv")).unwrap()
}

fn ids_of(ids: &[u32], rows: &[u32]) -> Vec<u32> {
    IdMap::from_ids(rows.iter().map(|&row| ids[row as usize]))
        .ids()
        .to_vec()
}

#[test]
fn validation_rows_of_a_random_split_are_those_of_its_seed() {
    // Written down once, as the test rows above.
    let ratings = many();
    let split = Split::random(ratings.len(), 0.25, 42).unwrap();
    let split = split.with_validation(0.02, &ratings).unwrap();
    assert_eq!(split.validation(), RANDOM_VALIDATION);
    let other = Split::random(ratings.len(), 0.25, 43).unwrap();
    let other = other.with_validation(0.02, &ratings).unwrap();
    assert_ne!(other.validation(), RANDOM_VALIDATION);
    assert_eq!(split.train().len() + split.validation().len(), 348);
    for mut fold in Split::k_fold(ratings.len(), 3, 1).unwrap() {
        fold = fold.with_validation(0.1, &ratings).unwrap();
        assert_eq!((fold.train().len(), fold.validation().len()), (279, 31));
    }
}

const RANDOM_VALIDATION: [u32; 7] = [20, 95, 246, 262, 270, 272, 296];

#[test]
fn validation_rows_of_a_temporal_split_are_the_latest_of_the_others() {
    let ratings = many();
    let split = Split::temporal(&ratings, 0.2).unwrap();
    let split = split.with_validation(0.25, &ratings).unwrap();
    let times = |rows: &[u32]| {
        let times = rows.iter().map(|&row| ratings.timestamps()[row as usize]);
        (times.clone().min().unwrap(), times.max().unwrap())
    };
    assert!(times(split.train()).1 < times(split.validation()).0);
    assert!(times(split.validation()).1 < times(split.test()).0);
    assert_eq!(split.validation().len(), 93);
}

#[test]
fn validation_rows_of_a_last_out_split_are_the_last_left_of_each_user() {
    let ratings = many();
    let (users, times) = (ratings.user_ids(), ratings.timestamps());
    let split = Split::leave_last_out(&ratings, 2).unwrap();
    let few = split.dropped().to_vec();
    let split = split.with_validation(0.5, &ratings).unwrap();
    for user in 1..=30 {
        let of = |rows: &[u32]| -> Vec<u32> {
            let rows = rows.iter().filter(|&&row| users[row as usize] == user);
            rows.map(|&row| times[row as usize]).collect()
        };
        let (train, validation, test) =
            (of(split.train()), of(split.validation()), of(split.test()));
        // Users 1 and 2 have no more than are held out, 3 and 4 no more left than that.
        assert_eq!(test.len(), if user > 2 { 2 } else { 0 });
        assert_eq!(validation.len(), if user > 4 { 2 } else { 0 });
        if user > 4 {
            assert!(train.iter().max() < validation.iter().min());
            assert!(validation.iter().max() < test.iter().min());
        } else if user > 2 {
            assert_eq!(train.len(), user as usize - 2);
        }
    }
    assert_eq!(split.dropped(), few);
    // A share with less room takes the last of some users.
    let split = Split::leave_last_out(&ratings, 2).unwrap();
    let rows = split.train().len();
    let split = split.with_validation(12.0 / rows as f64, &ratings).unwrap();
    assert_eq!(split.validation().len(), 12);
    assert_eq!(ids_of(users, split.validation()).len(), 6);
}

#[test]
fn validation_rows_of_a_cold_split_are_all_of_users_or_movies() {
    let ratings = many();
    for seed in 0..5 {
        for (ids, things, split) in [
            (
                ratings.user_ids(),
                24,
                Split::cold_users(&ratings, 0.2, seed),
            ),
            (
                ratings.movie_ids(),
                32,
                Split::cold_movies(&ratings, 0.2, seed),
            ),
        ] {
            let split = split.unwrap().with_validation(0.25, &ratings).unwrap();
            let train = ids_of(ids, split.train());
            let validation = ids_of(ids, split.validation());
            let test = ids_of(ids, split.test());
            assert_eq!(
                (train.len(), validation.len()),
                (things * 3 / 4, things / 4)
            );
            let others = [train, test].concat();
            assert!(validation.iter().all(|id| !others.contains(id)));
            let parts = [split.train(), split.validation(), split.test()];
            assert_eq!(parts.concat().len(), ratings.len());
        }
    }
}

#[test]
fn validation_rows_of_named_rows_are_drawn_at_random_and_the_same_each_time() {
    let ratings = many();
    let split = || {
        let split = Split::new(ratings.len(), (0..400).collect(), (400..465).collect());
        split.unwrap().with_validation(0.1, &ratings).unwrap()
    };
    assert_eq!(split().validation().len(), 40);
    assert_eq!(split(), split());
    // Of one user and one time among others.
    assert!(ids_of(ratings.user_ids(), split().validation()).len() > 10);
}

#[test]
fn the_unseen_are_dropped_before_or_after_validation_rows_are_drawn() {
    let ratings = many();
    let split = || Split::random(ratings.len(), 0.5, 3).unwrap();
    let before = split().drop_unseen(&ratings).unwrap();
    let before = before.with_validation(0.5, &ratings).unwrap();
    let after = split().with_validation(0.5, &ratings).unwrap();
    let after = after.drop_unseen(&ratings).unwrap();
    for split in [before, after.clone()] {
        for ids in [ratings.user_ids(), ratings.movie_ids()] {
            let train = ids_of(ids, split.train());
            for part in [split.validation(), split.test()] {
                assert!(ids_of(ids, part).iter().all(|id| train.contains(id)));
            }
        }
        assert_eq!(split.train(), after.train());
        assert_eq!(split.test(), after.test());
        assert!(split.dropped().iter().all(|it| it.rows.is_sorted()));
    }
    let split = split();
    let other = self::ratings();
    assert!(split.clone().drop_unseen(&other).is_err());
    assert!(split.with_validation(0.1, &other).is_err());
}

#[test]
fn other_rows_can_be_tested_on_that_are_not_learned_from() {
    let ratings = many();
    let split = Split::leave_last_out(&ratings, 2).unwrap();
    let split = split.with_validation(0.5, &ratings).unwrap();
    let test = vec![0, 1, split.test()[9]];
    let other = split.clone().with_test(test.clone()).unwrap();
    assert_eq!(other.test(), test);
    assert_eq!(
        (other.train(), other.validation()),
        (split.train(), split.validation())
    );
    // Rows 0 to 2 were dropped.
    assert_eq!(other.dropped()[0].rows, [2]);
    for known in [split.train()[0], split.validation()[0]] {
        assert!(split.clone().with_test(vec![known]).is_err());
    }
}

//! Data that models have known figures on, where they are at hand.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use mmdlrm_data::{Candidates, IdMap, MovieLens, Rated, RatedBags, Split};
use mmdlrm_features::Dataset;
use mmdlrm_train::{Ranker, TopList, Who, rank_catalogue, rank_users};

use crate::scores;

/// The folder of real data; says so where there is none.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("data");
    if folder.is_dir() {
        return Some(folder);
    }
    // Straight to standard error: the test harness hides what macros print.
    let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
    None
}

/// ml-latest-small, with a fifth of the ratings held out that a file names.
pub fn catalogue() -> Option<Dataset> {
    let folder = folder()?;
    let movielens = MovieLens::open(folder.join("ml-latest-small")).unwrap();
    let path = folder.join("splits/ml-latest-small-random42-test.csv");
    let split = Split::from_test_rows(&path, &movielens).unwrap();
    Some(Dataset::new(&movielens, split, Vec::new()).unwrap())
}

/// nDCG@10 over the whole catalogue: graded by stars, and of what has four stars or more, all alike,
/// in the mean of the users who have any.
pub fn ndcg(model: &dyn Ranker, data: &Dataset) -> (f64, f64) {
    let graded = rank_catalogue(model, data, 10, |_, _| Ok(())).unwrap();
    let (mut sum, mut users) = (0.0, 0.0);
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    rank_users(
        &[model],
        data,
        None,
        |user| {
            let liked = user.held_out.iter().filter(|rated| rated.1 >= 4.0);
            let liked: Vec<u32> = liked.map(|rated| rated.0).collect();
            let list = TopList::new(user.scores, user.known, 10);
            let found = list.best().iter().enumerate();
            let found = found.filter(|(_, best)| liked.contains(&best.0));
            let found: f64 = found.map(|(place, _)| gain(place)).sum();
            let most: f64 = (0..liked.len().min(10)).map(gain).sum();
            Ok((!liked.is_empty()).then(|| found / most))
        },
        |_, of_user| {
            for ndcg in of_user.into_iter().flatten() {
                sum += ndcg;
                users += 1.0;
            }
            Ok(())
        },
    )
    .unwrap();
    (graded.mean().unwrap(), sum / users)
}

/// What ml-latest-small's file of candidates names: a held-out movie of each of 608 users and 99
/// others, and what else these users rated of the 2,121 movies.
pub struct Among {
    pub histories: RatedBags,
    pub items: usize,
    candidates: Vec<Vec<u32>>,
}

pub fn among_candidates() -> Option<Among> {
    let folder = folder()?;
    let movielens = MovieLens::open(folder.join("ml-latest-small")).unwrap();
    let path = folder.join("splits/ml-latest-small-leave-one-out-99.csv");
    let candidates = Candidates::read(&path, &movielens).unwrap();
    let movies = candidates.movies();
    let users = IdMap::from_ids(candidates.rows().iter().map(|row| row.user_id));
    let held_out: HashSet<(u32, u32)> = candidates
        .rows()
        .iter()
        .map(|row| (row.user_id, row.movie_ids[0]))
        .collect();
    let ratings = &movielens.ratings;
    let rated = (0..ratings.len()).filter_map(|row| {
        let (user, movie) = (ratings.user_ids()[row], ratings.movie_ids()[row]);
        let rated = Rated {
            user: users.row(user)?,
            movie: movies.row(movie)?,
            stars: ratings.stars()[row],
            timestamp: ratings.timestamps()[row],
        };
        (!held_out.contains(&(user, movie))).then_some(rated)
    });
    let mut of_users = vec![Vec::new(); users.len()];
    for row in candidates.rows() {
        let rows = row
            .movie_ids
            .iter()
            .map(|&movie| movies.row(movie).unwrap());
        of_users[users.row(row.user_id).unwrap() as usize] = rows.collect();
    }
    let among = Among {
        histories: RatedBags::of_users(users.len(), rated),
        items: movies.len(),
        candidates: of_users,
    };
    let sizes = (
        among.histories.len(),
        among.items,
        among.histories.ratings(),
    );
    assert_eq!(sizes, (608, 2121, 79_011));
    Some(among)
}

impl Among {
    /// Hit rate and nDCG at 10; half of those with the score of the held-out movie stand before it.
    pub fn figures(&self, model: &dyn Ranker) -> (f64, f64) {
        let (mut hits, mut ndcg) = (0.0, 0.0);
        for (user, candidates) in (0..).zip(&self.candidates) {
            let scores = scores(model, Who::Users(&[user]));
            let score = |movie: &u32| scores[*movie as usize];
            let (held_out, others) = candidates.split_first().unwrap();
            let count = |is: fn(f32, f32) -> bool| {
                others
                    .iter()
                    .filter(|&it| is(score(it), score(held_out)))
                    .count() as f64
            };
            let place = count(|other, own| other > own) + count(|other, own| other == own) / 2.0;
            if place < 10.0 {
                hits += 1.0;
                ndcg += 1.0 / (place + 2.0).log2();
            }
        }
        let users = self.candidates.len() as f64;
        (hits / users, ndcg / users)
    }
}

/// Refuses figures that are further off than that from what they should be.
pub fn assert_figures(found: (f64, f64), expected: (f64, f64), at_most: f64) {
    let apart = (found.0 - expected.0)
        .abs()
        .max((found.1 - expected.1).abs());
    assert!(apart < at_most, "{found:?} where {expected:?} is known");
}

//! What is done with ratings that a release should not have.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::RatingColumns;
use super::ratings::rating_columns;
use crate::text::{Dialect, TableFile};
use crate::{Error, IdMap, Result};

/// What to do with ratings of movies that the table of movies lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UnknownMovies {
    /// An error that counts them and names the first.
    #[default]
    Refuse,
    /// They are left out and counted.
    Drop,
}

/// What to do where a user rated a movie more than once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Duplicates {
    /// An error that counts them and names the first.
    #[default]
    Refuse,
    /// The first in the file stays.
    KeepFirst,
    /// The one with the latest time stays; of equal times the last in the file. Of a rating whose
    /// user rates the movie once more after a split's moment, the training set knows nothing.
    KeepLatest,
    /// The one with the earliest time stays; of equal times the first in the file.
    KeepEarliest,
    /// All stay. A held-out rating may then have its twin in the training set.
    KeepAll,
}

impl Duplicates {
    /// As `--duplicates` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::KeepFirst => "keep-first",
            Self::KeepLatest => "keep-latest",
            Self::KeepEarliest => "keep-earliest",
            Self::KeepAll => "keep-all",
        }
    }

    /// Of the rows of a pair the one with the most stays.
    pub(crate) fn order(self, timestamp: u32, row: u64) -> (u32, u64) {
        match self {
            Self::KeepLatest => (timestamp, row),
            Self::KeepEarliest => (u32::MAX - timestamp, u64::MAX - row),
            _ => (0, u64::MAX - row),
        }
    }
}

/// What was found amiss and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Ratings of movies that the table of movies lacks.
    pub of_unknown_movies: usize,
    /// Those movies, by raw id, ascending.
    pub unknown_movies: Vec<u32>,
    /// What they are called, of items that have names.
    pub unknown_names: Vec<String>,
    /// Ratings of a pair of user and movie that has another rating.
    pub duplicates: usize,
}

/// A file of ratings and how it is written, to find a row's line in.
pub(crate) struct Origin<'a> {
    pub path: &'a Path,
    pub dialect: &'a Dialect,
    /// Name of the table of movies beside it.
    pub movies: &'a str,
}

/// Rows that a thread looks at before another may take its place.
const ROWS_AT_A_GLANCE: usize = 64 << 10;
/// Rows that are sorted at a time to look for duplicates: 8 MB of keys.
const KEYS_AT_A_TIME: usize = 1 << 20;

/// Users and movies of some ratings, column by column.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'a> {
    pub users: &'a [u32],
    pub movies: &'a [u32],
}

impl RatingColumns {
    /// Leaves out, or refuses, ratings of movies that are not in `movies`.
    pub(crate) fn check_movies(
        &mut self,
        movies: &IdMap,
        policy: UnknownMovies,
        origin: &Origin,
        left_out: &mut LeftOut,
    ) -> Result<()> {
        let unknown = self.pairs().of_unknown_movies(movies);
        let Some(&first) = unknown.first() else {
            return Ok(());
        };
        let ids = IdMap::from_ids(unknown.iter().map(|&row| self.movies[row as usize]));
        if policy == UnknownMovies::Refuse {
            return Err(origin.unknown_movie(first as usize, unknown.len(), ids.len()));
        }
        left_out.of_unknown_movies = unknown.len();
        left_out.unknown_movies = ids.ids().to_vec();
        self.remove(&unknown);
        Ok(())
    }

    /// Leaves out, or refuses, ratings of a pair that has another.
    pub(crate) fn check_duplicates(
        &mut self,
        policy: Duplicates,
        origin: &Origin,
        left_out: &mut LeftOut,
    ) -> Result<()> {
        if policy == Duplicates::KeepAll {
            return Ok(());
        }
        let twice = self.pairs().rated_twice();
        if twice.is_empty() {
            return Ok(());
        }
        if policy == Duplicates::Refuse {
            let all: usize = twice.iter().map(|rows| rows.len() - 1).sum();
            let problem = format!(
                "was rated by this user on an earlier line too, as were those of {all} ratings in all; \
                 remove them, or say which to keep: --duplicates keep-latest (or keep-first, \
                 keep-earliest, keep-all)"
            );
            return Err(origin.error(first_repeat(&twice).unwrap_or(0), &problem));
        }
        left_out.duplicates = self.keep_one_of_each(policy).len();
        Ok(())
    }

    /// Keeps one rating of each pair, or all, as the policy says; the rows that were left out,
    /// ascending.
    pub(crate) fn keep_one_of_each(&mut self, policy: Duplicates) -> Vec<u32> {
        if policy == Duplicates::KeepAll {
            return Vec::new();
        }
        let order = |row: u32| policy.order(self.timestamps[row as usize], row.into());
        let removed = self.pairs().but_the_last_of_each(order);
        self.remove(&removed);
        removed
    }

    pub(crate) fn pairs(&self) -> Pairs<'_> {
        Pairs {
            users: &self.users,
            movies: &self.movies,
        }
    }

    /// Removes `rows`, ascending.
    pub(crate) fn remove(&mut self, rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        remove(&mut self.users, rows);
        remove(&mut self.movies, rows);
        remove(&mut self.stars, rows);
        remove(&mut self.timestamps, rows);
    }
}

/// The first row whose pair has an earlier one.
pub(crate) fn first_repeat(twice: &[Vec<u32>]) -> Option<usize> {
    let second = twice.iter().filter_map(|rows| rows.get(1)).min();
    second.map(|&row| row as usize)
}

impl Pairs<'_> {
    /// Rows of movies that are not in `movies`, ascending.
    pub(crate) fn of_unknown_movies(&self, movies: &IdMap) -> Vec<u32> {
        // Nearly always there is none, which a quick look at a stretch tells.
        self.movies
            .par_chunks(ROWS_AT_A_GLANCE)
            .enumerate()
            .filter(|(_, stretch)| !stretch.iter().all(|&movie| movies.row(movie).is_some()))
            .flat_map_iter(|(number, stretch)| {
                let rows = ((number * ROWS_AT_A_GLANCE) as u32..).zip(stretch);
                rows.filter(|(_, movie)| movies.row(**movie).is_none())
            })
            .map(|(row, _)| row)
            .collect()
    }

    /// Of each pair that stands more than once the rows, in their order.
    pub(crate) fn rated_twice(&self) -> Vec<Vec<u32>> {
        let twice = self.pairs_twice();
        if twice.is_empty() {
            return Vec::new();
        }
        let mut rows: HashMap<u64, Vec<u32>> = twice.iter().map(|&key| (key, vec![])).collect();
        for row in 0..self.users.len() {
            if let Some(rows) = rows.get_mut(&self.key(row)) {
                rows.push(row as u32);
            }
        }
        rows.into_values().collect()
    }

    /// The first row whose pair has an earlier one, and how many such rows there are.
    pub(crate) fn first_of_twice(&self) -> Option<(usize, usize)> {
        let repeats = self.but_the_last_of_each(|row| (0, u32::MAX - row));
        let first = repeats.first()?;
        Some((*first as usize, repeats.len()))
    }

    /// Rows of pairs that stand more than once, but of each pair the one that comes last in some
    /// order; ascending.
    fn but_the_last_of_each<O: Ord>(&self, order: impl Fn(u32) -> O + Sync) -> Vec<u32> {
        let of_part = |rows: &mut dyn Iterator<Item = usize>| {
            let mut rows: Vec<(u64, u32)> = rows.map(|row| (self.key(row), row as u32)).collect();
            rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| order(a.1).cmp(&order(b.1))));
            let repeats = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
            repeats.map(|pair| pair[0].1).collect::<Vec<u32>>()
        };
        let mut rows = self.of_parts(of_part);
        rows.par_sort_unstable();
        rows
    }

    fn key(&self, row: usize) -> u64 {
        u64::from(self.users[row]) << 32 | u64::from(self.movies[row])
    }

    /// Pairs that stand more than once.
    fn pairs_twice(&self) -> Vec<u64> {
        self.of_parts(|rows| twice(rows.map(|row| self.key(row))))
    }

    /// What is found in the rows of a part of the users at a time, so that memory stays small.
    /// Releases are sorted by user and movie, which a glance confirms: then no pair stands twice,
    /// and nothing is looked for.
    fn of_parts<T: Send>(
        &self,
        find: impl Fn(&mut dyn Iterator<Item = usize>) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let rows = self.users.len();
        if self.all_pairs(|pair| pair[0] < pair[1]) {
            return Vec::new();
        }
        let parts = rows.div_ceil(KEYS_AT_A_TIME);
        let parts_of_keys = (0..parts).into_par_iter();
        if self.users.is_sorted() {
            // A part ends where a user does.
            let start = |part: usize| {
                let user = self.users.get(part * KEYS_AT_A_TIME);
                user.map_or(rows, |user| self.users.partition_point(|it| it < user))
            };
            return parts_of_keys
                .flat_map_iter(|part| find(&mut (start(part)..start(part + 1))))
                .collect();
        }
        parts_of_keys
            .flat_map_iter(|part| {
                let of_part = |user: u32| {
                    // A multiplicative hash spreads users over the parts.
                    let hash = u64::from(user.wrapping_mul(0x9E37_79B9));
                    (hash * parts as u64) >> 32 == part as u64
                };
                find(&mut (0..rows).filter(|&row| of_part(self.users[row])))
            })
            .collect()
    }

    /// Whether something holds for the keys of each row and the next.
    fn all_pairs(&self, holds: impl Fn([u64; 2]) -> bool + Sync) -> bool {
        let users = self.users.par_chunks(ROWS_AT_A_GLANCE);
        users.enumerate().all(|(number, users)| {
            let start = number * ROWS_AT_A_GLANCE;
            let end = (start + users.len() + 1).min(self.users.len());
            let movies = &self.movies[start..end];
            let users = &self.users[start..end];
            let keys = |row: usize| u64::from(users[row]) << 32 | u64::from(movies[row]);
            (1..users.len()).all(|row| holds([keys(row - 1), keys(row)]))
        })
    }
}

/// Keys that come more than once, each once.
fn twice(keys: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut keys: Vec<u64> = keys.collect();
    keys.sort_unstable();
    let mut twice: Vec<u64> = keys
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    twice
}

fn remove<T>(column: &mut Vec<T>, rows: &[u32]) {
    let mut rows = rows.iter().peekable();
    let mut row = 0;
    column.retain(|_| {
        let gone = rows.next_if(|&&next| next == row).is_some();
        row += 1;
        !gone
    });
}

/// Finds a pair that stands twice while ratings pass by, grouped by user,
/// holding those of one user at a time.
#[derive(Default)]
pub(crate) struct PassingPairs {
    user: Option<u32>,
    movies: HashSet<u32>,
    rows: usize,
}

impl PassingPairs {
    /// Checks the next rows against those before.
    pub(crate) fn check(&mut self, columns: &RatingColumns, origin: &Origin) -> Result<()> {
        for row in 0..columns.users.len() {
            let (user, movie) = (columns.users[row], columns.movies[row]);
            if self.user.is_some_and(|last| last > user) {
                let problem = "is rated by a user of whom other ratings stand elsewhere, so that duplicates \
                               cannot be found in passing; sort the file by user, load it whole (without \
                               --stream), or keep all: --duplicates keep-all";
                return Err(origin.error(self.rows, problem));
            }
            if self.user != Some(user) {
                self.user = Some(user);
                self.movies.clear();
            }
            if !self.movies.insert(movie) {
                let problem = "was rated by this user on an earlier line too; remove one of them, or keep \
                               all: --duplicates keep-all";
                return Err(origin.error(self.rows, problem));
            }
            self.rows += 1;
        }
        Ok(())
    }
}

impl Origin<'_> {
    /// The first of some ratings of unknown movies.
    pub(crate) fn unknown_movie(&self, row: usize, ratings: usize, movies: usize) -> Error {
        let problem = format!(
            "is not a movie of {}; {ratings} ratings are of such movies, {movies} in number: add the \
             movies, remove the ratings, or leave them out: --unknown-movies drop",
            self.movies
        );
        self.error(row, &problem)
    }

    /// An error at the movie of a row of the file: reads the file again to
    /// find the line.
    pub(crate) fn error(&self, wanted: usize, problem: &str) -> Error {
        let mut found = None;
        let mut number = 0;
        let read =
            TableFile::open_columns(self.path, self.dialect, &rating_columns()).and_then(|file| {
                file.for_each(|row| {
                    if number == wanted {
                        found = Some(row.bad(1, problem));
                    }
                    number += 1;
                    Ok(())
                })
            });
        match (found, read) {
            (Some(error), _) | (None, Err(error)) => error,
            (None, Ok(())) => Error::Row {
                path: self.path.to_owned(),
                line: 0,
                column: String::new(),
                problem: format!("a movie {problem}; the file has changed meanwhile"),
            },
        }
    }
}

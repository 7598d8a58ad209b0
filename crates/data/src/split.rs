use std::collections::HashMap;
use std::path::Path;

use crate::sampler::{Sampler, held_out};
use crate::shuffle::Shuffle;
use crate::text::{Dialect, TableFile};
use crate::{Error, IdMap, Ratings, Result};

/// Row numbers of the ratings to learn from, of those held out, and of those
/// used for neither.
///
/// A split depends on the ratings and, where something is drawn, on the seed:
/// not on the machine or the number of threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// Rows to train on, ascending.
    pub train: Vec<u32>,
    /// Rows to choose by while training, an epoch or a setting, ascending.
    pub validation: Vec<u32>,
    /// Rows held out, ascending.
    pub test: Vec<u32>,
    /// Rows used for neither, and why; a reason comes at most once.
    pub dropped: Vec<Dropped>,
}

/// Rows that a split uses neither to learn from nor to test on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Why.
    pub reason: DropReason,
    /// The rows, ascending.
    pub rows: Vec<u32>,
}

/// Why a row is used for neither training nor testing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The user has too few ratings to hold any out and leave one.
    TooFewRatings,
    /// Held out, but the user has no training row.
    UserNotInTraining,
    /// Held out, but the movie has no training row.
    MovieNotInTraining,
}

impl Split {
    /// From rows to train on and rows to hold out.
    pub fn new(train: Vec<u32>, test: Vec<u32>) -> Self {
        Self {
            train,
            test,
            ..Self::default()
        }
    }

    /// Sets a share of the training rows, rounded up and drawn by `seed`, aside as
    /// [validation rows](Self::validation); none may be there yet.
    ///
    /// # Errors
    /// A share that is not strictly between 0 and 1, or that leaves a side empty.
    ///
    /// ```
    /// let split = mmdlrm_data::Split::random(10, 0.2, 42)?.with_validation(0.25, 42)?;
    /// assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (6, 2, 2));
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn with_validation(mut self, share: f64, seed: u64) -> Result<Self> {
        let mut sampler = Sampler::of_validation(self.train.len(), share, seed)?;
        let (validation, train) = self.train.iter().partition(|_| sampler.next());
        self.validation = validation;
        self.train = train;
        Ok(self)
    }

    /// Holds out a share `test_share` of `ratings` rows, rounded up, drawn by
    /// `seed`.
    ///
    /// # Errors
    /// A share that is not strictly between 0 and 1, or that leaves a side
    /// empty.
    ///
    /// ```
    /// let split = mmdlrm_data::Split::random(10, 0.2, 42)?;
    /// assert_eq!((split.train.len(), split.test.len()), (8, 2));
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn random(ratings: usize, test_share: f64, seed: u64) -> Result<Self> {
        let mut sampler = Sampler::new(ratings, test_share, seed)?;
        Ok(Self::by(ratings, |_| sampler.next()))
    }

    /// Holds out the latest: the ratings from the moment on after which a share
    /// `test_share` of them was given, or a little more where several were
    /// given at that very second.
    ///
    /// # Errors
    /// As [`Self::random`].
    pub fn temporal(ratings: &Ratings, test_share: f64) -> Result<Self> {
        let held_out = held_out(ratings.len(), test_share)?;
        let mut times = ratings.timestamps().to_vec();
        let (_, &mut cut, _) = times.select_nth_unstable(ratings.len() - held_out);
        let split = Self::by(ratings.len(), |row| ratings.timestamps()[row] >= cut);
        split.check(ratings.len())?;
        Ok(split)
    }

    /// Holds out the last `count` ratings of each user, by time and then by
    /// place in the file. Users with no more than that are dropped.
    ///
    /// # Errors
    /// A count of 0, or one that leaves nothing to train on.
    pub fn leave_last_out(ratings: &Ratings, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(Error::setting(
                "number of ratings held out",
                0,
                "it must be 1 or more",
            ));
        }
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        let pairs = rows_by(&users, ratings.user_ids());
        let mut by_user = crate::Bags::from_pairs(users.len(), pairs);
        let mut of_row = vec![Side::Train; ratings.len()];
        for user in 0..users.len() as u32 {
            let rows = by_user.row_mut(user);
            rows.sort_unstable_by_key(|&row| (ratings.timestamps()[row as usize], row));
            if rows.len() <= count {
                rows.iter()
                    .for_each(|&row| of_row[row as usize] = Side::Dropped);
            } else {
                let last = &rows[rows.len() - count..];
                last.iter()
                    .for_each(|&row| of_row[row as usize] = Side::Test);
            }
        }
        let mut split = Self::default();
        let mut dropped = Vec::new();
        for (row, side) in (0..).zip(of_row) {
            match side {
                Side::Train => split.train.push(row),
                Side::Test => split.test.push(row),
                Side::Dropped => dropped.push(row),
            }
        }
        split.drop_rows(DropReason::TooFewRatings, dropped);
        split.check(ratings.len())?;
        Ok(split)
    }

    /// Holds out all ratings of a share of the users, rounded up, drawn by
    /// `seed`: users of whom nothing is known.
    ///
    /// # Errors
    /// As [`Self::random`], of users.
    pub fn cold_users(ratings: &Ratings, test_share: f64, seed: u64) -> Result<Self> {
        Self::cold(ratings.user_ids(), test_share, seed)
    }

    /// Holds out all ratings of a share of the rated movies, rounded up, drawn
    /// by `seed`: movies that nobody has rated yet.
    ///
    /// # Errors
    /// As [`Self::random`], of movies.
    pub fn cold_movies(ratings: &Ratings, test_share: f64, seed: u64) -> Result<Self> {
        Self::cold(ratings.movie_ids(), test_share, seed)
    }

    fn cold(ids: &[u32], test_share: f64, seed: u64) -> Result<Self> {
        let map = IdMap::from_ids(ids.iter().copied());
        let mut sampler = Sampler::new(map.len(), test_share, seed)?;
        let is_cold: Vec<bool> = (0..map.len()).map(|_| sampler.next()).collect();
        Ok(Self::by(ids.len(), |row| {
            map.row(ids[row]).is_some_and(|it| is_cold[it as usize])
        }))
    }

    /// `folds` splits of `ratings` rows, each row held out in just one, drawn
    /// by `seed`; the folds differ by one row at most. They are made one at a
    /// time, as they are asked for.
    ///
    /// # Errors
    /// Fewer than 2 folds, or more than there are rows.
    ///
    /// ```
    /// let held_out: usize = mmdlrm_data::Split::k_fold(10, 3, 42)?
    ///     .map(|split| split.test.len())
    ///     .sum();
    /// assert_eq!(held_out, 10);
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn k_fold(
        ratings: usize,
        folds: u32,
        seed: u64,
    ) -> Result<impl ExactSizeIterator<Item = Self>> {
        if folds < 2 || folds as usize > ratings {
            let rule = "it must be 2 or more, and no more than there are ratings";
            return Err(Error::setting("number of folds", folds, rule));
        }
        let rows: Vec<u32> = (0..ratings as u32).collect();
        let mut fold_of = vec![0u32; ratings];
        for (place, row) in Shuffle::new(ratings, seed)
            .apply(&rows)
            .into_iter()
            .enumerate()
        {
            fold_of[row as usize] = (place as u64 * u64::from(folds) / ratings as u64) as u32;
        }
        Ok((0..folds).map(move |fold| Self::by(ratings, |row| fold_of[row] == fold)))
    }

    /// Drops held-out rows of users, and then of movies, without a training
    /// row.
    #[must_use]
    pub fn drop_unseen(mut self, ratings: &Ratings) -> Self {
        for (ids, reason) in [
            (ratings.user_ids(), DropReason::UserNotInTraining),
            (ratings.movie_ids(), DropReason::MovieNotInTraining),
        ] {
            let seen = IdMap::from_ids(self.train.iter().map(|&row| ids[row as usize]));
            let (test, unseen) = std::mem::take(&mut self.test)
                .into_iter()
                .partition(|&row| seen.row(ids[row as usize]).is_some());
            self.test = test;
            self.drop_rows(reason, unseen);
        }
        self
    }

    fn drop_rows(&mut self, reason: DropReason, rows: Vec<u32>) {
        if !rows.is_empty() {
            self.dropped.push(Dropped { reason, rows });
        }
    }

    /// Holds out the rows for which `is_test` is true.
    fn by(ratings: usize, mut is_test: impl FnMut(usize) -> bool) -> Self {
        let (test, train) = (0..ratings as u32).partition(|&row| is_test(row as usize));
        Self::new(train, test)
    }

    /// Holds out the pairs that the CSV at `path` (`userId,movieId`) names.
    ///
    /// # Errors
    /// A row that names a user or a pair that `ratings` lacks or that stands
    /// twice, and a file that holds every rating out.
    pub fn from_test_rows(path: &Path, ratings: &Ratings) -> Result<Self> {
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        // Pairs that were asked for, with their lines until they are found.
        let mut wanted = HashMap::new();
        TableFile::open(path, &Dialect::Csv, &["userId", "movieId"])?.for_each(|row| {
            let (user, movie) = (row.id(0)?, row.id(1)?);
            if users.row(user).is_none() {
                return Err(row.bad(
                    0,
                    "is not a user of ratings.csv; remove the row or check which release it is of",
                ));
            }
            match wanted.insert((user, movie), Some(row.line())) {
                None => Ok(()),
                Some(_) => Err(row.bad(
                    1,
                    &format!("of user {user} stands on an earlier line too; keep one of them"),
                )),
            }
        })?;
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
        for (row, (&user, &movie)) in (0..).zip(pairs) {
            // All ratings of a pair, where several were kept: one that stayed
            // would tell the others.
            match wanted.get_mut(&(user, movie)) {
                Some(line) => {
                    *line = None;
                    test.push(row);
                }
                None => train.push(row),
            }
        }
        let missing = wanted
            .into_iter()
            .filter_map(|(pair, line)| Some((line?, pair)));
        if let Some((line, (user, movie))) = missing.min() {
            return Err(Error::Row {
                path: path.to_owned(),
                line,
                column: "movieId".to_owned(),
                problem: format!(
                    "'{movie}' is not a movie that user {user} rated; remove the row or check which release it is of"
                ),
            });
        }
        let split = Self::new(train, test);
        split.check(ratings.len())?;
        Ok(split)
    }

    /// Checks that there is something to train on and that `ratings` rows have
    /// every row named.
    pub(crate) fn check(&self, ratings: usize) -> Result<()> {
        if self.train.is_empty() {
            let rule = "some ratings must be left to train on";
            return Err(Error::setting("number of training rows", 0, rule));
        }
        match self
            .train
            .iter()
            .chain(&self.validation)
            .chain(&self.test)
            .chain(self.dropped.iter().flat_map(|dropped| &dropped.rows))
            .find(|&&row| row as usize >= ratings)
        {
            None => Ok(()),
            Some(row) => {
                let rule = "it must be a row of the ratings it splits";
                Err(Error::setting("split row", row, rule))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Train,
    Test,
    Dropped,
}

/// Each rating's dense row in `map` and its row.
fn rows_by<'a>(map: &'a IdMap, ids: &'a [u32]) -> impl Iterator<Item = (u32, u32)> + Clone + 'a {
    let rows = ids.iter().zip(0..);
    rows.filter_map(|(&id, row)| Some((map.row(id)?, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users 1, 2 and 3 with 4, 2 and 1 ratings; times fall with the place.
    fn ratings() -> Ratings {
        let columns = crate::ratings::RatingColumns {
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
        let mut all = [split.train.clone(), split.test.clone()].concat();
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

    #[test]
    fn every_rating_of_a_pair_that_is_named_is_held_out() {
        let columns = crate::ratings::RatingColumns {
            users: vec![1, 1, 1, 2],
            movies: vec![10, 10, 20, 10],
            stars: vec![3.0; 4],
            timestamps: vec![1; 4],
        };
        let ratings = Ratings::from_columns(columns, Path::new("ratings.csv")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.csv");
        std::fs::write(&path, "userId,movieId\n1,10\n").unwrap();
        let split = Split::from_test_rows(&path, &ratings).unwrap();
        assert_eq!((split.train, split.test), (vec![2, 3], vec![0, 1]));
        std::fs::write(&path, "userId,movieId\n1,10\n2,20\n2,30\n").unwrap();
        let error = Split::from_test_rows(&path, &ratings).unwrap_err();
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
        let split = Split::new(vec![0, 1, 2], vec![3, 4, 6]).drop_unseen(&ratings());
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
}

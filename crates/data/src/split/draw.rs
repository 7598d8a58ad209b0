//! Ways to hold rows out, of all rows or of the training rows.

use super::sampler::Share;
use super::{DropReason, Split, check_times, no_validation_rows, row_numbers};
use crate::batch::Shuffle;
use crate::{Bags, Error, IdMap, Ratings, Result};

/// How rows are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    /// Each rating is as likely as any other.
    AtRandom { seed: u64 },
    /// The latest.
    Latest,
    /// The last ratings of each user who has any held out.
    LastOfUsers { count: usize },
    /// All ratings of users who were drawn.
    ColdUsers { seed: u64 },
    /// All ratings of movies that were drawn.
    ColdMovies { seed: u64 },
    /// Somebody named them, and nothing tells how they were chosen.
    Given,
}

/// Draws validation rows where nothing else is drawn: rows that were named are the
/// same whatever the seed of the model, and so are these.
const SEED: u64 = 42;

/// Ascending rows to draw from.
trait Rows: ExactSizeIterator<Item = u32> + Clone {}
impl<T: ExactSizeIterator<Item = u32> + Clone> Rows for T {}

/// What stays, and what is held out.
pub(super) type Drawing = (Vec<u32>, Vec<u32>);

impl Split {
    /// Holds out a share `test_share` of `ratings` rows, rounded up, drawn by
    /// `seed`.
    ///
    /// # Errors
    /// A share that is not strictly between 0 and 1, or that leaves a side
    /// empty; 2³² ratings or more.
    ///
    /// ```
    /// let split = mmdlrm_data::Split::random(10, 0.2, 42)?;
    /// assert_eq!((split.train().len(), split.test().len()), (8, 2));
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn random(ratings: usize, test_share: f64, seed: u64) -> Result<Self> {
        let rows = 0..row_numbers(ratings)?;
        let drawing = at_random(rows, Share::of_test(test_share), seed)?;
        Self::drawn(ratings, drawing, Drawn::AtRandom { seed })
    }

    /// Holds out the latest: the ratings from the moment on after which a share
    /// `test_share` of them was given, or a little more where several were
    /// given at that very second.
    ///
    /// # Errors
    /// As [`Self::random`]; ratings that [have no times](Ratings::has_times).
    pub fn temporal(ratings: &Ratings, test_share: f64) -> Result<Self> {
        check_times(ratings.has_times())?;
        let rows = 0..row_numbers(ratings.len())?;
        let drawing = latest(rows, Share::of_test(test_share), ratings)?;
        Self::drawn(ratings.len(), drawing, Drawn::Latest)
    }

    /// Holds out the last `count` ratings of each user, by time and then by
    /// place in the file. Users with no more than that are dropped.
    ///
    /// # Errors
    /// A count of 0, or one that leaves nothing to train on; ratings that
    /// [have no times](Ratings::has_times).
    pub fn leave_last_out(ratings: &Ratings, count: usize) -> Result<Self> {
        if count == 0 {
            let rule = "it must be 1 or more";
            return Err(Error::setting("number of ratings held out", 0, rule));
        }
        check_times(ratings.has_times())?;
        let rows = 0..row_numbers(ratings.len())?;
        let by_user = ByUser::new(rows, ratings);
        let mut of_row = vec![Side::Train; ratings.len()];
        for user in by_user.users() {
            let rows = by_user.rows(user);
            let (sided, side) = match rows.len().checked_sub(count) {
                None | Some(0) => (rows, Side::Dropped),
                Some(before) => (&rows[before..], Side::Test),
            };
            sided.iter().for_each(|&row| of_row[row as usize] = side);
        }
        let of = |wanted| {
            let rows = (0..).zip(&of_row);
            let rows = rows.filter(move |&(_, &side)| side == wanted);
            rows.map(|(row, _)| row).collect::<Vec<u32>>()
        };
        let drawing = (of(Side::Train), of(Side::Test));
        let mut split = Self::drawn(ratings.len(), drawing, Drawn::LastOfUsers { count })?;
        split.drop_rows(DropReason::TooFewRatings, of(Side::Dropped));
        Ok(split)
    }

    /// Holds out all ratings of a share of the users, rounded up, drawn by
    /// `seed`: users of whom nothing is known.
    ///
    /// # Errors
    /// As [`Self::random`], of users.
    pub fn cold_users(ratings: &Ratings, test_share: f64, seed: u64) -> Result<Self> {
        let rows = 0..row_numbers(ratings.len())?;
        let share = Share::of_test(test_share);
        let drawing = cold(rows, share, seed, ratings.user_ids())?;
        Self::drawn(ratings.len(), drawing, Drawn::ColdUsers { seed })
    }

    /// Holds out all ratings of a share of the rated movies, rounded up, drawn
    /// by `seed`: movies that nobody has rated yet.
    ///
    /// # Errors
    /// As [`Self::random`], of movies.
    pub fn cold_movies(ratings: &Ratings, test_share: f64, seed: u64) -> Result<Self> {
        let rows = 0..row_numbers(ratings.len())?;
        let share = Share::of_test(test_share);
        let drawing = cold(rows, share, seed, ratings.movie_ids())?;
        Self::drawn(ratings.len(), drawing, Drawn::ColdMovies { seed })
    }

    /// `folds` splits of `ratings` rows, each row held out in just one, drawn
    /// by `seed`; the folds differ by one row at most. They are made one at a
    /// time, as they are asked for.
    ///
    /// # Errors
    /// Fewer than 2 folds, or more than there are rows; 2³² ratings or more.
    ///
    /// ```
    /// let mut held_out = 0;
    /// for split in mmdlrm_data::Split::k_fold(10, 3, 42)? {
    ///     held_out += split.test().len();
    /// }
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
        let count = row_numbers(ratings)?;
        let rows: Vec<u32> = (0..count).collect();
        let mut fold_of = vec![0u32; ratings];
        let shuffled = Shuffle::new(ratings, seed).apply(&rows);
        for (place, row) in (0u64..).zip(shuffled) {
            // Below `folds`, since the place is below the number of rows.
            fold_of[row as usize] = (place * u64::from(folds) / u64::from(count)) as u32;
        }
        Ok((0..folds).map(move |fold| {
            let drawing = (0..count).partition(|&row| fold_of[row as usize] != fold);
            Self::of(ratings, drawing, Drawn::AtRandom { seed })
        }))
    }

    /// Sets a share of the training rows aside as [validation rows](Self::validation),
    /// drawn as the held-out rows were, so that what is best on them is best on ratings
    /// of that kind:
    ///
    /// | held out | validation rows |
    /// | --- | --- |
    /// | [at random](Self::random), [folds](Self::k_fold) | the share, rounded up, drawn by the same seed |
    /// | [the latest](Self::temporal) | the latest share of what is left |
    /// | [the last of each user](Self::leave_last_out) | the last as many of what is left of each user, as long as that leaves one; where these are more than the share, those of as many users as it has room for, drawn |
    /// | [cold users](Self::cold_users), [cold movies](Self::cold_movies) | all ratings of that share of the other users or movies, drawn by the same seed |
    /// | [of candidates](crate::Candidates::split) | as of the last of each user, of the users that the file names |
    /// | [named](Self::from_test_rows) otherwise | the share, drawn at random, since nothing tells how the others were chosen; [`Self::with_validation_rows`] takes those that are |
    ///
    /// Where rows were named there is no seed to draw by, and the draw is always the same.
    ///
    /// # Errors
    /// A share that is not strictly between 0 and 1, or that leaves a side empty;
    /// validation rows that are there already; other ratings than those that are split.
    ///
    /// ```
    /// use mmdlrm_data::{MovieLens, Split, generate};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path().join("sample");
    /// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
    /// let ratings = MovieLens::open(&folder)?.ratings;
    /// let split = Split::random(ratings.len(), 0.2, 42)?.with_validation(0.25, &ratings)?;
    /// let sizes = [split.train().len(), split.validation().len(), split.test().len()];
    /// assert_eq!(sizes, [180, 60, 60]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_validation(self, share: f64, ratings: &Ratings) -> Result<Self> {
        self.check_ratings(ratings)?;
        let rows = self.train.iter().copied();
        let share = Share::of_validation(share);
        let (_, validation) = match self.drawn {
            Drawn::AtRandom { seed } => at_random(rows, share, seed)?,
            Drawn::Given => at_random(rows, share, SEED)?,
            Drawn::Latest => latest(rows, share, ratings)?,
            Drawn::ColdUsers { seed } => cold(rows, share, seed, ratings.user_ids())?,
            Drawn::ColdMovies { seed } => cold(rows, share, seed, ratings.movie_ids())?,
            Drawn::LastOfUsers { count } => {
                let held_out = self
                    .test
                    .iter()
                    .map(|&row| ratings.user_ids()[row as usize]);
                let users = IdMap::from_ids(held_out);
                (
                    Vec::new(),
                    last_of_users(rows, share, count, &users, ratings)?,
                )
            }
        };
        let seen_only = self.seen_only;
        let split = self.with_validation_rows(validation)?;
        if !seen_only {
            return Ok(split);
        }
        let split = split.drop_unseen(ratings)?;
        match split.validation.is_empty() {
            true => Err(no_validation_rows()),
            false => Ok(split),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Train,
    Test,
    Dropped,
}

fn at_random(rows: impl Rows, share: Share, seed: u64) -> Result<Drawing> {
    let mut sampler = share.sampler(rows.len(), seed)?;
    Ok(rows.partition(|_| !sampler.next()))
}

fn latest(rows: impl Rows, share: Share, ratings: &Ratings) -> Result<Drawing> {
    let time = |row: u32| ratings.timestamps()[row as usize];
    let held_out = share.count(rows.len())?;
    let mut times: Vec<u32> = rows.clone().map(time).collect();
    let cut = times.len() - held_out;
    let (_, &mut cut, _) = times.select_nth_unstable(cut);
    Ok(rows.partition(|&row| time(row) < cut))
}

/// `ids` are those of the users or of the movies, a row each.
fn cold(rows: impl Rows, share: Share, seed: u64, ids: &[u32]) -> Result<Drawing> {
    let id = |row: u32| ids[row as usize];
    let map = IdMap::from_ids(rows.clone().map(id));
    let mut sampler = share.sampler(map.len(), seed)?;
    let is_cold: Vec<bool> = (0..map.len()).map(|_| sampler.next()).collect();
    Ok(rows.partition(|&row| !map.row(id(row)).is_some_and(|it| is_cold[it as usize])))
}

/// The last `count` rows of each of `users` who has more, or of as many of these users
/// as the share has room for; ascending.
fn last_of_users(
    rows: impl Rows,
    share: Share,
    count: usize,
    users: &IdMap,
    ratings: &Ratings,
) -> Result<Vec<u32>> {
    let room = share.count(rows.len())?.div_ceil(count);
    let by_user = ByUser::new(rows, ratings);
    let able = by_user.users().filter(|&user| {
        let id = by_user.users.id(user);
        id.is_some_and(|id| users.row(id).is_some()) && by_user.rows(user).len() > count
    });
    let able: Vec<u32> = able.collect();
    let mut sampler = share.sampler_of(room.min(able.len()), able.len(), SEED);
    let drawn = able.into_iter().filter(|_| sampler.next());
    let mut last: Vec<u32> = drawn
        .flat_map(|user| {
            let rows = by_user.rows(user);
            &rows[rows.len() - count..]
        })
        .copied()
        .collect();
    last.sort_unstable();
    Ok(last)
}

/// Rows of each user, by time and then by place in the file.
struct ByUser {
    users: IdMap,
    rows: Bags,
}

impl ByUser {
    fn new(rows: impl Rows, ratings: &Ratings) -> Self {
        let id = |row: u32| ratings.user_ids()[row as usize];
        let users = IdMap::from_ids(rows.clone().map(id));
        let pairs = rows.filter_map(|row| Some((users.row(id(row))?, row)));
        let mut rows = Bags::from_pairs(users.len(), pairs);
        for user in 0..users.len() as u32 {
            rows.row_mut(user)
                .sort_unstable_by_key(|&row| (ratings.timestamps()[row as usize], row));
        }
        Self { users, rows }
    }

    fn users(&self) -> std::ops::Range<u32> {
        0..self.users.len() as u32
    }

    fn rows(&self, user: u32) -> &[u32] {
        self.rows.row(user)
    }
}

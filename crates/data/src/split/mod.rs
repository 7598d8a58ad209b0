//! Which ratings are learned from, chosen by, and held out.

mod candidates;
mod draw;
mod given;
mod parts;
mod random;
mod sampler;
mod streamed;
#[cfg(test)]
mod tests;

use crate::{Error, IdMap, Ratings, Result};
pub use candidates::{Candidates, UserCandidates};
use draw::{Drawing, Drawn};
pub use parts::DiskSplit;
pub use random::{RandomSplit, TemporalSplit};
pub use streamed::StreamedSplit;

/// Row numbers of the ratings to learn from, of those to choose by, of those held
/// out, and of those used for none of it.
///
/// Every part is ascending, no row is in two of them, every row is one of the
/// [`Self::ratings`] that are split, and there is something to train on. Rows that no
/// part has are used for nothing.
///
/// A split depends on the ratings and, where something is drawn, on the seed:
/// not on the machine or the number of threads. It remembers how its rows were
/// held out, so that [validation rows](Self::with_validation) are drawn likewise.
///
/// ```
/// use mmdlrm_data::Split;
///
/// let split = Split::new(5, vec![0, 1, 4], vec![3])?;
/// assert_eq!((split.train(), split.test()), (&[0, 1, 4][..], &[3][..]));
/// // A row is learned from or tested on.
/// assert!(Split::new(5, vec![0, 1, 3], vec![3]).is_err());
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    ratings: usize,
    train: Vec<u32>,
    validation: Vec<u32>,
    test: Vec<u32>,
    dropped: Vec<Dropped>,
    drawn: Drawn,
    /// Whether held-out rows are to have their user and movie among the training rows.
    seen_only: bool,
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

/// A part of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitPart {
    /// To learn from.
    Train,
    /// To choose by.
    Validation,
    /// Held out.
    Test,
}

impl SplitPart {
    /// For messages.
    fn row(self) -> &'static str {
        match self {
            Self::Train => "training row",
            Self::Validation => "validation row",
            Self::Test => "test row",
        }
    }
}

impl Split {
    /// From rows to train on and rows to hold out, each ascending, of `ratings` in all.
    ///
    /// # Errors
    /// Nothing to train on; rows that do not ascend, that are in both parts, or that
    /// the ratings do not have; 2³² ratings or more.
    pub fn new(ratings: usize, train: Vec<u32>, test: Vec<u32>) -> Result<Self> {
        let split = Self::of(ratings, (train, test), Drawn::Given);
        split.check()?;
        Ok(split)
    }

    /// Of rows to train on and rows held out, which are what the type promises.
    fn of(ratings: usize, (train, test): Drawing, drawn: Drawn) -> Self {
        Self {
            ratings,
            train,
            validation: Vec::new(),
            test,
            dropped: Vec::new(),
            drawn,
            seen_only: false,
        }
    }

    /// The same, if there is something to train on.
    fn drawn(ratings: usize, drawing: Drawing, drawn: Drawn) -> Result<Self> {
        let split = Self::of(ratings, drawing, drawn);
        split.check_trainable()?;
        Ok(split)
    }

    /// Number of the ratings that are split.
    pub fn ratings(&self) -> usize {
        self.ratings
    }

    /// Rows to train on, ascending; one or more.
    pub fn train(&self) -> &[u32] {
        &self.train
    }

    /// Rows to choose by while training, an epoch or a setting, ascending.
    pub fn validation(&self) -> &[u32] {
        &self.validation
    }

    /// Rows held out, ascending.
    pub fn test(&self) -> &[u32] {
        &self.test
    }

    /// Rows used for none of these, and why; a reason comes at most once.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// Takes `rows`, ascending, from the training rows: they are the
    /// [validation rows](Self::validation) now. [`Self::with_validation`] draws them.
    ///
    /// # Errors
    /// Rows that are no training rows or do not ascend, none at all, or all there are;
    /// validation rows that are there already.
    pub fn with_validation_rows(mut self, rows: Vec<u32>) -> Result<Self> {
        if !self.validation.is_empty() {
            let rule = "a split has validation rows once; take them all at a time";
            return Err(Error::setting(
                "number of validation rows",
                self.validation.len(),
                rule,
            ));
        }
        if rows.is_empty() {
            return Err(no_validation_rows());
        }
        ascending(&rows, SplitPart::Validation, self.ratings)?;
        let mut taken = rows.iter().copied().peekable();
        self.train.retain(|&row| {
            // A row that stays behind the first is no training row, and found below.
            taken.next_if_eq(&row).is_none()
        });
        if let Some(row) = taken.next() {
            let rule = "validation rows are taken from the training rows, and it is none of them";
            return Err(Error::setting(SplitPart::Validation.row(), row, rule));
        }
        self.validation = rows;
        self.check_trainable()?;
        Ok(self)
    }

    /// The same training and validation rows and other held-out ones, ascending. Those
    /// of them that were dropped are so no longer.
    ///
    /// # Errors
    /// Rows that do not ascend, that are in another part, or that the ratings do not
    /// have.
    pub fn with_test(self, test: Vec<u32>) -> Result<Self> {
        ascending(&test, SplitPart::Test, self.ratings)?;
        let dropped = self.dropped.into_iter().filter_map(|mut dropped| {
            dropped.rows.retain(|row| test.binary_search(row).is_err());
            (!dropped.rows.is_empty()).then_some(dropped)
        });
        let split = Self {
            dropped: dropped.collect(),
            test,
            seen_only: false,
            ..self
        };
        split.check()?;
        Ok(split)
    }

    /// Drops validation and held-out rows of users, and then of movies, without a
    /// training row. Those of validation rows that are drawn later are dropped too.
    ///
    /// # Errors
    /// Other ratings than those that are split.
    pub fn drop_unseen(mut self, ratings: &Ratings) -> Result<Self> {
        self.check_ratings(ratings)?;
        self.seen_only = true;
        for (ids, reason) in [
            (ratings.user_ids(), DropReason::UserNotInTraining),
            (ratings.movie_ids(), DropReason::MovieNotInTraining),
        ] {
            let seen = IdMap::from_ids(self.train.iter().map(|&row| ids[row as usize]));
            let is_seen = |row: &u32| seen.row(ids[*row as usize]).is_some();
            let mut unseen = Vec::new();
            for part in [&mut self.validation, &mut self.test] {
                unseen.extend(part.extract_if(.., |row| !is_seen(row)));
            }
            self.drop_rows(reason, unseen);
        }
        Ok(self)
    }

    fn drop_rows(&mut self, reason: DropReason, rows: Vec<u32>) {
        if rows.is_empty() {
            return;
        }
        let known = self.dropped.iter().position(|it| it.reason == reason);
        let known = known.unwrap_or_else(|| {
            let rows = Vec::new();
            self.dropped.push(Dropped { reason, rows });
            self.dropped.len() - 1
        });
        let all = &mut self.dropped[known].rows;
        all.extend(rows);
        all.sort_unstable();
    }

    /// Checks that it is these ratings that are split, as far as their number tells.
    ///
    /// # Errors
    /// Others.
    pub fn check_ratings(&self, ratings: &Ratings) -> Result<()> {
        if ratings.len() == self.ratings {
            return Ok(());
        }
        let (split, there) = (self.ratings, ratings.len());
        let rule = "a split fits the ratings that it was made of alone; make it anew";
        Err(Error::setting(
            "number of ratings that are split",
            format!("{split} where there are {there}"),
            rule,
        ))
    }

    fn check_trainable(&self) -> Result<()> {
        if self.train.is_empty() {
            let rule = "some ratings must be left to train on";
            return Err(Error::setting("number of training rows", 0, rule));
        }
        Ok(())
    }

    /// Checks all that the type promises.
    fn check(&self) -> Result<()> {
        row_numbers(self.ratings)?;
        self.check_trainable()?;
        let mut taken = vec![false; self.ratings];
        for (part, rows) in [
            (SplitPart::Train, &self.train),
            (SplitPart::Validation, &self.validation),
            (SplitPart::Test, &self.test),
        ] {
            ascending(rows, part, self.ratings)?;
            for &row in rows {
                if std::mem::replace(&mut taken[row as usize], true) {
                    let rule = "a row belongs to one part, and this one is in another too";
                    return Err(Error::setting(part.row(), row, rule));
                }
            }
        }
        Ok(())
    }
}

/// Refuses to split ratings in time of which nobody knows when they were given.
fn check_times(has_times: bool) -> Result<()> {
    match has_times {
        true => Ok(()),
        false => {
            let rule = "they have no times, and so none of them are the latest; name the column of \
                        times (timestamp in ratings.csv, --time in other tables), or split them at \
                        random (--split random)";
            Err(Error::setting("split of the ratings", "in time", rule))
        }
    }
}

fn no_validation_rows() -> Error {
    let rule = "there must be some to choose by";
    Error::setting("number of validation rows", 0, rule)
}

/// Checks that rows ascend, none standing twice, and that there are such.
fn ascending(rows: &[u32], part: SplitPart, ratings: usize) -> Result<()> {
    if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
        let rule = "rows must ascend, and stand once: sort them and drop repeats";
        let found = format!("{} after {}", pair[1], pair[0]);
        return Err(Error::setting(part.row(), found, rule));
    }
    match rows.last() {
        Some(&last) if last as usize >= ratings => {
            let rule = "rows are counted from 0, and this one is beyond the last";
            let found = format!("{last} of {ratings} ratings");
            Err(Error::setting(part.row(), found, rule))
        }
        _ => Ok(()),
    }
}

/// The number of `ratings`, if each of them can have a number of 32 bits, the highest
/// left over.
pub(crate) fn row_numbers(ratings: usize) -> Result<u32> {
    u32::try_from(ratings).map_err(|_| {
        let rule = "rows in memory are counted in 32 bits: take less than 2³² of them, or leave \
                    them on disk";
        Error::setting("number of ratings", ratings, rule)
    })
}

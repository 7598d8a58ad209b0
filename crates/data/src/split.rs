use std::collections::HashMap;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::text::{Dialect, TableFile};
use crate::{Error, IdMap, Ratings, Result};

/// Row numbers of the ratings to learn from and of those held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on, ascending.
    pub train: Vec<u32>,
    /// Rows held out, ascending.
    pub test: Vec<u32>,
}

impl Split {
    /// Holds out a share `test_share` of `ratings` rows, drawn by `seed`. The
    /// same seed draws the same rows on every machine.
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
        let held_out = (ratings as f64 * test_share).ceil() as usize;
        if !(test_share > 0.0 && test_share < 1.0) || held_out == 0 || held_out >= ratings {
            return Err(Error::Setting {
                name: "test share",
                value: test_share.to_string(),
                rule: "it must lie between 0 and 1 and leave rows on both sides",
            });
        }
        let mut rows: Vec<u32> = (0..ratings as u32).collect();
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut train = rows.split_off(held_out);
        train.sort_unstable();
        rows.sort_unstable();
        Ok(Self { train, test: rows })
    }

    /// Holds out the pairs that the CSV at `path` (`userId,movieId`) names.
    ///
    /// # Errors
    /// A row that names a user or a pair that `ratings` lacks or that stands
    /// twice, and a file that holds every rating out.
    pub fn from_test_rows(path: &Path, ratings: &Ratings) -> Result<Self> {
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        // Pairs that were asked for and not found yet, with their lines.
        let mut wanted = HashMap::new();
        TableFile::open(path, &Dialect::Csv, &["userId", "movieId"])?.for_each(|row| {
            let (user, movie) = (row.id(0)?, row.id(1)?);
            if users.row(user).is_none() {
                return Err(row.bad(
                    0,
                    "is not a user of ratings.csv; remove the row or check which release it is of",
                ));
            }
            match wanted.insert((user, movie), row.line()) {
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
            match wanted.remove(&(user, movie)) {
                Some(_) => test.push(row),
                None => train.push(row),
            }
        }
        if let Some(((user, movie), line)) = wanted.into_iter().min_by_key(|&(_, line)| line) {
            return Err(Error::Row {
                path: path.to_owned(),
                line,
                column: "movieId".to_owned(),
                problem: format!(
                    "'{movie}' is not a movie that user {user} rated; remove the row or check which release it is of"
                ),
            });
        }
        let split = Self { train, test };
        split.check(ratings.len())?;
        Ok(split)
    }

    /// Checks that there is something to train on and that `ratings` rows have
    /// every row named.
    pub(crate) fn check(&self, ratings: usize) -> Result<()> {
        if self.train.is_empty() {
            return Err(Error::Setting {
                name: "number of training rows",
                value: "0".to_owned(),
                rule: "some ratings must be left to train on",
            });
        }
        match self
            .train
            .iter()
            .chain(&self.test)
            .find(|&&row| row as usize >= ratings)
        {
            None => Ok(()),
            Some(row) => Err(Error::Setting {
                name: "split row",
                value: row.to_string(),
                rule: "it must be a row of the ratings it splits",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_split_holds_each_row_once() {
        let split = Split::random(1000, 0.2, 7).unwrap();
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(split, Split::random(1000, 0.2, 7).unwrap());
        assert_ne!(split, Split::random(1000, 0.2, 8).unwrap());
    }

    #[test]
    fn shares_that_leave_a_side_empty_are_refused() {
        for share in [0.0, 1.0, -0.1, f64::NAN, 0.9999] {
            assert!(Split::random(100, share, 1).is_err(), "{share}");
        }
    }
}

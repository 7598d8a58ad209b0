//! Rows to hold out that a file names.

use std::collections::HashMap;
use std::path::Path;

use super::draw::Drawn;
use super::{Split, row_numbers};
use crate::interactions::id_in;
use crate::text::{Dialect, TableFile};
use crate::{Error, IdMap, Interactions, Ratings, Result};

impl Split {
    /// Holds out the pairs that the CSV at `path` (`userId,movieId`) names.
    ///
    /// # Errors
    /// A row that names a user or a pair that `data` lack or that stands
    /// twice, and a file that holds every rating out.
    pub fn from_test_rows(path: &Path, data: impl Into<Interactions>) -> Result<Self> {
        let data = data.into();
        let ratings = &data.ratings;
        let users = IdMap::from_ids(ratings.user_ids().iter().copied());
        // Pairs that were asked for, with their lines until they are found.
        let mut wanted = HashMap::new();
        TableFile::open(path, &Dialect::Csv, &["userId", "movieId"])?.for_each(|row| {
            let user = id_in(row, 0, data.users.names())?;
            let movie = id_in(row, 1, data.items.names())?;
            if users.row(user).is_none() {
                return Err(row.bad(
                    0,
                    "is not a user of ratings.csv; remove the row or check which release it is of",
                ));
            }
            match wanted.insert((user, movie), Some(row.line())) {
                None => Ok(()),
                Some(_) => {
                    let user = data.name_of_user(user);
                    let problem =
                        format!("of user {user} stands on an earlier line too; keep one of them");
                    Err(row.bad(1, &problem))
                }
            }
        })?;
        let split = Self::of_pairs(ratings, Drawn::Given, |pair| {
            let line = wanted.get_mut(&pair);
            line.is_some_and(|line| {
                *line = None;
                true
            })
        })?;
        let missing = wanted
            .into_iter()
            .filter_map(|(pair, line)| Some((line?, pair)));
        match missing.min() {
            None => Ok(split),
            Some((line, (user, movie))) => {
                let (user, movie) = (data.name_of_user(user), data.name_of_item(movie));
                Err(Error::Row {
                    path: path.to_owned(),
                    line,
                    column: "movieId".to_owned(),
                    problem: format!(
                        "'{movie}' is not a movie that user {user} rated; remove the row or check \
                         which release it is of"
                    ),
                })
            }
        }
    }

    /// Holds out all ratings of each pair of raw user and movie for which `is_test` is
    /// true, where several were kept: one that stayed would tell the others. Each user's
    /// is taken for the last.
    pub(crate) fn last_pairs(
        ratings: &Ratings,
        is_test: impl FnMut((u32, u32)) -> bool,
    ) -> Result<Self> {
        Self::of_pairs(ratings, Drawn::LastOfUsers { count: 1 }, is_test)
    }

    fn of_pairs(
        ratings: &Ratings,
        drawn: Drawn,
        mut is_test: impl FnMut((u32, u32)) -> bool,
    ) -> Result<Self> {
        let pair = |row: u32| {
            let row = row as usize;
            (ratings.user_ids()[row], ratings.movie_ids()[row])
        };
        let rows = 0..row_numbers(ratings.len())?;
        let drawing = rows.partition(|&row| !is_test(pair(row)));
        Self::drawn(ratings.len(), drawing, drawn)
    }
}

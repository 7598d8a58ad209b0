use std::collections::HashSet;
use std::path::Path;

use crate::interactions::id_in;
use crate::text::{Dialect, TableFile, shorten};
use crate::{IdMap, Interactions, Result, Split};

/// For each of some users a movie that was held out, and movies that it competes
/// with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    rows: Vec<UserCandidates>,
    movies: IdMap,
}

/// The movies that compete for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCandidates {
    /// Raw user id.
    pub user_id: u32,
    /// Raw ids of distinct movies; the one that was held out comes first.
    pub movie_ids: Vec<u32>,
}

impl Candidates {
    /// Reads a CSV whose first columns are `userId` and `heldOutMovieId`; those
    /// after them, whatever they are called, hold the other candidates. Empty
    /// fields are passed over.
    ///
    /// # Errors
    /// A user that stands twice, a pair that `data` have no rating of, a
    /// movie that stands twice in a row or that `data` do not know, and a row
    /// without other candidates.
    pub fn read(path: &Path, data: impl Into<Interactions>) -> Result<Self> {
        let Interactions {
            ratings,
            items,
            users: known_users,
            ..
        } = data.into();
        let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
        let rated: HashSet<(u32, u32)> = pairs.map(|(&user, &movie)| (user, movie)).collect();
        let known = items.index();
        let mut users = HashSet::new();
        let mut competing = HashSet::new();
        let mut rows = Vec::new();
        TableFile::open(path, &Dialect::Csv, &["userId", "heldOutMovieId"])?.for_each(|row| {
            let user_id = id_in(row, 0, known_users.names())?;
            let held_out = id_in(row, 1, known.names())?;
            if !users.insert(user_id) {
                return Err(row.bad(0, "stands on an earlier line too; keep one of them"));
            }
            if !rated.contains(&(user_id, held_out)) {
                let user = row.text(0)?;
                let problem = format!(
                    "is not a movie that user {} rated; check which release the file is of",
                    user.trim()
                );
                return Err(row.bad(1, &problem));
            }
            let mut movie_ids = vec![held_out];
            competing.clear();
            competing.insert(held_out);
            for field in row.rest() {
                let field = String::from_utf8_lossy(field);
                let field = field.trim();
                if field.is_empty() {
                    continue;
                }
                let found = known.find(field).and_then(|row| known.id(row));
                let Some(movie) = found else {
                    let problem =
                        format!("competes with '{}', which is no movie's id", shorten(field));
                    return Err(row.bad(1, &problem));
                };
                if !competing.insert(movie) {
                    let problem = format!("names {field} twice among the candidates");
                    return Err(row.bad(1, &problem));
                }
                movie_ids.push(movie);
            }
            if movie_ids.len() == 1 {
                return Err(row.bad(1, "has no other candidates; name some after it"));
            }
            rows.push(UserCandidates { user_id, movie_ids });
            Ok(())
        })?;
        let movies = rows.iter().flat_map(|row| row.movie_ids.iter().copied());
        let movies = IdMap::from_ids(movies);
        Ok(Self { rows, movies })
    }

    /// A row a user, in the order of the file.
    pub fn rows(&self) -> &[UserCandidates] {
        &self.rows
    }

    /// All movies that compete for some user, by raw id.
    pub fn movies(&self) -> &IdMap {
        &self.movies
    }

    /// Holds out what the file holds out, and nothing else; each user's is taken for the
    /// last one where [validation rows](Split::with_validation) are drawn likewise.
    ///
    /// # Errors
    /// Nothing is left to train on.
    pub fn split(&self, data: impl Into<Interactions>) -> Result<Split> {
        let ratings = data.into().ratings;
        let held_out = self.rows.iter().map(|row| (row.user_id, row.movie_ids[0]));
        let held_out: HashSet<(u32, u32)> = held_out.collect();
        Split::last_pairs(&ratings, |pair| held_out.contains(&pair))
    }
}

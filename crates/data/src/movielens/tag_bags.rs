use std::collections::{HashMap, HashSet};

use arrow_array::Array;

use crate::tables::Table;
use crate::{Bags, IdMap, MovieLens, Result, Split};

/// What users tagged each movie with: a bag of tags a movie, each tag as often
/// as users gave it.
///
/// Tags are compared without regard to case or surrounding blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovieTags {
    names: Vec<String>,
    bags: Bags,
    left_out: usize,
}

impl MovieTags {
    /// Collects the tags that were given `least` times or more. Tags that a
    /// user gave a movie whose rating by that same user is held out, or validated on,
    /// are not counted: they would tell that the user saw it. Tags of movies that the
    /// table of movies lacks are [left out](Self::left_out).
    ///
    /// # Errors
    /// A split of other ratings; a table of tags that was put there with other columns.
    pub fn new(movielens: &MovieLens, split: &Split, least: usize) -> Result<Self> {
        split.check_ratings(&movielens.ratings)?;
        let movies = movielens.movies.index();
        let Some(table) = &movielens.tags else {
            return Ok(Self {
                names: Vec::new(),
                bags: Bags::from_pairs(movies.len(), []),
                left_out: 0,
            });
        };
        // It is anybody's to set, so that its columns may be others.
        let table = Table::new("tags", table);
        let (users, movie_ids) = (table.ids("userId")?, table.ids("movieId")?);
        let pairs = || {
            users
                .values()
                .iter()
                .copied()
                .zip(movie_ids.values().iter().copied())
        };
        let hidden = held_out(movielens, split, pairs().collect());
        let texts = table.texts("tag")?;
        let mut movies_of: HashMap<String, Vec<u32>> = HashMap::new();
        let mut left_out = 0;
        for (pair, row) in pairs().zip(0..texts.len()) {
            let Some(movie) = movies.row(pair.1) else {
                left_out += 1;
                continue;
            };
            if hidden.contains(&pair) {
                continue;
            }
            let tag = texts.value(row).trim().to_lowercase();
            movies_of.entry(tag).or_default().push(movie);
        }
        let mut kept: Vec<(String, Vec<u32>)> = movies_of
            .into_iter()
            .filter(|(_, movies)| movies.len() >= least)
            .collect();
        kept.sort_unstable();
        let pairs: Vec<(u32, u32)> = (0..)
            .zip(&kept)
            .flat_map(|(tag, (_, movies))| movies.iter().map(move |&movie| (movie, tag)))
            .collect();
        Ok(Self {
            bags: Bags::from_pairs(movies.len(), pairs),
            names: kept.into_iter().map(|(name, _)| name).collect(),
            left_out,
        })
    }

    /// Names of the tags, by tag id.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many tags are of movies that the table of movies lacks.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Tag ids of each movie, by dense row.
    pub fn bags(&self) -> &Bags {
        &self.bags
    }
}

/// Those of the pairs of raw user and movie whose rating is held out or validated on.
fn held_out(
    movielens: &MovieLens,
    split: &Split,
    pairs: HashSet<(u32, u32)>,
) -> HashSet<(u32, u32)> {
    let ratings = &movielens.ratings;
    let users = IdMap::from_ids(pairs.iter().map(|pair| pair.0));
    let held_out = [split.test(), split.validation()];
    held_out
        .into_iter()
        .flatten()
        .map(|&row| {
            (
                ratings.user_ids()[row as usize],
                ratings.movie_ids()[row as usize],
            )
        })
        .filter(|pair| users.row(pair.0).is_some() && pairs.contains(pair))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_but_not_those_on_held_out_ratings() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("movies.csv", "movieId,title,genres\n3,Up,\n9,Heat,\n").unwrap();
        let ratings = "userId,movieId,rating,timestamp\n1,3,4,1\n1,9,4,1\n2,9,3,1\n";
        write("ratings.csv", ratings).unwrap();
        let tags = "userId,movieId,tag,timestamp\n1,3,Fun,1\n1,9,crime,1\n2,9, CRIME,1\n5,9,crime,2\n2,9,odd,1\n\
                    2,8,lost,1\n";
        write("tags.csv", tags).unwrap();
        let movielens = MovieLens::open(folder.path()).unwrap();
        let tags = |train: &[u32], test: &[u32], least| {
            let split = Split::new(3, train.to_vec(), test.to_vec()).unwrap();
            MovieTags::new(&movielens, &split, least).unwrap()
        };
        let all = tags(&[0, 1, 2], &[], 1);
        assert_eq!(all.names(), ["crime", "fun", "odd"]);
        assert_eq!(all.bags().row(0), [1]);
        assert_eq!(all.bags().row(1), [0, 0, 0, 2]);
        let held_out = tags(&[0, 1], &[2], 2);
        assert_eq!(held_out.names(), ["crime"]);
        assert_eq!(held_out.bags().row(1), [0, 0]);
        // A tag of movie 8, which is in no table.
        assert_eq!(held_out.left_out(), 1);
    }
}

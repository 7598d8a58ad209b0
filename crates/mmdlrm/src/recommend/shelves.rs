//! Recommendations in rows: for somebody, and because of what they watched.

use std::collections::{HashMap, HashSet};

#[cfg(doc)]
use mmdlrm_train::Ranker;
use mmdlrm_train::{Cause, Who};

use super::reasons::LIKED;
use super::{Query, Recommendation, Recommender};
use crate::{Error, Result};

/// Among how many of the best movies those are found that go with one, at least, …
const FEWEST_OF_THE_BEST: usize = 100;
/// … and at most: what models put in order with care.
const MOST_OF_THE_BEST: usize = 400;
/// Shelves because of a movie, at most.
const MOST_SHELVES: usize = 4;
/// Movies that make a shelf.
const FEWEST_MOVIES: usize = 4;
/// Of what a user rated, how many that add most to a score are looked at, …
const MOST_LOOKED_AT: usize = 16;
/// … and how many of these, of those that they liked, may put a movie on their shelf.
const MOST_CAUSES: usize = 3;

/// Movies that are recommended together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shelf {
    /// What stands above it: `For you`, `Because you watched Fargo`, `Most watched`.
    pub title: String,
    /// The movie of the user's that it is because of, by raw id, if it is.
    pub because: Option<u32>,
    /// The best first.
    pub movies: Vec<Recommendation>,
}

/// A shelf before its movies are explained: by dense rows.
struct Chosen {
    because: Option<u32>,
    movies: Vec<(u32, f32)>,
}

impl Recommender {
    /// What a user would like, in rows of [`Query::count`] movies: the best that the query wants,
    /// and then up to four rows of others among the best hundred, each because of one movie that
    /// the user liked. It is the one that adds most to their scores, where the model
    /// [can tell](Ranker::because), or that is most [like](Self::similar) them. No movie is in two
    /// rows, no row is of fewer than four movies. Somebody of whom the model knows no rating is
    /// told what is most watched.
    ///
    /// # Errors
    /// As [`Self::recommend`].
    pub fn shelves(&self, user_id: u32, query: &Query) -> Result<Vec<Shelf>> {
        let user = self.user(user_id)?;
        let who = Who::Users(&[user]);
        let rated = self.rated_by_row(user)?;
        match self.loaded.trained[user as usize] {
            0 => self.most_watched(who, &rated, query),
            _ => self.shelves_of(who, &rated, query),
        }
    }

    /// The same for somebody new, as [`Self::recommend_to_visitor`].
    ///
    /// # Errors
    /// As [`Self::recommend_to_visitor`].
    pub fn shelves_for_visitor(&self, ratings: &[(u32, f32)], query: &Query) -> Result<Vec<Shelf>> {
        let (visitor, rated) = self.meet(ratings)?;
        let who = Who::Visitor(&visitor);
        match rated.is_empty() {
            true => self.most_watched(who, &rated, query),
            false => self.shelves_of(who, &rated, query),
        }
    }

    fn shelves_of(&self, who: Who, rated: &[(u32, f32)], query: &Query) -> Result<Vec<Shelf>> {
        let most = query.count.saturating_mul(1 + MOST_SHELVES);
        let most = most.clamp(FEWEST_OF_THE_BEST, MOST_OF_THE_BEST);
        let mut left = self.ranked(who, rated, query, most)?;
        self.is_wanted()?;
        let first = self.picked(&left, query)?;
        left.retain(|(movie, _)| first.iter().all(|(other, _)| other != movie));
        let causes = self.causes(who, &left, rated)?;
        self.is_wanted()?;
        let mut chosen = vec![Chosen {
            because: None,
            movies: first,
        }];
        let left = left.into_iter().zip(causes).collect();
        chosen.extend(because(left, query.count));
        self.explained_shelves(who, chosen, rated, query, "For you")
    }

    /// What is rated most, of what the query wants.
    fn most_watched(&self, who: Who, rated: &[(u32, f32)], query: &Query) -> Result<Vec<Shelf>> {
        let chosen = Chosen {
            because: None,
            movies: self.picked(&self.most_rated(rated, query)?, query)?,
        };
        self.explained_shelves(who, vec![chosen], rated, query, "Most watched")
    }

    /// What of what a user rated may put each of `movies` on its shelf, the strongest first: of
    /// what they liked, where they liked anything.
    fn causes(
        &self,
        who: Who,
        movies: &[(u32, f32)],
        rated: &[(u32, f32)],
    ) -> Result<Vec<Vec<Cause>>> {
        let rows: Vec<u32> = movies.iter().map(|&(movie, _)| movie).collect();
        let is_liked = |&&(_, stars): &&(u32, f32)| stars >= LIKED;
        let least = match rated.iter().any(|it| is_liked(&it)) {
            true => LIKED,
            false => f32::NEG_INFINITY,
        };
        let of_rated = rated.iter().filter(|&&(_, stars)| stars >= least);
        let may_be: HashSet<u32> = of_rated.map(|&(movie, _)| movie).collect();
        if let Some(mut causes) = self.loaded.model.because(who, &rows, MOST_LOOKED_AT)? {
            mmdlrm_data::Error::unless_all("reasons", causes.len(), rows.len())?;
            for (causes, row) in causes.iter_mut().zip(rows) {
                causes.retain(|cause| may_be.contains(&cause.item) && cause.item != row);
                causes.truncate(MOST_CAUSES);
            }
            return Ok(causes);
        }
        let directions = match self.directions() {
            Err(Error::CannotTell(_)) => return Ok(vec![Vec::new(); rows.len()]),
            directions => directions?,
        };
        let of_movie = |row: u32| {
            let others = may_be.iter().filter(|&&item| item != row);
            let causes = others.map(|&item| Cause {
                item,
                amount: directions.cosine(item, row),
            });
            Cause::strongest(causes.collect(), MOST_CAUSES)
        };
        Ok(rows.into_iter().map(of_movie).collect())
    }

    /// Explains all movies at once, so that no reason is said twice, and leaves out shelves
    /// without any.
    fn explained_shelves(
        &self,
        who: Who,
        chosen: Vec<Chosen>,
        rated: &[(u32, f32)],
        query: &Query,
        title: &str,
    ) -> Result<Vec<Shelf>> {
        let all = chosen.iter().flat_map(|it| it.movies.iter().copied());
        let mut explained = self
            .explained(who, all.collect(), rated, query)?
            .into_iter();
        let shelves = chosen.into_iter().map(|chosen| {
            let movie = chosen
                .because
                .map(|row| &self.catalogue().movies()[row as usize]);
            Shelf {
                title: movie.map_or(title.to_owned(), |movie| {
                    format!("Because you watched {}", movie.name())
                }),
                because: movie.map(|movie| movie.id),
                movies: explained.by_ref().take(chosen.movies.len()).collect(),
            }
        });
        Ok(shelves.filter(|shelf| !shelf.movies.is_empty()).collect())
    }
}

/// Shelves of `count` movies, each because of the movie that adds most to the scores of what is
/// left: first those to which it adds most of all, then others to which it adds.
fn because(mut left: Vec<((u32, f32), Vec<Cause>)>, count: usize) -> Vec<Chosen> {
    let mut shelves = Vec::new();
    let mut tried = HashSet::new();
    while shelves.len() < MOST_SHELVES {
        let mut sums: HashMap<u32, f32> = HashMap::new();
        for cause in left.iter().flat_map(|(_, causes)| causes) {
            if !tried.contains(&cause.item) {
                *sums.entry(cause.item).or_default() += cause.amount;
            }
        }
        let strongest = sums
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let Some((movie, _)) = strongest else { break };
        tried.insert(movie);
        let places = left.iter().enumerate().filter_map(|(place, (_, causes))| {
            let rank = causes.iter().position(|cause| cause.item == movie)?;
            Some((rank, place))
        });
        let mut places: Vec<(usize, usize)> = places.collect();
        if places.len() < FEWEST_MOVIES.min(count) {
            continue;
        }
        places.sort_unstable();
        places.truncate(count);
        shelves.push(Chosen {
            because: Some(movie),
            movies: places.iter().map(|&(_, place)| left[place].0).collect(),
        });
        let taken: HashSet<usize> = places.into_iter().map(|(_, place)| place).collect();
        let mut place = 0..;
        left.retain(|_| !place.next().is_some_and(|place| taken.contains(&place)));
    }
    shelves
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Movies of falling scores, each with its causes, the strongest first.
    fn left(causes: &[&[u32]]) -> Vec<((u32, f32), Vec<Cause>)> {
        let movies = (100..).zip(causes);
        let of_movie = |(movie, causes): (u32, &&[u32])| {
            let causes = causes.iter().zip([4.0, 2.0, 1.0]);
            let causes = causes.map(|(&item, amount)| Cause { item, amount });
            ((movie, -(movie as f32)), causes.collect())
        };
        movies.map(of_movie).collect()
    }

    fn shelves(causes: &[&[u32]], count: usize) -> Vec<(u32, Vec<u32>)> {
        let shelves = because(left(causes), count).into_iter();
        let movies = |shelf: &Chosen| shelf.movies.iter().map(|it| it.0).collect();
        shelves
            .map(|shelf| (shelf.because.unwrap(), movies(&shelf)))
            .collect()
    }

    #[test]
    fn shelves_take_the_movies_to_which_theirs_adds_most_and_then_others() {
        let causes: [&[u32]; 9] = [&[1], &[2, 1], &[1], &[2], &[1, 2], &[2], &[3], &[2], &[3]];
        // To 104 both add, and it goes where more is added; 3 has too few.
        let expected = [(1, vec![100, 102, 104, 101]), (2, vec![103, 105, 107])];
        assert_eq!(shelves(&causes, 4)[..1], expected[..1]);
        assert_eq!(shelves(&causes, 3)[0], (2, vec![101, 103, 105]));
        assert_eq!(shelves(&causes, 9).len(), 1);
    }

    #[test]
    fn no_movie_and_no_reason_is_on_two_shelves_and_none_is_short() {
        let causes: Vec<[u32; 3]> = (0..60).map(|at| [at % 7, at % 5 + 2, at % 3 + 4]).collect();
        let causes: Vec<&[u32]> = causes.iter().map(|it| it.as_slice()).collect();
        let shelves = shelves(&causes, 12);
        assert_eq!(shelves.len(), MOST_SHELVES);
        let mut reasons: Vec<u32> = shelves.iter().map(|it| it.0).collect();
        let mut movies: Vec<u32> = shelves.iter().flat_map(|it| it.1.clone()).collect();
        let counts = (reasons.len(), movies.len());
        reasons.sort_unstable();
        reasons.dedup();
        movies.sort_unstable();
        movies.dedup();
        assert_eq!((reasons.len(), movies.len()), counts);
        assert!(
            shelves
                .iter()
                .all(|it| (FEWEST_MOVIES..=12).contains(&it.1.len()))
        );
        assert_eq!(because(left(&[&[], &[]]), 12).len(), 0);
    }
}

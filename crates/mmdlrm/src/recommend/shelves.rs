//! Recommendations in rows: for somebody, and because of what they watched.

use std::collections::{HashMap, HashSet};

#[cfg(doc)]
use mmdlrm_train::Ranker;
use mmdlrm_train::{Cause, Who};

use super::reasons::{self, Found};
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
/// Of what a user liked, how many that add most to a score may put a movie on their shelf.
const MOST_CAUSES: usize = 3;

/// Movies that are recommended together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shelf {
    /// What stands above it: `For you`, `Because you watched Fargo`, `Most watched`.
    pub title: String,
    /// The movie of the user's that it is because of, by raw id, if it is.
    pub because: Option<u32>,
    /// The best first; because of a movie, first those to whose scores it adds most.
    pub movies: Vec<Recommendation>,
}

/// A shelf before its movies are explained: by dense rows.
struct Chosen {
    because: Option<u32>,
    movies: Vec<(u32, f32)>,
}

/// A movie that is on no shelf yet.
struct Left {
    /// Its dense row, and its score.
    movie: (u32, f32),
    /// What may put it on its shelf, the strongest first.
    causes: Vec<Cause>,
}

impl Recommender {
    /// What a user would like, in rows of [`Query::count`] movies: the best that the query wants,
    /// and then up to four rows of others among the best (five times as many as are asked for,
    /// from 100 to 400), each because of one movie that the user liked. It is the one that adds
    /// most to their scores, where the model [can tell](Ranker::because), or that is most
    /// [like](Self::similar) them. No movie is in two rows, and no row but the first has fewer than
    /// four movies, or than are asked for. Somebody of whom the model knows no rating is told what
    /// is most watched.
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
        let rows: Vec<u32> = left.iter().map(|&(movie, _)| movie).collect();
        let causes = reasons::causes(&*self.loaded.model, who, &rows)?;
        let causes = causes.map(|causes| rows.into_iter().zip(causes).collect());
        self.is_wanted()?;
        let first = self.picked(&left, query)?;
        left.retain(|(movie, _)| first.iter().all(|(other, _)| other != movie));
        let left = self.with_causes(left, causes.as_ref(), rated)?;
        let mut chosen = vec![Chosen {
            because: None,
            movies: first,
        }];
        chosen.extend(because(left, query.count));
        self.explained_shelves(who, chosen, rated, causes, query, "For you")
    }

    /// What is rated most, of what the query wants.
    fn most_watched(&self, who: Who, rated: &[(u32, f32)], query: &Query) -> Result<Vec<Shelf>> {
        let chosen = Chosen {
            because: None,
            movies: self.picked(&self.most_rated(rated, query)?, query)?,
        };
        let most = self.words().most();
        self.explained_shelves(who, vec![chosen], rated, None, query, most)
    }

    /// Each movie with what of what the user rated may put it on its shelf, the strongest first: of
    /// what they liked, where they liked anything.
    fn with_causes(
        &self,
        movies: Vec<(u32, f32)>,
        causes: Option<&HashMap<u32, Vec<Cause>>>,
        rated: &[(u32, f32)],
    ) -> Result<Vec<Left>> {
        let liked = self.words().target.liked();
        let likes_any = rated.iter().any(|&(_, stars)| stars >= liked);
        let may_be = rated
            .iter()
            .filter(|(_, stars)| !likes_any || *stars >= liked);
        let may_be: HashSet<u32> = may_be.map(|&(movie, _)| movie).collect();
        let directions = match causes.is_some() {
            true => None,
            false => match self.directions() {
                Err(Error::CannotTell(_)) => None,
                directions => Some(directions?),
            },
        };
        let of_movie = |row: u32| {
            let known = causes.and_then(|causes| causes.get(&row)).into_iter();
            let likenesses = directions.into_iter().flat_map(|directions| {
                may_be.iter().map(|&item| Cause {
                    item,
                    amount: directions.cosine(item, row),
                })
            });
            let all = known.flatten().copied().chain(likenesses);
            let all = all.filter(|cause| may_be.contains(&cause.item) && cause.item != row);
            Cause::strongest(all.collect(), MOST_CAUSES)
        };
        let left = movies.into_iter().map(|movie| {
            self.is_wanted()?;
            Ok(Left {
                causes: of_movie(movie.0),
                movie,
            })
        });
        left.collect()
    }

    /// Explains all movies at once, so that no reason is said twice, and leaves out shelves
    /// without any.
    fn explained_shelves(
        &self,
        who: Who,
        chosen: Vec<Chosen>,
        rated: &[(u32, f32)],
        causes: Option<HashMap<u32, Vec<Cause>>>,
        query: &Query,
        title: &str,
    ) -> Result<Vec<Shelf>> {
        let all = chosen.iter().flat_map(|it| it.movies.iter().copied());
        let reasons = chosen
            .iter()
            .filter_map(|it| Some((it.because?, &it.movies)));
        let because = reasons.flat_map(|(reason, movies)| {
            let movies = movies.iter();
            movies.map(move |&(movie, _)| (movie, reason))
        });
        let found = Found {
            causes,
            because: because.collect(),
        };
        let explained = self.explained(who, all.collect(), rated, &found, query)?;
        let mut explained = explained.into_iter();
        let shelves = chosen.into_iter().map(|chosen| {
            let movie = chosen
                .because
                .map(|row| &self.catalogue().movies()[row as usize]);
            Shelf {
                title: movie.map_or(title.to_owned(), |movie| {
                    self.words().because_of(&movie.name())
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
fn because(mut left: Vec<Left>, count: usize) -> Vec<Chosen> {
    let mut shelves = Vec::new();
    let mut tried = HashSet::new();
    while shelves.len() < MOST_SHELVES {
        let mut sums: HashMap<u32, f32> = HashMap::new();
        for cause in left.iter().flat_map(|it| &it.causes) {
            if !tried.contains(&cause.item) {
                *sums.entry(cause.item).or_default() += cause.amount;
            }
        }
        let strongest = sums
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let Some((movie, _)) = strongest else { break };
        tried.insert(movie);
        let places = left.iter().enumerate().filter_map(|(place, it)| {
            let rank = it.causes.iter().position(|cause| cause.item == movie)?;
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
            movies: places.iter().map(|&(_, place)| left[place].movie).collect(),
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
    fn left(causes: &[&[u32]]) -> Vec<Left> {
        let movies = (100..).zip(causes);
        let of_movie = |(movie, causes): (u32, &&[u32])| {
            let causes = causes.iter().zip([4.0, 2.0, 1.0]);
            let causes = causes.map(|(&item, amount)| Cause { item, amount });
            Left {
                movie: (movie, -(movie as f32)),
                causes: causes.collect(),
            }
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
        // 2 adds most in all, and to 104 less than 1; 3 has too few.
        let expected = [(2, vec![101, 103, 105]), (1, vec![100, 102, 104])];
        assert_eq!(shelves(&causes, 3), expected);
        // Room for one more, and then 1 has too few.
        assert_eq!(shelves(&causes, 5), [(2, vec![101, 103, 105, 107, 104])]);
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

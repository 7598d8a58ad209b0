//! Which movies are chosen: of those that a query wants the best, or the best that differ.

use std::cmp::Reverse;

use mmdlrm_model::top_k;
use mmdlrm_train::{Wanted, Who, best_of};

use super::similar::Directions;
use super::{Query, Recommender};
use crate::{Error, Result};

/// Among how many times as many as are asked for the ones that differ are chosen, …
const TIMES_AS_MANY: usize = 10;
/// … and among how many at most, where no more are asked for: what models put in order with care.
const MOST_TO_DIFFER: usize = 400;

/// How often movies are rated in the training set.
pub(super) struct Popularity {
    /// Of each movie, by dense row.
    counts: Vec<f32>,
    /// Dense rows of the most rated movies that have half of all ratings.
    popular: Vec<u32>,
}

impl Popularity {
    pub fn new(counts: &[u32]) -> Self {
        let half = counts
            .iter()
            .map(|&it| u64::from(it))
            .sum::<u64>()
            .div_ceil(2);
        let mut popular: Vec<u32> = (0..counts.len() as u32).collect();
        // Stable: of those rated as often the first come first.
        popular.sort_by_key(|&row| Reverse(counts[row as usize]));
        let mut before = 0;
        let is_of_half = |&row: &u32| {
            let is_of_half = before < half;
            before += u64::from(counts[row as usize]);
            is_of_half
        };
        Self {
            popular: popular.into_iter().take_while(is_of_half).collect(),
            counts: counts.iter().map(|&count| count as f32).collect(),
        }
    }
}

impl Recommender {
    /// The best of the movies that the query wants, by dense row.
    pub(super) fn best(
        &self,
        who: Who,
        rated: &[(u32, f32)],
        query: &Query,
    ) -> Result<Vec<(u32, f32)>> {
        self.picked(&self.ranked(who, rated, query, 0)?, query)
    }

    /// By scores alone, so many that [`Self::picked`] has its choice, and at least `fewest`.
    pub(super) fn ranked(
        &self,
        who: Who,
        rated: &[(u32, f32)],
        query: &Query,
        fewest: usize,
    ) -> Result<Vec<(u32, f32)>> {
        let wanted = Wanted {
            items: self.catalogue().ids().len(),
            passed_over: &self.passed_over(rated, query)?,
            count: to_pick_from(query).max(fewest),
        };
        Ok(best_of(&*self.loaded.model, who, &wanted)?)
    }

    /// The same by how often movies are rated.
    pub(super) fn most_rated(
        &self,
        rated: &[(u32, f32)],
        query: &Query,
    ) -> Result<Vec<(u32, f32)>> {
        let passed_over = self.passed_over(rated, query)?;
        let counts = &self.loaded.popularity.counts;
        Ok(top_k(counts, to_pick_from(query), &passed_over))
    }

    /// Of movies by their scores, the best first, as many as the query wants.
    pub(super) fn picked(&self, ranked: &[(u32, f32)], query: &Query) -> Result<Vec<(u32, f32)>> {
        let ranked = &ranked[..ranked.len().min(to_pick_from(query))];
        match query.variety == 0.0 {
            true => Ok(ranked.to_vec()),
            false => Ok(varied(ranked, query, self.directions_of_any()?)),
        }
    }

    /// Dense rows of the movies that the query does not want.
    fn passed_over(&self, rated: &[(u32, f32)], query: &Query) -> Result<Vec<u32>> {
        if !(0.0..=1.0).contains(&query.variety) {
            return Err(Error::Setting {
                setting: "variety",
                value: query.variety.to_string(),
                rule: "it must be from 0 to 1",
            });
        }
        let mut passed_over = self.catalogue().unwanted(query)?;
        if query.unseen_only {
            passed_over.extend(rated.iter().map(|&(movie, _)| movie));
        }
        if query.less_popular {
            passed_over.extend(&self.loaded.popularity.popular);
        }
        Ok(passed_over)
    }
}

/// How many of the best there are to pick from.
fn to_pick_from(query: &Query) -> usize {
    match query.variety == 0.0 {
        true => query.count,
        false => {
            let most = MOST_TO_DIFFER.max(query.count);
            query.count.saturating_mul(TIMES_AS_MANY).min(most)
        }
    }
}

/// Of a pool, best first, as many as the query wants: the best, and then again and again what is
/// good and not like those before it.
fn varied(pool: &[(u32, f32)], query: &Query, directions: &Directions) -> Vec<(u32, f32)> {
    let (Some(&(_, highest)), Some(&(_, lowest))) = (pool.first(), pool.last()) else {
        return Vec::new();
    };
    let range = (highest - lowest).max(f32::MIN_POSITIVE);
    let worth = |score: f32| (1.0 - query.variety) * (score - lowest) / range;
    // What is left, with the most that it is like one of those chosen: nothing yet.
    let mut left: Vec<(u32, f32, f32)> = pool.iter().map(|&(row, it)| (row, it, 0.0)).collect();
    let mut chosen: Vec<(u32, f32)> = Vec::with_capacity(query.count.min(pool.len()));
    while chosen.len() < query.count {
        let values = left
            .iter()
            .map(|&(_, score, like)| worth(score) - query.variety * like);
        // Of the same value the better comes first.
        let best = values
            .enumerate()
            .reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((place, _)) = best else { break };
        let (row, score, _) = left.remove(place);
        let is_first = chosen.is_empty();
        for (other, _, like) in &mut left {
            let cosine = directions.cosine(row, *other);
            *like = if is_first { cosine } else { like.max(cosine) };
        }
        chosen.push((row, score));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_popular_are_the_fewest_that_have_half_of_the_ratings() {
        let popular = |counts: &[u32]| Popularity::new(counts).popular;
        assert_eq!(popular(&[1, 5, 2, 2]), [1]);
        assert_eq!(popular(&[1, 4, 4, 2]), [1, 2]);
        assert_eq!(popular(&[3, 3, 3]), [0, 1]);
        assert!(popular(&[0, 0]).is_empty());
    }

    #[test]
    fn what_is_like_the_first_comes_later_the_more_variety_is_wanted() {
        // Around their mean, 0 and 1 point the same way, and 2 and 3 another each.
        let vectors = vec![4.0, 0.0, 4.0, 0.0, 0.0, 3.0, -8.0, -3.0];
        let directions = Directions::new(vectors, 4);
        let pool = [(0, 9.0), (1, 8.0), (2, 2.0), (3, 1.0)];
        let order = |variety: f32| {
            let query = Query {
                count: 3,
                variety,
                ..Query::default()
            };
            let chosen = varied(&pool, &query, &directions).into_iter();
            chosen.map(|(row, _)| row).collect::<Vec<_>>()
        };
        assert_eq!(order(0.1), [0, 1, 2]);
        assert_eq!(order(0.3), [0, 1, 3]);
        assert_eq!(order(0.6), [0, 3, 2]);
        assert_eq!(order(1.0), [0, 3, 2]);
        assert!(varied(&[], &Query::default(), &directions).is_empty());
    }
}

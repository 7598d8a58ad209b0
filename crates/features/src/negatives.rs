//! Items that are learned from beside those that somebody interacted with.

use mmdlrm_data::{DataPart, Error, Rated, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How items that users did not interact with are drawn, to be learned as zeros beside the ones
/// that interactions are (He et al., "Neural Collaborative Filtering", 2017): where only
/// interactions are known, there is nothing else that a model could tell them from.
///
/// ```
/// use mmdlrm_features::{DrawnBy, NegativeSampling};
///
/// let sampling = NegativeSampling::default();
/// assert_eq!((sampling.per_interaction, sampling.by), (4, DrawnBy::Uniform));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NegativeSampling {
    /// How many for each interaction.
    pub per_interaction: usize,
    /// How likely each is.
    pub by: DrawnBy,
}

/// How likely an item is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrawnBy {
    /// All alike.
    #[default]
    Uniform,
    /// By the number of its interactions in the training set: what is popular, and was not chosen,
    /// says more.
    Popularity,
}

impl Default for NegativeSampling {
    /// Four, all alike.
    fn default() -> Self {
        Self {
            per_interaction: 4,
            by: DrawnBy::Uniform,
        }
    }
}

impl NegativeSampling {
    /// Checks the settings.
    ///
    /// # Errors
    /// None for each interaction, or more than a thousand.
    pub fn validate(&self) -> Result<()> {
        match self.per_interaction {
            1..=1000 => Ok(()),
            other => {
                let rule = "there are 1 to 1000 for each interaction";
                Err(Error::setting("negatives per interaction", other, rule))
            }
        }
    }

    pub(crate) fn part(&self) -> DataPart {
        let by = u32::from(self.by == DrawnBy::Popularity);
        DataPart::of_words("negatives", [self.per_interaction as u32, by])
    }
}

/// Draws before an item that is not the user's is looked for in order.
const DRAWS: u64 = 32;

/// Items to draw from, and what each user is known to have interacted with.
pub(crate) struct Negatives {
    pub sampling: NegativeSampling,
    items: u32,
    /// The item of each training row, where they are drawn by their number.
    of_rows: Vec<u32>,
    /// Of each user the items, ascending: `items[offsets[user]..offsets[user + 1]]`.
    offsets: Vec<usize>,
    known: Vec<u32>,
}

impl Negatives {
    /// Of the training rows, which are not looked at again: 4 bytes each, and 4 more where items
    /// are drawn by popularity.
    pub fn new(
        sampling: NegativeSampling,
        (users, items): (usize, usize),
        rows: impl Iterator<Item = Rated> + Clone,
    ) -> Self {
        let mut offsets = vec![0usize; users + 1];
        rows.clone()
            .for_each(|it| offsets[it.user as usize + 1] += 1);
        for user in 0..users {
            offsets[user + 1] += offsets[user];
        }
        let mut next = offsets.clone();
        let mut known = vec![0; offsets[users]];
        for row in rows.clone() {
            let next = &mut next[row.user as usize];
            known[*next] = row.movie;
            *next += 1;
        }
        for user in 0..users {
            known[offsets[user]..offsets[user + 1]].sort_unstable();
        }
        let of_rows = match sampling.by {
            DrawnBy::Uniform => Vec::new(),
            DrawnBy::Popularity => rows.map(|row| row.movie).collect(),
        };
        Self {
            sampling,
            items: items as u32,
            of_rows,
            offsets,
            known,
        }
    }

    /// Rows of an epoch for so many interactions.
    pub fn rows(&self, interactions: usize) -> usize {
        interactions * (1 + self.sampling.per_interaction)
    }

    /// Which interaction, in their order, the `place`-th row of an epoch is or is drawn beside.
    pub fn interaction(&self, place: usize) -> usize {
        place / (1 + self.sampling.per_interaction)
    }

    /// The `place`-th row of an epoch that is drawn by `seed`: an interaction, and behind it those
    /// that are drawn beside it. `interaction` has the interactions in their order.
    ///
    /// It depends on nothing else, so that any number of threads may draw.
    pub fn row(&self, seed: u64, place: usize, interaction: impl Fn(usize) -> Rated) -> Rated {
        let row = interaction(self.interaction(place));
        if place.is_multiple_of(1 + self.sampling.per_interaction) {
            return row;
        }
        match self.item_for(row.user, seed, place as u64) {
            // The user has all there are: once more what is known.
            None => row,
            Some(movie) => Rated {
                movie,
                stars: 0.0,
                ..row
            },
        }
    }

    fn item_for(&self, user: u32, seed: u64, place: u64) -> Option<u32> {
        let user = user as usize;
        let own = &self.known[self.offsets[user]..self.offsets[user + 1]];
        let is_new = |item: &u32| own.binary_search(item).is_err();
        let mut drawn = 0;
        for draw in 0..DRAWS {
            drawn = self.draw(xxh3_64_with_seed(
                &[place, draw].map(u64::to_le_bytes).concat(),
                seed,
            ));
            if is_new(&drawn) {
                return Some(drawn);
            }
        }
        (drawn..self.items).chain(0..drawn).find(is_new)
    }

    fn draw(&self, random: u64) -> u32 {
        let below = |count: usize| ((u128::from(random) * count as u128) >> 64) as usize;
        match self.sampling.by {
            DrawnBy::Uniform => below(self.items as usize) as u32,
            DrawnBy::Popularity => self.of_rows[below(self.of_rows.len())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(user: u32, movie: u32) -> Rated {
        Rated {
            user,
            movie,
            stars: 1.0,
            timestamp: 7,
        }
    }

    fn negatives(by: DrawnBy, rows: &[Rated]) -> Negatives {
        let sampling = NegativeSampling {
            per_interaction: 3,
            by,
        };
        Negatives::new(sampling, (3, 10), rows.iter().copied())
    }

    fn epoch(negatives: &Negatives, rows: &[Rated], seed: u64) -> Vec<Rated> {
        let all = 0..negatives.rows(rows.len());
        all.map(|place| negatives.row(seed, place, |row| rows[row]))
            .collect()
    }

    #[test]
    fn what_is_drawn_is_nothing_that_the_user_has_and_the_same_for_a_seed() {
        let mut rows: Vec<Rated> = (0..9).map(|item| rated(0, item)).collect();
        rows.extend([rated(1, 9), rated(1, 3)]);
        for by in [DrawnBy::Uniform, DrawnBy::Popularity] {
            let negatives = negatives(by, &rows);
            let all = epoch(&negatives, &rows, 5);
            assert_eq!(all.len(), 44);
            for (place, row) in all.iter().enumerate() {
                let positive = rows[place / 4];
                assert_eq!((row.user, row.timestamp), (positive.user, 7));
                match place % 4 {
                    0 => assert_eq!(*row, positive),
                    // User 0 has all but one.
                    _ if row.user == 0 => assert_eq!((row.movie, row.stars), (9, 0.0)),
                    _ => assert!(![9, 3].contains(&row.movie) && row.stars == 0.0),
                }
            }
            assert_eq!(all, epoch(&negatives, &rows, 5));
            assert_ne!(all, epoch(&negatives, &rows, 6));
        }
    }

    #[test]
    fn popular_items_are_drawn_as_often_as_they_are_popular() {
        let mut rows = vec![rated(0, 0)];
        rows.extend((0..30).map(|_| rated(1, 1)));
        rows.extend((0..10).map(|_| rated(1, 2)));
        let share = |by| {
            let negatives = negatives(by, &rows);
            let drawn = (0..8000u64).filter_map(|place| negatives.item_for(0, 3, place));
            let drawn: Vec<u32> = drawn.collect();
            drawn.iter().filter(|&&item| item == 1).count() as f64 / drawn.len() as f64
        };
        assert!((share(DrawnBy::Popularity) - 0.75).abs() < 0.02);
        assert!((share(DrawnBy::Uniform) - 1.0 / 9.0).abs() < 0.02);
    }

    #[test]
    fn who_has_everything_is_told_no_lie() {
        let rows: Vec<Rated> = (0..10).map(|item| rated(2, item)).collect();
        let negatives = negatives(DrawnBy::Uniform, &rows);
        assert!(
            epoch(&negatives, &rows, 1)
                .iter()
                .all(|row| row.stars == 1.0)
        );
        assert!(
            NegativeSampling {
                per_interaction: 0,
                by: DrawnBy::Uniform
            }
            .validate()
            .is_err()
        );
    }
}

//! Items that are learned from beside those that somebody interacted with.

use mmdlrm_data::{DataPart, Error, Rated, Result, Target};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::purpose::Rows;

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

    /// Checks the settings, and that there is something to draw them beside.
    pub(crate) fn check(&self, target: Target) -> Result<()> {
        self.validate()?;
        match target {
            Target::Implicit => Ok(()),
            other => {
                let rule = "items are drawn beside interactions that have no target";
                Err(Error::setting("target", other, rule))
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
    /// Training rows of the items up to each, where items are drawn by their number.
    rows_up_to: Vec<u64>,
    /// Of each user the items, ascending: `items[offsets[user]..offsets[user + 1]]`.
    offsets: Vec<usize>,
    known: Vec<u32>,
}

impl Negatives {
    /// Of the training rows, which `pass` hands out twice, and which are not looked at again: 4
    /// bytes each.
    ///
    /// # Errors
    /// As `pass`; other rows the second time than the first.
    pub fn new(
        sampling: NegativeSampling,
        (users, items): (usize, usize),
        pass: impl Fn(&mut dyn FnMut(Rated)) -> Result<()>,
    ) -> Result<Self> {
        let mut offsets = vec![0usize; users + 1];
        let mut rows_of_items = vec![0u64; items];
        pass(&mut |it| {
            offsets[it.user as usize + 1] += 1;
            rows_of_items[it.movie as usize] += 1;
        })?;
        for user in 0..users {
            offsets[user + 1] += offsets[user];
        }
        let mut next = offsets.clone();
        let mut known = vec![0; offsets[users]];
        let mut seen = 0;
        pass(&mut |it| {
            let next = &mut next[it.user as usize];
            if let Some(place) = known.get_mut(*next) {
                *place = it.movie;
            }
            *next += 1;
            seen += 1;
        })?;
        Error::unless_all("training rows", seen, known.len())?;
        for user in 0..users {
            known[offsets[user]..offsets[user + 1]].sort_unstable();
        }
        let up_to = rows_of_items.iter().scan(0, |all, rows| {
            *all += rows;
            Some(*all)
        });
        let rows_up_to = match sampling.by {
            DrawnBy::Uniform => Vec::new(),
            DrawnBy::Popularity => up_to.collect(),
        };
        Ok(Self {
            sampling,
            items: items as u32,
            rows_up_to,
            offsets,
            known,
        })
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

    /// Batches of `size` rows of the epoch that is drawn by `seed`, without the `passed` first, of
    /// interactions that come one after the other.
    pub fn beside(&self, seed: u64, passed: usize, size: usize) -> Beside<'_> {
        Beside {
            negatives: self,
            seed,
            passed,
            size,
            place: 0,
            batch: Vec::with_capacity(size),
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
        let below = |count: u64| ((u128::from(random) * u128::from(count)) >> 64) as u64;
        match self.rows_up_to.last() {
            None => below(u64::from(self.items)) as u32,
            Some(&all) => {
                let row = below(all);
                self.rows_up_to.partition_point(|&rows| rows <= row) as u32
            }
        }
    }
}

/// Interactions as they come, and what is drawn beside them: [`Negatives::beside`].
pub(crate) struct Beside<'a> {
    negatives: &'a Negatives,
    seed: u64,
    passed: usize,
    size: usize,
    /// The next row of the epoch.
    place: usize,
    batch: Vec<Rated>,
}

impl Beside<'_> {
    /// Takes the next interaction; `false` where nobody wants more.
    pub fn push(&mut self, interaction: Rated, take: &mut dyn FnMut(Rows) -> bool) -> bool {
        let end = self.place + self.negatives.rows(1);
        for place in self.place.max(self.passed)..end {
            let row = self.negatives.row(self.seed, place, |_| interaction);
            self.batch.push(row);
            if self.batch.len() == self.size && !take(std::mem::take(&mut self.batch).into()) {
                return false;
            }
        }
        self.place = end;
        true
    }

    /// The last batch, which may be smaller.
    pub fn finish(self, take: &mut dyn FnMut(Rows) -> bool) {
        if !self.batch.is_empty() {
            take(self.batch.into());
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
        let pass = |take: &mut dyn FnMut(Rated)| {
            rows.iter().copied().for_each(take);
            Ok(())
        };
        Negatives::new(sampling, (3, 10), pass).unwrap()
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

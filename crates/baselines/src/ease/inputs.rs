//! What is fitted to: weights of ratings, and ridges.

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_train::{Error, Result};

use super::EaseConfig;
use crate::sparse::Sparse;
use mmdlrm_train::check_rows;

/// What users rated, as numbers: `x` of each item of a history, in the order of the items.
pub(super) type History = Vec<(u32, f32)>;

/// Counts and ridges of items.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    /// How many users rated each item.
    pub counts: Vec<u32>,
    /// `Λ`.
    pub ridges: Vec<f64>,
}

impl Inputs {
    /// # Errors
    /// Items that there are not, stars that are no numbers.
    pub fn of(histories: &RatedBags, items: usize, config: &EaseConfig) -> Result<Self> {
        let (mut counts, mut squares) = (vec![0; items], vec![0.0; items]);
        let mut history = Vec::new();
        for user in 0..histories.len() as u32 {
            let bag = histories.row(user);
            check(bag, items)?;
            read(bag, config, &mut history);
            for &(item, weight) in &history {
                counts[item as usize] += 1;
                squares[item as usize] += f64::from(weight).powi(2);
            }
        }
        let ridges = counts.iter().zip(squares);
        let ridges = ridges.map(|(&count, squares)| config.ridge(count, squares));
        Ok(Self {
            ridges: ridges.collect(),
            counts,
        })
    }
}

/// `X`, `[users, items]`, or with its columns in other places.
pub(super) fn matrix(
    histories: &RatedBags,
    config: &EaseConfig,
    place: impl Fn(u32) -> u32 + Sync,
) -> Result<Sparse> {
    let row = |user, _: &mut ()| {
        let mut history = weights(histories.row(user as u32), config);
        history
            .iter_mut()
            .for_each(|(item, _)| *item = place(*item));
        history.sort_unstable_by_key(|&(item, _)| item);
        Ok(history)
    };
    Sparse::of_rows(histories.len(), || (), row)
}

/// Refuses items that there are not, and stars that are no numbers.
pub(super) fn check(bag: RatedBag, items: usize) -> Result<()> {
    check_rows("movie", bag.ids.iter().copied(), items)?;
    match bag.stars.iter().find(|stars| !stars.is_finite()) {
        None => Ok(()),
        Some(stars) => Err(Error::Mismatch(format!("a rating of {stars} stars"))),
    }
}

/// What is not 0 of a history.
pub(super) fn weights(bag: RatedBag, config: &EaseConfig) -> History {
    let mut history = Vec::with_capacity(bag.len());
    read(bag, config, &mut history);
    history.retain(|&(_, weight)| weight > 0.0);
    history
}

/// All of a history; where an item was rated twice, the later rating.
fn read(bag: RatedBag, config: &EaseConfig, history: &mut History) {
    history.clear();
    // The latest first, which a stable sort leaves before the others.
    let rated = bag.ids.iter().zip(bag.stars).rev();
    history.extend(rated.map(|(&item, &stars)| (item, config.weight(stars))));
    history.sort_by_key(|&(item, _)| item);
    history.dedup_by_key(|&mut (item, _)| item);
}

//! Where the relevant items of one ranking stand.
//!
//! Of an item with `a` items of a higher score above it and `t` of its own score, itself
//! included, nothing more is known than that it takes one of the places `a + 1 … a + t`. With
//! the discount of a place, `d(p) = 1 / log₂(p + 1)`,
//!
//! ```text
//! DCG@k  = Σ over distinct scores of relevant items: (Σ gains)/t · Σ_{p = a+1 … min(a+t, k)} d(p)
//! place  = a + (t − r) + j    of the j-th of r relevant items of one score (counted from 1)
//! ```
//!
//! Gains are averaged over ties as in [`ndcg_at_k`](crate::ndcg_at_k); places are as in
//! [`TopK`](crate::TopK), where a tie counts against the model. Items that are not relevant
//! gain nothing, so that a catalogue of any size comes down to a few numbers a user.

use crate::ndcg::{check_lists, discounts};
use crate::{Error, Gain, Result};

/// Where one relevant item stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// How many of the items that compete have a higher score. Where it is only known that
    /// they are `k` or more, `k` will do for all metrics of the first `k` places.
    pub above: usize,
    /// How many have the same score, itself included; 1 or more.
    pub tied: usize,
    /// How relevant it is, above 0: the stars of a rating, or 1.
    pub relevance: f64,
}

/// Where all relevant items of one list stand, those of equal score side by side.
///
/// ```
/// use mmdlrm_metrics::{Gain, Standing, Standings, ndcg_at_k};
///
/// // Two relevant items, the second behind one that is not relevant.
/// let standing = |above, relevance| Standing { above, tied: 1, relevance };
/// let list = Standings::new(vec![standing(0, 5.0), standing(2, 3.0)])?;
/// assert_eq!(list.ndcg(10, Gain::Linear)?, ndcg_at_k(&[5.0, 0.0, 3.0], &[0.9, 0.8, 0.7], 10)?);
/// assert_eq!((list.hit(1)?, list.recall(2)?, list.recall(3)?), (true, Some(0.5), Some(1.0)));
/// assert_eq!(list.reciprocal_rank(10)?, 1.0);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standings {
    /// The best first; those with the same number above have the same score.
    relevant: Vec<Standing>,
}

impl Standings {
    /// Of the relevant items of a list, in any order.
    ///
    /// # Errors
    /// [`Error::Unusable`] of a relevance that is not finite or not above 0, and of fewer
    /// tied items than there are relevant ones of that score.
    pub fn new(mut relevant: Vec<Standing>) -> Result<Self> {
        relevant.sort_unstable_by(|a, b| {
            let by_place = a.above.cmp(&b.above);
            by_place.then(b.relevance.total_cmp(&a.relevance))
        });
        for (position, standing) in (0..).zip(&relevant) {
            if !(standing.relevance.is_finite() && standing.relevance > 0.0) {
                let rule = "a relevant item has a finite relevance above 0";
                return Err(unusable("relevance", position, standing.relevance, rule));
            }
            if standing.tied == 0 {
                let rule = "an item is tied with itself at least";
                return Err(unusable("number of tied items", position, 0.0, rule));
            }
        }
        Ok(Self { relevant })
    }

    /// Of a whole list: `relevance` and `scores` are parallel, one entry an item. Items with
    /// a relevance of 0 are not relevant. Takes as many passes as there are relevant items.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NotANumber`], and as [`Self::new`] of a relevance
    /// below 0.
    pub fn of<R, S>(relevance: &[R], scores: &[S]) -> Result<Self>
    where
        R: Copy + Into<f64>,
        S: Copy + Into<f64>,
    {
        check_lists(relevance, scores)?;
        let relevant = relevance.iter().zip(scores);
        let relevant = relevant.map(|(&relevance, &score)| (relevance.into(), score.into()));
        let relevant = relevant.filter(|&(relevance, _)| relevance != 0.0);
        let standing = |(relevance, score): (f64, f64)| Standing {
            above: scores.iter().filter(|&&it| it.into() > score).count(),
            tied: scores.iter().filter(|&&it| it.into() == score).count(),
            relevance,
        };
        Self::new(relevant.map(standing).collect())
    }

    /// How many items are relevant.
    pub fn relevant(&self) -> usize {
        self.relevant.len()
    }

    /// `nDCG@k`, between 0 and 1, ties with the mean gain; 0 where nothing is relevant.
    ///
    /// # Errors
    /// [`Error::ZeroCutOff`]; [`Error::Overflow`] where gains add up to more than an f64
    /// holds.
    pub fn ndcg(&self, k: usize, gain: Gain) -> Result<f64> {
        check_cut_off(k)?;
        let gains = self.relevant.iter().map(|it| (it, gain.of(it.relevance)));
        let gains: Vec<(&Standing, f64)> = gains.collect();
        let mut best: Vec<f64> = gains.iter().map(|it| it.1).collect();
        best.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut ideal = 0.0;
        let mut rank = 0;
        for tie in best.chunk_by(|a, b| a == b) {
            ideal += share(tie.iter().sum(), rank, tie.len(), k);
            rank += tie.len();
        }
        let mut dcg = 0.0;
        for tie in gains.chunk_by(|a, b| a.0.above == b.0.above) {
            let Standing { above, tied, .. } = *tie[0].0;
            dcg += share(tie.iter().map(|it| it.1).sum(), above, tied, k);
        }
        let ideal = Error::unless_too_large("the sum of discounted gains", ideal)?;
        Ok(if ideal == 0.0 { 0.0 } else { dcg / ideal })
    }

    /// Whether a relevant item is among the first `k`: the mean over users is the hit rate.
    ///
    /// # Errors
    /// [`Error::ZeroCutOff`].
    pub fn hit(&self, k: usize) -> Result<bool> {
        check_cut_off(k)?;
        Ok(self.places().any(|place| place <= k))
    }

    /// Share of the relevant items that are among the first `k`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::ZeroCutOff`].
    pub fn recall(&self, k: usize) -> Result<Option<f64>> {
        check_cut_off(k)?;
        let found = self.places().filter(|&place| place <= k).count();
        let relevant = self.relevant.len();
        Ok((relevant > 0).then(|| found as f64 / relevant as f64))
    }

    /// 1 by the place, from 1, of the first relevant item, 0 where none is among the first
    /// `k`: the mean over users is MRR.
    ///
    /// # Errors
    /// [`Error::ZeroCutOff`].
    pub fn reciprocal_rank(&self, k: usize) -> Result<f64> {
        check_cut_off(k)?;
        let first = self.places().filter(|&place| place <= k).min();
        Ok(first.map_or(0.0, |place| 1.0 / place as f64))
    }

    /// Of each relevant item its place, from 1, behind all of its score that are not relevant.
    fn places(&self) -> impl Iterator<Item = usize> {
        let ties = self.relevant.chunk_by(|a, b| a.above == b.above);
        ties.flat_map(|tie| {
            let others = tie[0].tied.saturating_sub(tie.len());
            (1..=tie.len()).map(move |place| tie[0].above + others + place)
        })
    }
}

/// What items with gains of `gain` add to the DCG, which share `tied` places behind `above`.
fn share(gain: f64, above: usize, tied: usize, k: usize) -> f64 {
    match above < k {
        true => gain / tied as f64 * discounts(above, (above + tied).min(k)),
        false => 0.0,
    }
}

fn check_cut_off(k: usize) -> Result<()> {
    match k {
        0 => Err(Error::ZeroCutOff),
        _ => Ok(()),
    }
}

fn unusable(what: &'static str, position: u64, value: f64, rule: &'static str) -> Error {
    Error::Unusable {
        what,
        position,
        value,
        rule,
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    use super::*;
    use crate::{Ndcg, TopK};

    #[test]
    fn figures_equal_those_of_whole_lists_to_the_bit_ties_included() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for round in 0..300 {
            let items = 1 + round % 40;
            let mut draw = |below: u64| (random.next_u64() % below) as f64;
            let relevance: Vec<f64> = (0..items).map(|_| (draw(9) - 4.0).max(0.0)).collect();
            let scores: Vec<f64> = (0..items).map(|_| draw(8)).collect();
            let standings = Standings::of(&relevance, &scores).unwrap();
            for k in [1, 3, 10] {
                for gain in [Gain::Linear, Gain::Binary, Gain::Exponential] {
                    let whole = Ndcg::at(k).with_gain(gain).of(&relevance, &scores);
                    assert_eq!(standings.ndcg(k, gain), whole, "{relevance:?} {scores:?}");
                }
                let whole = TopK::new(&relevance, &scores, k).unwrap();
                assert_eq!(standings.hit(k), Ok(whole.hit()));
                assert_eq!(standings.recall(k), Ok(whole.recall()));
                assert_eq!(standings.reciprocal_rank(k), Ok(whole.reciprocal_rank()));
            }
        }
    }

    #[test]
    fn an_item_beyond_the_cut_off_counts_in_the_ideal_alone() {
        let standing = |above| Standing {
            above,
            tied: 1,
            relevance: 1.0,
        };
        let list = Standings::new(vec![standing(10), standing(0)]).unwrap();
        let second = 1.0 / 3f64.log2();
        assert_eq!(list.ndcg(10, Gain::Binary), Ok(1.0 / (1.0 + second)));
        assert_eq!(list.recall(10), Ok(Some(0.5)));
    }

    #[test]
    fn what_has_no_place_is_refused_and_nothing_relevant_has_figures() {
        let of = |tied, relevance| {
            let standing = Standing {
                above: 0,
                tied,
                relevance,
            };
            Standings::new(vec![standing]).unwrap_err().to_string()
        };
        assert!(of(0, 1.0).starts_with("number of tied items number 0 is 0"));
        for relevance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(of(1, relevance).starts_with("relevance number 0 is "));
        }
        let nothing = Standings::default();
        assert_eq!(nothing.ndcg(10, Gain::Linear), Ok(0.0));
        assert_eq!(nothing.recall(10), Ok(None));
        assert_eq!(nothing.reciprocal_rank(10), Ok(0.0));
        assert_eq!(nothing.hit(0), Err(Error::ZeroCutOff));
    }
}

//! Normalized discounted cumulative gain.
//!
//! `DCG@k = Σ_{rank=1..k} rel(rank) / log₂(rank + 1)` and
//! `nDCG@k = DCG@k / ideal DCG@k` (Järvelin and Kekäläinen, 2002), with linear
//! gain. Items of equal score share the mean of their gains, so that the value
//! does not depend on the order of the input (McSherry and Najork, 2008);
//! scikit-learn's `ndcg_score` does the same.

use std::cmp::Ordering;

use crate::{Error, Result};

/// `DCG@k` of one list: `relevance` and `scores` are parallel, one entry an
/// item, in any order.
///
/// Costs O(n + k log k): only the best `k` scores are sorted, so a catalogue
/// of any length can be passed whole.
///
/// # Errors
/// [`Error::LengthMismatch`], [`Error::NotANumber`], [`Error::ZeroCutOff`];
/// [`Error::Unusable`] of a relevance that is infinite, and [`Error::Overflow`] where
/// gains add up to that.
///
/// ```
/// let dcg = mmdlrm_metrics::dcg_at_k(&[3.0, 2.0], &[0.1, 0.9], 10)?;
/// assert!((dcg - (2.0 + 3.0 / 3f64.log2())).abs() < 1e-12);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
pub fn dcg_at_k<R, S>(relevance: &[R], scores: &[S], k: usize) -> Result<f64>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    check(relevance, scores, k)?;
    Error::unless_too_large(SUM, tie_averaged_dcg(relevance, scores, k))
}

/// `nDCG@k` of one list, between 0 and 1; 0 where nothing is relevant.
///
/// # Errors
/// As [`dcg_at_k`], and [`Error::Unusable`] of a relevance below 0, for which there is no
/// ideal order to compare with.
///
/// ```
/// // The best item is ranked second: 1/log₂(3) of the ideal gain.
/// let ndcg = mmdlrm_metrics::ndcg_at_k(&[0.0, 5.0], &[0.9, 0.1], 10)?;
/// assert!((ndcg - 0.6309).abs() < 1e-4);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
pub fn ndcg_at_k<R, S>(relevance: &[R], scores: &[S], k: usize) -> Result<f64>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    check(relevance, scores, k)?;
    reject_negative(relevance)?;
    match Error::unless_too_large(SUM, tie_averaged_dcg(relevance, relevance, k))? {
        0.0 => Ok(0.0),
        ideal => Ok(dcg_at_k(relevance, scores, k)? / ideal),
    }
}

/// What may be too large.
const SUM: &str = "the sum of discounted gains";

/// How [`Ndcg`] turns a relevance into a gain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gain {
    /// The relevance itself, as scikit-learn.
    #[default]
    Linear,
    /// `2^relevance − 1` (Burges et al., 2005): the best items count for more.
    Exponential,
    /// 1 where the relevance is above 0.
    Binary,
}

impl Gain {
    pub(crate) fn of(self, relevance: f64) -> f64 {
        match self {
            Self::Linear => relevance,
            Self::Exponential => relevance.exp2() - 1.0,
            Self::Binary => f64::from(u8::from(relevance > 0.0)),
        }
    }
}

/// In which order [`Ndcg`] takes items of one score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ties {
    /// In all, with the mean gain, as scikit-learn.
    #[default]
    Averaged,
    /// The least relevant first: a model gets no credit for what it does not tell
    /// apart.
    Pessimistic,
}

/// `nDCG@k` of other gains and ties than [`ndcg_at_k`].
///
/// ```
/// use mmdlrm_metrics::{Gain, Ndcg, Ties};
///
/// let ndcg = Ndcg::at(10).with_gain(Gain::Exponential).with_ties(Ties::Pessimistic);
/// let value = ndcg.of(&[3.0, 0.0], &[0.5, 0.5])?;
/// assert!((value - 1.0 / 3f64.log2()).abs() < 1e-12);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ndcg {
    k: usize,
    gain: Gain,
    ties: Ties,
}

impl Ndcg {
    /// Of the first `k` places, with linear gain and averaged ties.
    pub fn at(k: usize) -> Self {
        Self {
            k,
            gain: Gain::default(),
            ties: Ties::default(),
        }
    }

    /// Another gain.
    #[must_use]
    pub fn with_gain(mut self, gain: Gain) -> Self {
        self.gain = gain;
        self
    }

    /// Another order of ties.
    #[must_use]
    pub fn with_ties(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }

    /// nDCG of one list; 0 where nothing is relevant.
    ///
    /// # Errors
    /// As [`ndcg_at_k`].
    pub fn of<R, S>(&self, relevance: &[R], scores: &[S]) -> Result<f64>
    where
        R: Copy + Into<f64>,
        S: Copy + Into<f64>,
    {
        check(relevance, scores, self.k)?;
        reject_negative(relevance)?;
        let gains: Vec<f64> = relevance
            .iter()
            .map(|&relevance| self.gain.of(relevance.into()))
            .collect();
        let ideal = tie_averaged_dcg(&gains, &gains, self.k);
        Error::unless_too_large(SUM, ideal)?;
        if ideal == 0.0 {
            return Ok(0.0);
        }
        let dcg = match self.ties {
            Ties::Averaged => tie_averaged_dcg(&gains, scores, self.k),
            Ties::Pessimistic => pessimistic_dcg(&gains, scores, self.k),
        };
        Ok(Error::unless_too_large(SUM, dcg)? / ideal)
    }
}

fn check<R, S>(relevance: &[R], scores: &[S], k: usize) -> Result<()>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    check_lists(relevance, scores)?;
    match k {
        0 => Err(Error::ZeroCutOff),
        _ => Ok(()),
    }
}

/// Both lists must have one length and no NaN, and relevances must be finite.
pub(crate) fn check_lists<R, S>(relevance: &[R], scores: &[S]) -> Result<()>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    if relevance.len() != scores.len() {
        return Err(Error::LengthMismatch {
            relevance: relevance.len(),
            scores: scores.len(),
        });
    }
    if !all(relevance, f64::is_finite) {
        reject_nan(relevance, "relevance")?;
        for (position, &value) in (0..).zip(relevance) {
            Error::unless_finite("relevance", position, value.into())?;
        }
    }
    if !all(scores, |score| !score.is_nan()) {
        reject_nan(scores, "score")?;
    }
    Ok(())
}

/// Whether something holds for all; goes to the end in any case, some at a time.
fn all<T: Copy + Into<f64>>(values: &[T], holds: impl Fn(f64) -> bool) -> bool {
    let values = values.iter();
    values.fold(true, |all, &value| all & holds(value.into()))
}

fn reject_nan<T: Copy + Into<f64>>(values: &[T], what: &'static str) -> Result<()> {
    match values.iter().position(|&value| value.into().is_nan()) {
        Some(position) => Err(Error::NotANumber { what, position }),
        None => Ok(()),
    }
}

fn reject_negative<R: Copy + Into<f64>>(relevance: &[R]) -> Result<()> {
    if all(relevance, |value| value >= 0.0) {
        return Ok(());
    }
    let mut values = (0..).zip(relevance.iter().map(|&value| value.into()));
    match values.find(|&(_, value)| value < 0.0) {
        None => Ok(()),
        Some((position, value)) => Err(Error::Unusable {
            what: "relevance",
            position,
            value,
            rule: "nDCG needs relevances of 0 or more",
        }),
    }
}

fn pessimistic_dcg<S: Copy + Into<f64>>(gains: &[f64], scores: &[S], k: usize) -> f64 {
    let mut items: Vec<(f64, f64)> = scores
        .iter()
        .zip(gains)
        .map(|(&score, &gain)| (score.into() + 0.0, gain))
        .collect();
    items.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let ranked = items.iter().take(k).enumerate();
    ranked
        .map(|(rank, (_, gain))| gain * discounts(rank, rank + 1))
        .sum()
}

fn tie_averaged_dcg<R, S>(relevance: &[R], scores: &[S], k: usize) -> f64
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    let k = k.min(scores.len());
    if k == 0 {
        return 0.0;
    }
    let score = |item: &usize| -> f64 { scores[*item].into() };
    // NaN was refused, so the order is total.
    let best_first =
        |a: &usize, b: &usize| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal);
    let mut items: Vec<usize> = (0..scores.len()).collect();
    let (above, &mut kth, below) = items.select_nth_unstable_by(k - 1, best_first);
    let threshold = score(&kth);
    // Items tied with the k-th share its places with it, wherever the
    // selection put them.
    let tied_gain: Vec<f64> = std::iter::once(&kth)
        .chain(above.iter())
        .chain(below.iter())
        .filter(|item| score(item) == threshold)
        .map(|&item| relevance[item].into())
        .collect();
    let mut strictly_above: Vec<usize> = above
        .iter()
        .copied()
        .filter(|item| score(item) > threshold)
        .collect();
    strictly_above.sort_unstable_by(best_first);

    let mut dcg = 0.0;
    let mut rank = 0;
    for tie in strictly_above.chunk_by(|a, b| score(a) == score(b)) {
        let gain: f64 = tie
            .iter()
            .map(|&item| -> f64 { relevance[item].into() })
            .sum();
        dcg += gain / tie.len() as f64 * discounts(rank, rank + tie.len());
        rank += tie.len();
    }
    dcg + tied_gain.iter().sum::<f64>() / tied_gain.len() as f64 * discounts(rank, k)
}

/// Sum of `1 / log₂(rank + 2)` over the zero-based ranks `from..to`.
pub(crate) fn discounts(from: usize, to: usize) -> f64 {
    (from..to)
        .map(|rank| 1.0 / (rank as f64 + 2.0).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_order_scores_one_and_the_worst_less() {
        let relevance = [5.0, 4.0, 3.0, 0.0];
        let best = ndcg_at_k(&relevance, &[4.0, 3.0, 2.0, 1.0], 10).unwrap();
        let worst = ndcg_at_k(&relevance, &[1.0, 2.0, 3.0, 4.0], 10).unwrap();
        assert!((best - 1.0).abs() < 1e-12);
        assert!(worst < best);
    }

    #[test]
    fn constant_scores_give_the_mean_over_all_orders() {
        // Two items, one relevant: ranked first or second with equal chance.
        let ndcg = ndcg_at_k(&[1.0, 0.0], &[7.0, 7.0], 10).unwrap();
        assert!((ndcg - (1.0 + 1.0 / 3f64.log2()) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn order_of_the_input_does_not_matter_across_the_cut() {
        let relevance = [1.0, 0.0, 0.0, 1.0, 0.0];
        let scores = [2.0, 1.0, 1.0, 1.0, 1.0];
        let forwards = ndcg_at_k(&relevance, &scores, 2).unwrap();
        let relevance: Vec<f64> = relevance.into_iter().rev().collect();
        let scores: Vec<f64> = scores.into_iter().rev().collect();
        assert_eq!(forwards, ndcg_at_k(&relevance, &scores, 2).unwrap());
    }

    #[test]
    fn gains_and_ties_are_as_asked() {
        let of = |ndcg: Ndcg| ndcg.of(&[2.0, 1.0, 0.0], &[1.0, 2.0, 0.0]).unwrap();
        let second = 1.0 / 3f64.log2();
        let linear = (1.0 + 2.0 * second) / (2.0 + second);
        assert!((of(Ndcg::at(3)) - linear).abs() < 1e-12);
        let exponential = (1.0 + 3.0 * second) / (3.0 + second);
        assert!((of(Ndcg::at(3).with_gain(Gain::Exponential)) - exponential).abs() < 1e-12);
        assert_eq!(of(Ndcg::at(3).with_gain(Gain::Binary)), 1.0);
        let tied = |ties| {
            Ndcg::at(2)
                .with_ties(ties)
                .of(&[1.0, 0.0], &[7.0, 7.0])
                .unwrap()
        };
        assert!((tied(Ties::Averaged) - (1.0 + second) / 2.0).abs() < 1e-12);
        assert!((tied(Ties::Pessimistic) - second).abs() < 1e-12);
        assert_eq!(Ndcg::at(0).of(&[1.0], &[1.0]), Err(Error::ZeroCutOff));
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(
            ndcg_at_k(&[1.0], &[1.0, 2.0], 10),
            Err(Error::LengthMismatch {
                relevance: 1,
                scores: 2
            })
        );
        assert_eq!(ndcg_at_k(&[1.0], &[1.0], 0), Err(Error::ZeroCutOff));
        assert_eq!(
            ndcg_at_k(&[1.0, 1.0], &[1.0, f64::NAN], 10),
            Err(Error::NotANumber {
                what: "score",
                position: 1
            })
        );
        assert_eq!(ndcg_at_k::<f64, f64>(&[], &[], 10), Ok(0.0));
    }

    #[test]
    fn no_relevance_makes_ndcg_nan() {
        for (relevance, word) in [
            ([f64::INFINITY, 1.0], "relevance number 0 is inf"),
            ([1.0, f64::NEG_INFINITY], "relevance number 1 is -inf"),
            ([1.0, -1.0], "0 or more"),
            ([f64::MAX, f64::MAX], "more than an f64 holds"),
        ] {
            for scores in [[1.0, 2.0], [1.0, 1.0], [f64::INFINITY, f64::NEG_INFINITY]] {
                let message = ndcg_at_k(&relevance, &scores, 10).unwrap_err().to_string();
                assert!(message.contains(word), "{message}");
            }
        }
        // 2¹⁰²⁴ is infinite where 1024 is not.
        let exponential = Ndcg::at(10).with_gain(Gain::Exponential);
        assert!(matches!(
            exponential.of(&[1024.0, 1.0], &[1.0, 2.0]),
            Err(Error::Overflow { .. })
        ));
        assert!(dcg_at_k(&[f64::MAX, f64::MAX], &[1.0, 2.0], 10).is_err());
        // Infinite scores have an order.
        let best = [f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(ndcg_at_k(&[1.0, 0.0], &best, 10), Ok(1.0));
    }
}

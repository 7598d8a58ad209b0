//! Metrics of scores for yes and no.

use crate::ndcg::check_lists;
use crate::{Error, Result};

/// Area under the ROC curve: how often a relevant item (relevance above 0) has a
/// higher score than another that is not, ties counting half. `None` where all
/// items are relevant, or none is.
///
/// # Errors
/// [`Error::LengthMismatch`], [`Error::NotANumber`], [`Error::Unusable`] of a relevance
/// that is infinite.
///
/// ```
/// let auc = mmdlrm_metrics::roc_auc(&[1.0, 0.0, 1.0], &[0.9, 0.5, 0.5])?;
/// assert_eq!(auc, Some(0.75));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
pub fn roc_auc<R, S>(relevance: &[R], scores: &[S]) -> Result<Option<f64>>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    let (mut above, mut pairs) = (0f64, 0f64);
    for (relevant, others) in ties_from_worst(relevance, scores)? {
        // Those below so far lose to these, those beside them share.
        above += relevant * (pairs + others / 2.0);
        pairs += others;
    }
    let relevant = relevance.iter().filter(|&&it| it.into() > 0.0).count() as f64;
    Ok((relevant > 0.0 && pairs > 0.0).then(|| above / (relevant * pairs)))
}

/// Average precision, `Σ (R_t − R_{t−1})·P_t` over the distinct scores as
/// thresholds, from the highest: the area under precision against recall, without
/// interpolation, as scikit-learn has it. `None` where nothing is relevant.
///
/// # Errors
/// [`Error::LengthMismatch`], [`Error::NotANumber`], [`Error::Unusable`] of a relevance
/// that is infinite.
///
/// ```
/// let precision = mmdlrm_metrics::average_precision(&[1.0, 0.0, 1.0], &[3.0, 2.0, 1.0])?;
/// assert_eq!(precision, Some((1.0 + 2.0 / 3.0) / 2.0));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
pub fn average_precision<R, S>(relevance: &[R], scores: &[S]) -> Result<Option<f64>>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    let (mut sum, mut found, mut seen) = (0f64, 0f64, 0f64);
    for (relevant, others) in ties_from_worst(relevance, scores)?.into_iter().rev() {
        found += relevant;
        seen += relevant + others;
        sum += relevant * found / seen;
    }
    Ok((found > 0.0).then(|| sum / found))
}

/// Relevant and other items of each distinct score, the lowest first.
fn ties_from_worst<R, S>(relevance: &[R], scores: &[S]) -> Result<Vec<(f64, f64)>>
where
    R: Copy + Into<f64>,
    S: Copy + Into<f64>,
{
    check_lists(relevance, scores)?;
    let mut items: Vec<(f64, bool)> = scores
        .iter()
        .zip(relevance)
        .map(|(&score, &relevance)| (score.into() + 0.0, relevance.into() > 0.0))
        .collect();
    items.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let ties = items.chunk_by(|a, b| a.0 == b.0).map(|tie| {
        let relevant = tie.iter().filter(|item| item.1).count();
        (relevant as f64, (tie.len() - relevant) as f64)
    });
    Ok(ties.collect())
}

/// Mean of each group's AUC, weighted by the group's items (Zhu et al., 2017): a
/// model that merely knows which users click gets no credit. Groups in which all
/// items are relevant, or none, have no AUC and do not count.
///
/// ```
/// let mut auc = mmdlrm_metrics::GroupedAuc::default();
/// auc.add(&[1.0, 0.0], &[2.0, 1.0])?;
/// auc.add(&[1.0, 0.0, 0.0], &[1.0, 2.0, 0.0])?;
/// assert_eq!(auc.mean(), Some((2.0 * 1.0 + 3.0 * 0.5) / 5.0));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GroupedAuc {
    sum: f64,
    items: f64,
}

impl GroupedAuc {
    /// Adds a group, a user's items.
    ///
    /// # Errors
    /// As [`roc_auc`].
    pub fn add<R, S>(&mut self, relevance: &[R], scores: &[S]) -> Result<()>
    where
        R: Copy + Into<f64>,
        S: Copy + Into<f64>,
    {
        if let Some(auc) = roc_auc(relevance, scores)? {
            self.sum += auc * scores.len() as f64;
            self.items += scores.len() as f64;
        }
        Ok(())
    }

    /// Adds everything another accumulator has seen.
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.items += other.items;
    }

    /// The weighted mean; `None` before the first group that counts.
    pub fn mean(&self) -> Option<f64> {
        (self.items > 0.0).then(|| self.sum / self.items)
    }
}

/// Streaming log loss and calibration of predicted probabilities.
///
/// The log loss is `−Σ (y·ln p + (1 − y)·ln(1 − p))/n`, with `p` kept off 0 and 1
/// by f64's epsilon as scikit-learn does. The calibration error sorts predictions
/// into bins of one width and takes the mean distance of each bin's mean prediction
/// from its mean outcome, weighted by the bin's pairs (Naeini et al., 2015).
///
/// ```
/// let mut probabilities = mmdlrm_metrics::Probabilities::new(10)?;
/// probabilities.add(0.8, 1.0)?;
/// probabilities.add(0.8, 0.0)?;
/// let expected = -(0.8f64.ln() + 0.2f64.ln()) / 2.0;
/// assert!((probabilities.log_loss().unwrap() - expected).abs() < 1e-12);
/// assert!((probabilities.calibration_error().unwrap() - 0.3).abs() < 1e-12);
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    loss: f64,
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Bin {
    count: u64,
    predictions: f64,
    outcomes: f64,
}

impl Probabilities {
    /// With some bins for the calibration error.
    ///
    /// # Errors
    /// [`Error::NoBins`].
    pub fn new(bins: usize) -> Result<Self> {
        if bins == 0 {
            return Err(Error::NoBins);
        }
        Ok(Self {
            loss: 0.0,
            bins: vec![Bin::default(); bins],
        })
    }

    /// Adds a predicted probability and what happened, 0 to 1.
    ///
    /// # Errors
    /// [`Error::NotAProbability`].
    pub fn add(&mut self, prediction: f64, outcome: f64) -> Result<()> {
        for value in [prediction, outcome] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::NotAProbability { value });
            }
        }
        let p = prediction.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        self.loss -= outcome * p.ln() + (1.0 - outcome) * (1.0 - p).ln();
        let last = self.bins.len() - 1;
        let bin = (prediction * self.bins.len() as f64) as usize;
        let bin = &mut self.bins[bin.min(last)];
        bin.count += 1;
        bin.predictions += prediction;
        bin.outcomes += outcome;
        Ok(())
    }

    /// Adds everything another accumulator has seen.
    ///
    /// # Errors
    /// [`Error::OtherBins`].
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.bins.len() != other.bins.len() {
            return Err(Error::OtherBins {
                own: self.bins.len(),
                other: other.bins.len(),
            });
        }
        self.loss += other.loss;
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += other.count;
            bin.predictions += other.predictions;
            bin.outcomes += other.outcomes;
        }
        Ok(())
    }

    /// Number of pairs seen.
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    /// Mean log loss; `None` before the first pair.
    pub fn log_loss(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.loss / count as f64)
    }

    /// Expected calibration error, 0 to 1; `None` before the first pair.
    pub fn calibration_error(&self) -> Option<f64> {
        let count = self.count();
        let bins = self.bins.iter();
        let apart: f64 = bins.map(|bin| (bin.predictions - bin.outcomes).abs()).sum();
        (count > 0).then(|| apart / count as f64)
    }
}

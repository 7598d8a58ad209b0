use std::fmt;

use crate::{Gain, Result, Standings};

/// A figure of one user's ranking, whose mean over users is the metric.
///
/// ```
/// use mmdlrm_metrics::{RankingMetric, Standings};
///
/// let list = Standings::of(&[0.0, 1.0], &[0.9, 0.1])?;
/// assert_eq!(RankingMetric::ReciprocalRank.of(&list, 10)?, 0.5);
/// assert_eq!(RankingMetric::ReciprocalRank.to_string(), "MRR");
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RankingMetric {
    /// [`Standings::ndcg`] with this gain.
    Ndcg(Gain),
    /// [`Standings::recall`].
    Recall,
    /// [`Standings::hit`], as 1 or 0.
    HitRate,
    /// [`Standings::reciprocal_rank`].
    ReciprocalRank,
}

impl RankingMetric {
    /// The figure of one user over the first `k` places; 0 where nothing is relevant.
    ///
    /// # Errors
    /// [`Error::ZeroCutOff`](crate::Error::ZeroCutOff), and as [`Standings::ndcg`].
    pub fn of(self, standings: &Standings, k: usize) -> Result<f64> {
        match self {
            Self::Ndcg(gain) => standings.ndcg(k, gain),
            Self::Recall => Ok(standings.recall(k)?.unwrap_or(0.0)),
            Self::HitRate => Ok(f64::from(u8::from(standings.hit(k)?))),
            Self::ReciprocalRank => standings.reciprocal_rank(k),
        }
    }
}

impl fmt::Display for RankingMetric {
    /// As it stands before an `@k`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Ndcg(_) => "nDCG",
            Self::Recall => "recall",
            Self::HitRate => "hit rate",
            Self::ReciprocalRank => "MRR",
        })
    }
}

//! What lists of recommendations are like, whether they are right or not.

use std::collections::HashSet;

use crate::{Error, Result};

/// Share of a catalogue that is recommended to anybody, and how novel it is.
///
/// The novelty of an item is its self-information, `−log₂(share of the users who
/// know it)` (Zhou et al., 2010).
///
/// ```
/// let mut lists = mmdlrm_metrics::Recommended::default();
/// // Items 3 and 5, known to a half and to a quarter of the users.
/// lists.add(&[(3, 0.5), (5, 0.25)])?;
/// lists.add(&[(3, 0.5)])?;
/// assert_eq!(lists.coverage(10), Some(0.2));
/// assert_eq!(lists.novelty(), Some((1.0 + 2.0 + 1.0) / 3.0));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recommended {
    items: HashSet<u32>,
    recommendations: u64,
    information: f64,
}

impl Recommended {
    /// Adds a list: each item and the share of the users who know it.
    ///
    /// # Errors
    /// [`Error::Unusable`] of a share that is not above 0 and at most 1: what nobody
    /// knows would be novel without bounds. Nothing of the list is counted then.
    pub fn add(&mut self, list: &[(u32, f64)]) -> Result<()> {
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        if let Some((position, &(_, value))) =
            (0..).zip(list).find(|(_, (_, share))| !is_share(*share))
        {
            return Err(Error::Unusable {
                what: "share",
                position,
                value,
                rule: "it must be above 0 and at most 1",
            });
        }
        for &(item, share) in list {
            self.items.insert(item);
            self.recommendations += 1;
            self.information -= share.log2();
        }
        Ok(())
    }

    /// Adds everything another accumulator has seen.
    pub fn merge(&mut self, other: &Self) {
        self.items.extend(&other.items);
        self.recommendations += other.recommendations;
        self.information += other.information;
    }

    /// Share of a catalogue of `items` that was recommended; `None` of an empty
    /// one.
    pub fn coverage(&self, items: usize) -> Option<f64> {
        (items > 0).then(|| self.items.len() as f64 / items as f64)
    }

    /// Mean novelty of a recommendation, in bits; `None` before the first.
    pub fn novelty(&self) -> Option<f64> {
        let count = self.recommendations;
        (count > 0).then(|| self.information / count as f64)
    }
}

/// Mean distance of the items of a list from each other, `1 − cos` of their vectors
/// (Ziegler et al., 2005); `None` of a list of less than two. A vector of zeros is
/// at distance 1 from any other.
///
/// # Errors
/// [`Error::VectorLengths`]; [`Error::Unusable`] of a component that is not finite, and
/// [`Error::Overflow`] where their squares are not.
///
/// ```
/// let apart = mmdlrm_metrics::intra_list_diversity(&[&[1.0, 0.0], &[0.0, 2.0], &[3.0, 0.0]])?;
/// assert_eq!(apart, Some(2.0 / 3.0));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
pub fn intra_list_diversity(vectors: &[&[f64]]) -> Result<Option<f64>> {
    let length = vectors.first().map_or(0, |vector| vector.len());
    if let Some(other) = vectors.iter().find(|vector| vector.len() != length) {
        return Err(Error::VectorLengths {
            first: length,
            other: other.len(),
        });
    }
    let components = vectors.iter().flat_map(|vector| vector.iter());
    for (position, &value) in (0..).zip(components) {
        Error::unless_finite("vector component", position, value)?;
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let (mut sum, mut pairs) = (0.0, 0u64);
    for (number, a) in vectors.iter().enumerate() {
        for b in &vectors[..number] {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            Error::unless_too_large("the product of two vectors' lengths", lengths)?;
            let cosine = if lengths > 0.0 {
                dot(a, b) / lengths
            } else {
                0.0
            };
            sum += 1.0 - cosine;
            pairs += 1;
        }
    }
    Ok((pairs > 0).then(|| sum / pairs as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_vectors_that_have_no_novelty_and_no_distance_are_refused() {
        let mut lists = Recommended::default();
        for share in [0.0, -0.5, 1.5, f64::NAN] {
            assert!(lists.add(&[(1, 0.5), (2, share)]).is_err(), "{share}");
        }
        assert_eq!(lists, Recommended::default());
        for bad in [f64::NAN, f64::INFINITY, 1e200] {
            let apart = intra_list_diversity(&[&[1.0, 0.0], &[bad, 0.0]]);
            assert!(apart.is_err(), "{bad}");
        }
    }
}

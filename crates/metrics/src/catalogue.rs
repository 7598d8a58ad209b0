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
/// lists.add(&[(3, 0.5), (5, 0.25)]);
/// lists.add(&[(3, 0.5)]);
/// assert_eq!(lists.coverage(10), Some(0.2));
/// assert_eq!(lists.novelty(), Some((1.0 + 2.0 + 1.0) / 3.0));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recommended {
    items: HashSet<u32>,
    recommendations: u64,
    information: f64,
}

impl Recommended {
    /// Adds a list: each item and the share of the users who know it, above 0.
    pub fn add(&mut self, list: &[(u32, f64)]) {
        for &(item, share) in list {
            self.items.insert(item);
            self.recommendations += 1;
            self.information -= share.max(f64::MIN_POSITIVE).log2();
        }
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
/// [`Error::VectorLengths`].
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
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let (mut sum, mut pairs) = (0.0, 0u64);
    for (number, a) in vectors.iter().enumerate() {
        for b in &vectors[..number] {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
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

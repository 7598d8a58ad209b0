use crate::ndcg::check_lists;
use crate::{Error, Result};

/// What the first `k` places of one list hold. Items with a relevance above 0 are
/// relevant.
///
/// A tie counts against the model: of items with one score, those that are not
/// relevant come first. A model that gives all items the same score finds nothing.
///
/// ```
/// let list = mmdlrm_metrics::TopK::new(&[1.0, 0.0, 1.0, 0.0], &[0.2, 0.9, 0.8, 0.1], 2)?;
/// assert!(list.hit());
/// assert_eq!(list.precision(), 0.5);
/// assert_eq!(list.recall(), Some(0.5));
/// assert_eq!(list.reciprocal_rank(), 0.5);
/// assert_eq!(list.average_precision(), Some(0.25));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    k: usize,
    relevant: usize,
    /// Places, from 0, of the relevant items among the first `k`.
    places: Vec<usize>,
}

impl TopK {
    /// Ranks a list; `relevance` and `scores` are parallel, one entry an item.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NotANumber`], [`Error::ZeroCutOff`],
    /// [`Error::Unusable`] of a relevance that is infinite.
    pub fn new<R, S>(relevance: &[R], scores: &[S], k: usize) -> Result<Self>
    where
        R: Copy + Into<f64>,
        S: Copy + Into<f64>,
    {
        check_lists(relevance, scores)?;
        if k == 0 {
            return Err(Error::ZeroCutOff);
        }
        let is_relevant = |item: usize| relevance[item].into() > 0.0;
        let score = |item: usize| -> f64 { scores[item].into() + 0.0 };
        let mut items: Vec<usize> = (0..scores.len()).collect();
        let best_first = |a: &usize, b: &usize| {
            let by_score = score(*b).total_cmp(&score(*a));
            by_score.then(is_relevant(*a).cmp(&is_relevant(*b)))
        };
        if k < items.len() {
            items.select_nth_unstable_by(k, best_first);
            items.truncate(k);
        }
        items.sort_unstable_by(best_first);
        let places = items.iter().enumerate();
        let places = places.filter(|&(_, &item)| is_relevant(item));
        Ok(Self {
            k,
            relevant: (0..relevance.len())
                .filter(|&item| is_relevant(item))
                .count(),
            places: places.map(|(place, _)| place).collect(),
        })
    }

    /// Whether a relevant item is there: their mean over users is the hit rate.
    pub fn hit(&self) -> bool {
        !self.places.is_empty()
    }

    /// Share of the `k` places that hold a relevant item; of a shorter list, the
    /// missing ones do not.
    pub fn precision(&self) -> f64 {
        self.places.len() as f64 / self.k as f64
    }

    /// Share of the relevant items that are there; `None` where there is none.
    pub fn recall(&self) -> Option<f64> {
        (self.relevant > 0).then(|| self.places.len() as f64 / self.relevant as f64)
    }

    /// 1 by the place, from 1, of the first relevant item, 0 where none is there:
    /// the mean over users is MRR.
    pub fn reciprocal_rank(&self) -> f64 {
        let first = self.places.first();
        first.map_or(0.0, |&place| 1.0 / (place + 1) as f64)
    }

    /// Mean precision at the places of relevant items, over as many as there could
    /// be, `min(k, relevant)`: the mean over users is MAP@k. `None` where nothing
    /// is relevant.
    pub fn average_precision(&self) -> Option<f64> {
        let most = self.k.min(self.relevant);
        let places = self.places.iter().enumerate();
        let precisions = places.map(|(found, &place)| (found + 1) as f64 / (place + 1) as f64);
        (most > 0).then(|| precisions.sum::<f64>() / most as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_against_the_model() {
        let list = TopK::new(&[1.0, 0.0, 0.0], &[5.0, 5.0, 5.0], 2).unwrap();
        assert!(!list.hit());
        assert_eq!(
            TopK::new(&[1.0, 0.0, 0.0], &[5.0; 3], 3)
                .unwrap()
                .reciprocal_rank(),
            1.0 / 3.0
        );
        // -0 and 0 are one score.
        assert!(!TopK::new(&[1.0, 0.0], &[0.0, -0.0], 1).unwrap().hit());
    }

    #[test]
    fn short_and_empty_lists_have_values() {
        let short = TopK::new(&[1.0], &[1.0], 10).unwrap();
        assert_eq!((short.precision(), short.recall()), (0.1, Some(1.0)));
        let empty = TopK::new::<f64, f64>(&[], &[], 10).unwrap();
        assert_eq!(
            (empty.hit(), empty.recall(), empty.average_precision()),
            (false, None, None)
        );
        assert_eq!(TopK::new(&[1.0], &[1.0], 0), Err(Error::ZeroCutOff));
    }
}

//! Neighbours of the items that a user rated: lists that are made once.

use mmdlrm_train::Result;

use super::search::Search;
use crate::KnnConfig;
use crate::incidence::Incidence;
use crate::sparse::Sparse;
use crate::whole::{LIMIT, whole};

/// Items between two looks at whether to stop.
const ITEMS_AT_A_TIME: usize = 1024;

/// `K`, the nearest of each candidate.
#[derive(Debug, Clone)]
pub(super) struct ByItems {
    /// `K_ij`, `j` by row.
    by_candidate: Sparse,
    /// `K_ij`, `i` by row: a score reads the rows of a history.
    by_rated: Sparse,
}

impl ByItems {
    /// `told` hears of the ratings of each stretch of items, and may end the search.
    pub fn fit(
        users: &Incidence,
        items: &Incidence,
        config: &KnnConfig,
        mut told: impl FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        let counts = items.counts();
        let mut stretches = Vec::new();
        for first in (0..items.rows()).step_by(ITEMS_AT_A_TIME) {
            let count = ITEMS_AT_A_TIME.min(items.rows() - first);
            let search = || Search::new(users, &counts, config);
            let row = |place, search: &mut Search| {
                let item = (first + place) as u32;
                let nearest = search.nearest(items.row(item), Some(item));
                Ok(nearest
                    .into_iter()
                    .map(|(likeness, other)| (other, likeness))
                    .collect())
            };
            stretches.push(Sparse::of_rows(count, search, row)?);
            let ratings = (first..first + count).map(|item| items.row(item as u32).len());
            told(ratings.sum())?;
        }
        Ok(Self::of(Sparse::stacked(stretches.into_iter())))
    }

    /// Of what [`Self::parts`] says; `None` where that does not fit together.
    pub fn from_parts(lengths: &[f32], ids: &[f32], values: &[f32]) -> Option<Self> {
        let items = lengths.len();
        let (lengths, ids) = (whole(lengths, LIMIT)?, whole(ids, items)?);
        let lengths = lengths.into_iter().map(|length| length as usize);
        let by_candidate = Sparse::from_parts(lengths, ids, values.to_vec(), items)?;
        values
            .iter()
            .all(|&value| value > 0.0)
            .then(|| Self::of(by_candidate))
    }

    fn of(by_candidate: Sparse) -> Self {
        Self {
            by_rated: by_candidate.transposed(by_candidate.rows()),
            by_candidate,
        }
    }

    /// How many neighbours each item has, which, and how near.
    pub fn parts(&self) -> (Vec<f32>, Vec<f32>, &[f32]) {
        let (ids, values) = self.by_candidate.entries();
        let rows = 0..self.by_candidate.rows();
        let lengths = rows.map(|item| self.by_candidate.row(item).0.len() as f32);
        (
            lengths.collect(),
            ids.iter().map(|&id| id as f32).collect(),
            values,
        )
    }

    /// How many likenesses are kept.
    pub fn len(&self) -> usize {
        self.by_candidate.entries().1.len()
    }

    /// `Σ_i K_ij` of the `i` of a history, `[items]`.
    pub fn score(&self, history: &[u32], scores: &mut [f32]) {
        scores.fill(0.0);
        for &item in history {
            let (ids, values) = self.by_rated.row(item as usize);
            for (&id, &value) in ids.iter().zip(values) {
                scores[id as usize] += value;
            }
        }
    }

    /// `K_ij` of each `i` of a history.
    pub fn column(&self, history: &[u32], item: u32) -> Vec<f32> {
        let history = history.iter();
        history
            .map(|&other| self.by_candidate.get(item as usize, other))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_same_lists_again() {
        let rows = [vec![(1, 0.5)], vec![(0, 0.5), (2, 0.25)], Vec::new()];
        let rows = Sparse::of_rows(3, || (), |row, ()| Ok(rows[row].clone())).unwrap();
        let lists = ByItems::of(rows);
        let mut scores = [f32::NAN; 3];
        lists.score(&[0, 2], &mut scores);
        assert_eq!(scores, [0.0, 0.75, 0.0]);
        assert_eq!(lists.column(&[0, 2], 1), [0.5, 0.25]);
        let (lengths, ids, values) = lists.parts();
        assert_eq!(
            (&lengths[..], &ids[..]),
            (&[1.0, 2.0, 0.0][..], &[1.0, 0.0, 2.0][..])
        );
        let again = ByItems::from_parts(&lengths, &ids, values).unwrap();
        assert_eq!(again.by_rated, lists.by_rated);
        assert!(ByItems::from_parts(&lengths, &ids, &[0.5, 0.5, 0.0]).is_none());
        assert!(ByItems::from_parts(&lengths, &[1.0, 0.0, 3.0], values).is_none());
        assert!(ByItems::from_parts(&[1.0, 2.5, 0.0], &ids, values).is_none());
    }
}

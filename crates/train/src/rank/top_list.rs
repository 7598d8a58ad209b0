use mmdlrm_metrics::{Standing, Standings};
use mmdlrm_model::top_k;

use crate::Result;

/// The best items of one list of scores, in order, and where others of the items that compete
/// stand: one pass over the scores, of which nothing is copied.
///
/// Items that the user knows do not compete. Of items of one score the first comes first.
///
/// ```
/// use mmdlrm_metrics::Gain;
/// use mmdlrm_train::TopList;
///
/// let scores = [0.5, 2.0, 1.0, 2.0, 0.0];
/// let list = TopList::new(&scores, &[1], 2);
/// assert_eq!(list.best(), [(3, 2.0), (2, 1.0)]);
/// // Items 2 and 4 are relevant; item 1, which is known, is not asked for.
/// let standings = list.standings([(1, 5.0), (2, 4.0), (4, 4.0)])?;
/// assert_eq!(standings.recall(2)?, Some(0.5));
/// assert!(standings.ndcg(2, Gain::Linear)? < 1.0);
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TopList<'a> {
    scores: &'a [f32],
    known: &'a [u32],
    /// Those that compete; `None` for all.
    items: Option<&'a [u32]>,
    longest: usize,
    best: Vec<(u32, f32)>,
}

impl<'a> TopList<'a> {
    /// The `longest` best of all items but `known`, which ascend. `scores` has one of each
    /// item, and no NaN.
    pub fn new(scores: &'a [f32], known: &'a [u32], longest: usize) -> Self {
        Self {
            scores,
            known,
            items: None,
            longest,
            best: top_k(scores, longest, known),
        }
    }

    /// The `longest` best of `items` but `known`; both ascend.
    ///
    /// # Panics
    /// Where an item has no score.
    pub fn among(items: &'a [u32], scores: &'a [f32], known: &'a [u32], longest: usize) -> Self {
        let of_items: Vec<f32> = items.iter().map(|&item| scores[item as usize]).collect();
        let known_places = known
            .iter()
            .filter_map(|item| items.binary_search(item).ok());
        let known_places: Vec<u32> = known_places.map(|place| place as u32).collect();
        let best = top_k(&of_items, longest, &known_places).into_iter();
        Self {
            scores,
            known,
            items: Some(items),
            longest,
            best: best
                .map(|(place, score)| (items[place as usize], score))
                .collect(),
        }
    }

    /// Items and scores, the best first.
    pub fn best(&self) -> &[(u32, f32)] {
        &self.best
    }

    /// Where `relevant` items, each named once, stand, given how relevant each is: for metrics
    /// of as many places as the list is long, or fewer. Those that do not compete are passed
    /// over.
    ///
    /// # Errors
    /// A relevance that is not finite or not above 0.
    pub fn standings(&self, relevant: impl IntoIterator<Item = (u32, f32)>) -> Result<Standings> {
        let relevant = relevant
            .into_iter()
            .filter(|&(item, _)| self.competes(item));
        let standings = relevant.map(|(item, relevance)| {
            let (above, tied) = self.place(self.scores[item as usize]);
            Standing {
                above,
                tied,
                relevance: f64::from(relevance),
            }
        });
        Ok(Standings::new(standings.collect())?)
    }

    fn competes(&self, item: u32) -> bool {
        let is_one = match self.items {
            None => (item as usize) < self.scores.len(),
            Some(items) => items.binary_search(&item).is_ok(),
        };
        is_one && self.known.binary_search(&item).is_err()
    }

    /// How many that compete have a higher score, and how many this one; of a score below the
    /// list no more than that there are as many above it as the list has.
    fn place(&self, score: f32) -> (usize, usize) {
        let above = self.best.partition_point(|&(_, other)| other > score);
        let listed = self.best[above..].partition_point(|&(_, other)| other == score);
        let goes_on = above + listed == self.longest && listed > 0;
        let tied = match goes_on {
            true => self.count(score),
            false => listed.max(1),
        };
        (above, tied)
    }

    /// How many that compete have this score.
    fn count(&self, score: f32) -> usize {
        let has_score = |item: &&u32| self.scores[**item as usize] == score;
        match self.items {
            None => {
                let all = self.scores.iter().filter(|&&other| other == score).count();
                all - self.known.iter().filter(has_score).count()
            }
            Some(items) => {
                let unknown = |item: &&u32| self.known.binary_search(item).is_err();
                items.iter().filter(has_score).filter(unknown).count()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_metrics::{Gain, TopK, ndcg_at_k};

    use super::*;

    /// Scores of 300 items, of which many are the same.
    fn scores(round: usize, distinct: usize) -> Vec<f32> {
        let jumble = |at: usize| (at * 7919 + round * 104_729) % 1009 % distinct;
        (0..300).map(|at| jumble(at) as f32).collect()
    }

    #[test]
    fn figures_equal_those_of_lists_without_the_known_to_the_bit_ties_included() {
        for (round, distinct) in (0..60).zip([2, 5, 40, 1009].into_iter().cycle()) {
            let scores = scores(round, distinct);
            let known: Vec<u32> = (0..300).filter(|item| (item + 3) % 5 == 0).collect();
            let relevant: Vec<(u32, f32)> = (0..300)
                .filter(|item| item % 11 == round as u32 % 11)
                .map(|item| (item, (1 + item % 9) as f32 / 2.0))
                .collect();
            let odd: Vec<u32> = (0..300).filter(|item| item % 2 == 1).collect();
            let all: Vec<u32> = (0..300).collect();
            for (items, list) in [
                (&all, TopList::new(&scores, &known, 10)),
                (&all, TopList::new(&scores, &known, 100)),
                (&all, TopList::new(&scores, &known, 1000)),
                (&odd, TopList::among(&odd, &scores, &known, 10)),
            ] {
                let standings = list.standings(relevant.iter().copied()).unwrap();
                let unknown = items.iter().filter(|item| !known.contains(item));
                let (gains, scores): (Vec<f32>, Vec<f32>) = unknown
                    .map(|item| {
                        let rated = relevant.iter().find(|it| it.0 == *item);
                        (rated.map_or(0.0, |it| it.1), scores[*item as usize])
                    })
                    .unzip();
                let ndcg = standings.ndcg(10, Gain::Linear).unwrap();
                assert_eq!(ndcg, ndcg_at_k(&gains, &scores, 10).unwrap());
                let top = TopK::new(&gains, &scores, 10).unwrap();
                assert_eq!(standings.recall(10).unwrap(), top.recall());
                assert_eq!(standings.hit(10).unwrap(), top.hit());
                let place = standings.reciprocal_rank(10).unwrap();
                assert_eq!(place, top.reciprocal_rank());
            }
        }
    }

    #[test]
    fn what_does_not_compete_is_not_relevant() {
        let scores = [3.0, 2.0, 1.0];
        let list = TopList::among(&[0, 2], &scores, &[0], 10);
        assert_eq!(list.best(), [(2, 1.0)]);
        let standings = list.standings([(0, 5.0), (1, 5.0), (9, 5.0)]).unwrap();
        assert_eq!(standings.relevant(), 0);
        assert_eq!(standings.ndcg(10, Gain::Linear).unwrap(), 0.0);
    }
}

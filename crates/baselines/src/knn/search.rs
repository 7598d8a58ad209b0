//! The rows of a matrix of zeros and ones that are most like another.

use crate::KnnConfig;
use crate::incidence::Incidence;

/// Candidates that are looked through at a time, for each that is kept.
const ROOM: usize = 4;
/// Rows that are met at most, of all, where these are looked through in place of all.
const FEW: usize = 8;
/// Below 1 by more than rounding comes to.
const NEARLY: f64 = 1.0 - 1e-12;

/// A likeness and the row that has it.
pub(super) type Neighbour = (f32, u32);

/// What is looked through, and what is kept from one search to the next.
#[derive(Debug)]
pub(super) struct Search<'a> {
    by_column: &'a Incidence,
    /// How many ones each row has.
    counts: &'a [u32],
    neighbours: usize,
    shrinkage: f64,
    /// `n_ab`, zeros between searches.
    together: Vec<u32>,
    /// Rows with a `n_ab` above 0, where they are few.
    met: Vec<u32>,
    room: Vec<(f64, u32)>,
    least: f64,
}

impl<'a> Search<'a> {
    /// Through rows, of which there are their transpose and how many ones each has.
    pub fn new(by_column: &'a Incidence, counts: &'a [u32], config: &KnnConfig) -> Self {
        Self {
            by_column,
            counts,
            neighbours: config.neighbours,
            shrinkage: config.shrinkage,
            together: vec![0; counts.len()],
            met: Vec::new(),
            room: Vec::new(),
            least: 0.0,
        }
    }

    /// The rows most like one of ones in `columns`, in their order, likenesses above 0; `own` is
    /// passed over. Of those that are equally like the first are taken.
    pub fn nearest(&mut self, columns: &[u32], own: Option<u32>) -> Vec<Neighbour> {
        self.least = 0.0;
        self.room.clear();
        let count = columns.len() as f64;
        let ones = columns
            .iter()
            .map(|&column| self.by_column.row(column).len());
        if ones.sum::<usize>() < self.counts.len() / FEW {
            let met = self.meet(columns);
            met.iter().for_each(|&row| self.look_at(row, own, count));
            self.met = met;
        } else {
            for &column in columns {
                for &row in self.by_column.row(column) {
                    self.together[row as usize] += 1;
                }
            }
            for row in 0..self.counts.len() as u32 {
                self.look_at(row, own, count);
            }
        }
        keep_nearest(&mut self.room, self.neighbours);
        self.room.sort_unstable_by_key(|&(_, row)| row);
        let nearest = self.room.iter();
        nearest
            .map(|&(likeness, row)| (likeness as f32, row))
            .collect()
    }

    /// Counts `n_ab` of few rows, which ascend.
    fn meet(&mut self, columns: &[u32]) -> Vec<u32> {
        let mut met = std::mem::take(&mut self.met);
        met.clear();
        for &column in columns {
            for &row in self.by_column.row(column) {
                let together = &mut self.together[row as usize];
                if *together == 0 {
                    met.push(row);
                }
                *together += 1;
            }
        }
        met.sort_unstable();
        met
    }

    /// Keeps a row if it may be among the nearest, of one with `count` ones.
    #[inline(always)]
    fn look_at(&mut self, row: u32, own: Option<u32>, count: f64) {
        let together = std::mem::take(&mut self.together[row as usize]);
        let (together, others) = (f64::from(together), f64::from(self.counts[row as usize]));
        // Most rows are passed over without a root; of equal ones none is.
        let least = self.least;
        if together * together <= least * least * NEARLY * count * others || own == Some(row) {
            return;
        }
        let norms = (count * others).sqrt();
        self.room.push((together / (norms + self.shrinkage), row));
        if self.room.len() == ROOM * self.neighbours {
            self.least = keep_nearest(&mut self.room, self.neighbours);
        }
    }
}

/// Drops all but as many as are asked for, and returns the least likeness that is left, 0 where
/// there are not more.
fn keep_nearest(room: &mut Vec<(f64, u32)>, neighbours: usize) -> f64 {
    if room.len() < neighbours {
        return 0.0;
    }
    let order = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let (_, last, _) = room.select_nth_unstable_by(neighbours - 1, order);
    let least = last.0;
    room.truncate(neighbours);
    least
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{Rated, RatedBags};

    use super::*;

    /// Few columns, so that many rows are equally like.
    const COLUMNS: usize = 13;

    fn rows(columns: usize) -> Incidence {
        let rated = (0..400u32).map(|at| Rated {
            user: at * 7919 % 101,
            movie: at * 104_729 % columns as u32,
            ..Rated::default()
        });
        Incidence::of(&RatedBags::of_users(101, rated), columns).unwrap()
    }

    #[test]
    fn the_nearest_are_those_of_all_likenesses_in_order() {
        let settings = [(1, 0.0), (7, 0.0), (7, 3.0), (60, 1.0), (500, 0.0)];
        // Of few columns each has many rows; of many a row has few others to look at.
        let all = [COLUMNS, 211].map(|columns| settings.map(|it| (columns, it)));
        for (columns, (neighbours, shrinkage)) in all.into_iter().flatten() {
            let rows = rows(columns);
            let by_column = rows.transposed(columns);
            let config = KnnConfig {
                neighbours,
                shrinkage,
                ..KnnConfig::default()
            };
            let counts = rows.counts();
            let mut search = Search::new(&by_column, &counts, &config);
            for own in 0..101 {
                let columns = rows.row(own);
                let likeness = |other: u32| {
                    let others = rows.row(other);
                    let together = columns.iter().filter(|it| others.contains(it)).count();
                    let norms = (columns.len() as f64 * others.len() as f64).sqrt();
                    together as f64 / (norms + shrinkage)
                };
                let mut all: Vec<(f64, u32)> = (0..101).map(|it| (likeness(it), it)).collect();
                all.retain(|&(likeness, other)| likeness > 0.0 && other != own);
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                all.truncate(neighbours);
                all.sort_by_key(|it| it.1);
                let expected: Vec<Neighbour> = all.iter().map(|it| (it.0 as f32, it.1)).collect();
                assert_eq!(search.nearest(columns, Some(own)), expected);
            }
        }
    }

    #[test]
    fn whoever_is_nobody_of_the_rows_finds_a_twin() {
        let rows = rows(COLUMNS);
        let by_column = rows.transposed(COLUMNS);
        let config = KnnConfig::default();
        let counts = rows.counts();
        let mut search = Search::new(&by_column, &counts, &config);
        let twin = |found: Vec<Neighbour>| found.into_iter().find(|&(_, row)| row == 3);
        assert_eq!(twin(search.nearest(rows.row(3), None)), Some((1.0, 3)));
        assert_eq!(twin(search.nearest(rows.row(3), Some(3))), None);
    }
}

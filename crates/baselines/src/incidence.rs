//! Who rated what, stars left aside.

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_train::{Result, check_rows};

/// A matrix of zeros and ones by rows, the columns of the ones ascending (compressed sparse rows):
/// 4 bytes a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incidence {
    offsets: Vec<usize>,
    columns: Vec<u32>,
}

impl Incidence {
    /// What each user rated, `[users, items]`; an item that was rated twice is a one all the same.
    ///
    /// # Errors
    /// Items that there are not.
    pub fn of(histories: &RatedBags, items: usize) -> Result<Self> {
        let mut columns = Vec::with_capacity(histories.ratings());
        let mut offsets = Vec::with_capacity(histories.len() + 1);
        offsets.push(0);
        for user in 0..histories.len() as u32 {
            columns.extend(rated(histories.row(user), items)?);
            offsets.push(columns.len());
        }
        Ok(Self { offsets, columns })
    }

    /// Of `columns` columns.
    pub fn transposed(&self, columns: usize) -> Self {
        let mut offsets = vec![0; columns + 1];
        for &column in &self.columns {
            offsets[column as usize + 1] += 1;
        }
        for column in 0..columns {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let mut transposed = vec![0; self.columns.len()];
        for row in 0..self.rows() as u32 {
            for &column in self.row(row) {
                let place = &mut next[column as usize];
                transposed[*place] = row;
                *place += 1;
            }
        }
        Self {
            offsets,
            columns: transposed,
        }
    }

    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many ones there are.
    pub fn ones(&self) -> usize {
        self.columns.len()
    }

    /// How many ones each row has.
    pub fn counts(&self) -> Vec<u32> {
        let ends = self.offsets.windows(2);
        ends.map(|ends| (ends[1] - ends[0]) as u32).collect()
    }

    /// The columns of the ones of a row.
    pub fn row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.columns[self.offsets[row]..self.offsets[row + 1]]
    }
}

/// The items of a history, ascending, each once.
///
/// # Errors
/// Items that there are not.
pub(crate) fn rated(history: RatedBag, items: usize) -> Result<Vec<u32>> {
    check_rows("movie", history.ids.iter().copied(), items)?;
    let mut rated = history.ids.to_vec();
    rated.sort_unstable();
    rated.dedup();
    Ok(rated)
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn both_directions_hold_every_pair_once() {
        let rated = [(0, 2), (2, 0), (0, 1), (2, 2), (0, 2)];
        let rows = (0..).zip(rated).map(|(timestamp, (user, movie))| Rated {
            user,
            movie,
            stars: 3.0,
            timestamp,
        });
        let histories = RatedBags::of_users(3, rows);
        let users = Incidence::of(&histories, 4).unwrap();
        assert_eq!((users.rows(), users.ones()), (3, 4));
        assert_eq!(
            [users.row(0), users.row(1), users.row(2)],
            [&[1, 2][..], &[], &[0, 2]]
        );
        assert_eq!(users.counts(), [2, 0, 2]);
        let items = users.transposed(4);
        assert_eq!(items.row(2), [0, 2]);
        assert!(items.row(3).is_empty());
        assert_eq!(items.transposed(3), users);
        let error = Incidence::of(&histories, 2).unwrap_err().to_string();
        assert!(error.contains("no movie in row 2"), "{error}");
    }
}

/// Lists of ids, one a row, back to back (compressed sparse rows).
///
/// Row `r` is `ids[offsets[r]..offsets[r + 1]]`.
///
/// ```
/// let bags = mmdlrm_data::Bags::from_pairs(3, [(0, 7), (2, 1), (0, 9)]);
/// assert_eq!(bags.row(0), &[7, 9]);
/// assert!(bags.row(1).is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bags {
    offsets: Vec<usize>,
    ids: Vec<u32>,
}

impl Bags {
    /// Collects `(row, id)` pairs into `rows` bags; within a bag the order of
    /// the pairs is kept. Pairs of a row that does not exist are left out.
    pub fn from_pairs(
        rows: usize,
        pairs: impl IntoIterator<Item = (u32, u32), IntoIter: Clone>,
    ) -> Self {
        let pairs = pairs.into_iter().filter(|&(row, _)| (row as usize) < rows);
        let mut offsets = vec![0; rows + 1];
        for (row, _) in pairs.clone() {
            offsets[row as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut ids = vec![0; offsets[rows]];
        for (row, id) in pairs {
            let next = &mut next[row as usize];
            ids[*next] = id;
            *next += 1;
        }
        Self { offsets, ids }
    }

    /// The bag of `row`.
    pub fn row(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.ids[self.offsets[row]..self.offsets[row + 1]]
    }

    /// The bag of `row`, to be put into another order.
    pub(crate) fn row_mut(&mut self, row: u32) -> &mut [u32] {
        let row = row as usize;
        &mut self.ids[self.offsets[row]..self.offsets[row + 1]]
    }

    /// Adds a bag behind the last.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.offsets.push(self.ids.len());
    }

    /// Number of bags.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no bag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

use std::borrow::Cow;
use std::sync::Arc;

use crate::IdNames;

/// Raw ids and their dense row numbers: row `r` holds the `r`-th smallest raw
/// id.
///
/// MovieLens ids are not row numbers: ml-25m's movie ids reach 209,171 over
/// 62,423 movies.
///
/// ```
/// let ids = mmdlrm_data::IdMap::from_ids([40, 7, 40, 12]);
/// assert_eq!(ids.len(), 3);
/// assert_eq!(ids.row(12), Some(1));
/// assert_eq!(ids.id(2), Some(40));
/// assert_eq!(ids.row(8), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    /// Sorted, distinct.
    ids: Vec<u32>,
    /// `rows[id]` is the row plus one, 0 where there is none; empty where the
    /// ids are too sparse for a table.
    rows: Vec<u32>,
    /// What the ids stand for, where they stand for anything else.
    names: Option<Arc<IdNames>>,
}

/// A direct table is kept while it is at most this many times as long as the
/// list of ids, so that one wild id cannot make it huge.
const LONGEST_TABLE_PER_ID: usize = 64;

/// Ids that are gathered before they are sorted and repeats dropped, so that a
/// column of ratings does not have to be held twice.
const GATHERED: usize = 1 << 20;

fn distinct(ids: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let sort = |ids: &mut Vec<u32>| {
        ids.sort_unstable();
        ids.dedup();
    };
    let mut gathered = Vec::new();
    let mut limit = GATHERED;
    for id in ids {
        if gathered.last() == Some(&id) {
            continue;
        }
        if gathered.len() == limit {
            sort(&mut gathered);
            limit = (2 * gathered.len()).max(GATHERED);
        }
        gathered.push(id);
    }
    sort(&mut gathered);
    gathered
}

impl IdMap {
    /// Maps the distinct ids among `ids`.
    pub fn from_ids(ids: impl IntoIterator<Item = u32>) -> Self {
        let ids = distinct(ids);
        let length = ids.last().map_or(0, |&last| last as usize + 1);
        let mut rows = Vec::new();
        // Of all ids there are, the last one's row plus one has more than 32 bits.
        let few = u32::try_from(ids.len()).is_ok();
        if few && length <= ids.len().saturating_mul(LONGEST_TABLE_PER_ID) {
            rows.resize(length, 0);
            for (row, &id) in (1u32..).zip(&ids) {
                rows[id as usize] = row;
            }
        }
        Self {
            ids,
            rows,
            names: None,
        }
    }

    /// The same ids as the numbers of these names.
    #[must_use]
    pub fn with_names(self, names: Option<Arc<IdNames>>) -> Self {
        Self { names, ..self }
    }

    /// The names that the ids are the numbers of, where they are.
    pub fn names(&self) -> Option<&Arc<IdNames>> {
        self.names.as_ref()
    }

    /// What the id of a row is called: its digits, where it has no other name.
    ///
    /// ```
    /// let ids = mmdlrm_data::IdMap::from_ids([40, 7]);
    /// assert_eq!(ids.name(1).as_deref(), Some("40"));
    /// assert_eq!(ids.find("7"), Some(0));
    /// ```
    pub fn name(&self, row: u32) -> Option<Cow<'_, str>> {
        let id = self.id(row)?;
        match &self.names {
            None => Some(id.to_string().into()),
            Some(names) => names.name(id),
        }
    }

    /// The row of an id by its name, as [`Self::name`] has it.
    pub fn find(&self, name: &str) -> Option<u32> {
        let id = match &self.names {
            None => name.trim().parse().ok(),
            Some(names) => names.find(name),
        };
        self.row(id?)
    }

    /// Number of distinct ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The row of a raw id.
    pub fn row(&self, id: u32) -> Option<u32> {
        if self.rows.is_empty() {
            return self.ids.binary_search(&id).ok().map(|row| row as u32);
        }
        self.rows.get(id as usize)?.checked_sub(1)
    }

    /// The raw id of a row.
    pub fn id(&self, row: u32) -> Option<u32> {
        self.ids.get(row as usize).copied()
    }

    /// All raw ids, by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_id_is_found_without_a_table_of_its_size() {
        let ids = IdMap::from_ids([3, u32::MAX, 5]);
        assert!(ids.rows.is_empty());
        assert_eq!(ids.row(u32::MAX), Some(2));
        assert_eq!(ids.row(5), Some(1));
        assert_eq!(ids.row(4), None);
    }
}

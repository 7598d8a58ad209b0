//! Which users rated an item, whatever they thought of it.

use mmdlrm_data::RatedBags;

/// For each of some features (items that may be in a history, users who may be in an audience)
/// the rows that have it, each once and ascending.
#[derive(Debug, Clone)]
pub(super) struct Links {
    offsets: Vec<usize>,
    rows: Vec<u32>,
}

impl Links {
    /// Of bags whose ratings are in the order of their ids.
    pub fn of(bags: &RatedBags) -> Self {
        let mut links = Self {
            offsets: vec![0],
            rows: Vec::with_capacity(bags.ratings()),
        };
        for bag in 0..bags.len() as u32 {
            let first = links.rows.len();
            for &row in bags.row(bag).ids {
                if links.rows[first..].last() != Some(&row) {
                    links.rows.push(row);
                }
            }
            links.offsets.push(links.rows.len());
        }
        links
    }

    /// Number of features.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The rows that have a feature.
    #[inline(always)]
    pub fn rows(&self, feature: usize) -> &[u32] {
        &self.rows[self.offsets[feature]..self.offsets[feature + 1]]
    }

    /// The features that any row has.
    pub fn used(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.len()).filter(|&feature| !self.rows(feature).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn who_rated_an_item_twice_rated_it() {
        let rated = [(0, 5), (0, 2), (0, 5), (2, 5)];
        let rated = rated.map(|(user, movie)| Rated {
            user,
            movie,
            ..Rated::default()
        });
        let links = Links::of(&RatedBags::of_users(3, rated.into_iter()));
        assert_eq!(links.rows(0), [2, 5]);
        assert_eq!(links.rows(2), [5]);
        assert_eq!(links.used().collect::<Vec<_>>(), [0, 2]);
    }
}

//! Which items each user rated.

use std::ops::Range;

use mmdlrm_data::RatedBags;
use mmdlrm_train::{Result, check_rows};

/// Pairs of a user and an item that the user rated, any number of stars: by user, items
/// ascending, each once.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    offsets: Vec<usize>,
    items: Vec<u32>,
    /// How many items there are.
    count: usize,
}

impl Pairs {
    /// # Errors
    /// Items that there are not.
    pub fn of(histories: &RatedBags, count: usize) -> Result<Self> {
        let mut pairs = Self {
            offsets: vec![0],
            items: Vec::with_capacity(histories.ratings()),
            count,
        };
        for user in 0..histories.len() as u32 {
            pairs.push(histories.row(user).ids)?;
        }
        Ok(pairs)
    }

    /// Of pairs that exist, in any order.
    #[cfg(test)]
    pub fn of_edges(edges: &[(u32, u32)], users: usize, count: usize) -> Self {
        let rows = edges.iter().map(|&(user, movie)| mmdlrm_data::Rated {
            user,
            movie,
            ..Default::default()
        });
        Self::of(&RatedBags::of_users(users, rows), count).unwrap()
    }

    /// One more user.
    fn push(&mut self, rated: &[u32]) -> Result<()> {
        check_rows("movie", rated.iter().copied(), self.count)?;
        let mut items = rated.to_vec();
        items.sort_unstable();
        items.dedup();
        self.items.extend(items);
        self.offsets.push(self.items.len());
        Ok(())
    }

    /// All pairs, in order.
    pub fn edges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let users = 0..self.users() as u32;
        users.flat_map(|user| self.of_user(user).iter().map(move |&item| (user, item)))
    }

    /// The items of a user, ascending.
    pub fn of_user(&self, user: u32) -> &[u32] {
        let user = user as usize;
        &self.items[self.offsets[user]..self.offsets[user + 1]]
    }

    /// Numbers of a user's pairs.
    pub fn numbers_of(&self, user: u32) -> Range<u32> {
        let user = user as usize;
        self.offsets[user] as u32..self.offsets[user + 1] as u32
    }

    /// The user of a pair by its number.
    pub fn user_of(&self, pair: usize) -> u32 {
        (self.offsets.partition_point(|&start| start <= pair) - 1) as u32
    }

    /// The item of a pair by its number.
    pub fn item_of(&self, pair: usize) -> u32 {
        self.items[pair]
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn users(&self) -> usize {
        self.offsets.len() - 1
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.count
    }

    /// How many users rated each item, `[items]`.
    pub fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.count];
        self.items
            .iter()
            .for_each(|&item| counts[item as usize] += 1);
        counts
    }

    /// How many items a user did not rate.
    pub fn unrated(&self, user: u32) -> usize {
        self.count - self.of_user(user).len()
    }

    /// The item that `number` others, which the user did not rate either, come before; there are
    /// [`unrated`](Self::unrated) of them.
    pub fn unrated_item(&self, user: u32, number: usize) -> u32 {
        let rated = self.of_user(user);
        // Before the k-th rated item stand `rated[k] - k` others.
        let (mut before, mut after) = (0, rated.len());
        while before < after {
            let middle = (before + after) / 2;
            match rated[middle] as usize - middle <= number {
                true => before = middle + 1,
                false => after = middle,
            }
        }
        (number + before) as u32
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn what_was_not_rated_is_counted_in_order() {
        let rated = [(0, 1), (0, 3), (0, 1), (2, 0), (2, 4)];
        let rows = rated.map(|(user, movie)| Rated {
            user,
            movie,
            ..Rated::default()
        });
        let pairs = Pairs::of(&RatedBags::of_users(3, rows.into_iter()), 5).unwrap();
        assert_eq!((pairs.len(), pairs.of_user(0)), (4, &[1, 3][..]));
        assert_eq!(pairs.counts(), [1, 1, 0, 1, 1]);
        let users: Vec<u32> = (0..4).map(|pair| pairs.user_of(pair)).collect();
        assert_eq!(users, [0, 0, 2, 2]);
        for (user, expected) in [(0, &[0, 2, 4][..]), (1, &[0, 1, 2, 3, 4]), (2, &[1, 2, 3])] {
            let unrated = (0..pairs.unrated(user)).map(|number| pairs.unrated_item(user, number));
            assert_eq!(unrated.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn items_that_there_are_not_are_refused() {
        let rows = [Rated {
            movie: 5,
            ..Rated::default()
        }];
        let histories = RatedBags::of_users(1, rows.into_iter());
        assert!(Pairs::of(&histories, 5).is_err());
    }
}

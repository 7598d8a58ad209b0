use std::ops::Range;

use rayon::prelude::*;

use super::Rated;
use crate::{Error, Result};

/// Whose bags they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    User,
    Movie,
}

/// Lists of training ratings, one a user (the user's history) or one a movie
/// (its audience), back to back (compressed sparse rows).
///
/// Within a bag the oldest rating comes first; those of one moment are ordered
/// by id, then stars. So the rating that is to be predicted is found and left out
/// in a few steps, and its neighbours in time stand beside it.
///
/// 12 bytes a rating.
#[derive(Debug, Clone, PartialEq)]
pub struct RatedBags {
    offsets: Vec<usize>,
    ids: Vec<u32>,
    stars: Vec<f32>,
    timestamps: Vec<u32>,
}

/// The ratings of one user, or of one movie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatedBag<'a> {
    /// Dense rows of the movies that the user rated, or of the users who rated
    /// the movie, the oldest rating first.
    pub ids: &'a [u32],
    /// Each rating, in stars.
    pub stars: &'a [f32],
    /// When each was given, seconds since 1970.
    pub timestamps: &'a [u32],
}

impl RatedBags {
    /// What each of `users` users rated. Goes through `rows` twice.
    ///
    /// # Panics
    /// Where a user is none of these.
    pub fn of_users(users: usize, rows: impl Iterator<Item = Rated> + Clone) -> Self {
        Self::new(Owner::User, users, rows)
    }

    /// Who rated each of `movies` movies. Goes through `rows` twice.
    ///
    /// # Panics
    /// Where a movie is none of these.
    pub fn of_movies(movies: usize, rows: impl Iterator<Item = Rated> + Clone) -> Self {
        Self::new(Owner::Movie, movies, rows)
    }

    fn new(owner: Owner, bags: usize, rows: impl Iterator<Item = Rated> + Clone) -> Self {
        let of = |rated: &Rated| match owner {
            Owner::User => (rated.user as usize, rated.movie),
            Owner::Movie => (rated.movie as usize, rated.user),
        };
        let mut offsets = vec![0; bags + 1];
        for rated in rows.clone() {
            offsets[of(&rated).0 + 1] += 1;
        }
        for bag in 0..bags {
            offsets[bag + 1] += offsets[bag];
        }
        let mut next = offsets.clone();
        let mut entries = vec![(0u32, 0u32, 0f32); offsets[bags]];
        for rated in rows {
            let (bag, id) = of(&rated);
            entries[next[bag]] = (id, rated.timestamp, rated.stars);
            next[bag] += 1;
        }
        let mut rest = entries.as_mut_slice();
        let mut unsorted = Vec::with_capacity(bags);
        for bag in 0..bags {
            let own;
            (own, rest) = rest.split_at_mut(offsets[bag + 1] - offsets[bag]);
            unsorted.push(own);
        }
        unsorted.into_par_iter().for_each(|bag| {
            bag.sort_unstable_by(|a, b| (a.1, a.0).cmp(&(b.1, b.0)).then(a.2.total_cmp(&b.2)));
        });
        Self {
            ids: entries.iter().map(|entry| entry.0).collect(),
            stars: entries.iter().map(|entry| entry.2).collect(),
            timestamps: entries.iter().map(|entry| entry.1).collect(),
            offsets,
        }
    }

    /// Of columns that are laid out already: bag `b` is from `offsets[b]` to `offsets[b + 1]`
    /// of each.
    ///
    /// # Errors
    /// Columns of other lengths, or a bag that is not in order.
    pub fn from_columns(
        offsets: Vec<usize>,
        ids: Vec<u32>,
        stars: Vec<f32>,
        timestamps: Vec<u32>,
    ) -> Result<Self> {
        let refused = |problem| Err(Error::setting("bags of ratings", problem, Self::ORDER));
        let length = ids.len();
        if stars.len() != length || timestamps.len() != length {
            return refused("columns that are not of one length");
        }
        let ends = (offsets.first(), offsets.last());
        if ends != (Some(&0), Some(&length)) || !offsets.is_sorted() {
            return refused("offsets that do not go through the columns");
        }
        let bags = Self {
            offsets,
            ids,
            stars,
            timestamps,
        };
        let in_order = |bag: RatedBag| {
            let keys = bag.timestamps.iter().zip(bag.ids).zip(bag.stars);
            keys.is_sorted_by(|(a, x), (b, y)| a.cmp(b).then(x.total_cmp(y)).is_le())
        };
        match (0..bags.len() as u32).all(|bag| in_order(bags.row(bag))) {
            true => Ok(bags),
            false => refused("a bag that is not in order"),
        }
    }

    const ORDER: &str = "they stand back to back, the oldest rating of a bag first";

    /// The bag of a dense row; an empty one of a row that is new.
    pub fn row(&self, row: u32) -> RatedBag<'_> {
        self.columns(self.span(row))
    }

    /// Some ratings of the list of all bags' ratings.
    ///
    /// # Panics
    /// Where there are not as many.
    pub fn columns(&self, ratings: Range<usize>) -> RatedBag<'_> {
        RatedBag {
            ids: &self.ids[ratings.clone()],
            stars: &self.stars[ratings.clone()],
            timestamps: &self.timestamps[ratings],
        }
    }

    /// Where the bag of a dense row stands in the list of all bags' ratings.
    pub fn span(&self, row: u32) -> Range<usize> {
        let row = row as usize;
        match self.offsets.get(row..row + 2) {
            Some(span) => span[0]..span[1],
            None => self.ids.len()..self.ids.len(),
        }
    }

    /// Number of ratings in all.
    pub fn ratings(&self) -> usize {
        self.ids.len()
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

impl<'a> RatedBag<'a> {
    /// Number of ratings.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no rating.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Each id and its stars, the oldest rating first.
    pub fn stars_by_id(self) -> impl Iterator<Item = (u32, f32)> + Clone + use<'a> {
        let ids = self.ids.iter().copied();
        ids.zip(self.stars.iter().copied())
    }

    /// The ratings as rows of `user`, whose history the bag is.
    pub fn rows_of(self, user: u32) -> impl Iterator<Item = Rated> + Clone + use<'a> {
        let times = self.timestamps.iter();
        let rated = self.stars_by_id().zip(times);
        rated.map(move |((movie, stars), &timestamp)| Rated {
            user,
            movie,
            stars,
            timestamp,
        })
    }

    /// Where in the bag a rating stands: the place to leave out when it is the
    /// one to be predicted. Takes as many steps as the logarithm of the bag's
    /// length.
    pub fn position(&self, id: u32, timestamp: u32, stars: f32) -> Option<usize> {
        let same = |&at: &usize| self.ids[at] == id && self.timestamps[at] == timestamp;
        // More than one only where duplicates were kept.
        (self.place(id, timestamp)..self.len())
            .take_while(same)
            .find(|&at| self.stars[at] == stars)
    }

    /// How many ratings come before one of `id` at `timestamp`.
    pub fn place(&self, id: u32, timestamp: u32) -> usize {
        let start = self.timestamps.partition_point(|&it| it < timestamp);
        let same_time = self.timestamps[start..].partition_point(|&it| it == timestamp);
        start + self.ids[start..start + same_time].partition_point(|&it| it < id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::rated;

    #[test]
    fn both_directions_hold_every_rating_in_order_of_time() {
        let rows = [
            rated(0, 2, 4.0, 9),
            rated(1, 2, 3.0, 8),
            rated(0, 0, 1.0, 9),
            rated(0, 1, 5.0, 7),
        ];
        let histories = RatedBags::new(Owner::User, 3, rows.into_iter());
        assert_eq!(histories.row(0).ids, [1, 0, 2]);
        assert_eq!(histories.row(0).stars, [5.0, 1.0, 4.0]);
        assert_eq!(histories.row(0).timestamps, [7, 9, 9]);
        assert!(histories.row(2).is_empty() && histories.row(3).is_empty());
        let audiences = RatedBags::new(Owner::Movie, 3, rows.into_iter());
        assert_eq!(audiences.row(2).ids, [1, 0]);
        assert_eq!(audiences.row(0).len(), 1);
    }

    #[test]
    fn columns_that_make_no_bags_are_refused() {
        let of = |offsets: &[usize], ids: &[u32], timestamps: &[u32]| {
            let stars = vec![3.0; ids.len()];
            let (ids, timestamps) = (ids.to_vec(), timestamps.to_vec());
            RatedBags::from_columns(offsets.to_vec(), ids, stars, timestamps)
        };
        let bags = of(&[0, 2, 2, 3], &[1, 0, 2], &[7, 9, 1]).unwrap();
        assert_eq!((bags.len(), bags.row(2).ids), (3, &[2][..]));
        for (offsets, ids, timestamps, why) in [
            (&[0, 2][..], &[1, 0][..], &[7][..], "not of one length"),
            (&[0, 1], &[1, 0], &[7, 9], "do not go through"),
            (&[0, 2, 1, 2], &[1, 0], &[7, 9], "do not go through"),
            (&[], &[], &[], "do not go through"),
            (&[0, 2], &[1, 0], &[9, 7], "not in order"),
            (&[0, 2], &[1, 0], &[7, 7], "not in order"),
        ] {
            let error = of(offsets, ids, timestamps).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_target_is_found_even_among_duplicates() {
        let rows = [
            rated(0, 5, 1.0, 3),
            rated(0, 7, 4.0, 9),
            rated(0, 7, 2.0, 9),
            rated(0, 7, 2.0, 4),
        ];
        let bags = RatedBags::new(Owner::User, 1, rows.into_iter());
        let bag = bags.row(0);
        for row in rows {
            let at = bag.position(row.movie, row.timestamp, row.stars).unwrap();
            assert_eq!((bag.ids[at], bag.stars[at]), (row.movie, row.stars));
        }
        assert_eq!(bag.position(7, 9, 3.0), None);
        assert_eq!(bag.position(6, 9, 4.0), None);
        assert_eq!(
            (bag.place(6, 9), bag.place(8, 9), bag.place(0, 0)),
            (2, 4, 0)
        );
    }
}

//! What of a user's history is looked at.

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::pairs::Pairs;
use crate::pairwise::Triples;

/// Samples that a thread draws at a time.
const AT_A_TIME: usize = 64;

/// For each sample the user and some of the user's items, as nodes of the graph: users first, then
/// items.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sequences {
    offsets: Vec<usize>,
    nodes: Vec<u32>,
}

impl Sequences {
    /// Of users and some items of each.
    pub fn of<T: AsRef<[u32]>>(rows: impl IntoIterator<Item = (u32, T)>, users: usize) -> Self {
        let mut sequences = Self {
            offsets: vec![0],
            nodes: Vec::new(),
        };
        for (user, items) in rows {
            sequences.nodes.push(user);
            let items = items.as_ref().iter().map(|item| users as u32 + item);
            sequences.nodes.extend(items);
            sequences.offsets.push(sequences.nodes.len());
        }
        sequences
    }

    /// For each triple at most `most` items of the user's, another subset for each, every subset
    /// being equally likely; without the triple's own where `exclude`.
    pub fn draw(
        triples: &Triples,
        pairs: &Pairs,
        (most, exclude): (usize, bool),
        draw: u64,
    ) -> Self {
        let of_triple = |number: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(draw);
            random.set_stream(number as u64 + 1);
            let items = pairs.of_user(triples.users[number]);
            let own = exclude.then_some(triples.rated[number]);
            let out = own.and_then(|own| items.binary_search(&own).ok());
            subset(items, out, most, &mut random)
        };
        let numbers = (0..triples.len()).into_par_iter();
        let drawn: Vec<Vec<u32>> = numbers.with_min_len(AT_A_TIME).map(of_triple).collect();
        Self::of(triples.users.iter().copied().zip(drawn), pairs.users())
    }

    /// The nodes of a sample, the user first.
    pub fn row(&self, sample: usize) -> &[u32] {
        &self.nodes[self.offsets[sample]..self.offsets[sample + 1]]
    }

    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// The same with other numbers for the nodes.
    pub fn renumbered(&self, number: impl Fn(u32) -> u32 + Sync) -> Self {
        let nodes = self.nodes.par_iter().with_min_len(1 << 12);
        Self {
            offsets: self.offsets.clone(),
            nodes: nodes.map(|&node| number(node)).collect(),
        }
    }
}

/// Of a history what is looked at where nothing is drawn anew: the same `most` of the same items,
/// whoever's they are, drawn by `seed`.
pub(super) fn cut(items: &[u32], most: usize, seed: u64) -> Vec<u32> {
    subset(items, None, most, &mut ChaCha8Rng::seed_from_u64(seed))
}

/// At most `most` of some items but the one in place `out`, in the same order.
fn subset(items: &[u32], out: Option<usize>, most: usize, random: &mut ChaCha8Rng) -> Vec<u32> {
    let count = items.len() - usize::from(out.is_some());
    // Those behind what is out move up by one.
    let item = |place: usize| items[place + usize::from(out.is_some_and(|out| place >= out))];
    if count <= most {
        return (0..count).map(item).collect();
    }
    let mut places = sample(random, count, most).into_vec();
    places.sort_unstable();
    places.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{Rated, RatedBags};

    use super::*;

    /// User `u` rated items 0 to `4·u`.
    fn pairs() -> Pairs {
        let rows = (0..5u32).flat_map(|user| {
            (0..4 * user).map(move |movie| Rated {
                user,
                movie,
                ..Rated::default()
            })
        });
        Pairs::of(&RatedBags::of_users(5, rows), 20).unwrap()
    }

    fn triples(user: u32, rated: u32, count: usize) -> Triples {
        Triples {
            users: vec![user; count],
            rated: vec![rated; count],
            others: vec![19; count],
            epoch: 0,
        }
    }

    #[test]
    fn each_sample_has_a_subset_of_its_own_and_each_item_as_often_as_others() {
        let pairs = pairs();
        let sequences = Sequences::draw(&triples(4, 3, 4000), &pairs, (4, false), 9);
        let mut counts = [0; 16];
        for sample in 0..4000 {
            let row = sequences.row(sample);
            assert_eq!((row.len(), row[0]), (5, 4));
            assert!(row[1..].is_sorted_by(|a, b| a < b));
            row[1..].iter().for_each(|&it| counts[it as usize - 5] += 1);
        }
        assert!(
            counts.iter().all(|count| (880..1120).contains(count)),
            "{counts:?}"
        );
        let others = Sequences::draw(&triples(4, 3, 4000), &pairs, (4, false), 10);
        assert_ne!(sequences, others);
    }

    #[test]
    fn the_target_is_left_out_where_it_should_be_and_short_histories_are_whole() {
        let pairs = pairs();
        for (rated, most) in [(3, 4), (0, 15), (15, 15), (7, 50)] {
            let sequences = Sequences::draw(&triples(4, rated, 99), &pairs, (most, true), 9);
            for sample in 0..99 {
                let row = sequences.row(sample);
                assert_eq!(row.len(), 1 + most.min(15));
                assert!(!row[1..].contains(&(5 + rated)));
            }
        }
        let whole = Sequences::draw(&triples(2, 3, 1), &pairs, (8, false), 9);
        assert_eq!(whole.row(0), [2, 5, 6, 7, 8, 9, 10, 11, 12]);
        let items: Vec<u32> = (0..90).collect();
        assert_eq!(cut(&items, 50, 7), cut(&items, 50, 7));
        assert_eq!(cut(&items[..50], 50, 7), items[..50]);
    }
}

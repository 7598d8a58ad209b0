//! Which triples an epoch learns from.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::pairs::Pairs;

/// Users, an item that each rated, and one that each did not, by dense row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triples {
    pub users: Vec<u32>,
    pub rated: Vec<u32>,
    pub others: Vec<u32>,
    /// Tells the epoch from others: what is drawn once an epoch is drawn by it.
    pub epoch: u64,
}

impl Triples {
    pub fn len(&self) -> usize {
        self.users.len()
    }
}

/// How the pairs of an epoch are drawn. The other item is even among all that the user did not
/// rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Every pair so many times, in an order that is drawn.
    EachPair { times: usize },
    /// As many as there are pairs: a user evenly, and evenly one of the user's items. Who rated
    /// much counts for less.
    UsersEvenly,
}

/// The triples of an epoch, a batch at a time.
pub(crate) struct Epoch {
    pairs: Arc<Pairs>,
    source: Source,
    size: usize,
    next: usize,
    seed: u64,
}

enum Source {
    /// Numbers of pairs.
    Pairs(Vec<u32>),
    /// So many pairs of some users.
    Users(Vec<u32>, usize),
}

impl Draw {
    /// How many triples an epoch has.
    pub fn rows(self, pairs: &Pairs) -> usize {
        match self {
            Self::EachPair { times } => times * learnable(pairs).count(),
            Self::UsersEvenly => learnable(pairs).count(),
        }
    }

    /// The triples of the epoch that `seed` belongs to, `size` at a time, without the first
    /// batches.
    pub(crate) fn epoch(self, pairs: &Arc<Pairs>, size: usize, seed: u64, first: usize) -> Epoch {
        let source = match self {
            Self::EachPair { times } => {
                let once: Vec<u32> = learnable(pairs).collect();
                let mut numbers = once.repeat(times);
                numbers.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                Source::Pairs(numbers)
            }
            Self::UsersEvenly => {
                let users = (0..pairs.users() as u32).filter(|&user| is_learnable(pairs, user));
                Source::Users(users.collect(), learnable(pairs).count())
            }
        };
        Epoch {
            pairs: Arc::clone(pairs),
            source,
            size,
            next: first,
            seed,
        }
    }
}

/// Whether there is something that the user rated, and something that the user did not.
fn is_learnable(pairs: &Pairs, user: u32) -> bool {
    !pairs.of_user(user).is_empty() && pairs.unrated(user) > 0
}

/// Numbers of the pairs whose user did not rate everything.
fn learnable(pairs: &Pairs) -> impl Iterator<Item = u32> {
    let users = (0..pairs.users() as u32).filter(|&user| is_learnable(pairs, user));
    users.flat_map(|user| pairs.numbers_of(user))
}

impl Epoch {
    fn rows(&self) -> usize {
        match &self.source {
            Source::Pairs(numbers) => numbers.len(),
            Source::Users(_, rows) => *rows,
        }
    }
}

impl Iterator for Epoch {
    type Item = Triples;

    fn next(&mut self) -> Option<Triples> {
        let start = self.next * self.size;
        let end = self.rows().min(start + self.size);
        if start >= end {
            return None;
        }
        // Each batch has random numbers of its own, whichever were drawn before it.
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.next as u64 + 1);
        self.next += 1;
        let mut triples = Triples {
            epoch: self.seed,
            ..Triples::default()
        };
        for place in start..end {
            let (user, rated) = match &self.source {
                Source::Pairs(numbers) => {
                    let number = numbers[place] as usize;
                    (self.pairs.user_of(number), self.pairs.item_of(number))
                }
                Source::Users(users, _) => {
                    let user = users[random.random_range(0..users.len())];
                    let rated = self.pairs.of_user(user);
                    (user, rated[random.random_range(0..rated.len())])
                }
            };
            let other = random.random_range(0..self.pairs.unrated(user));
            triples.users.push(user);
            triples.rated.push(rated);
            triples.others.push(self.pairs.unrated_item(user, other));
        }
        Some(triples)
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{Rated, RatedBags};

    use super::*;

    /// User `u` rated items 0 to `u`, of five.
    fn pairs() -> Arc<Pairs> {
        let rows = (0..5u32).flat_map(|user| {
            (0..=user).map(move |movie| Rated {
                user,
                movie,
                ..Rated::default()
            })
        });
        Arc::new(Pairs::of(&RatedBags::of_users(6, rows), 5).unwrap())
    }

    fn all(draw: Draw, seed: u64) -> Vec<(u32, u32, u32)> {
        let epoch = draw.epoch(&pairs(), 4, seed, 0);
        let of_batch = |it: Triples| {
            let ids = it.users.into_iter().zip(it.rated).zip(it.others);
            ids.map(|((user, rated), other)| (user, rated, other))
                .collect::<Vec<_>>()
        };
        epoch.flat_map(of_batch).collect()
    }

    #[test]
    fn an_epoch_has_every_pair_as_often_as_it_should_and_never_a_rated_item_as_the_other() {
        let draw = Draw::EachPair { times: 3 };
        let mut found = all(draw, 1);
        // Who rated everything has no other item; who rated nothing no pair.
        assert_eq!(found.len(), draw.rows(&pairs()));
        assert_eq!(found.len(), 3 * (1 + 2 + 3 + 4));
        for &(user, rated, other) in &found {
            assert!(rated <= user && other > user);
        }
        found.sort_unstable();
        let times = found
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(<[_]>::len);
        assert!(times.into_iter().all(|times| times == 3));
    }

    #[test]
    fn users_are_drawn_evenly_whatever_they_rated() {
        let mut counts = [0; 6];
        for seed in 0..200 {
            all(Draw::UsersEvenly, seed)
                .iter()
                .for_each(|triple| counts[triple.0 as usize] += 1);
        }
        assert_eq!((counts[4], counts[5]), (0, 0));
        assert!(
            counts[..4].iter().all(|&count| (430..570).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn batches_are_the_same_without_those_before_them_and_others_by_another_seed() {
        for draw in [Draw::EachPair { times: 1 }, Draw::UsersEvenly] {
            let whole: Vec<Triples> = draw.epoch(&pairs(), 4, 7, 0).collect();
            let rest: Vec<Triples> = draw.epoch(&pairs(), 4, 7, 1).collect();
            assert_eq!(whole[1..], rest[..]);
            assert_ne!(all(draw, 7), all(draw, 8));
        }
    }
}

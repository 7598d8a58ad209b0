//! What other users rated beside what a user rated.

use mmdlrm_data::RatedBags;
use mmdlrm_kernels::prefetch;
use rayon::prelude::*;

/// Places within which two ratings of a user are beside each other, each wider than the one
/// before; the last of [`KINDS`] looks as far as the widest, at what came after alone.
const WINDOWS: [usize; 3] = [1, 3, 10];
/// Place of the widest window, and how wide that is.
const LAST: usize = WINDOWS.len() - 1;
const WIDEST: usize = WINDOWS[LAST];
/// Ways to be beside: within each window, and after.
pub(super) const KINDS: usize = WINDOWS.len() + 1;
/// Places in which the weight of what a user rated last falls to 1/e.
const RECENCIES: [f32; 2] = [1.5, 6.0];
/// Places after which it weighs nothing.
const RECENT: usize = 30;
/// Seconds beyond which two ratings are of different sittings.
const SITTING: u32 = 6 * 3600;
/// What an item's count is added to before it divides.
const SHRINKAGE: f32 = 3.0;
/// The place of a movie that is not among those that are looked at.
const NOWHERE: u32 = u32::MAX;

/// Of each movie those that users rated beside it, and how often in each way.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    offsets: Vec<usize>,
    neighbours: Vec<Neighbour>,
    /// `1 / (n_i + 3)` of each movie.
    weights: Vec<f32>,
}

/// A movie that users rated beside another, and how often in each way. They lie together: a long
/// history's neighbours are more than caches hold.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    movie: u32,
    counts: [f32; KINDS],
}

/// What was rated beside a user's movies, each in all ways side by side: they are summed together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Near {
    /// `Σ_i c(i, j)`.
    pub count: [f32; KINDS],
    /// `Σ_i c(i, j) / (n_i + 3)`.
    pub sum: [f32; KINDS],
    /// `max_i c(i, j) / (n_i + 3)`.
    pub most: [f32; KINDS],
    /// `Σ_i e^(−a_i / r)·c(i, j) / (n_i + 3)`, with `a_i` ratings after `i`, of each recency `r`.
    pub recent: [[f32; KINDS]; RECENCIES.len()],
}

/// Of some movies, for one user.
#[derive(Debug, Default)]
pub struct BesideUser {
    movies: Vec<u32>,
    near: Vec<Near>,
    /// Of each movie its place among these, or [`NOWHERE`].
    places: Vec<u32>,
}

/// Counts of one movie, and which movies have any.
#[derive(Default)]
struct Counting {
    counts: Vec<[f32; KINDS]>,
    touched: Vec<u32>,
}

impl Beside {
    /// Of each movie the `neighbours` with most in the widest window, of those with as many the
    /// first.
    pub fn fit(histories: &RatedBags, audiences: &RatedBags, neighbours: usize) -> Self {
        let movies = audiences.len();
        let of_movies: Vec<Vec<Neighbour>> = (0..movies as u32)
            .into_par_iter()
            .map_init(Counting::default, |counting, movie| {
                counting.count(histories, audiences, movie);
                counting.take(neighbours)
            })
            .collect();
        let mut beside = Self {
            offsets: vec![0],
            weights: (0..movies as u32)
                .map(|movie| 1.0 / (audiences.row(movie).len() as f32 + SHRINKAGE))
                .collect(),
            ..Self::default()
        };
        for of_movie in of_movies {
            beside.neighbours.extend(of_movie);
            beside.offsets.push(beside.neighbours.len());
        }
        beside
    }

    fn neighbours_of(&self, movie: u32) -> &[Neighbour] {
        let movie = movie as usize;
        &self.neighbours[self.offsets[movie]..self.offsets[movie + 1]]
    }

    /// Sums for some movies over those that a user rated.
    pub fn look_at(&self, rated: &[u32], movies: &[u32], user: &mut BesideUser) {
        user.start(movies, self.weights.len());
        for (before, &movie) in rated.iter().enumerate() {
            if let Some(&next) = rated.get(before + 1) {
                prefetch(self.neighbours_of(next));
            }
            let recencies = recencies(rated.len() - 1 - before);
            let weight = self.weights[movie as usize];
            for neighbour in self.neighbours_of(movie) {
                let place = user.places[neighbour.movie as usize];
                if place != NOWHERE {
                    user.near[place as usize].add(&neighbour.counts, weight, recencies);
                }
            }
        }
    }
}

impl Near {
    fn add(
        &mut self,
        counts: &[f32; KINDS],
        weight: f32,
        recencies: Option<[f32; RECENCIES.len()]>,
    ) {
        let shares = counts.map(|count| count * weight);
        add(&mut self.count, counts);
        add(&mut self.sum, &shares);
        for (most, &share) in self.most.iter_mut().zip(&shares) {
            *most = if share > *most { share } else { *most };
        }
        if let Some(recencies) = recencies {
            for (recent, weight) in self.recent.iter_mut().zip(recencies) {
                add(recent, &shares.map(|share| weight * share));
            }
        }
    }
}

fn add(sums: &mut [f32; KINDS], x: &[f32; KINDS]) {
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}

/// What a rating weighs that so many came after, of each recency; `None` of nothing.
fn recencies(after: usize) -> Option<[f32; RECENCIES.len()]> {
    let weights = || RECENCIES.map(|recency| (-(after as f32) / recency).exp());
    (after < RECENT).then(weights)
}

impl BesideUser {
    /// Of a movie that was looked at, in each way.
    pub(super) fn of(&self, movie: usize) -> &Near {
        &self.near[self.places[movie] as usize]
    }

    fn start(&mut self, movies: &[u32], of_all: usize) {
        for movie in self.movies.drain(..) {
            self.places[movie as usize] = NOWHERE;
        }
        self.places.resize(of_all, NOWHERE);
        for (&movie, place) in movies.iter().zip(0..) {
            self.places[movie as usize] = place;
        }
        self.movies.extend(movies);
        self.near.clear();
        self.near.resize(movies.len(), Near::default());
    }
}

impl Counting {
    /// Goes over all ratings of a movie, and those beside each.
    fn count(&mut self, histories: &RatedBags, audiences: &RatedBags, movie: u32) {
        self.counts.resize(audiences.len(), [0.0; KINDS]);
        let audience = audiences.row(movie);
        for (&user, &time) in audience.ids.iter().zip(audience.timestamps) {
            let history = histories.row(user);
            let place = history.place(movie, time);
            let range = place.saturating_sub(WIDEST)..history.len().min(place + WIDEST + 1);
            for other in range {
                let apart = history.timestamps[other].abs_diff(time);
                if other == place || apart >= SITTING {
                    continue;
                }
                let counts = &mut self.counts[history.ids[other] as usize];
                if counts[LAST] == 0.0 {
                    self.touched.push(history.ids[other]);
                }
                for (count, window) in counts.iter_mut().zip(WINDOWS) {
                    *count += f32::from(u8::from(other.abs_diff(place) <= window));
                }
                counts[KINDS - 1] += f32::from(u8::from(other > place));
            }
        }
    }

    /// The most frequent, by movie; nothing is left of them.
    fn take(&mut self, neighbours: usize) -> Vec<Neighbour> {
        let taken = self.touched.drain(..).map(|movie| Neighbour {
            movie,
            counts: std::mem::take(&mut self.counts[movie as usize]),
        });
        let mut taken: Vec<_> = taken.collect();
        if taken.len() > neighbours {
            taken.select_nth_unstable_by(neighbours, |a, b| {
                let most = b.counts[LAST].total_cmp(&a.counts[LAST]);
                most.then(a.movie.cmp(&b.movie))
            });
            taken.truncate(neighbours);
            // Of all movies together what is beyond would be many times what is kept.
            taken.shrink_to_fit();
        }
        taken.sort_unstable_by_key(|neighbour| neighbour.movie);
        taken
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::Rated;

    use super::*;

    #[test]
    fn ratings_of_a_sitting_are_beside_each_other_both_ways() {
        let rated = |user, movie, timestamp| Rated {
            user,
            movie,
            stars: 3.0,
            timestamp,
        };
        let rows = [
            rated(0, 0, 10),
            rated(0, 1, 20),
            rated(0, 2, 30),
            // Another day.
            rated(0, 3, 100_000),
            rated(1, 0, 5),
            rated(1, 1, 6),
        ];
        let histories = RatedBags::of_users(2, rows.into_iter());
        let audiences = RatedBags::of_movies(5, rows.into_iter());
        let beside = Beside::fit(&histories, &audiences, 9);
        let mut user = BesideUser::default();
        beside.look_at(&[0], &[1, 2, 3], &mut user);
        let near = |counts: [f32; KINDS], after: i32| {
            let shares = counts.map(|count| count / 5.0);
            let weight = |recency: f32| (-(after as f32) / recency).exp();
            Near {
                count: counts,
                sum: shares,
                most: shares,
                recent: RECENCIES.map(|recency| shares.map(|share| share * weight(recency))),
            }
        };
        assert_eq!(user.of(1), &near([2.0; KINDS], 0));
        assert_eq!(user.of(2), &near([0.0, 1.0, 1.0, 1.0], 0));
        assert_eq!(user.of(3), &Near::default());
        // What was rated longest ago weighs least where it is recency that counts, and what came
        // before is not after.
        beside.look_at(&[1, 3], &[0], &mut user);
        assert_eq!(user.of(0), &near([2.0, 2.0, 2.0, 0.0], 1));
        // The one that is beside most often alone; whoever was looked at before is forgotten.
        let beside = Beside::fit(&histories, &audiences, 1);
        beside.look_at(&[0], &[2, 1], &mut user);
        assert_eq!(user.of(1), &near([2.0; KINDS], 0));
        assert_eq!(user.of(2), &Near::default());
    }
}

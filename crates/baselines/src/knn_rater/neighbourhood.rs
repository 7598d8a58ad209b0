//! What neighbours make of a baseline.

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_train::Cause;

use super::similar::Similar;
use super::{KnnRater, Side};

/// Somebody who is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person<'a> {
    /// `b_u`.
    pub bias: f32,
    /// What the baseline leaves of their ratings, by movie.
    pub deviations: RatedBag<'a>,
    /// Of users as neighbours, those most like them, the most first.
    pub alike: &'a [(u32, f32)],
}

/// Room for the neighbours of each movie.
#[derive(Default)]
pub(super) struct Room {
    /// Of movies as neighbours what the baseline leaves of the user's rating, NaN of those without.
    rated: Vec<f32>,
    /// Of users as neighbours what is known of each movie.
    sums: Vec<Sums>,
}

/// Over the neighbours of one movie.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// `Σ sim·(r − b)`.
    deviations: f64,
    /// `Σ sim`.
    similarities: f64,
    count: usize,
}

impl Sums {
    fn add(&mut self, similarity: f32, deviation: f32) {
        self.deviations += f64::from(similarity) * f64::from(deviation);
        self.similarities += f64::from(similarity);
        self.count += 1;
    }

    /// What neighbours add to the baseline; nothing where there are none.
    fn deviation(self) -> f32 {
        match self.count {
            0 => 0.0,
            _ => (self.deviations / self.similarities) as f32,
        }
    }
}

impl KnnRater {
    /// Hands out the stars of each of `items`, in order.
    pub(super) fn rate_person(
        &self,
        person: &Person,
        items: impl Iterator<Item = u32>,
        room: &mut Room,
        mut take: impl FnMut(f32),
    ) {
        let k = self.config.neighbours;
        let baseline = |item| self.baseline.stars(person.bias, item);
        match self.config.side {
            Side::Items => {
                room.rate(person.deviations, self.baseline.movies.len());
                for item in items {
                    let mut sums = Sums::default();
                    neighbours(&self.similar, item, &room.rated, k)
                        .for_each(|(_, similarity, deviation)| sums.add(similarity, deviation));
                    take(baseline(item) + sums.deviation());
                }
                room.forget(person.deviations);
            }
            Side::Users => {
                room.sums.clear();
                room.sums
                    .resize(self.baseline.movies.len(), Sums::default());
                add_ratings(&self.deviations, person.alike, k, &mut room.sums);
                items
                    .map(|item| baseline(item) + room.sums[item as usize].deviation())
                    .for_each(take);
            }
        }
    }

    /// What each neighbour of a movie adds to its stars: these are the baseline and all of that.
    pub(super) fn causes(&self, person: &Person, items: &[u32]) -> Vec<Vec<Cause>> {
        let mut room = Room::default();
        room.rate(person.deviations, self.baseline.movies.len());
        let of_item = |&item: &u32| {
            let neighbours = neighbours(&self.similar, item, &room.rated, self.config.neighbours);
            let neighbours: Vec<(u32, f32, f32)> = neighbours.collect();
            let all: f64 = neighbours.iter().map(|it| f64::from(it.1)).sum();
            let cause = |&(item, similarity, deviation): &(u32, f32, f32)| Cause {
                item,
                amount: (f64::from(similarity) * f64::from(deviation) / all) as f32,
            };
            neighbours.iter().map(cause).collect()
        };
        items.iter().map(of_item).collect()
    }
}

impl Room {
    fn rate(&mut self, deviations: RatedBag, movies: usize) {
        self.rated.resize(movies, f32::NAN);
        for (movie, deviation) in deviations.stars_by_id() {
            self.rated[movie as usize] = deviation;
        }
    }

    fn forget(&mut self, deviations: RatedBag) {
        let rated = &mut self.rated;
        deviations
            .ids
            .iter()
            .for_each(|&movie| rated[movie as usize] = f32::NAN);
    }
}

/// The `k` movies most like one of those that are rated, each with its similarity and deviation.
fn neighbours<'a>(
    similar: &'a Similar,
    item: u32,
    rated: &'a [f32],
    k: usize,
) -> impl Iterator<Item = (u32, f32, f32)> + 'a {
    let alike = similar.row(item).iter();
    let with_deviation =
        alike.map(|&(other, similarity)| (other, similarity, rated[other as usize]));
    with_deviation
        .filter(|(_, _, deviation)| !deviation.is_nan())
        .take(k)
}

/// Adds the ratings of those most like somebody, the most first, so that of each movie the first
/// `k` who rated it are the neighbours.
fn add_ratings(deviations: &RatedBags, alike: &[(u32, f32)], k: usize, sums: &mut [Sums]) {
    for &(user, similarity) in alike {
        for (movie, deviation) in deviations.row(user).stars_by_id() {
            let sums = &mut sums[movie as usize];
            if sums.count < k {
                sums.add(similarity, deviation);
            }
        }
    }
}

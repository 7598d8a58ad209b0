//! The shape of ml-25m: how active users are, how popular movies, how often
//! each rating is given.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Ratings of 0.5, 1, … 5 stars in ml-25m.
pub(super) const RATING_COUNTS: [u32; 10] = [
    393_068, 776_815, 399_490, 1_640_868, 1_262_797, 4_896_928, 3_177_318, 6_639_798, 2_200_539,
    3_612_474,
];

/// Ratings of the user at each quantile: ml-25m has no user below 20, a median
/// of 71, a mean of 154 and a most active one of 32,202. Between the points the
/// logarithm runs straight.
const ACTIVITY: [(f64, f64); 10] = [
    (0.0, 20.0),
    (0.25, 36.0),
    (0.5, 71.0),
    (0.75, 162.0),
    (0.9, 350.0),
    (0.95, 550.0),
    (0.99, 1230.0),
    (0.999, 2700.0),
    (0.9999, 6000.0),
    (1.0, 32_202.0),
];

/// Relative popularity of the movie at each rank, for a catalogue of
/// [`RANKS`]: a head of a few thousand movies has nearly all ratings, and half
/// of the movies have a handful or none. Between the points both logarithms
/// run straight.
const POPULARITY: [(f64, f64); 13] = [
    (1.0, 82_000.0),
    (10.0, 62_000.0),
    (100.0, 36_000.0),
    (300.0, 21_000.0),
    (1000.0, 7800.0),
    (3000.0, 1600.0),
    (6000.0, 420.0),
    (10_000.0, 135.0),
    (20_000.0, 20.0),
    (30_000.0, 7.0),
    (40_000.0, 2.5),
    (50_000.0, 1.2),
    (62_423.0, 0.4),
];
const RANKS: f64 = 62_423.0;

/// Users with more than this share of the catalogue draw from all movies at
/// once: drawing again and again until a new one comes would take long.
const DRAW_AT_ONCE: usize = 16;

/// Ratings of each user: random quantiles of [`ACTIVITY`], scaled so that they
/// add up to `ratings`; each at least 1 and at most half of `movies`, or the
/// mean where that is more.
pub(super) fn activity(users: u32, movies: u32, ratings: u64, random: &mut ChaCha8Rng) -> Vec<u32> {
    let quantiles: Vec<f64> = (0..users)
        .map(|_| interpolate(&ACTIVITY, random.random(), |x| x))
        .collect();
    let most = (ratings.div_ceil(u64::from(users)) as f64).max(f64::from(movies / 2));
    let at = |factor: f64, quantile: f64| (quantile * factor).floor().clamp(1.0, most) as u32;
    let sum = |factor: f64| -> u64 {
        let counts = quantiles.iter().map(|&quantile| at(factor, quantile));
        counts.map(u64::from).sum()
    };
    let (mut low, mut high) = (0.0, most);
    // Enough halvings to tell any two counts apart.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        *(if sum(middle) <= ratings {
            &mut low
        } else {
            &mut high
        }) = middle;
    }
    let mut counts: Vec<u32> = quantiles.iter().map(|&it| at(low, it)).collect();
    let mut missing = ratings - counts.iter().map(|&count| u64::from(count)).sum::<u64>();
    while missing > 0 {
        for count in counts.iter_mut().filter(|count| f64::from(**count) < most) {
            if missing == 0 {
                break;
            }
            *count += 1;
            missing -= 1;
        }
    }
    counts
}

/// Draws movies, popular ones more often.
pub(super) struct Popularity {
    weights: Vec<f64>,
    /// Walker's alias method: a draw takes place `i` where its random number
    /// is below `threshold`, otherwise `alias`.
    table: Vec<(u32, u32)>,
}

/// What a thread needs to draw the movies of a user.
#[derive(Default)]
pub(super) struct Draw {
    /// The user that last drew each movie, plus one.
    drawn_by: Vec<u32>,
    pub movies: Vec<u32>,
}

impl Popularity {
    /// `ranks` has the popularity rank of each movie, from 0.
    pub fn new(ranks: &[u32]) -> Self {
        let scale = RANKS / ranks.len().max(1) as f64;
        let weights: Vec<f64> = ranks
            .iter()
            .map(|&rank| {
                let rank = ((f64::from(rank) + 0.5) * scale).max(1.0);
                interpolate(&POPULARITY, rank, libm::log)
            })
            .collect();
        let table = alias_table(&weights);
        Self { weights, table }
    }

    /// Draws `count` different movies for `user`, ascending.
    pub fn draw(&self, user: u32, count: usize, random: &mut ChaCha8Rng, draw: &mut Draw) {
        draw.drawn_by.resize(self.weights.len(), 0);
        draw.movies.clear();
        if count > self.weights.len() / DRAW_AT_ONCE {
            self.draw_at_once(count, random, &mut draw.movies);
        }
        while draw.movies.len() < count {
            let bits: u64 = random.random();
            let place = ((bits >> 32) * self.table.len() as u64) >> 32;
            let (threshold, alias) = self.table[place as usize];
            let movie = if (bits as u32) < threshold {
                place as u32
            } else {
                alias
            };
            let drawn_by = &mut draw.drawn_by[movie as usize];
            if *drawn_by != user + 1 {
                *drawn_by = user + 1;
                draw.movies.push(movie);
            }
        }
        draw.movies.sort_unstable();
    }

    /// Exponential clocks (Efraimidis and Spirakis 2006): the first `count` to
    /// ring are as if drawn one after another without repeats.
    fn draw_at_once(&self, count: usize, random: &mut ChaCha8Rng, movies: &mut Vec<u32>) {
        let mut clocks: Vec<(f64, u32)> = self
            .weights
            .iter()
            .zip(0..)
            .map(|(weight, movie)| (-libm::log(1.0 - random.random::<f64>()) / weight, movie))
            .collect();
        if count < clocks.len() {
            clocks.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0));
        }
        movies.extend(clocks[..count].iter().map(|&(_, movie)| movie));
    }
}

fn alias_table(weights: &[f64]) -> Vec<(u32, u32)> {
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    let mut shares: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
    let places = 0..weights.len() as u32;
    let (mut small, mut large): (Vec<u32>, Vec<u32>) =
        places.partition(|&place| shares[place as usize] < 1.0);
    let mut table: Vec<(u32, u32)> = (0..weights.len() as u32)
        .map(|place| (u32::MAX, place))
        .collect();
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        let share = shares[poor as usize];
        table[poor as usize] = ((share * f64::from(u32::MAX)) as u32, rich);
        shares[rich as usize] -= 1.0 - share;
        if shares[rich as usize] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    table
}

/// The value at `x`: its logarithm runs straight between the `points`, over
/// `scale(x)`.
fn interpolate(points: &[(f64, f64)], x: f64, scale: impl Fn(f64) -> f64) -> f64 {
    let after = points
        .partition_point(|point| point.0 <= x)
        .clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[after - 1], points[after]);
    let part = (scale(x) - scale(x0)) / (scale(x1) - scale(x0));
    libm::exp(libm::log(y0) + part * (libm::log(y1) - libm::log(y0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn activity_adds_up_and_has_the_median_of_the_table() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut counts = activity(20_000, 62_423, 20_000 * 154, &mut random);
        assert_eq!(
            counts.iter().map(|&it| u64::from(it)).sum::<u64>(),
            3_080_000
        );
        counts.sort_unstable();
        assert!((60..85).contains(&counts[10_000]), "{}", counts[10_000]);
        // All of a small catalogue's room is found.
        let counts = activity(10, 20, 100, &mut random);
        assert_eq!(counts, [10; 10]);
    }

    #[test]
    fn popular_movies_are_drawn_more_often_and_none_twice() {
        let popularity = Popularity::new(&(0..1000).rev().collect::<Vec<_>>());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut draw = Draw::default();
        let mut counts = vec![0u32; 1000];
        for user in 0..2000 {
            let wanted = 1 + user as usize % 200;
            popularity.draw(user, wanted, &mut random, &mut draw);
            assert_eq!(draw.movies.len(), wanted);
            assert!(draw.movies.windows(2).all(|pair| pair[0] < pair[1]));
            draw.movies.iter().for_each(|&it| counts[it as usize] += 1);
        }
        let head: u32 = counts[900..].iter().sum();
        assert!(head * 2 > counts.iter().sum(), "{head}");
        assert!(counts[999] > 10 * counts[300].max(1));
    }
}

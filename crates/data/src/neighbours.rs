//! Dense features of a (user, movie, time) from biases and from the ratings that
//! stand near: the user's other ratings near in time, in the year of the movie
//! and in how well the movie is liked, and the movie's other ratings near in
//! time.

use std::sync::Arc;

use rayon::prelude::*;

use crate::biases::{Bias, Biases};
use crate::rated::Rated;
use crate::rated_bags::{RatedBag, RatedBags};

/// Ratings before, and after, that are looked at: so that the cost of a row does
/// not grow with the bag.
const REACH: usize = 256;
/// Rows that the scale of the features is fitted to, at most.
const SCALE_ROWS: usize = 200_000;
/// Standardised features are cut off here.
const LIMIT: f32 = 6.0;

/// Seconds in which the nearest of the kernels of time falls to 1/e.
const SHORTEST: f32 = 20.0;
/// Each of the kernels of time is as many times wider than the one before.
const WIDER: i32 = 8;
const TIME_KERNELS: usize = 5;
/// Ratings in which each kernel of rank falls to 1/e.
const RANKS: [f32; 3] = [1.0, 3.0, 10.0];
/// Years in which the kernel of release years falls to 1/e.
const YEARS: f32 = 4.0;
/// Stars in which the kernel of movies' biases falls to 1/e.
const QUALITY: f32 = 0.2;
/// Seconds that a sitting lasts.
const SITTING: f32 = 1800.0;
/// Seconds in which the kernel of a movie's ratings falls to 1/e: a year.
const SEASON: f32 = 31_536_000.0;
const SECONDS_A_DAY: f32 = 86_400.0;

const BASIC: [&str; 13] = [
    "user_bias",
    "movie_bias",
    "user_count",
    "movie_count",
    "user_spread",
    "movie_spread",
    "year",
    "near_year",
    "near_year_mass",
    "near_quality",
    "near_quality_mass",
    "quality_slope",
    "quality_slope_mass",
];
const OF_TIME: [&str; 24] = [
    "time",
    "user_days",
    "movie_days",
    "movie_age",
    "near_time_0",
    "near_time_0_mass",
    "near_time_1",
    "near_time_1_mass",
    "near_time_2",
    "near_time_2_mass",
    "near_time_3",
    "near_time_3_mass",
    "near_time_4",
    "near_time_4_mass",
    "near_rank_0",
    "near_rank_0_mass",
    "near_rank_1",
    "near_rank_1_mass",
    "near_rank_2",
    "near_rank_2_mass",
    "nearest",
    "sitting",
    "movie_season",
    "movie_season_mass",
];

/// Training ratings by user and by movie, and the features that they give.
#[derive(Clone)]
pub(crate) struct Neighbours {
    pub histories: Arc<RatedBags>,
    pub audiences: Arc<RatedBags>,
    pub biases: Biases,
    names: Vec<&'static str>,
    /// Year of each movie; the mean of those known where it is not.
    years: Vec<f32>,
    /// Whether times are looked at.
    times: bool,
    /// Latest training time of all.
    latest: u32,
    /// Mean and inverse deviation of each raw feature over the training rows.
    scale: Vec<(f32, f32)>,
}

/// A mean of residuals under a kernel.
#[derive(Clone, Copy, Default)]
struct Kernel {
    mass: f32,
    sum: f32,
}

impl Kernel {
    #[inline]
    fn add(&mut self, weight: f32, residual: f32) {
        self.mass += weight;
        self.sum += weight * residual;
    }

    /// The mean, shrunk by ratings of the average, and the logarithm of the mass.
    fn write(self, shrinkage: f32, out: &mut Vec<f32>) {
        out.push(self.sum / (self.mass + shrinkage));
        out.push(self.mass.ln_1p());
    }
}

impl Neighbours {
    /// `histories` and `audiences` hold the training rows, their times all 0
    /// where `times` are not to be looked at.
    pub fn fit(histories: RatedBags, audiences: RatedBags, years: Vec<f32>, times: bool) -> Self {
        let biases = Biases::fit(&histories, &audiences);
        let mut names = BASIC.to_vec();
        if times {
            names.extend(OF_TIME);
        }
        let users = 0..histories.len() as u32;
        let latest = users.filter_map(|user| histories.row(user).timestamps.last().copied());
        let mut neighbours = Self {
            latest: latest.max().unwrap_or(0),
            scale: vec![(0.0, 1.0); names.len()],
            histories: Arc::new(histories),
            audiences: Arc::new(audiences),
            biases,
            names,
            years,
            times,
        };
        neighbours.scale = neighbours.fit_scale();
        neighbours
    }

    /// With a movie more, that nobody has rated.
    pub fn with_movie(mut self, year: f32) -> Self {
        self.years.push(year);
        self.biases.add_movie();
        self
    }

    /// For other users, whose ratings are not in the audiences.
    pub fn for_users(self, histories: RatedBags) -> Self {
        Self {
            biases: self.biases.for_users(&histories),
            histories: Arc::new(histories),
            ..self
        }
    }

    /// Names of the features.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// The row's time as the features see it.
    pub fn time(&self, timestamp: u32) -> u32 {
        if self.times { timestamp } else { 0 }
    }

    /// Writes the features of a row and returns what is known of its user and
    /// movie. The row's own rating is left out where it is in the training set, as
    /// [`Biases`] leave it out: residuals of the others are of biases fitted with it.
    pub fn fill(&self, rated: &Rated, leave_own_out: bool, out: &mut [f32]) -> (Bias, Bias) {
        let mut raw = Vec::with_capacity(out.len());
        let biases = self.raw(rated, leave_own_out, &mut raw);
        for ((out, raw), &(mean, inverse)) in out.iter_mut().zip(raw).zip(&self.scale) {
            *out = ((raw - mean) * inverse).clamp(-LIMIT, LIMIT);
        }
        biases
    }

    fn raw(&self, rated: &Rated, leave_own_out: bool, out: &mut Vec<f32>) -> (Bias, Bias) {
        let rated = &Rated {
            timestamp: self.time(rated.timestamp),
            ..*rated
        };
        let (user, movie) = self.biases.of_row(rated, leave_own_out);
        let year = self.years[rated.movie as usize];
        out.extend([
            user.bias as f32,
            movie.bias as f32,
            user.count.max(0.0).ln_1p() as f32,
            movie.count.max(0.0).ln_1p() as f32,
            user.spread as f32,
            movie.spread as f32,
            year,
        ]);
        let history = self.histories.row(rated.user);
        let around = around(history, rated.movie, rated, leave_own_out);
        self.of_tastes(history, &around, rated, (user, movie), out);
        if self.times {
            self.of_times(history, rated, year, out);
            self.of_sittings(history, &around, rated, user, out);
            self.of_season(rated, leave_own_out, movie, out);
        }
        (user, movie)
    }

    /// The user's other ratings of movies of that time, and as well liked.
    fn of_tastes(
        &self,
        history: RatedBag,
        around: &Around,
        rated: &Rated,
        (user, movie): (Bias, Bias),
        out: &mut Vec<f32>,
    ) {
        let (mut years, mut qualities, mut slope) =
            (Kernel::default(), Kernel::default(), Kernel::default());
        let (own_year, own_bias) = (self.years[rated.movie as usize], movie.bias as f32);
        around.for_each(|at, _| {
            let other = history.ids[at];
            let residual = self.biases.of_history(other, history.stars[at]) - user.bias;
            let (residual, bias) = (residual as f32, self.biases.movie(other) as f32);
            let apart = (own_year - self.years[other as usize]).abs();
            years.add((-apart / YEARS).exp(), residual);
            qualities.add((-(own_bias - bias).abs() / QUALITY).exp(), residual);
            // A regression of the residuals on the movies' biases.
            slope.mass += bias * bias;
            slope.sum += bias * residual;
        });
        for kernel in [years, qualities, slope] {
            kernel.write(2.0, out);
        }
    }

    fn of_times(&self, history: RatedBag, rated: &Rated, year: f32, out: &mut Vec<f32>) {
        let audience = self.audiences.row(rated.movie);
        let days_since = |first: Option<&u32>| {
            let first = first.copied().unwrap_or(self.latest);
            let seconds = rated.timestamp.saturating_sub(first);
            (seconds as f32 / SECONDS_A_DAY).ln_1p()
        };
        out.extend([
            rated.timestamp as f32,
            days_since(history.timestamps.first()),
            days_since(audience.timestamps.first()),
            1970.0 + rated.timestamp as f32 / SEASON - year,
        ]);
    }

    /// The user's other ratings before and after.
    fn of_sittings(
        &self,
        history: RatedBag,
        around: &Around,
        rated: &Rated,
        user: Bias,
        out: &mut Vec<f32>,
    ) {
        let mut times = [Kernel::default(); TIME_KERNELS];
        let mut ranks = [Kernel::default(); RANKS.len()];
        let (mut nearest, mut sitting) = (f32::MAX, 0f32);
        let widest = SHORTEST * (WIDER.pow(TIME_KERNELS as u32 - 1)) as f32;
        around.for_each(|at, rank| {
            let residual = self.biases.of_history(history.ids[at], history.stars[at]) - user.bias;
            let residual = residual as f32;
            let apart = rated.timestamp.abs_diff(history.timestamps[at]) as f32;
            nearest = nearest.min(apart);
            sitting += if apart < SITTING { 1.0 } else { 0.0 };
            let mut weight = (-apart / widest).exp();
            for kernel in times.iter_mut().rev() {
                kernel.add(weight, residual);
                // Eight times narrower.
                weight = weight.powi(WIDER);
            }
            for (kernel, width) in ranks.iter_mut().zip(RANKS) {
                kernel.add((-(rank as f32) / width).exp(), residual);
            }
        });
        times.iter().for_each(|kernel| kernel.write(1.0, out));
        ranks.iter().for_each(|kernel| kernel.write(0.5, out));
        out.extend([nearest.min(1e9).ln_1p(), sitting.ln_1p()]);
    }

    /// The movie's other ratings of that season.
    fn of_season(&self, rated: &Rated, leave_own_out: bool, movie: Bias, out: &mut Vec<f32>) {
        let audience = self.audiences.row(rated.movie);
        let mut season = Kernel::default();
        around(audience, rated.user, rated, leave_own_out).for_each(|at, _| {
            let residual = self
                .biases
                .of_audience(audience.ids[at], audience.stars[at]);
            let apart = rated.timestamp.abs_diff(audience.timestamps[at]) as f32;
            season.add((-apart / SEASON).exp(), (residual - movie.bias) as f32);
        });
        season.write(2.0, out);
    }

    fn fit_scale(&self) -> Vec<(f32, f32)> {
        let stride = self.histories.ratings().div_ceil(SCALE_ROWS).max(1);
        let users = (0..self.histories.len() as u32).flat_map(|user| {
            let bag = self.histories.row(user);
            (0..bag.len()).map(move |at| Rated {
                user,
                movie: bag.ids[at],
                stars: bag.stars[at],
                timestamp: bag.timestamps[at],
            })
        });
        let sampled: Vec<Rated> = users.step_by(stride).collect();
        let features: Vec<Vec<f32>> = sampled
            .par_iter()
            .map(|rated| {
                let mut raw = Vec::new();
                self.raw(rated, true, &mut raw);
                raw
            })
            .collect();
        let count = features.len().max(1) as f64;
        let column = |column: usize| {
            let values = || features.iter().map(|row| f64::from(row[column]));
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let inverse = if variance > 0.0 {
                variance.sqrt().recip()
            } else {
                0.0
            };
            (mean as f32, inverse as f32)
        };
        (0..self.names.len()).map(column).collect()
    }
}

/// The ratings of a bag before and after a row, without the row itself.
struct Around {
    /// Where the first of those before stands, and behind the last.
    before: (usize, usize),
    after: (usize, usize),
}

fn around(bag: RatedBag, id: u32, rated: &Rated, leave_own_out: bool) -> Around {
    let own = if leave_own_out {
        bag.position(id, rated.timestamp, rated.stars)
    } else {
        None
    };
    let place = own.unwrap_or_else(|| bag.place(id, rated.timestamp));
    let behind = place + usize::from(own.is_some());
    Around {
        before: (place.saturating_sub(REACH), place),
        after: (behind, bag.len().min(behind + REACH)),
    }
}

impl Around {
    /// Hands out the place in the bag of each rating, and how many stand between.
    #[inline]
    fn for_each(&self, mut take: impl FnMut(usize, usize)) {
        for at in self.before.0..self.before.1 {
            take(at, self.before.1 - 1 - at);
        }
        for at in self.after.0..self.after.1 {
            take(at, at - self.after.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rated::rated;
    use crate::rated_bags::Owner;

    fn fit(rows: &[Rated], users: usize, years: &[f32], times: bool) -> Neighbours {
        let histories = RatedBags::new(Owner::User, users, rows.iter().copied());
        let audiences = RatedBags::new(Owner::Movie, years.len(), rows.iter().copied());
        Neighbours::fit(histories, audiences, years.to_vec(), times)
    }

    fn feature(neighbours: &Neighbours, rated: &Rated, own: bool, name: &str) -> f32 {
        let mut raw = Vec::new();
        neighbours.raw(rated, own, &mut raw);
        assert_eq!(raw.len(), neighbours.names().len());
        let column = neighbours.names().iter().position(|it| *it == name);
        raw[column.unwrap()]
    }

    #[test]
    fn kernels_weigh_the_users_other_ratings_and_never_the_row_itself() {
        let rows = [
            rated(0, 0, 5.0, 1_000_000),
            rated(0, 1, 1.0, 1_000_020),
            rated(0, 2, 4.0, 9_000_000),
            rated(1, 2, 3.0, 5),
        ];
        let years = [1990.0, 1990.0, 2010.0, 1994.0];
        let neighbours = fit(&rows, 3, &years, true);
        let e = std::f32::consts::E;
        // One other rating 20 s away, the other too far for the narrow kernel.
        let mass = feature(&neighbours, &rows[0], true, "near_time_0_mass");
        // Powers of a number near 1 lose some digits.
        assert!((mass - (1.0 / e).ln_1p()).abs() < 1e-3);
        let (user, _) = neighbours.biases.of_row(&rows[0], true);
        let residual = (neighbours.biases.of_history(1, 1.0) - user.bias) as f32;
        let mean = feature(&neighbours, &rows[0], true, "near_time_0");
        assert!((mean - residual / e / (1.0 / e + 1.0)).abs() < 1e-3);
        // Held out, the same row at the same moment has one more beside it.
        let held_out = feature(&neighbours, &rows[0], false, "near_time_0_mass");
        assert!((held_out - (1.0 + 1.0 / e).ln_1p()).abs() < 1e-3);
        // Ranks count ratings, whatever lies between: 1 and 1/e.
        let mass = feature(&neighbours, &rows[0], true, "near_rank_0_mass");
        assert!((mass - (1.0 + 1.0 / e).ln_1p()).abs() < 1e-5);
        // One kernel of 0 years, one of 20.
        let mass = feature(&neighbours, &rows[0], true, "near_year_mass");
        assert!((mass - (1.0 + (-5f32).exp()).ln_1p()).abs() < 1e-5);
        let nearest = feature(&neighbours, &rows[2], true, "nearest");
        assert!((nearest - (9_000_000f32 - 1_000_020.0).ln_1p()).abs() < 1e-3);
        assert_eq!(
            feature(&neighbours, &rows[0], true, "sitting"),
            1f32.ln_1p()
        );
        // A user and a movie that nobody knows.
        for name in ["near_time_4", "near_year", "movie_season", "user_bias"] {
            assert_eq!(feature(&neighbours, &rated(2, 3, 3.0, 5), false, name), 0.0);
        }
    }

    #[test]
    fn ratings_beyond_the_reach_are_not_looked_at() {
        let count = 3 * REACH as u32;
        let rows: Vec<Rated> = (0..count).map(|at| rated(0, at, 3.0, at * 10)).collect();
        let years = vec![2000.0; count as usize];
        let neighbours = fit(&rows, 1, &years, true);
        let middle = feature(
            &neighbours,
            &rows[count as usize / 2],
            true,
            "near_year_mass",
        );
        assert!((middle - (2.0 * REACH as f32).ln_1p()).abs() < 1e-4);
        let first = feature(&neighbours, &rows[0], true, "near_year_mass");
        assert!((first - (REACH as f32).ln_1p()).abs() < 1e-4);
    }
}

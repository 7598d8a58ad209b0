//! Dense features of a (user, movie, time) from biases and from the ratings that
//! stand near: the user's other ratings near in time, in the year of the movie
//! and in how well the movie is liked, and the movie's other ratings near in
//! time.

use std::sync::{Arc, LazyLock};

use mmdlrm_data::{Rated, RatedBag, RatedBags};
use rayon::prelude::*;

use super::around::{Around, KernelMean, around, falling};
use super::biases::{Bias, Biases};
use super::sittings::{Weights, of_sittings};
use crate::known::tensors::{Columns, Source, Stored};

/// Rows that the scale of the features is fitted to, at most.
const SCALE_ROWS: usize = 200_000;
/// Standardized features are cut off here.
const LIMIT: f32 = 6.0;

/// Years in which the kernel of release years falls to 1/e.
const YEARS: f32 = 4.0;
/// Weights of that kernel, by the years between: they are whole but for a movie without a year,
/// which has the mean.
static YEAR_WEIGHTS: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|years| falling(years as f32 / YEARS)));
/// Stars in which the kernel of movies' biases falls to 1/e.
const QUALITY: f32 = 0.2;
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

/// Of the kept scale.
const SCALE: &str = "context.scale";

fn names(times: bool) -> Vec<&'static str> {
    let of_time: &[&str] = if times { &OF_TIME } else { &[] };
    [&BASIC, of_time].concat()
}

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

/// What features of a row have in common with those of the next, where it is of the same
/// user at the same moment and neither is in the training set.
#[derive(Default)]
pub(crate) struct Moment {
    /// User, time and place in the history; none of a training row, which leaves itself out.
    of: Option<(u32, u32, usize)>,
    /// Of the ratings around, in their order.
    residuals: Vec<f32>,
    /// Features of the ratings around.
    sittings: Vec<f32>,
    /// What these are computed in.
    weights: Vec<Weights>,
}

impl Neighbours {
    /// `histories` and `audiences` hold the training rows, their times all 0
    /// where `times` are not to be looked at.
    pub fn fit(histories: RatedBags, audiences: RatedBags, years: Vec<f32>, times: bool) -> Self {
        let biases = Biases::fit(&histories, &audiences);
        let scale = vec![(0.0, 1.0); names(times).len()];
        let mut neighbours = Self::new(histories, audiences, biases, years, times, scale);
        neighbours.scale = neighbours.fit_scale();
        neighbours
    }

    fn new(
        histories: RatedBags,
        audiences: RatedBags,
        biases: Biases,
        years: Vec<f32>,
        times: bool,
        scale: Vec<(f32, f32)>,
    ) -> Self {
        let users = 0..histories.len() as u32;
        let latest = users.filter_map(|user| histories.row(user).timestamps.last().copied());
        Self {
            latest: latest.max().unwrap_or(0),
            names: names(times),
            scale,
            histories: Arc::new(histories),
            audiences: Arc::new(audiences),
            biases,
            years,
            times,
        }
    }

    /// Keeps what [`Self::get`] needs beside the ratings.
    pub fn put(&self, columns: &mut Columns) {
        self.biases.put(columns);
        let scale: Vec<f32> = self.scale.iter().flat_map(|&(a, b)| [a, b]).collect();
        columns.put(SCALE, &scale);
    }

    /// What [`Self::put`] kept, with the ratings that it was fitted to.
    pub fn get(
        stored: &Stored,
        histories: RatedBags,
        audiences: RatedBags,
        years: Vec<f32>,
        times: bool,
    ) -> Result<Self, Source> {
        let biases = Biases::get(stored, histories.len(), audiences.len())?;
        let scale = stored.get::<f32>(SCALE, 2 * names(times).len())?;
        let scale = scale.as_chunks().0.iter().map(|&[a, b]| (a, b)).collect();
        Ok(Self::new(histories, audiences, biases, years, times, scale))
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
    /// [`Biases`] leave it out: residuals of the others are of biases fitted with it. `moment`
    /// is kept from one row to the next, of these neighbours alone.
    pub fn fill(
        &self,
        rated: &Rated,
        leave_own_out: bool,
        moment: &mut Moment,
        out: &mut [f32],
    ) -> (Bias, Bias) {
        let mut raw = Vec::with_capacity(out.len());
        let biases = self.raw(rated, leave_own_out, moment, &mut raw);
        for ((out, raw), &(mean, inverse)) in out.iter_mut().zip(raw).zip(&self.scale) {
            *out = ((raw - mean) * inverse).clamp(-LIMIT, LIMIT);
        }
        biases
    }

    fn raw(
        &self,
        rated: &Rated,
        leave_own_out: bool,
        moment: &mut Moment,
        out: &mut Vec<f32>,
    ) -> (Bias, Bias) {
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
        let of = (rated.user, rated.timestamp, around.before.1);
        if leave_own_out || moment.of != Some(of) {
            moment.of = (!leave_own_out).then_some(of);
            self.set_moment(history, &around, rated, user, moment);
        }
        self.of_tastes(history, &around, rated, movie, &moment.residuals, out);
        if self.times {
            self.of_times(history, rated, year, out);
            out.extend(&moment.sittings);
            self.of_season(rated, leave_own_out, movie, out);
        }
        (user, movie)
    }

    /// Residuals of the ratings around, and the features of those before and after.
    fn set_moment(
        &self,
        history: RatedBag,
        around: &Around,
        rated: &Rated,
        user: Bias,
        moment: &mut Moment,
    ) {
        moment.residuals.clear();
        around.for_each(|at, _| {
            let residual = self.biases.of_history(history.ids[at], history.stars[at]) - user.bias;
            moment.residuals.push(residual as f32);
        });
        moment.sittings.clear();
        if self.times {
            let Moment {
                residuals,
                weights,
                sittings,
                ..
            } = moment;
            of_sittings(history, around, rated, residuals, weights, sittings);
        }
    }

    /// The user's other ratings of movies of that time, and as well liked.
    fn of_tastes(
        &self,
        history: RatedBag,
        around: &Around,
        rated: &Rated,
        movie: Bias,
        residuals: &[f32],
        out: &mut Vec<f32>,
    ) {
        let (mut years, mut qualities, mut slope) = (
            KernelMean::default(),
            KernelMean::default(),
            KernelMean::default(),
        );
        let (own_year, own_bias) = (self.years[rated.movie as usize], movie.bias as f32);
        let (mut number, year_weights) = (0, &*YEAR_WEIGHTS);
        around.for_each(|at, _| {
            let (other, residual) = (history.ids[at], residuals[number]);
            number += 1;
            let bias = self.biases.movie(other) as f32;
            let apart = (own_year - self.years[other as usize]).abs();
            years.add(year_weight(year_weights, apart), residual);
            let unlike = (own_bias - bias).abs() / QUALITY;
            qualities.add(falling(unlike), residual);
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

    /// The movie's other ratings of that season.
    fn of_season(&self, rated: &Rated, leave_own_out: bool, movie: Bias, out: &mut Vec<f32>) {
        let audience = self.audiences.row(rated.movie);
        let mut season = KernelMean::default();
        around(audience, rated.user, rated, leave_own_out).for_each(|at, _| {
            let residual = self
                .biases
                .of_audience(audience.ids[at], audience.stars[at]);
            let apart = rated.timestamp.abs_diff(audience.timestamps[at]) as f32;
            season.add(falling(apart / SEASON), (residual - movie.bias) as f32);
        });
        season.write(2.0, out);
    }

    fn fit_scale(&self) -> Vec<(f32, f32)> {
        let stride = self.histories.ratings().div_ceil(SCALE_ROWS).max(1);
        let users = 0..self.histories.len() as u32;
        let rows = users.flat_map(|user| self.histories.row(user).rows_of(user));
        let sampled: Vec<Rated> = rows.step_by(stride).collect();
        let features: Vec<Vec<f32>> = sampled
            .par_iter()
            .map_init(Moment::default, |moment, rated| {
                let mut raw = Vec::new();
                self.raw(rated, true, moment, &mut raw);
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

/// Of movies so many years apart.
#[inline]
fn year_weight(weights: &[f32], apart: f32) -> f32 {
    let whole = apart as usize;
    match weights.get(whole) {
        Some(&weight) if whole as f32 == apart => weight,
        _ => falling(apart / YEARS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::around::REACH;
    use crate::testing::rated;

    fn fit(rows: &[Rated], users: usize, years: &[f32], times: bool) -> Neighbours {
        let histories = RatedBags::of_users(users, rows.iter().copied());
        let audiences = RatedBags::of_movies(years.len(), rows.iter().copied());
        Neighbours::fit(histories, audiences, years.to_vec(), times)
    }

    fn feature(neighbours: &Neighbours, rated: &Rated, own: bool, name: &str) -> f32 {
        let mut raw = Vec::new();
        neighbours.raw(rated, own, &mut Moment::default(), &mut raw);
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
    fn a_moment_that_is_kept_changes_no_feature() {
        let rows = [
            rated(0, 1, 5.0, 1_000),
            rated(0, 3, 1.0, 1_000),
            rated(0, 2, 4.0, 9_000),
            rated(1, 2, 3.0, 1_000),
            rated(1, 0, 2.0, 5_000),
        ];
        // Other movies and times of one user, among ratings of the same second; another user;
        // rows of the training set between them.
        let asked = [
            (rated(0, 0, 3.0, 1_000), false),
            (rated(0, 2, 3.0, 1_000), false),
            (rated(0, 4, 3.0, 1_000), false),
            (rows[1], true),
            (rated(0, 4, 3.0, 1_000), false),
            (rated(1, 4, 3.0, 1_000), false),
            (rated(1, 4, 3.0, 2_000), false),
            (rows[3], true),
            (rated(2, 4, 3.0, 2_000), false),
        ];
        for times in [true, false] {
            let neighbours = fit(&rows, 3, &[1990.0, 1991.5, 2010.0, 1994.0, 2000.0], times);
            let mut kept = Moment::default();
            for (rated, own) in &asked {
                let (mut found, mut fresh) = (Vec::new(), Vec::new());
                neighbours.raw(rated, *own, &mut kept, &mut found);
                neighbours.raw(rated, *own, &mut Moment::default(), &mut fresh);
                assert_eq!(found, fresh, "{rated:?}");
            }
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

//! Dense features of a (user, movie, time), from the training rows alone.

use mmdlrm_data::{DataPart, PartHasher, Rated, Result};

use crate::known::problem;
use crate::known::tensors::{Columns, Source, Stored};

/// Names of the dense features, in the order of the column
/// [`Features::DENSE`](crate::Features::DENSE).
///
/// `time` is when the rating was given; `user_days` the logarithm of the days
/// since the user's first training rating; hour and weekday, in UTC, are points
/// on a circle, so that 23 h is next to 0 h.
pub const DENSE_FEATURES: [&str; 11] = [
    "user_mean",
    "user_count",
    "movie_mean",
    "movie_count",
    "year",
    "time",
    "user_days",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
];

/// The dense features that depend on the movie alone; the others depend on the
/// user and the time.
pub const MOVIE_FEATURES: std::ops::Range<usize> = 2..5;

/// Number of dense features.
pub(crate) const WIDTH: usize = DENSE_FEATURES.len();

/// Columns of [`DENSE_FEATURES`] that do not depend on the movie.
const USER_MEAN: usize = 0;
const USER_COUNT: usize = 1;
/// The first of the time-of-rating features, which are the last.
const TIME: usize = 5;
const TIME_FEATURES: usize = WIDTH - TIME;

/// Ratings of one user, or of one movie.
const MOST_RATINGS: std::ops::RangeInclusive<f64> = 0.0..=(u32::MAX >> 4) as f64;

const SECONDS_AN_HOUR: u32 = 3600;
const SECONDS_A_DAY: u32 = 86_400;

/// How many ratings of the average a mean is shrunk by, so that the mean of
/// one rating is not taken at its word.
const SHRINKAGE: f64 = 4.0;

/// A sum of deviations and how many went into it.
#[derive(Clone, Copy, Default)]
struct Deviation {
    sum: f64,
    count: f64,
}

impl Deviation {
    fn add(&mut self, deviation: f64) {
        self.sum += deviation;
        self.count += 1.0;
    }

    fn without(self, deviation: f64) -> Self {
        Self {
            sum: self.sum - deviation,
            count: self.count - 1.0,
        }
    }

    fn mean(self) -> f64 {
        self.sum / (self.count + SHRINKAGE)
    }
}

/// What the training rows say about users, movies and times.
///
/// `user_mean` is the shrunk mean deviation of a user's ratings from the mean
/// of all, `movie_mean` that of a movie's ratings after the raters' own
/// deviations. For a row that is itself in the training set both are taken
/// without that row: otherwise the model reads the target off its own
/// statistics and learns nothing that holds elsewhere. What is taken over all rows at
/// once still holds it: the mean of all, which it moves by its share of them, and the
/// scales of the features.
#[derive(Clone)]
pub(crate) struct Statistics {
    pub mean: f64,
    pub deviation: f64,
    users: Vec<Deviation>,
    movies: Vec<Deviation>,
    /// Year of each movie; the mean of those known where it is not.
    pub years: Vec<f32>,
    /// Latest training time of each user; the latest of all where there is
    /// none.
    pub last_seen: Vec<u32>,
    /// First training time of each user; the latest of all where there is none.
    first_seen: Vec<u32>,
    /// Points on a circle, by hour and by weekday.
    hours: [(f64, f64); 24],
    weekdays: [(f64, f64); 7],
    /// ln(1 + n) of every count, and of every number of days, that occurs: the
    /// logarithms would be half of the cost of a row.
    logs: Vec<f64>,
    /// Mean and inverse deviation of each raw feature over the training rows.
    scale: [(f64, f64); WIDTH],
}

impl Statistics {
    /// `years` has an entry a movie; `pass` hands out all training rows, in the
    /// same order each time.
    pub fn fit(
        users: usize,
        years: &[Option<i32>],
        mut pass: impl FnMut(&mut dyn FnMut(&[Rated])) -> Result<()>,
    ) -> Result<Self> {
        let (mut count, mut sum, mut squares, mut latest) = (0f64, 0f64, 0f64, 0);
        pass(&mut |rows| {
            for rated in rows {
                let stars = f64::from(rated.stars);
                count += 1.0;
                sum += stars;
                squares += stars * stars;
                latest = latest.max(rated.timestamp);
            }
        })?;
        let mean = sum / count;
        let variance = squares / count - mean * mean;
        let mut statistics = Self {
            mean,
            deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 },
            users: vec![Deviation::default(); users],
            movies: vec![Deviation::default(); years.len()],
            years: fill_years(years),
            last_seen: vec![0; users],
            first_seen: vec![latest; users],
            hours: circle(),
            weekdays: circle(),
            logs: Vec::new(),
            scale: [(0.0, 1.0); WIDTH],
        };
        pass(&mut |rows| {
            for rated in rows {
                let user = rated.user as usize;
                statistics.users[user].add(f64::from(rated.stars) - mean);
                let last_seen = &mut statistics.last_seen[user];
                *last_seen = rated.timestamp.max(*last_seen);
                let first_seen = &mut statistics.first_seen[user];
                *first_seen = rated.timestamp.min(*first_seen);
            }
        })?;
        for (last_seen, by_user) in statistics.last_seen.iter_mut().zip(&statistics.users) {
            if by_user.count == 0.0 {
                *last_seen = latest;
            }
        }
        pass(&mut |rows| {
            for rated in rows {
                let adjusted = statistics.adjusted(rated.user, rated.stars);
                statistics.movies[rated.movie as usize].add(adjusted);
            }
        })?;
        statistics.set_logs();
        statistics.scale = statistics.fit_scale(pass)?;
        Ok(statistics)
    }

    fn set_logs(&mut self) {
        let both = self.users.iter().chain(&self.movies);
        let counts = both.map(|it| it.count as u32);
        let most = counts.max().unwrap_or(0).max(u32::MAX / SECONDS_A_DAY);
        self.logs = (0..=most).map(|count| f64::from(count).ln_1p()).collect();
    }

    /// Adds a movie that nobody has rated; of an unknown year, it has the mean of those
    /// known.
    pub fn add_movie(&mut self, year: Option<i32>) {
        let known = self.years.iter().map(|&year| f64::from(year));
        let mean = known.sum::<f64>() / self.years.len().max(1) as f64;
        self.years
            .push(year.map_or(mean as f32, |year| year as f32));
        self.movies.push(Deviation::default());
    }

    /// The same for one other user, with these ratings.
    pub fn for_user(&self, ratings: &[Rated]) -> Self {
        let latest = self.last_seen.iter().copied().max().unwrap_or(0);
        let mut user = Deviation::default();
        for rated in ratings {
            user.add(f64::from(rated.stars) - self.mean);
        }
        let times = || ratings.iter().map(|rated| rated.timestamp);
        Self {
            users: vec![user],
            last_seen: vec![times().max().unwrap_or(latest)],
            first_seen: vec![times().min().unwrap_or(latest)],
            movies: self.movies.clone(),
            years: self.years.clone(),
            logs: self.logs.clone(),
            ..*self
        }
    }

    /// What they come to; hours, logarithms and scales follow from it.
    pub fn part(&self) -> DataPart {
        let mut part = PartHasher::new("statistics");
        let words = |x: f64| [x.to_bits() as u32, (x.to_bits() >> 32) as u32];
        part.words([self.mean, self.deviation].map(words));
        for deviations in [&self.users, &self.movies] {
            let deviations = deviations.iter();
            part.words(deviations.flat_map(|it| [it.sum, it.count].map(words)));
        }
        part.words(self.years.iter().map(|year| [year.to_bits()]));
        for seen in [&self.first_seen, &self.last_seen] {
            part.words(seen.iter().map(|&time| [time]));
        }
        let rows = self.users.iter().map(|it| it.count).sum::<f64>();
        part.count(rows as usize).finish()
    }

    /// Keeps what [`Self::get`] needs; the rest follows from it.
    pub fn put(&self, columns: &mut Columns) {
        let pairs = |deviations: &[Deviation]| -> Vec<f64> {
            let deviations = deviations.iter();
            deviations.flat_map(|it| [it.sum, it.count]).collect()
        };
        columns.put("statistics.ratings", &[self.mean, self.deviation]);
        columns.put("statistics.users", &pairs(&self.users));
        columns.put("statistics.movies", &pairs(&self.movies));
        columns.put("statistics.years", &self.years);
        columns.put("statistics.first_seen", &self.first_seen);
        columns.put("statistics.last_seen", &self.last_seen);
        let scale: Vec<f64> = self.scale.iter().flat_map(|&(a, b)| [a, b]).collect();
        columns.put("statistics.scale", &scale);
    }

    /// What [`Self::put`] kept.
    pub fn get(stored: &Stored, users: usize, movies: usize) -> Result<Self, Source> {
        let deviations = |name: &str, count: usize| {
            let pairs = stored.get::<f64>(name, 2 * count)?;
            let pairs = pairs.as_chunks().0.iter();
            let all = pairs.map(|&[sum, count]| Deviation { sum, count });
            let all: Vec<Deviation> = all.collect();
            // A number is made room for of each.
            match all
                .iter()
                .all(|it| it.sum.is_finite() && MOST_RATINGS.contains(&it.count))
            {
                true => Ok(all),
                false => Err(problem(format!("{name} are not sums and counts"))),
            }
        };
        let ratings = stored.get::<f64>("statistics.ratings", 2)?;
        let scale = stored.get::<f64>("statistics.scale", 2 * WIDTH)?;
        let mut statistics = Self {
            mean: ratings[0],
            deviation: ratings[1],
            users: deviations("statistics.users", users)?,
            movies: deviations("statistics.movies", movies)?,
            years: stored.get("statistics.years", movies)?,
            first_seen: stored.get("statistics.first_seen", users)?,
            last_seen: stored.get("statistics.last_seen", users)?,
            hours: circle(),
            weekdays: circle(),
            logs: Vec::new(),
            scale: std::array::from_fn(|at| (scale[2 * at], scale[2 * at + 1])),
        };
        statistics.set_logs();
        Ok(statistics)
    }

    /// Training ratings of each user.
    pub fn user_counts(&self) -> Vec<u32> {
        self.users.iter().map(|it| it.count as u32).collect()
    }

    /// Training ratings of each movie.
    pub fn movie_counts(&self) -> Vec<u32> {
        self.movies.iter().map(|it| it.count as u32).collect()
    }

    /// Writes the features of a row; `own` is the row's rating where the row
    /// is in the training set, so that it is left out.
    pub fn fill(&self, user: u32, movie: u32, timestamp: u32, own: Option<f32>, out: &mut [f32]) {
        let raw = self.raw(user, movie, timestamp, own);
        for ((out, raw), (mean, inverse)) in out.iter_mut().zip(raw).zip(self.scale) {
            *out = ((raw - mean) * inverse) as f32;
        }
    }

    /// Overwrites those features of rows outside the training set, all of one user at
    /// one time, that do not depend on their movies.
    pub fn fill_user(&self, user: u32, timestamp: u32, rows: &mut [f32]) {
        let by_user = self.users[user as usize];
        let of_user = [
            (USER_MEAN, by_user.mean()),
            (USER_COUNT, self.log_count(by_user)),
        ];
        let of_time = (TIME..).zip(self.time(user, timestamp));
        let standardized = of_user.into_iter().chain(of_time).map(|(column, raw)| {
            let (mean, inverse) = self.scale[column];
            (column, ((raw - mean) * inverse) as f32)
        });
        let standardized: Vec<(usize, f32)> = standardized.collect();
        for row in rows.chunks_exact_mut(WIDTH) {
            for &(column, value) in &standardized {
                row[column] = value;
            }
        }
    }

    fn raw(&self, user: u32, movie: u32, timestamp: u32, own: Option<f32>) -> [f64; WIDTH] {
        let mut by_user = self.users[user as usize];
        let mut of_movie = self.movies[movie as usize];
        if let Some(stars) = own {
            of_movie = of_movie.without(self.adjusted(user, stars));
            by_user = by_user.without(f64::from(stars) - self.mean);
        }
        let [time, days, hour_sin, hour_cos, weekday_sin, weekday_cos] = self.time(user, timestamp);
        [
            by_user.mean(),
            self.log_count(by_user),
            of_movie.mean(),
            self.log_count(of_movie),
            f64::from(self.years[movie as usize]),
            time,
            days,
            hour_sin,
            hour_cos,
            weekday_sin,
            weekday_cos,
        ]
    }

    fn time(&self, user: u32, timestamp: u32) -> [f64; TIME_FEATURES] {
        let seconds = timestamp.saturating_sub(self.first_seen[user as usize]);
        let (hour_sin, hour_cos) = self.hours[(timestamp / SECONDS_AN_HOUR % 24) as usize];
        let (weekday_sin, weekday_cos) = self.weekdays[(timestamp / SECONDS_A_DAY % 7) as usize];
        [
            f64::from(timestamp),
            self.logs[(seconds / SECONDS_A_DAY) as usize],
            hour_sin,
            hour_cos,
            weekday_sin,
            weekday_cos,
        ]
    }

    /// A rating less the mean and less the user's deviation.
    fn adjusted(&self, user: u32, stars: f32) -> f64 {
        f64::from(stars) - self.mean - self.users[user as usize].mean()
    }

    fn log_count(&self, deviation: Deviation) -> f64 {
        // A negative count, of a row that is not in the training set, is 0.
        self.logs[(deviation.count as usize).min(self.logs.len() - 1)]
    }

    fn fit_scale(
        &self,
        mut pass: impl FnMut(&mut dyn FnMut(&[Rated])) -> Result<()>,
    ) -> Result<[(f64, f64); WIDTH]> {
        // Welford's update: timestamps squared would eat the digits.
        let mut count = 0f64;
        let mut moments = [(0f64, 0f64); WIDTH];
        pass(&mut |rows| {
            for rated in rows {
                count += 1.0;
                let raw = self.raw(rated.user, rated.movie, rated.timestamp, Some(rated.stars));
                for ((mean, squares), x) in moments.iter_mut().zip(raw) {
                    let before = x - *mean;
                    *mean += before / count;
                    *squares += before * (x - *mean);
                }
            }
        })?;
        Ok(moments.map(|(mean, squares)| {
            let deviation = (squares / count.max(1.0)).sqrt();
            (
                mean,
                if deviation > 0.0 {
                    deviation.recip()
                } else {
                    0.0
                },
            )
        }))
    }
}

/// Sine and cosine of points spread evenly over a circle.
fn circle<const POINTS: usize>() -> [(f64, f64); POINTS] {
    std::array::from_fn(|point| {
        let angle = std::f64::consts::TAU * point as f64 / POINTS as f64;
        angle.sin_cos()
    })
}

fn fill_years(years: &[Option<i32>]) -> Vec<f32> {
    let known: Vec<f64> = years
        .iter()
        .flatten()
        .map(|&year| f64::from(year))
        .collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    years
        .iter()
        .map(|year| year.map_or(mean as f32, |year| year as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(user: u32, movie: u32, stars: f32) -> Rated {
        Rated {
            user,
            movie,
            stars,
            timestamp: 0,
        }
    }

    fn fit(users: usize, years: &[Option<i32>], rows: &[Rated]) -> Statistics {
        let pass = |take: &mut dyn FnMut(&[Rated])| {
            take(rows);
            Ok(())
        };
        Statistics::fit(users, years, pass).unwrap()
    }

    #[test]
    fn features_of_a_training_row_do_not_depend_on_its_own_rating() {
        // Only the row of user 0 on movie 0 changes; the mean is kept by a
        // user and a movie of its own.
        let features = |stars: f32, other: f32| {
            let rows = [
                rated(0, 0, stars),
                rated(0, 1, 4.0),
                rated(1, 0, 2.0),
                rated(1, 1, 3.5),
                rated(2, 2, other),
            ];
            let statistics = fit(3, &[None; 3], &rows);
            statistics.raw(0, 0, 0, Some(stars))
        };
        for (a, b) in features(1.0, 4.5).iter().zip(features(4.5, 1.0)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn times_become_days_hours_and_weekdays() {
        let rows = [rated(0, 0, 4.0), rated(0, 1, 2.0)];
        let statistics = fit(1, &[None; 2], &rows);
        // Three days and six hours after the start of 1970, a Thursday.
        let time = statistics.time(0, 3 * SECONDS_A_DAY + 6 * SECONDS_AN_HOUR + 5);
        assert_eq!(time[..2], [280_805.0, 4f64.ln()]);
        assert!((time[2] - 1.0).abs() < 1e-12 && time[3].abs() < 1e-12);
        let sunday = std::f64::consts::TAU * 3.0 / 7.0;
        assert_eq!(time[4..], [sunday.sin(), sunday.cos()]);
    }

    #[test]
    fn a_user_and_a_movie_without_training_rows_get_the_average() {
        let rows = [rated(0, 0, 4.0), rated(0, 1, 2.0)];
        let statistics = fit(2, &[Some(1990), None, Some(2000)], &rows);
        let raw = statistics.raw(1, 2, 0, None);
        assert_eq!(raw[..TIME], [0.0, 0.0, 0.0, 0.0, 2000.0]);
        assert_eq!(statistics.years[1], 1995.0);
    }
}

//! How near a user, at a place in the sequence of ratings, is to each item.

use mmdlrm_data::{Error, RatedBag, Result};
use mmdlrm_kernels::{InstructionSet, ln, vectorize};
use rayon::prelude::*;

use super::Sequences;

/// Kernels that pairs of items are summed with.
const PAIR_KERNELS: [PairKernel; 4] = [
    PairKernel {
        length: 1.5,
        order: Order::Either,
        recencies: &[1.5, 6.0],
    },
    PairKernel {
        length: 6.0,
        order: Order::Either,
        recencies: &[1.5, 6.0],
    },
    PairKernel {
        length: 30.0,
        order: Order::Either,
        recencies: &[6.0, 30.0],
    },
    PairKernel {
        length: 1.5,
        order: Order::After,
        recencies: &[1.5],
    },
];
/// Days in which the weight of a rating of an item falls to 1/e.
const SEASONS: [f64; 3] = [1.0, 30.0, 365.0];
const SECONDS_A_DAY: f64 = 86_400.0;
/// Moments at which seasons are summed.
const MOMENTS: usize = 1500;
/// Lengths of a kernel beyond which a pair weighs nothing.
const REACH: f32 = 10.0;
/// Recencies beyond which what was rated before weighs nothing.
const BEFORE: f32 = 5.0;
/// Ratings before that are looked at, at most.
const LONGEST: usize = 100;
/// An item's count to this power divides what it is near to.
const DAMPING: f32 = 0.7;
/// What is added to a nearness before its logarithm is taken.
const LEAST: f32 = 0.01;
/// What is added to a season's sum before its logarithm is taken.
const LEAST_SEASON: f32 = 0.05;
/// Items that are compared pair by pair, at most: a gigabyte.
const MOST_ITEMS: usize = 8192;

const NAMES: [&str; 13] = [
    "beside_recent",
    "beside_before",
    "near_recent",
    "near_before",
    "around_before",
    "around_long_before",
    "after_recent",
    "day",
    "month",
    "year",
    "year_of_last",
    "year_of_recent",
    "age",
];

/// The nearness of two items that a user rated `d` places apart:
/// `k(d) = exp(−(d − 1) / length)`.
struct PairKernel {
    /// Places in which it falls to 1/e.
    length: f32,
    order: Order,
    /// Ratings in which the weight of what a user rated before falls to 1/e, one a feature.
    recencies: &'static [f32],
}

/// Which of two items must have been rated first for the one to be near to the other.
#[derive(PartialEq)]
enum Order {
    /// No matter which.
    Either,
    /// The other, so that the one came after it.
    After,
}

/// What other users rated near what the user rated, when, and how old it is: the
/// features of a (user, place in the sequence, item).
///
/// Users rate in an order: what a page shows together, parts of a series, what is
/// talked about. The nearness of item `j` to item `i`, and that of `j` to a user who has rated
/// items `i_0`, the last, `i_1`, … so far, are
///
/// ```text
/// near(i, j) = Σ_users exp(−(|place of j − place of i| − 1) / length) / count(i)^0.7
/// near(j)    = Σ_a exp(−a / recency) · near(i_a, j)
/// ```
///
/// What the user rates later is
/// taken out of the sums, so that a training row does not find itself there: but for
/// rounding, and for the items' counts, by which sums are damped, and the moments at
/// which seasons are summed, which are those of all ratings.
#[derive(Debug, Clone)]
pub struct Nearness {
    sequences: Sequences,
    years: Vec<f32>,
    /// For each kernel `near(i, j)`, `[items, items]`.
    near: Vec<Vec<f32>>,
    /// What a row of such a matrix is multiplied by, `count(i)^−0.7`, `[items]`.
    damping: Vec<f32>,
    /// Moments at which seasons are summed, ascending.
    moments: Vec<u32>,
    /// Sums of the weights of each item's ratings, `[moments, seasons, items]`.
    seasons: Vec<f32>,
}

impl PairKernel {
    /// Weights of pairs that stand 1, 2, … places apart.
    fn weights(&self) -> Vec<f32> {
        let reach = (self.length * REACH) as usize;
        let weight = |distance: usize| (-(distance as f32) / self.length).exp();
        (0..reach).map(weight).collect()
    }

    /// `near(i, j)`, `[items, items]`.
    fn sum(&self, sequences: &Sequences, damping: &[f32]) -> Vec<f32> {
        let items = damping.len();
        let weights = self.weights();
        let mut near = vec![0.0; items * items];
        for user in 0..sequences.users().len() as u32 {
            let rated = sequences.of(user).ids;
            for (place, &item) in rated.iter().enumerate() {
                for (&later, weight) in rated[place + 1..].iter().zip(&weights) {
                    near[item as usize * items + later as usize] += weight;
                    if self.order == Order::Either {
                        near[later as usize * items + item as usize] += weight;
                    }
                }
            }
        }
        for (row, damping) in near.chunks_exact_mut(items.max(1)).zip(damping) {
            row.iter_mut().for_each(|x| *x *= damping);
        }
        near
    }
}

impl Nearness {
    /// Whether so many items can be compared.
    ///
    /// # Errors
    /// More than 8,192: each is compared with each.
    pub fn check_items(items: usize) -> Result<()> {
        if items > MOST_ITEMS {
            let rule = "it must be 8192 or less, since each is compared with each; \
                        name fewer movies as candidates";
            return Err(Error::setting("number of movies to rank", items, rule));
        }
        Ok(())
    }

    /// Sums over all of `sequences`; `years` are the items'.
    ///
    /// # Errors
    /// As [`Self::check_items`]; `MMDLRM_SIMD` that asks for what there is not.
    pub fn fit(sequences: Sequences, years: Vec<f32>) -> Result<Self> {
        InstructionSet::in_use().map_err(|error| Error::External(error.into()))?;
        let items = sequences.catalogue().len();
        Self::check_items(items)?;
        let counts = sequences.counts();
        let damping = counts
            .iter()
            .map(|&count| (count as f32 + 1.0).powf(-DAMPING));
        let damping: Vec<f32> = damping.collect();
        let kernels = PAIR_KERNELS.par_iter();
        let near = kernels
            .map(|kernel| kernel.sum(&sequences, &damping))
            .collect();
        let moments = sequences.quantiles(MOMENTS);
        Ok(Self {
            seasons: seasons(&sequences, &moments),
            sequences,
            years,
            near,
            damping,
            moments,
        })
    }

    /// Names of the features.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The sequences it is fitted to.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Writes the features, `[features, items]`, of a user with the first `place` ratings of
    /// `sequence` given; zeros where that is none. What stands from there on is looked at in
    /// order to take it out: it must be in the sums. Of somebody who is new all is given.
    ///
    /// # Panics
    /// Where the sequence is of other items or shorter, or the length of `out` does not fit.
    pub fn fill(&self, sequence: RatedBag<'_>, place: usize, out: &mut [f32]) {
        let items = self.damping.len();
        assert_eq!(out.len(), NAMES.len() * items, "length of the features");
        if place == 0 {
            out.fill(0.0);
            return;
        }
        let mut features = out.chunks_exact_mut(items);
        for (kernel, near) in PAIR_KERNELS.iter().zip(&self.near) {
            let weights = kernel.weights();
            for &recency in kernel.recencies {
                if let Some(out) = features.next() {
                    self.fill_near(sequence, place, near, (&weights, recency), out);
                }
            }
        }
        self.fill_seasons(&sequence, place, &mut features);
        self.fill_years(&sequence, place, features);
    }

    /// `ln(near(j) + LEAST)` under one kernel, `weights` of which are those of pairs by places
    /// between.
    fn fill_near(
        &self,
        sequence: RatedBag<'_>,
        place: usize,
        near: &[f32],
        (weights, recency): (&[f32], f32),
        out: &mut [f32],
    ) {
        let items = self.damping.len();
        let looked_at = ((recency * BEFORE) as usize + 1).min(LONGEST).min(place);
        let before = || {
            sequence.ids[place - looked_at..place]
                .iter()
                .rev()
                .enumerate()
        };
        let weight = |age: usize| (-(age as f32) / recency).exp();
        vectorize(
            #[inline(always)]
            || {
                out.fill(0.0);
                for (age, &item) in before() {
                    let (weight, row) = (weight(age), item as usize * items);
                    let row = &near[row..row + items];
                    out.iter_mut()
                        .zip(row)
                        .for_each(|(x, near)| *x += weight * near);
                }
            },
        );
        for (age, &item) in before() {
            let scale = weight(age) * self.damping[item as usize];
            let own = sequence.ids[place..].iter().zip(weights.iter().skip(age));
            for (&later, weight) in own {
                out[later as usize] -= scale * weight;
            }
        }
        // What was taken out leaves a rounding error.
        out.iter_mut().for_each(|x| *x = x.max(0.0));
        logarithm(out, LEAST);
    }

    /// `ln(sum + LEAST_SEASON)` of each season, at the moment nearest behind the last rating.
    fn fill_seasons<'o>(
        &self,
        sequence: &RatedBag<'_>,
        place: usize,
        features: impl Iterator<Item = &'o mut [f32]>,
    ) {
        let items = self.damping.len();
        let last = sequence.timestamps[place - 1];
        let moment = self.moments.partition_point(|&moment| moment < last);
        let moment = moment.min(self.moments.len().saturating_sub(1));
        let later = || {
            let times = &sequence.timestamps[place..];
            sequence.ids[place..].iter().zip(times)
        };
        for ((number, days), out) in SEASONS.into_iter().enumerate().zip(features) {
            let start = (moment * SEASONS.len() + number) * items;
            out.copy_from_slice(&self.seasons[start..start + items]);
            for (&item, &time) in later() {
                let out = &mut out[item as usize];
                *out = (*out - season_weight(self.moments[moment], time, days)).max(0.0);
            }
            logarithm(out, LEAST_SEASON);
        }
    }

    /// How far an item's year is from that of the last rated, from the mean of the last ten's,
    /// and how old it is, in decades.
    fn fill_years<'o>(
        &self,
        sequence: &RatedBag<'_>,
        place: usize,
        features: impl Iterator<Item = &'o mut [f32]>,
    ) {
        const DECADE: f32 = 10.0;
        const SECONDS_A_YEAR: f32 = 31_557_600.0;
        let year = |item: u32| self.years[item as usize];
        let last = year(sequence.ids[place - 1]);
        let recent = &sequence.ids[place.saturating_sub(10)..place];
        let recent = recent.iter().map(|&item| year(item)).sum::<f32>() / recent.len() as f32;
        let now = 1970.0 + sequence.timestamps[place - 1] as f32 / SECONDS_A_YEAR;
        let by_year = [
            YearFeature::Near(last),
            YearFeature::Near(recent),
            YearFeature::Age(now),
        ];
        for (out, feature) in features.zip(by_year) {
            for (out, &year) in out.iter_mut().zip(&self.years) {
                *out = feature.of(year) / DECADE;
            }
        }
    }
}

/// What is made of an item's year.
enum YearFeature {
    /// `−|year − other|`.
    Near(f32),
    /// `now − year`, from −2 to 60.
    Age(f32),
}

impl YearFeature {
    fn of(&self, year: f32) -> f32 {
        match self {
            Self::Near(other) => -(year - other).abs(),
            Self::Age(now) => (now - year).clamp(-2.0, 60.0),
        }
    }
}

/// `ln(x + least)`.
fn logarithm(values: &mut [f32], least: f32) {
    vectorize(
        #[inline(always)]
        || values.iter_mut().for_each(|x| *x = ln(*x + least)),
    );
}

fn season_weight(moment: u32, time: u32, days: f64) -> f32 {
    (-f64::from(moment.abs_diff(time)) / (days * SECONDS_A_DAY)).exp() as f32
}

/// Sums of the weights of all ratings, `[moments, seasons, items]`: what has gone by
/// fades from a moment to the next, what is to come the other way.
fn seasons(sequences: &Sequences, moments: &[u32]) -> Vec<f32> {
    let items = sequences.catalogue().len();
    let mut ratings: Vec<(u32, u32)> = Vec::with_capacity(sequences.len());
    for user in 0..sequences.users().len() as u32 {
        let sequence = sequences.of(user);
        let times = sequence.timestamps.iter().copied();
        ratings.extend(times.zip(sequence.ids.iter().copied()));
    }
    ratings.sort_unstable();
    let mut out = vec![0.0; moments.len() * SEASONS.len() * items];
    for (number, days) in SEASONS.into_iter().enumerate() {
        let place_of = |moment: usize| {
            let start = (moment * SEASONS.len() + number) * items;
            start..start + items
        };
        let mut past = FadingSums::new(items, days);
        let mut gone_by = ratings.iter().copied().peekable();
        for (place, &moment) in moments.iter().enumerate() {
            past.fade_to(moment);
            while let Some(rating) = gone_by.next_if(|&(time, _)| time <= moment) {
                past.add(rating);
            }
            past.add_to(&mut out[place_of(place)]);
        }
        let mut future = FadingSums::new(items, days);
        let mut to_come = ratings.iter().rev().copied().peekable();
        for (place, &moment) in moments.iter().enumerate().rev() {
            future.fade_to(moment);
            while let Some(rating) = to_come.next_if(|&(time, _)| time > moment) {
                future.add(rating);
            }
            future.add_to(&mut out[place_of(place)]);
        }
    }
    out
}

/// For each item `Σ exp(−|moment − time| / days)` over its ratings on one side of a moment that
/// moves away from them.
struct FadingSums {
    sums: Vec<f32>,
    days: f64,
    /// `None` before the first moment, when there is nothing to fade.
    moment: Option<u32>,
}

impl FadingSums {
    fn new(items: usize, days: f64) -> Self {
        Self {
            sums: vec![0.0; items],
            days,
            moment: None,
        }
    }

    /// Goes to another moment, farther from all ratings so far.
    fn fade_to(&mut self, moment: u32) {
        let previous = self.moment.replace(moment);
        let fade = previous.map_or(0.0, |previous| season_weight(moment, previous, self.days));
        self.sums.iter_mut().for_each(|x| *x *= fade);
    }

    /// Adds the rating of an item at a time.
    fn add(&mut self, (time, item): (u32, u32)) {
        if let Some(moment) = self.moment {
            self.sums[item as usize] += season_weight(moment, time, self.days);
        }
    }

    fn add_to(&self, out: &mut [f32]) {
        out.iter_mut()
            .zip(&self.sums)
            .for_each(|(out, x)| *out += x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmdlrm_data::{IdMap, MovieLens, Split, generate};

    fn sequences(drop: impl Fn(usize) -> bool) -> (Sequences, Sequences, MovieLens) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        let config = generate::GeneratorConfig {
            users: 30,
            movies: 40,
            ratings: 500,
            seed: 3,
            contents: false,
        };
        generate::write(&dir, &config, |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let catalogue = IdMap::from_ids(movielens.movies.ids().iter().copied());
        let rows = |keep: &dyn Fn(usize) -> bool| {
            let rows = (0..500u32).filter(|&row| keep(row as usize)).collect();
            let split = Split::new(movielens.ratings.len(), rows, Vec::new()).unwrap();
            Sequences::new(&movielens, &split, &catalogue).unwrap()
        };
        let (all, some) = (rows(&|_| true), rows(&|row| !drop(row)));
        (all, some, movielens)
    }

    fn features(nearness: &Nearness, user: u32, place: usize) -> Vec<f32> {
        let mut out = vec![0.0; NAMES.len() * nearness.damping.len()];
        nearness.fill(nearness.sequences.of(user), place, &mut out);
        out
    }

    /// What comes later in the sequence of the user is as if it did not exist, but
    /// for counts and moments, which are held fixed here.
    #[test]
    fn what_the_user_rates_later_is_taken_out() {
        let (all, _, movielens) = sequences(|_| false);
        let user = (0..all.users().len() as u32).max_by_key(|&user| all.of(user).ids.len());
        let user = user.unwrap();
        let place = all.of(user).ids.len() / 2;
        let later: Vec<u32> = all.of(user).ids[place..].to_vec();
        let user_id = all.users().ids()[user as usize];
        let ratings = &movielens.ratings;
        let dropped: Vec<bool> = (0..500)
            .map(|row| {
                let item = all.catalogue().row(ratings.movie_ids()[row]).unwrap();
                ratings.user_ids()[row] == user_id && later.contains(&item)
            })
            .collect();
        let (all, some, movielens) = sequences(|row| dropped[row]);
        let years = all.item_features(&movielens).years;
        let whole = Nearness::fit(all.clone(), years.clone()).unwrap();
        let mut honest = Nearness::fit(some.clone(), years).unwrap();
        honest.damping.clone_from(&whole.damping);
        let kernels = PAIR_KERNELS.iter();
        honest.near = kernels
            .map(|kernel| kernel.sum(&some, &whole.damping))
            .collect();
        honest.moments.clone_from(&whole.moments);
        honest.seasons = seasons(&some, &whole.moments);
        let (found, expected) = (
            features(&whole, user, place),
            features(&honest, user, place),
        );
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let name = NAMES[place / all.catalogue().len()];
            assert!(
                (found - expected).abs() < 1e-3,
                "{name}: {found} {expected}"
            );
        }
    }

    #[test]
    fn sums_of_seasons_are_those_of_every_rating() {
        let (all, ..) = sequences(|_| false);
        let moments = all.quantiles(7);
        let found = seasons(&all, &moments);
        let items = all.catalogue().len();
        for (number, days) in SEASONS.into_iter().enumerate() {
            for (place, &moment) in moments.iter().enumerate() {
                let mut expected = vec![0f32; items];
                for user in 0..all.users().len() as u32 {
                    let sequence = all.of(user);
                    for (&item, &time) in sequence.ids.iter().zip(sequence.timestamps) {
                        expected[item as usize] += season_weight(moment, time, days);
                    }
                }
                let start = (place * SEASONS.len() + number) * items;
                for (found, expected) in found[start..].iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4 * (1.0 + expected));
                }
            }
        }
    }
}

//! Of which genres and years a user's movies are, beside those of all users.

use mmdlrm_data::RatedBags;

use crate::Features;

/// Years that are told apart; those before and after go with the first and the last.
const FIRST_YEAR: f32 = 1920.0;
const YEARS: usize = 120;
/// Years within which movies are of about one time.
const SPREAD: f32 = 2.0;
/// Added to shares of genres, and of years, before they are compared.
const LEAST_GENRE: f32 = 0.02;
const LEAST_YEAR: f32 = 0.003;

/// Genres and years of movies, and how much of what is rated is of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Tastes {
    /// Genres of each movie, one after another.
    offsets: Vec<usize>,
    genres: Vec<u32>,
    /// The year of each movie, from the first on.
    years: Vec<usize>,
    /// How near two years are that are so far apart.
    kernel: Vec<f32>,
    of_all: Shares,
}

/// Shares of genres, and of years with those about them.
#[derive(Debug, Clone, Default)]
struct Shares {
    genres: Vec<f32>,
    years: Vec<f32>,
}

/// What a user's shares say of each genre and year: their logarithm less that of all users'.
#[derive(Debug, Default)]
pub(super) struct Taste(Shares);

impl Tastes {
    pub fn fit(audiences: &RatedBags, features: &Features) -> Self {
        let movies = audiences.len() as u32;
        let mut tastes = Self {
            offsets: vec![0],
            kernel: (0..YEARS)
                .map(|apart| (-0.5 * (apart as f32 / SPREAD).powi(2)).exp())
                .collect(),
            of_all: Shares::none(features.genre_names().len()),
            ..Self::default()
        };
        for movie in 0..movies {
            tastes.genres.extend(features.genres(movie));
            tastes.offsets.push(tastes.genres.len());
            let year = features.years()[movie as usize] - FIRST_YEAR;
            tastes.years.push((year.max(0.0) as usize).min(YEARS - 1));
        }
        let mut of_all = std::mem::take(&mut tastes.of_all);
        for movie in 0..movies {
            let count = audiences.row(movie).len() as f32;
            tastes.add(movie as usize, count, &mut of_all);
        }
        tastes.finish(audiences.ratings(), &mut of_all);
        tastes.of_all = of_all;
        tastes
    }

    pub fn look_at(&self, rated: &[u32], user: &mut Taste) {
        let Taste(shares) = user;
        *shares = Shares::none(self.of_all.genres.len());
        for &movie in rated {
            self.add(movie as usize, 1.0, shares);
        }
        self.finish(rated.len(), shares);
        compare(&mut shares.genres, &self.of_all.genres, LEAST_GENRE);
        compare(&mut shares.years, &self.of_all.years, LEAST_YEAR);
    }

    /// How much more of a movie's genres, the mean of them, and of its year the user rates than
    /// all users do.
    pub fn of(&self, user: &Taste, movie: usize) -> (f32, f32) {
        let genres = self.genres_of(movie);
        let sum: f32 = genres.iter().map(|&it| user.0.genres[it as usize]).sum();
        let mean = sum / genres.len().max(1) as f32;
        (mean, user.0.years[self.years[movie]])
    }

    fn genres_of(&self, movie: usize) -> &[u32] {
        &self.genres[self.offsets[movie]..self.offsets[movie + 1]]
    }

    /// Adds so many ratings of a movie.
    fn add(&self, movie: usize, count: f32, shares: &mut Shares) {
        let genres = self.genres_of(movie);
        for &genre in genres {
            shares.genres[genre as usize] += count / genres.len() as f32;
        }
        shares.years[self.years[movie]] += count;
    }

    /// From counts to shares.
    fn finish(&self, ratings: usize, shares: &mut Shares) {
        let ratings = ratings.max(1) as f32;
        shares.genres.iter_mut().for_each(|x| *x /= ratings);
        let counts = std::mem::replace(&mut shares.years, vec![0.0; YEARS]);
        let found = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
        for (year, count) in found {
            for (other, out) in shares.years.iter_mut().enumerate() {
                *out += count * self.kernel[other.abs_diff(year)];
            }
        }
        let sum = shares.years.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        shares.years.iter_mut().for_each(|x| *x /= sum);
    }
}

impl Shares {
    fn none(genres: usize) -> Self {
        Self {
            genres: vec![0.0; genres],
            years: vec![0.0; YEARS],
        }
    }
}

fn compare(of_user: &mut [f32], of_all: &[f32], least: f32) {
    for (own, all) in of_user.iter_mut().zip(of_all) {
        *own = ((*own + least) / (all + least)).ln();
    }
}

//! What a user's history says of movies that nobody has rated, by the movies that are like them.

use crate::{Features, Likeness};

/// Rated movies that one is compared with, in each likeness.
const NEAREST: usize = 20;
/// Features of each likeness: [`LIKENESS_FEATURES`].
const OF_LIKENESS: usize = LIKENESS_FEATURES.len();
const LIKENESS_FEATURES: [&str; 4] = [
    "ratings of those like it",
    "score of those like it",
    "share of those like it that the user rated",
    "how much the nearest is like it",
];
/// Features beside those of likenesses.
const OTHERS: [&str; 2] = ["ratings of the user", "year of release"];

/// What is added to a score before its logarithm is taken, …
const LEAST_SCORE: f32 = 0.02;
/// … the least that it is taken to be, …
const LOWEST_SCORE: f32 = 1e-3;
/// … and what is added to a share.
const LEAST_SHARE: f32 = 0.01;
/// Years of release are counted from this on.
const FIRST_YEAR: f32 = 1990.0;

/// Features of pairs of a user and a movie that nobody has rated: what holds of the rated movies
/// that are most [like](Likeness) it.
///
/// With `w` the squares of how much the 20 most alike that are rated are like movie `j`, divided
/// by their sum, `n_i` the ratings of movie `i`, and `s_ui` what a model that knows what is rated
/// together says of user and movie, there are for each likeness
///
/// ```text
/// popular(j)  = Σ_i w_ij · ln(1 + n_i)
/// score(u, j) = ln(Σ_i w_ij · s_ui + 0.02)
/// share(u, j) = ln(Σ_{i of u} w_ij + 0.01)
/// most(j)     = max_i like(i, j)
/// ```
///
/// and how much the user rates, and the year of release. Of a movie of which a likeness knows
/// nothing the sums are 0.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{ColdAffinities, Dataset, Likeness, TrainingData};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::cold_movies(&movielens.ratings, 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let features = dataset.features();
/// let counts = features.movie_counts();
/// let unrated = (0..).zip(&counts).filter(|&(_, &count)| count == 0);
/// let unrated = unrated.map(|(movie, _)| movie).collect();
///
/// let cold = ColdAffinities::fit(&Likeness::of(features, |_| true), features, &counts, unrated);
/// // Somebody who rated the first movie alone, and is taken to like all as much.
/// let scores = vec![0.5; counts.len()];
/// let mut row = vec![0.0; cold.names().len()];
/// cold.fill(0, &[0], &scores, &mut row);
/// assert!((row[1] - 0.52f32.ln()).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ColdAffinities {
    names: Vec<String>,
    /// Those that nobody has rated.
    movies: Vec<u32>,
    likenesses: Vec<OfLikeness>,
    /// Years of release of these.
    years: Vec<f32>,
}

/// The rated movies that are most like each of those that are not.
#[derive(Debug, Clone, Default)]
struct OfLikeness {
    offsets: Vec<usize>,
    /// Movies and their shares `w`.
    nearest: Vec<(u32, f32)>,
    popular: Vec<f32>,
    most: Vec<f32>,
}

impl ColdAffinities {
    /// Of `movies`, the ones that nobody has rated; `counts` are the ratings of all movies.
    ///
    /// # Panics
    /// Where there is no such movie.
    pub fn fit(likeness: &Likeness, features: &Features, counts: &[u32], movies: Vec<u32>) -> Self {
        let relations = 0..likeness.names().len();
        Self {
            names: Self::names_of(likeness),
            likenesses: relations
                .map(|relation| OfLikeness::of(likeness, relation, counts, &movies))
                .collect(),
            years: movies
                .iter()
                .map(|&movie| features.years()[movie as usize] - FIRST_YEAR)
                .collect(),
            movies,
        }
    }

    /// Names of the features that there are for movies that are alike so.
    pub fn names_of(likeness: &Likeness) -> Vec<String> {
        let of_likenesses = likeness.names().iter().flat_map(|name| {
            LIKENESS_FEATURES
                .iter()
                .map(move |feature| format!("{name}: {feature}"))
        });
        of_likenesses.chain(OTHERS.map(str::to_owned)).collect()
    }

    /// Names of the features.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The movies that nobody has rated, as they were given.
    pub fn movies(&self) -> &[u32] {
        &self.movies
    }

    /// What is to be said of the `place`-th of the movies by scores of all movies alone: the sum
    /// over likenesses of the mean score of those like it.
    ///
    /// # Panics
    /// Where there is no such place.
    pub fn score(&self, place: usize, scores: &[f32]) -> f32 {
        let of_likeness = |it: &OfLikeness| it.mean(place, |movie| scores[movie as usize]);
        self.likenesses.iter().map(of_likeness).sum()
    }

    /// Writes the features, `[features]`, of the `place`-th of the movies for a user who rated the
    /// movies `rated`, ascending, and has `scores`, those of all movies.
    ///
    /// # Panics
    /// Where there is no such place, or `out` has another length.
    pub fn fill(&self, place: usize, rated: &[u32], scores: &[f32], out: &mut [f32]) {
        let (of_likenesses, others) = out.split_at_mut(self.likenesses.len() * OF_LIKENESS);
        let rows = of_likenesses.chunks_exact_mut(OF_LIKENESS);
        for (likeness, row) in self.likenesses.iter().zip(rows) {
            let score = likeness.mean(place, |movie| scores[movie as usize]);
            let is_rated = |movie| f32::from(u8::from(rated.binary_search(&movie).is_ok()));
            row.copy_from_slice(&[
                likeness.popular[place],
                (score.max(LOWEST_SCORE) + LEAST_SCORE).ln(),
                (likeness.mean(place, is_rated) + LEAST_SHARE).ln(),
                likeness.most[place],
            ]);
        }
        others.copy_from_slice(&[(rated.len() as f32).ln_1p(), self.years[place]]);
    }
}

impl OfLikeness {
    fn of(likeness: &Likeness, relation: usize, counts: &[u32], movies: &[u32]) -> Self {
        let mut of_likeness = Self {
            offsets: vec![0],
            ..Self::default()
        };
        for &movie in movies {
            let rated = likeness
                .nearest(relation, movie)
                .filter(|&(other, _)| counts[other as usize] > 0);
            let nearest: Vec<(u32, f32)> = rated.take(NEAREST).collect();
            let most = nearest.first().map_or(0.0, |&(_, like)| like);
            // Squares of small numbers are 0, those of their shares are not.
            let square = |like: f32| (like / most) * (like / most);
            let sum: f32 = nearest.iter().map(|&(_, like)| square(like)).sum();
            of_likeness.most.push(most);
            let shares = nearest
                .iter()
                .map(|&(other, like)| (other, square(like) / sum));
            of_likeness.nearest.extend(shares);
            of_likeness.offsets.push(of_likeness.nearest.len());
        }
        of_likeness.popular = (0..movies.len())
            .map(|place| of_likeness.mean(place, |movie| (counts[movie as usize] as f32).ln_1p()))
            .collect();
        of_likeness
    }

    /// `Σ_i w_i · x_i` over the movies most like the `place`-th; 0 where there are none.
    fn mean(&self, place: usize, x: impl Fn(u32) -> f32) -> f32 {
        let nearest = &self.nearest[self.offsets[place]..self.offsets[place + 1]];
        nearest.iter().map(|&(movie, share)| share * x(movie)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_movie_is_a_mean_over_those_like_it() {
        // Of two movies: one like movies 0 and 1, and one like none.
        let of_likeness = OfLikeness {
            offsets: vec![0, 2, 2],
            nearest: vec![(0, 0.75), (1, 0.25)],
            popular: vec![1.5, 0.0],
            most: vec![0.9, 0.0],
        };
        let cold = ColdAffinities {
            names: Vec::new(),
            movies: vec![2, 3],
            likenesses: vec![of_likeness],
            years: vec![5.0, 8.0],
        };
        let scores = [0.4, 0.8, 0.0, 0.0];
        assert_eq!(cold.score(0, &scores), 0.75 * 0.4 + 0.25 * 0.8);
        let mut row = [0.0; 6];
        cold.fill(0, &[1, 9], &scores, &mut row);
        assert_eq!(row, [1.5, 0.52f32.ln(), 0.26f32.ln(), 0.9, 3f32.ln(), 5.0]);
        cold.fill(1, &[1, 9], &scores, &mut row);
        assert_eq!(row, [0.0, 0.021f32.ln(), 0.01f32.ln(), 0.0, 3f32.ln(), 8.0]);
    }
    #[test]
    fn movies_of_years_far_apart_are_hardly_alike_and_no_less_a_number() {
        let folder = tempfile::tempdir().unwrap();
        for (file, rows) in [
            (
                "ratings.csv",
                "userId,movieId,rating,timestamp\n1,1,4.0,10\n1,2,4.0,20\n2,1,4.0,30\n",
            ),
            (
                "movies.csv",
                "movieId,title,genres\n1,A (1990),Drama\n2,B (1995),War\n3,C (1700),Drama\n\
                 4,D (1400),Drama\n5,E (9999),Drama\n",
            ),
        ] {
            std::fs::write(folder.path().join(file), rows).unwrap();
        }
        let movielens = mmdlrm_data::MovieLens::open(folder.path()).unwrap();
        let split = mmdlrm_data::Split::random(3, 0.3, 1).unwrap();
        let data = crate::Dataset::new(&movielens, split, Vec::new()).unwrap();
        let features = crate::TrainingData::features(&data);
        let cold = vec![2, 3, 4];
        let likeness = Likeness::of(features, |_| true);
        let cold = ColdAffinities::fit(&likeness, features, &[2, 1, 0, 0, 0], cold);
        let mut row = [0.0; 6];
        for place in 0..3 {
            cold.fill(place, &[0, 1], &[0.3, 0.2, 0.0, 0.0, 0.0], &mut row);
            assert!(row.iter().all(|x| x.is_finite()), "{row:?}");
        }
    }
}

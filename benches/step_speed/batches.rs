//! Batches drawn as ml-25m's would be: users evenly, movies by popularity, one
//! to three genres, two vectors a movie.

use half::f16;
use mmdlrm::model::{
    BottomConfig, DlrmConfig, Inputs, ModalityConfig, ModalityInput, Side, TableConfig, TableInput,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GENRES: usize = 20;
const DENSE: usize = 8;
const DIM: usize = 64;
const HIDDEN: usize = 128;
const CLIP: usize = 512;
/// Popularity falls with the rank to this power.
const SKEW: f64 = 0.9;

/// Number of users and movies.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub users: usize,
    pub movies: usize,
}

impl Shape {
    /// The numbers of ml-25m.
    pub const ML_25M: Self = Self {
        users: 162_541,
        movies: 62_423,
    };

    /// Users, movies, genres, dense features and two modalities through dot
    /// products.
    pub fn config(self) -> DlrmConfig {
        DlrmConfig {
            dim: DIM,
            bottoms: vec![BottomConfig::new(Side::User, 0..DENSE, vec![HIDDEN, DIM])],
            tables: vec![
                TableConfig::new("user", self.users, Side::User),
                TableConfig::new("movie", self.movies, Side::Item),
                TableConfig::new("genre", GENRES, Side::Item),
            ],
            modalities: vec![
                ModalityConfig::new("image", CLIP, vec![DIM]),
                ModalityConfig::new("text", CLIP, vec![DIM]),
            ],
            top: vec![HIDDEN],
            ..DlrmConfig::default()
        }
    }

    /// Two vectors for each movie, in half precision.
    pub fn vectors(self, random: &mut ChaCha8Rng) -> [Vec<f16>; 2] {
        [(); 2].map(|()| {
            (0..self.movies * CLIP)
                .map(|_| f16::from_f32(random.random_range(-0.1..0.1)))
                .collect()
        })
    }

    /// `samples` pairs of users and movies.
    pub fn draw(self, samples: usize, random: &mut ChaCha8Rng) -> Samples {
        let movies = (0..samples).map(|_| self.popular_movie(random)).collect();
        self.of_movies(movies, random)
    }

    /// Each of `movies` with some user.
    pub fn of_movies(self, movies: Vec<u32>, random: &mut ChaCha8Rng) -> Samples {
        let samples = movies.len();
        let mut genre_offsets = vec![0];
        let mut genres = Vec::new();
        for _ in 0..samples {
            for _ in 0..random.random_range(1..4) {
                genres.push(random.random_range(0..GENRES as u32));
            }
            genre_offsets.push(genres.len() as u32);
        }
        Samples {
            dense: (0..samples * DENSE)
                .map(|_| random.random_range(-1.0..1.0))
                .collect(),
            users: (0..samples)
                .map(|_| random.random_range(0..self.users as u32))
                .collect(),
            movies,
            genre_offsets,
            genres,
            targets: (0..samples).map(|_| random.random()).collect(),
        }
    }

    /// Inverse of the cumulative popularity, `rank^(1 − SKEW)`.
    fn popular_movie(self, random: &mut ChaCha8Rng) -> u32 {
        let most = (self.movies as f64 + 1.0).powf(1.0 - SKEW);
        let rank = random.random_range(1.0..most).powf(1.0 / (1.0 - SKEW));
        (rank as u32).min(self.movies as u32) - 1
    }
}

/// A generator of which the same seed draws the same.
pub fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Some samples and what they should come to.
pub struct Samples {
    dense: Vec<f32>,
    users: Vec<u32>,
    movies: Vec<u32>,
    genre_offsets: Vec<u32>,
    genres: Vec<u32>,
    pub targets: Vec<f32>,
}

impl Samples {
    /// Dense features, `[batch, 8]`.
    #[allow(dead_code, reason = "for some of the programs that share the batches")]
    pub fn dense(&self) -> &[f32] {
        &self.dense
    }

    /// The user of each.
    #[allow(dead_code, reason = "for some of the programs that share the batches")]
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Hands them over as a model takes them.
    pub fn with<T>(&self, vectors: &[Vec<f16>; 2], use_batch: impl FnOnce(&Inputs) -> T) -> T {
        use_batch(&Inputs {
            dense: &self.dense,
            tables: &[
                TableInput::Single(&self.users),
                TableInput::Single(&self.movies),
                TableInput::Lists {
                    offsets: &self.genre_offsets,
                    ids: &self.genres,
                },
            ],
            modalities: &vectors.each_ref().map(|vectors| ModalityInput {
                vectors: vectors.as_slice().into(),
                rows: &self.movies,
            }),
        })
    }
}

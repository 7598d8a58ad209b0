use std::ops::RangeInclusive;

/// What a recommendation is to be like. The default: ten movies that the user has not
/// rated, whatever their genre and year, with three reasons each.
///
/// ```
/// use mmdlrm::Query;
///
/// let query = Query {
///     genres: vec!["Comedy".to_owned()],
///     years: Some(1990..=1999),
///     less_popular: true,
///     variety: 0.3,
///     ..Query::default()
/// };
/// assert_eq!(query.count, 10);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// How many.
    pub count: usize,
    /// Of any of these genres; of all where there is none.
    pub genres: Vec<String>,
    /// Released in these years; movies of unknown years are left out then.
    pub years: Option<RangeInclusive<i32>>,
    /// Whether movies that the user has rated are left out.
    pub unseen_only: bool,
    /// Whether the most rated movies, which together have half of all training ratings, are left
    /// out.
    pub less_popular: bool,
    /// How much each is to differ from those before it, from 0 to 1: 0 goes by scores alone, and
    /// of 1 the first does. See [`Recommender::recommend`](crate::Recommender::recommend).
    pub variety: f32,
    /// How many reasons each comes with, at most.
    pub reasons: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            count: 10,
            genres: Vec::new(),
            years: None,
            unseen_only: true,
            less_popular: false,
            variety: 0.0,
            reasons: 3,
        }
    }
}

/// One of the movies recommended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recommendation {
    /// Raw movie id.
    pub movie_id: u32,
    /// What it is ranked by, higher being better (with [variety](Query::variety), beside what comes
    /// before it), in a unit of the model's own: of one that ranks by what it predicts, stars of
    /// MovieLens whatever the scale of the data, and beyond 0.5 and 5 the better is still the better.
    pub score: f32,
    /// Stars that the user would give, from 0.5 to 5, or what stands for them on the scale of the
    /// data; `None` of a model that predicts none.
    pub stars: Option<f32>,
    /// What carried it, the strongest first.
    pub reasons: Vec<Reason>,
}

/// Why a movie is recommended: what the user rated, or a part of the model, and how much more it
/// makes than for an average movie, for the same user.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// The part, as the model names it: `user × movie`, `history × audience`, `features`.
    pub part: String,
    /// The same in words.
    pub words: String,
    /// How much, in the unit of [`Recommendation::stars`]. `None` of what the user rated, which is
    /// weighed in a unit of its own.
    pub stars: Option<f32>,
}

/// A movie and how near it is to another.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Similar {
    /// Raw movie id.
    pub movie_id: u32,
    /// Cosine of what the model knows of both, the catalogue's mean taken off: 1 is the
    /// same, 0 has nothing in common.
    pub cosine: f32,
}

/// A movie that nobody has rated: what is known of it. What is left out is treated as
/// missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Newcomer {
    /// The bytes of a JPEG, PNG, WebP, GIF or BMP file.
    pub poster: Option<Vec<u8>>,
    /// What it is about.
    pub plot: Option<String>,
    /// Names of its genres, as the catalogue's.
    pub genres: Vec<String>,
    /// Year of release.
    pub year: Option<i32>,
}

/// A user and how much they would like a movie.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Fan {
    /// Raw user id.
    pub user_id: u32,
    /// Stars that the user would give, from 0.5 to 5, or what stands for them on the scale of the
    /// data.
    pub stars: f32,
}

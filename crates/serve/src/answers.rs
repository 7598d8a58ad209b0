//! What is asked and answered, as JSON.

use mmdlrm::{Fan, Movie, Query, Recommendation, Recommender, Similar};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::limits::{LONGEST_TEXT, MOST_ANSWERS, MOST_RATINGS};

#[derive(Serialize, ToSchema)]
pub struct MovieInfo {
    pub id: u32,
    /// As it is written in the data: `City of Lost Children, The (Cité des enfants perdus, La)`.
    title: String,
    /// As people say it: `The City of Lost Children`.
    name: String,
    /// With its other titles: `The City of Lost Children (La Cité des enfants perdus)`.
    full_name: String,
    year: Option<i32>,
    genres: Vec<String>,
    /// Where its poster is, if it has one.
    poster: Option<String>,
}

impl MovieInfo {
    pub fn new(recommender: &Recommender, movie: &Movie) -> Self {
        let poster = recommender.catalogue().poster(movie.id);
        Self {
            id: movie.id,
            title: movie.title.clone(),
            name: movie.name(),
            full_name: movie.full_name(),
            year: movie.year,
            genres: movie.genres.clone(),
            poster: poster.map(|_| format!("/posters/{}", movie.id)),
        }
    }

    pub fn by_id(recommender: &Recommender, movie_id: u32) -> Result<Self, ApiError> {
        Ok(Self::new(
            recommender,
            recommender.catalogue().movie(movie_id)?,
        ))
    }
}

/// What there is to ask about.
#[derive(Serialize, ToSchema)]
pub struct Info {
    movies: usize,
    users: usize,
    /// Lowest and highest user id.
    user_ids: (u32, u32),
    genres: Vec<String>,
    /// What answers: the kind of the model, or the preset.
    model: String,
    /// A user whose history is worth looking at; null where there are no users.
    opens_on: Option<u32>,
}

impl Info {
    pub fn new(recommender: &Recommender) -> Self {
        let users = recommender.user_ids();
        let end = |user: Option<&u32>| user.copied().unwrap_or_default();
        Self {
            movies: recommender.catalogue().ids().len(),
            users: users.len(),
            user_ids: (end(users.first()), end(users.last())),
            genres: recommender.catalogue().genres().to_vec(),
            model: recommender.model().to_owned(),
            opens_on: recommender.example_user(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Recommended {
    movie: MovieInfo,
    /// Stars that would be given, from 0.5 to 5; null of a model that predicts none.
    stars: Option<f32>,
    /// What it is ranked by, higher being better.
    score: f32,
    /// The strongest first.
    reasons: Vec<Because>,
}

#[derive(Serialize, ToSchema)]
struct Because {
    /// The part of the model: `history × audience`.
    part: String,
    /// The same in words.
    words: String,
    /// Stars that it makes more than for an average movie; null of what the user rated.
    stars: Option<f32>,
}

impl Recommended {
    pub fn all(
        recommender: &Recommender,
        found: Vec<Recommendation>,
    ) -> Result<Vec<Self>, ApiError> {
        let answers = found.into_iter().map(|found| {
            let reasons = found.reasons.into_iter().map(|reason| Because {
                part: reason.part,
                words: reason.words,
                stars: reason.stars,
            });
            Ok(Self {
                movie: MovieInfo::by_id(recommender, found.movie_id)?,
                stars: found.stars,
                score: found.score,
                reasons: reasons.collect(),
            })
        });
        answers.collect()
    }
}

/// Movies that are recommended together.
#[derive(Serialize, ToSchema)]
pub struct Shelf {
    /// "For you", "Because you watched Fargo", "Most watched".
    title: String,
    /// The movie that it is because of; null of one that is for the user, or for anybody.
    because: Option<MovieInfo>,
    movies: Vec<Recommended>,
}

impl Shelf {
    pub fn all(
        recommender: &Recommender,
        shelves: Vec<mmdlrm::Shelf>,
    ) -> Result<Vec<Self>, ApiError> {
        let answers = shelves.into_iter().map(|shelf| {
            let because = shelf.because.map(|id| MovieInfo::by_id(recommender, id));
            Ok(Self {
                title: shelf.title,
                because: because.transpose()?,
                movies: Recommended::all(recommender, shelf.movies)?,
            })
        });
        answers.collect()
    }
}

/// A user, and what they rated last.
#[derive(Serialize, ToSchema)]
pub struct UserInfo {
    id: u32,
    /// How many ratings they gave.
    ratings: usize,
    /// The latest of them first.
    rated: Vec<RatedMovie>,
}

#[derive(Serialize, ToSchema)]
struct RatedMovie {
    movie: MovieInfo,
    /// From 0.5 to 5.
    stars: f32,
}

impl UserInfo {
    pub fn new(recommender: &Recommender, id: u32, count: usize) -> Result<Self, ApiError> {
        let rated = recommender.rated_by(id)?;
        let latest = rated.iter().rev().take(count).map(|&(movie, stars)| {
            Ok(RatedMovie {
                movie: MovieInfo::by_id(recommender, movie)?,
                stars,
            })
        });
        Ok(Self {
            id,
            ratings: rated.len(),
            rated: latest.collect::<Result<_, ApiError>>()?,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub struct Alike {
    movie: MovieInfo,
    /// 1 is the same, 0 has nothing in common.
    cosine: f32,
}

impl Alike {
    pub fn all(recommender: &Recommender, similar: &[Similar]) -> Result<Vec<Self>, ApiError> {
        let answers = similar.iter().map(|similar| {
            Ok(Self {
                movie: MovieInfo::by_id(recommender, similar.movie_id)?,
                cosine: similar.cosine,
            })
        });
        answers.collect()
    }
}

#[derive(Serialize, ToSchema)]
pub struct FanInfo {
    user_id: u32,
    /// Stars that would be given, from 0.5 to 5.
    stars: f32,
}

impl From<Fan> for FanInfo {
    fn from(fan: Fan) -> Self {
        Self {
            user_id: fan.user_id,
            stars: fan.stars,
        }
    }
}

/// A prediction.
#[derive(Serialize, ToSchema)]
pub struct Stars {
    /// From 0.5 to 5.
    pub stars: f32,
}

/// Which movies are wanted, and how many.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wish {
    /// From 1 to 100.
    count: usize,
    /// Any of these, separated by commas.
    genres: Option<String>,
    /// The earliest year.
    from: Option<i32>,
    /// The latest year.
    to: Option<i32>,
    /// Those that the user has rated too.
    seen: bool,
    /// Without the most rated movies, which have half of all ratings.
    less_popular: bool,
    /// How much they are to differ from each other, from 0 to 1.
    variety: f32,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            count: 10,
            genres: None,
            from: None,
            to: None,
            seen: false,
            less_popular: false,
            variety: 0.0,
        }
    }
}

impl Wish {
    pub fn query(&self) -> Result<Query, ApiError> {
        let genres = self.genres.iter().flat_map(|genres| genres.split(','));
        let genres = genres.map(|genre| genre.trim().to_owned());
        let years = (self.from.is_some() || self.to.is_some())
            .then(|| self.from.unwrap_or(i32::MIN)..=self.to.unwrap_or(i32::MAX));
        Ok(Query {
            count: checked(self.count)?,
            genres: genres.filter(|genre| !genre.is_empty()).collect(),
            years,
            unseen_only: !self.seen,
            less_popular: self.less_popular,
            variety: self.variety,
            ..Query::default()
        })
    }
}

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Count {
    /// From 1 to 100 [default: 10, and 20 of what a user rated].
    count: Option<usize>,
}

impl Count {
    pub fn or(&self, usual: usize) -> Result<usize, ApiError> {
        checked(self.count.unwrap_or(usual))
    }
}

/// Words of a title, and how many movies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Find {
    /// Words of the title.
    pub title: String,
    /// From 1 to 100.
    #[serde(default)]
    count: Option<usize>,
}

impl Find {
    pub fn checked(&self) -> Result<usize, ApiError> {
        if self.title.chars().count() > LONGEST_TEXT {
            let error = format!("title has {LONGEST_TEXT} characters at most");
            return Err(ApiError::bad(error));
        }
        checked(self.count.unwrap_or(10))
    }
}

pub fn checked(count: usize) -> Result<usize, ApiError> {
    match count {
        1..=MOST_ANSWERS => Ok(count),
        _ => Err(ApiError::bad(format!(
            "count is {count}, but must be 1 to {MOST_ANSWERS}"
        ))),
    }
}

/// Somebody new, by some ratings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Visitor {
    ratings: Vec<RatingOf>,
    /// Which movies are wanted.
    #[serde(default)]
    pub wish: Wish,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RatingOf {
    /// The movie's id, or …
    movie: Option<u32>,
    /// … its title, or words that its title alone has.
    title: Option<String>,
    /// From 0.5 to 5.
    #[serde(default = "most_stars")]
    stars: f32,
}

fn most_stars() -> f32 {
    mmdlrm::data::HIGHEST_RATING
}

impl RatingOf {
    fn movie(&self, recommender: &Recommender) -> Result<u32, ApiError> {
        match (self.movie, &self.title) {
            (Some(id), None) => Ok(id),
            (None, Some(title)) if title.chars().count() > LONGEST_TEXT => Err(ApiError::bad(
                format!("title has {LONGEST_TEXT} characters at most"),
            )),
            (None, Some(title)) => Ok(recommender.movie_by_title(title)?.id),
            _ => Err(ApiError::bad(
                "a rating names a movie by its id, as movie, or by its title, as title",
            )),
        }
    }
}

impl Visitor {
    /// Movies and stars.
    pub fn ratings(&self, recommender: &Recommender) -> Result<Vec<(u32, f32)>, ApiError> {
        if self.ratings.len() > MOST_RATINGS {
            let error = format!("no more than {MOST_RATINGS} ratings at once");
            return Err(ApiError::bad(error));
        }
        let ratings = self.ratings.iter();
        let ratings = ratings.map(|rating| Ok((rating.movie(recommender)?, rating.stars)));
        ratings.collect()
    }
}

//! What is asked and answered, as JSON.

use mmdlrm::data::Target;
use mmdlrm::{Fan, Movie, Query, Recommendation, Recommender, Similar, Words};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::ids::{Id, are_names};
use crate::limits::{LONGEST_TEXT, MOST_ANSWERS, MOST_RATINGS};

/// Users that are named as examples, at most.
const EXAMPLES: usize = 20;

/// A movie, or whatever else the items of the data are.
#[derive(Serialize, ToSchema)]
pub struct MovieInfo {
    id: Id,
    /// As it is written in the data: `City of Lost Children, The (Cité des enfants perdus, La)`.
    title: String,
    /// As people say it: `The City of Lost Children`.
    name: String,
    /// With its other titles: `The City of Lost Children (La Cité des enfants perdus)`.
    full_name: String,
    year: Option<i32>,
    /// Of other data, the values of those columns that have few.
    genres: Vec<String>,
    /// Where its poster is, if it has one.
    poster: Option<String>,
}

impl MovieInfo {
    pub fn new(recommender: &Recommender, movie: &Movie) -> Self {
        let poster = recommender.catalogue().poster(movie.id);
        let id = Id::of_movie(movie);
        Self {
            title: movie.title.clone(),
            name: movie.name(),
            full_name: movie.full_name(),
            year: movie.year,
            genres: movie.genres.clone(),
            poster: poster.map(|_| format!("/posters/{}", id.in_path())),
            id,
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
    /// Lowest and highest user id; null where ids are names.
    user_ids: Option<(u32, u32)>,
    genres: Vec<String>,
    /// First and last year of the movies; null where no year is known.
    years: Option<(i32, i32)>,
    /// What answers: the kind of the model, or the preset.
    model: String,
    /// A user whose history is worth looking at; null where there are no users.
    opens_on: Option<Id>,
    /// Some users, at most 20, spread evenly over all.
    examples: Vec<Id>,
    words: WordsInfo,
}

impl Info {
    pub fn new(recommender: &Recommender) -> Result<Self, ApiError> {
        let (users, movies) = (recommender.user_ids(), recommender.catalogue().movies());
        let end = |user: Option<&u32>| user.copied().unwrap_or_default();
        let named = |user: u32| Id::of_user(recommender, user);
        let count = users.len().min(EXAMPLES);
        let examples = (0..count).map(|place| named(users[place * users.len() / count]));
        let years = || movies.iter().filter_map(|movie| movie.year);
        Ok(Self {
            movies: movies.len(),
            users: users.len(),
            user_ids: (!are_names(recommender)).then(|| (end(users.first()), end(users.last()))),
            genres: recommender.catalogue().genres().to_vec(),
            years: years().min().zip(years().max()),
            model: recommender.model().to_owned(),
            opens_on: recommender.example_user().map(named).transpose()?,
            examples: examples.collect::<Result<_, _>>()?,
            words: WordsInfo::new(recommender.words()),
        })
    }
}

/// What the data call their things.
#[derive(Serialize, ToSchema)]
struct WordsInfo {
    /// One item: `movie`.
    item: String,
    items: String,
    /// What a user said of one, or did with it: `rating`, `purchase`.
    rating: String,
    ratings: String,
    /// What users did with items: `rated`, or `chose`.
    rated: String,
    /// What ratings are counted in: `stars`.
    unit: String,
    /// The lowest and the highest rating; null where what was chosen is all that is known.
    scale: Option<(f32, f32)>,
    /// Whether what is predicted is how likely somebody is to choose an item, from 0 to 1.
    are_probabilities: bool,
}

impl WordsInfo {
    fn new(words: &Words) -> Self {
        Self {
            item: words.item.clone(),
            items: words.items.clone(),
            rating: words.rating.clone(),
            ratings: words.ratings.clone(),
            rated: words.rated.clone(),
            unit: words.unit.clone(),
            scale: (words.target != Target::Implicit).then(|| words.target.bounds()),
            are_probabilities: words.target.is_probability(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Recommended {
    movie: MovieInfo,
    /// Stars that would be given, from 0.5 to 5, or a rating on the scale of the data; null of a
    /// model that predicts none, and of data without ratings.
    stars: Option<f32>,
    /// What it is ranked by, higher being better, in a unit of the model's own.
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
    /// How much more it makes than for an average movie, in the unit of the stars above; null of what
    /// the user rated.
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
    id: Id,
    /// How many ratings they gave.
    ratings: usize,
    /// The latest of them first.
    rated: Vec<RatedMovie>,
}

#[derive(Serialize, ToSchema)]
struct RatedMovie {
    movie: MovieInfo,
    /// From 0.5 to 5, or on the scale of the data; 1 where they have no ratings.
    stars: f32,
}

impl UserInfo {
    pub fn new(recommender: &Recommender, user: u32, count: usize) -> Result<Self, ApiError> {
        let rated = recommender.rated_by(user)?;
        let latest = rated.iter().rev().take(count).map(|&(movie, stars)| {
            Ok(RatedMovie {
                movie: MovieInfo::by_id(recommender, movie)?,
                stars,
            })
        });
        Ok(Self {
            id: Id::of_user(recommender, user)?,
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
    user_id: Id,
    /// Stars that would be given, from 0.5 to 5, or a rating on the scale of the data.
    stars: f32,
}

impl FanInfo {
    pub fn all(recommender: &Recommender, fans: Vec<Fan>) -> Result<Vec<Self>, ApiError> {
        let answers = fans.into_iter().map(|fan| {
            Ok(Self {
                user_id: Id::of_user(recommender, fan.user_id)?,
                stars: fan.stars,
            })
        });
        answers.collect()
    }
}

/// A prediction.
#[derive(Serialize, ToSchema)]
pub struct Stars {
    /// From 0.5 to 5, or on the scale of the data.
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

/// What the description calls a visitor and a rating: aliases, since generic types would be called
/// by their parameters too.
pub type Visitor = VisitorBy<Id>;
type RatingOf = RatingBy<Id>;

/// Somebody new, by some ratings.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Visitor)]
#[serde(deny_unknown_fields)]
pub struct VisitorBy<I> {
    #[schema(value_type = Vec<RatingOf>)]
    ratings: Vec<RatingBy<I>>,
    /// Which movies are wanted.
    #[serde(default)]
    pub wish: Wish,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RatingOf)]
#[serde(deny_unknown_fields, bound = "I: Deserialize<'de>")]
struct RatingBy<I> {
    /// The movie's id, or …
    movie: Option<I>,
    /// … its title, or words that its title alone has.
    title: Option<String>,
    /// From 0.5 to 5, or on the scale of the data [default: the most there is].
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = f32, required = false)]
    stars: Option<f32>,
}

/// A number that may be left out, but not null.
fn given<'de, D: Deserializer<'de>>(stars: D) -> Result<Option<f32>, D::Error> {
    f32::deserialize(stars).map(Some)
}

impl<I: Into<Id>> VisitorBy<I> {
    pub fn with_ids(self) -> Visitor {
        let ratings = self.ratings.into_iter().map(|rating| RatingBy {
            movie: rating.movie.map(Into::into),
            title: rating.title,
            stars: rating.stars,
        });
        VisitorBy {
            ratings: ratings.collect(),
            wish: self.wish,
        }
    }
}

impl RatingOf {
    fn movie(&self, recommender: &Recommender) -> Result<u32, ApiError> {
        match (&self.movie, &self.title) {
            (Some(id), None) => id.movie(recommender),
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
        let (_, most) = recommender.words().target.bounds();
        let ratings = self.ratings.iter().map(|rating| {
            let movie = rating.movie(recommender)?;
            Ok((movie, rating.stars.unwrap_or(most)))
        });
        ratings.collect()
    }
}

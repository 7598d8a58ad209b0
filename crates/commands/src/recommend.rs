//! Asks a trained model: what a user would like and why, what is like a movie, what
//! somebody new would like, who would like a new movie.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use mmdlrm::{Movie, Newcomer, Query, Recommendation, Recommender, Words};

use crate::options::AskedRun;
use crate::program::{on_one_line, print};
use crate::progress::Progress;
use crate::{Error, Result};

/// Ask a trained model for recommendations.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    asked: AskedRun,
    /// How many answers
    #[arg(long, default_value_t = 10, global = true)]
    count: usize,
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What a user of the data would like
    User {
        /// The user's id
        id: String,
        #[command(flatten)]
        wish: Wish,
    },
    /// What somebody new would like
    Visitor {
        /// Ratings, "Toy Story=4.5": a movie by its title or id, and stars [default: 5, or the most
        /// of the data's own scale]. A title that is a number comes with its year, "1984 (1956)"
        #[arg(required = true, value_parser = rating, value_name = "MOVIE=STARS")]
        ratings: Vec<(String, Option<f32>)>,
        #[command(flatten)]
        wish: Wish,
    },
    /// Movies like another
    Similar {
        /// The movie, by its title or id
        movie: String,
    },
    /// The users who would like a movie that nobody has rated
    Fans {
        /// Its poster, a JPEG or PNG
        #[arg(long, value_name = "FILE")]
        poster: Option<PathBuf>,
        /// Its plot
        #[arg(long, value_name = "TEXT")]
        plot: Option<String>,
        /// Its genres
        #[arg(long)]
        genre: Vec<String>,
        /// Year of release
        #[arg(long)]
        year: Option<i32>,
    },
    /// Movies by words of their titles
    Find {
        /// The words
        title: String,
    },
}

/// Which movies are wanted.
#[derive(Debug, clap::Args)]
struct Wish {
    /// Of this genre; may be given several times, for any of them
    #[arg(long)]
    genre: Vec<String>,
    /// Released in these years, FROM-TO, FROM- or -TO
    #[arg(long, value_parser = years, value_name = "FROM-TO", allow_hyphen_values = true)]
    years: Option<RangeInclusive<i32>>,
    /// Without the most rated movies, which together have half of all ratings
    #[arg(long)]
    less_popular: bool,
    /// How much they are to differ from each other, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    variety: f32,
    /// Those that the user has rated too
    #[arg(long)]
    seen: bool,
}

fn rating(text: &str) -> std::result::Result<(String, Option<f32>), String> {
    let Some((movie, stars)) = text.rsplit_once('=') else {
        return Ok((text.to_owned(), None));
    };
    let stars = stars.parse().map_err(|_| {
        format!("'{stars}' is no number; write what was given behind =, as 318=4.5")
    })?;
    Ok((movie.to_owned(), Some(stars)))
}

fn years(text: &str) -> std::result::Result<RangeInclusive<i32>, String> {
    let (from, to) = text
        .split_once('-')
        .ok_or("write FROM-TO, as 1990-1999, 1990- or -1980")?;
    let year = |text: &str, open: i32| match text.trim() {
        "" => Ok(open),
        text => text.parse().map_err(|_| format!("'{text}' is no year")),
    };
    Ok(year(from, i32::MIN)?..=year(to, i32::MAX)?)
}

/// The id of a movie that is named by it, or by its title.
fn movie_id(recommender: &Recommender, movie: &str) -> Result<u32> {
    let catalogue = recommender.catalogue();
    let are_named = catalogue
        .movies()
        .first()
        .is_some_and(|it| it.named.is_some());
    let found = match (movie.trim().parse(), catalogue.named(movie.trim())) {
        (_, Ok(named)) if are_named => Ok(named),
        (Ok(id), _) if !are_named => catalogue.movie(id),
        _ => catalogue.by_title(movie),
    };
    Ok(found?.id)
}

impl Wish {
    fn query(&self, count: usize) -> Query {
        Query {
            count,
            genres: self.genre.clone(),
            years: self.years.clone(),
            unseen_only: !self.seen,
            less_popular: self.less_popular,
            variety: self.variety,
            ..Query::default()
        }
    }
}

/// Asks, and prints the answers.
///
/// # Errors
/// A run that cannot be loaded, as [`Recommender::load`] says, or trained, or a question about somebody
/// or something that it does not know.
pub fn run(args: Args) -> Result<()> {
    let Args {
        asked,
        count,
        question,
    } = args;
    let recommender = Recommender::load(asked.folder()?, &mut Progress::new())?;
    let without_answer = question.without_answer(recommender.words());
    let lines = question.answer(&recommender, count)?;
    if lines.is_empty() {
        eprintln!("{without_answer}");
    }
    for line in &lines {
        print(on_one_line(line))?;
    }
    Ok(())
}

impl Question {
    /// What is said where no line answers it.
    fn without_answer(&self, words: &Words) -> String {
        match self {
            Self::User { .. } | Self::Visitor { .. } => format!(
                "no {} is as you want it: ask for more genres or years, or for popular ones too",
                words.item
            ),
            Self::Find { .. } => "no title has all of these words".to_owned(),
            Self::Similar { .. } | Self::Fans { .. } => {
                "there is nobody and nothing like that".to_owned()
            }
        }
    }

    /// The lines of the answer.
    fn answer(self, recommender: &Recommender, count: usize) -> Result<Vec<String>> {
        match self {
            Self::User { id, wish } => {
                let id = recommender.user_named(&id)?;
                let found = recommender.recommend(id, &wish.query(count))?;
                recommendations(recommender, &found)
            }
            Self::Visitor { ratings, wish } => {
                let most = recommender.words().target.bounds().1;
                let ratings = ratings.iter().map(|(movie, stars)| {
                    let id = movie_id(recommender, movie)?;
                    Ok((id, stars.unwrap_or(most)))
                });
                let ratings: Vec<(u32, f32)> = ratings.collect::<Result<_>>()?;
                let found = recommender.recommend_to_visitor(&ratings, &wish.query(count))?;
                recommendations(recommender, &found)
            }
            Self::Similar { movie } => {
                let id = movie_id(recommender, &movie)?;
                let similar = recommender.similar(id, count)?.into_iter();
                let lines = similar.map(|movie| {
                    let title = title(recommender, movie.movie_id)?;
                    Ok(format!("{:5.2}  {title}", movie.cosine))
                });
                lines.collect()
            }
            Self::Fans {
                poster,
                plot,
                genre,
                year,
            } => {
                let movie = Newcomer {
                    poster: poster.as_deref().map(read).transpose()?,
                    plot,
                    genres: genre,
                    year,
                };
                let words = recommender.words();
                let fans = recommender.fans(&movie, count)?.into_iter();
                let lines = fans.map(|fan| {
                    let user = recommender.name_of_user(fan.user_id)?;
                    Ok(format!("{}  user {user}", words.exact(fan.stars)))
                });
                lines.collect()
            }
            Self::Find { title: words } => {
                let found = recommender.catalogue().find(&words, count).into_iter();
                let lines = found.map(|movie| {
                    let title = title(recommender, movie.id)?;
                    Ok(format!("{:>7}  {title}", id_of(movie)))
                });
                lines.collect()
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// As the data write it.
fn id_of(movie: &Movie) -> String {
    movie.named.clone().unwrap_or_else(|| movie.id.to_string())
}

/// Title, year and genres.
fn title(recommender: &Recommender, movie_id: u32) -> Result<String> {
    let movie = recommender.catalogue().movie(movie_id)?;
    let year = movie
        .year
        .map_or(String::new(), |year| format!(" ({year})"));
    Ok(format!(
        "{}{year}  {}",
        movie.title,
        movie.genres.join(", ")
    ))
}

/// A line a movie, and one for each of its reasons.
fn recommendations(recommender: &Recommender, found: &[Recommendation]) -> Result<Vec<String>> {
    let words = recommender.words();
    let mut lines = Vec::new();
    for movie in found {
        let title = title(recommender, movie.movie_id)?;
        // A score is in a unit of the model's own.
        let (amount, decimals) = match movie.stars {
            Some(stars) => (stars, words.decimals(2)),
            None => (movie.score, 2),
        };
        let id = id_of(recommender.catalogue().movie(movie.movie_id)?);
        lines.push(format!("{amount:4.decimals$}  {title}  [{id}]"));
        let reasons = movie.reasons.iter();
        lines.extend(reasons.map(|it| match it.stars {
            None => format!("      {}", it.words),
            Some(stars) => format!("      {stars:+.decimals$}  {}", it.words),
        }));
    }
    Ok(lines)
}

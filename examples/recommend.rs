//! Asks a trained model: what a user would like and why, what is like a movie, what
//! somebody new would like, who would like a new movie.

mod progress;

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mmdlrm::{Error, Newcomer, Query, Recommendation, Recommender};
use progress::Progress;

/// Ask a trained model for recommendations.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of the run
    #[arg(long, value_name = "DIR", default_value = "runs/sample")]
    run: PathBuf,
    /// How many answers
    #[arg(long, default_value_t = 10, global = true)]
    count: usize,
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// What a user of the data would like
    User {
        /// The user's id
        id: u32,
        #[command(flatten)]
        wish: Wish,
    },
    /// What somebody new would like
    Visitor {
        /// Ratings: MOVIE=STARS, the movie by its id
        #[arg(required = true, value_parser = rating)]
        ratings: Vec<(u32, f32)>,
        #[command(flatten)]
        wish: Wish,
    },
    /// Movies like another
    Similar {
        /// The movie's id
        id: u32,
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
#[derive(clap::Args)]
struct Wish {
    /// Of this genre; may be given several times, for any of them
    #[arg(long)]
    genre: Vec<String>,
    /// Released in these years, FROM-TO
    #[arg(long, value_parser = years, value_name = "FROM-TO")]
    years: Option<RangeInclusive<i32>>,
    /// Those that the user has rated too
    #[arg(long)]
    seen: bool,
}

fn rating(text: &str) -> Result<(u32, f32), String> {
    let (movie, stars) = text
        .split_once('=')
        .ok_or("write MOVIE=STARS, as 318=4.5")?;
    let movie = movie
        .parse()
        .map_err(|_| format!("'{movie}' is no movie id"))?;
    let stars = stars
        .parse()
        .map_err(|_| format!("'{stars}' is no number of stars"))?;
    Ok((movie, stars))
}

fn years(text: &str) -> Result<RangeInclusive<i32>, String> {
    let (from, to) = text.split_once('-').ok_or("write FROM-TO, as 1990-1999")?;
    let year = |text: &str| {
        text.trim()
            .parse()
            .map_err(|_| format!("'{text}' is no year"))
    };
    Ok(year(from)?..=year(to)?)
}

impl Wish {
    fn query(&self, count: usize) -> Query {
        Query {
            count,
            genres: self.genre.clone(),
            years: self.years.clone(),
            unseen_only: !self.seen,
            ..Query::default()
        }
    }
}

fn main() -> ExitCode {
    match answer(&Args::parse()) {
        Ok(answer) => {
            print!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(args: &Args) -> Result<String, Box<dyn std::error::Error>> {
    let recommender = Recommender::load(&args.run, &mut Progress::new())?;
    let count = args.count;
    let mut out = String::new();
    match &args.question {
        Question::User { id, wish } => {
            let found = recommender.recommend(*id, &wish.query(count))?;
            write_recommendations(&recommender, &found, &mut out)?;
        }
        Question::Visitor { ratings, wish } => {
            let found = recommender.recommend_to_visitor(ratings, &wish.query(count))?;
            write_recommendations(&recommender, &found, &mut out)?;
        }
        Question::Similar { id } => {
            for movie in recommender.similar(*id, count)? {
                let title = title(&recommender, movie.movie_id)?;
                writeln!(out, "{:5.2}  {title}", movie.cosine)?;
            }
        }
        Question::Fans {
            poster,
            plot,
            genre,
            year,
        } => {
            let read = |path: &PathBuf| {
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
            };
            let movie = Newcomer {
                poster: poster.as_ref().map(read).transpose()?,
                plot: plot.clone(),
                genres: genre.clone(),
                year: *year,
            };
            for fan in recommender.fans(&movie, count)? {
                writeln!(out, "{:4.2}  user {}", fan.stars, fan.user_id)?;
            }
        }
        Question::Find { title: words } => {
            for movie in recommender.catalogue().find(words, count) {
                writeln!(out, "{:7}  {}", movie.id, title(&recommender, movie.id)?)?;
            }
        }
    }
    Ok(out)
}

/// Title, year and genres.
fn title(recommender: &Recommender, movie_id: u32) -> Result<String, Error> {
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

fn write_recommendations(
    recommender: &Recommender,
    found: &[Recommendation],
    out: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    for movie in found {
        let title = title(recommender, movie.movie_id)?;
        let stars = movie.stars.unwrap_or(movie.score);
        writeln!(out, "{stars:4.2}  {title}  [{}]", movie.movie_id)?;
        for reason in &movie.reasons {
            writeln!(out, "      {:+.2}  {}", reason.stars, reason.words)?;
        }
    }
    Ok(())
}

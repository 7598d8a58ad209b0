//! A small MovieLens folder made up from a seed, so that everything runs with
//! nothing prepared.
//!
//! Movies have hidden traits and users have tastes for them; a rating is the
//! average of all, plus the user's and the movie's leaning, plus taste times
//! traits, plus noise, rounded to half stars. The traits show in the poster
//! (its colours, its shapes, how many and where) and in the words of the plot.
//! So a model that looks at pictures and plots knows a movie that few have
//! rated, and one that does not, does not.

mod plot;
mod poster;
mod taste;

use std::fmt::Write as _;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use taste::World;

/// Raised when the same settings make other files, so that old folders are
/// made anew.
const FORMAT: u32 = 1;

/// How large a sample is and which seed draws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleConfig {
    /// Number of users.
    pub users: u32,
    /// Number of movies.
    pub movies: u32,
    /// Number of ratings.
    pub ratings: u32,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for SampleConfig {
    /// 500 users, 1,200 movies, 30,000 ratings, seed 42.
    fn default() -> Self {
        Self {
            users: 500,
            movies: 1200,
            ratings: 30_000,
            seed: 42,
        }
    }
}

impl SampleConfig {
    /// 20 users, 30 movies, 300 ratings: for tests that need any folder.
    pub fn tiny() -> Self {
        Self {
            users: 20,
            movies: 30,
            ratings: 300,
            seed: 42,
        }
    }

    fn check(&self) -> Result<()> {
        let pairs = u64::from(self.users) * u64::from(self.movies);
        if self.users == 0 || self.movies == 0 || self.ratings == 0 {
            return Err(Error::Setting {
                name: "sample size",
                value: format!(
                    "{} users, {} movies, {} ratings",
                    self.users, self.movies, self.ratings
                ),
                rule: "each must be 1 or more",
            });
        }
        if u64::from(self.ratings) * 2 > pairs {
            return Err(Error::Setting {
                name: "number of sample ratings",
                value: self.ratings.to_string(),
                rule: "it may be at most half of users × movies",
            });
        }
        Ok(())
    }
}

/// Writes the sample into the folder `dir`: `ratings.csv`, `movies.csv`,
/// `links.csv`, `tags.csv`, `posters.csv` with its pictures (JPEG and PNG),
/// `summaries.csv`, and a `README.txt` that says what it is. A folder that
/// already holds this very sample is left as it is.
///
/// The folder is written beside and renamed into place: it is whole or absent.
///
/// # Errors
/// Settings that make no sense, a folder that cannot be written, or one at
/// `dir` that is something else than a sample.
pub fn write(dir: &Path, config: &SampleConfig) -> Result<()> {
    config.check()?;
    let readme = readme(config);
    match std::fs::read_to_string(dir.join("README.txt")) {
        Ok(found) if found == readme => return Ok(()),
        Ok(found) if found.starts_with(README_TITLE) => {
            std::fs::remove_dir_all(dir).map_err(Error::write(dir))?;
        }
        _ if dir.exists() => {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::write(dir)(source));
        }
        _ => {}
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let beside = dir.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    let written = write_files(&beside, config, &readme)
        .and_then(|()| std::fs::rename(&beside, dir).map_err(Error::write(dir)));
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = std::fs::remove_dir_all(&beside);
    }
    written
}

const README_TITLE: &str = "A made-up MovieLens folder";

fn readme(config: &SampleConfig) -> String {
    format!(
        "{README_TITLE}: {} users, {} movies, {} ratings, seed {}, format {FORMAT}.\n\
         Drawn by a program; no person and no film is meant.\n",
        config.users, config.movies, config.ratings, config.seed
    )
}

fn write_files(dir: &Path, config: &SampleConfig, readme: &str) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let world = World::draw(config, &mut random);
    let pictures = dir.join("posters");
    std::fs::create_dir_all(&pictures).map_err(Error::write(&pictures))?;

    let mut movies = "movieId,title,genres\n".to_owned();
    let mut links = "movieId,imdbId,tmdbId\n".to_owned();
    let mut posters = "movieId,poster_path\n".to_owned();
    let mut summaries = "movieId,summary\n".to_owned();
    for movie in &world.movies {
        let id = movie.id;
        // Writing to a string cannot fail.
        let _ = writeln!(
            movies,
            "{id},\"{} ({})\",{}",
            movie.title, movie.year, movie.genres
        );
        let _ = writeln!(links, "{id},{:07},{}", 9_000_000 + id, 900_000 + id);
        let plot = plot::write(&movie.traits, &mut random);
        if movie.has_plot {
            let _ = writeln!(summaries, "{id},\"{plot}\"");
        }
        let picture = poster::draw(&movie.traits, &mut random);
        if movie.has_poster {
            let extension = if id % 5 == 0 { "png" } else { "jpg" };
            let file = pictures.join(format!("{id}.{extension}"));
            picture
                .save(&file)
                .map_err(|source| Error::Picture { path: file, source })?;
            let _ = writeln!(posters, "{id},posters/{id}.{extension}");
        }
    }
    let mut ratings = "userId,movieId,rating,timestamp\n".to_owned();
    let mut tags = "userId,movieId,tag,timestamp\n".to_owned();
    for (number, rating) in world.ratings.iter().enumerate() {
        let taste::SampleRating {
            user,
            movie,
            half_stars,
            timestamp,
        } = *rating;
        let movie = &world.movies[movie];
        let stars = f64::from(half_stars) / 2.0;
        let _ = writeln!(ratings, "{user},{},{stars:.1},{timestamp}", movie.id);
        if number % 40 == 0 {
            let _ = writeln!(
                tags,
                "{user},{},{},{timestamp}",
                movie.id,
                plot::tag(&movie.traits)
            );
        }
    }
    for (name, text) in [
        ("ratings.csv", ratings.as_str()),
        ("movies.csv", &movies),
        ("links.csv", &links),
        ("tags.csv", &tags),
        ("posters.csv", &posters),
        ("summaries.csv", &summaries),
        ("README.txt", readme),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(Error::write(&path))?;
    }
    Ok(())
}

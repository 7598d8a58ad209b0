//! A MovieLens folder, or a [shop](PlantedShop), made up from a seed, at any scale.
//!
//! Movies have hidden traits and users have tastes for them; how much a user
//! likes a movie is the user's and the movie's leaning, plus taste times
//! traits, plus chance. Likings become ratings by their quantiles, so that the
//! ratings are distributed as those of ml-25m; how active users are and how
//! popular movies also follow ml-25m. The traits show in the poster (its
//! colours, its shapes, how many and where) and in the words of the plot. So a
//! model that looks at pictures and plots knows a movie that few have rated,
//! and one that does not, does not.
//!
//! The same settings give the same bytes, on any machine and with any number
//! of threads.

mod manifest;
mod plot;
#[cfg_attr(not(feature = "generate-posters"), path = "no_poster.rs")]
mod poster;
mod shape;
mod shop;
mod world;

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use manifest::{Manifest, foreign};
use shape::Draw;
pub use shop::PlantedShop;
use world::{GeneratedMovie, World};

/// Raised when the same settings make other files, so that old folders are
/// made anew.
const FORMAT: u32 = 2;
/// One rating in so many comes with a tag, as in ml-25m.
const RATINGS_PER_TAG: u32 = 23;
/// Ratings that a thread writes at a time.
const RATINGS_AT_A_TIME: u64 = 64 << 10;

/// How large a made-up folder is and which seed draws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorConfig {
    /// Number of users.
    pub users: u32,
    /// Number of movies.
    pub movies: u32,
    /// Number of ratings.
    pub ratings: u64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Whether to make posters and plots, which takes the feature `generate-posters`.
    pub contents: bool,
}

impl Default for GeneratorConfig {
    /// A small sample: 500 users, 1,200 movies, 30,000 ratings, seed 42.
    fn default() -> Self {
        Self {
            users: 500,
            movies: 1200,
            ratings: 30_000,
            seed: 42,
            contents: true,
        }
    }
}

impl GeneratorConfig {
    /// 20 users, 30 movies, 300 ratings: for tests that need any folder.
    pub fn tiny() -> Self {
        Self {
            users: 20,
            movies: 30,
            ratings: 300,
            ..Self::default()
        }
    }

    /// ml-25m's size: 162,541 users, 62,423 movies, 25,000,095 ratings.
    pub fn ml_25m() -> Self {
        Self {
            users: 162_541,
            movies: 62_423,
            ratings: 25_000_095,
            seed: 1,
            contents: true,
        }
    }

    /// A name for the folder of these settings, that no others have: `sample-`, then the
    /// numbers.
    ///
    /// ```
    /// use mmdlrm_data::generate::GeneratorConfig;
    ///
    /// let tiny = GeneratorConfig::tiny();
    /// assert!(tiny.folder_name().starts_with("sample-20-users-30-movies-300-ratings-seed-42"));
    /// assert_ne!(GeneratorConfig { seed: 1, ..tiny.clone() }.folder_name(), tiny.folder_name());
    /// ```
    pub fn folder_name(&self) -> String {
        let Self {
            users,
            movies,
            ratings,
            seed,
            contents,
        } = self;
        let contents = if *contents { "" } else { "-bare" };
        format!(
            "sample-{users}-users-{movies}-movies-{ratings}-ratings-seed-{seed}{contents}-v{FORMAT}"
        )
    }

    fn check(&self) -> Result<()> {
        let refuse = |name, value: String, rule| Err(Error::setting(name, value, rule));
        let pairs = u64::from(self.users) * u64::from(self.movies);
        if self.users == 0 || self.movies == 0 || self.ratings == 0 {
            let value = format!(
                "{} users, {} movies, {} ratings",
                self.users, self.movies, self.ratings
            );
            return refuse("size to generate", value, "each must be 1 or more");
        }
        if self.movies > 1 << 30 || self.users == u32::MAX {
            let value = format!("{} users, {} movies", self.users, self.movies);
            let rule = "ids have 32 bits: there may be at most 4294967294 users and 2^30 movies";
            return refuse("size to generate", value, rule);
        }
        if self.ratings < u64::from(self.users) || self.ratings > pairs / 2 {
            let value = self.ratings.to_string();
            let rule = "it must be at least one a user and at most half of users × movies";
            return refuse("number of ratings to generate", value, rule);
        }
        Ok(())
    }
}

/// Writes the folder `dir`: `ratings.csv`, `movies.csv`, `links.csv`,
/// `tags.csv`, and, where contents are wanted, `posters.csv` with its pictures
/// (JPEG and PNG) and `summaries.csv`; a `README.txt` that says what it is, and a
/// `made-up.json` that lists the files, with their lengths and hashes. A folder that
/// already holds just this is left as it is. `progress` is told of ratings as they are
/// written.
///
/// The folder is written beside and renamed into place: it is whole or absent. What
/// stood there is removed if it is a made-up folder of other settings and nothing else
/// is in it: nothing that this did not write is ever removed.
///
/// # Errors
/// Settings that make no sense, a folder that cannot be written, or one at `dir` that
/// holds anything else than what this wrote there.
pub fn write(dir: &Path, config: &GeneratorConfig, mut progress: impl FnMut(u64)) -> Result<()> {
    config.check()?;
    let readme = readme(config);
    // Where it is a link, what it leads to is written and not the link.
    let dir = &dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let Some(standing) = Standing::at(dir, config, &readme)? else {
        return Ok(());
    };
    let beside = make_beside(dir)?;
    let written = write_files(&beside, config, &readme, &mut progress)
        .and_then(|()| Manifest::write(&beside, config))
        .and_then(|()| standing.remove(dir))
        .and_then(|()| std::fs::rename(&beside, dir).map_err(Error::write(dir)));
    if written.is_err() {
        // It did not exist before. The first error is the one worth telling.
        let _ = std::fs::remove_dir_all(&beside);
        // Somebody else may have made the same meanwhile.
        if let Ok(None) = Standing::at(dir, config, &readme) {
            return Ok(());
        }
    }
    written
}

/// What stands where a folder is to be written, if it may go.
enum Standing {
    Nothing,
    EmptyFolder,
    /// A made-up folder and nothing else.
    MadeUp(Manifest),
}

impl Standing {
    /// `None` where it is what is to be written.
    fn at(dir: &Path, config: &GeneratorConfig, readme: &str) -> Result<Option<Self>> {
        match std::fs::symlink_metadata(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Self::Nothing)),
            Err(error) => return Err(Error::read(dir)(error)),
            Ok(metadata) if !metadata.is_dir() && !dir.is_dir() => {
                return Err(foreign(dir, "is no folder"));
            }
            Ok(_) => {}
        }
        if let Some(manifest) = Manifest::read(dir) {
            if manifest.is_whole(dir, config) {
                return Ok(None);
            }
            manifest.check(dir)?;
            return Ok(Some(Self::MadeUp(manifest)));
        }
        // Folders of before there was a list.
        if std::fs::read_to_string(dir.join("README.txt")).is_ok_and(|found| found == readme) {
            return Ok(None);
        }
        let mut entries = std::fs::read_dir(dir).map_err(Error::read(dir))?;
        match entries.next() {
            None => Ok(Some(Self::EmptyFolder)),
            Some(_) => Err(foreign(dir, "holds files that were not made up here")),
        }
    }

    fn remove(&self, dir: &Path) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::EmptyFolder => std::fs::remove_dir(dir).map_err(Error::write(dir)),
            Self::MadeUp(manifest) => manifest.remove(dir),
        }
    }
}

/// A new folder beside `dir`.
fn make_beside(dir: &Path) -> Result<PathBuf> {
    let parent = dir.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(parent).map_err(Error::write(parent))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    let mut attempt = 0;
    loop {
        // A process of this number may have been killed at it.
        let beside = dir.with_file_name(format!(".{name}.{process}-{attempt}.partial"));
        match std::fs::create_dir(&beside) {
            Ok(()) => return Ok(beside),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(Error::write(&beside)(error)),
        }
    }
}

const README_TITLE: &str = "A made-up MovieLens folder";

fn readme(config: &GeneratorConfig) -> String {
    let contents = if config.contents { "with" } else { "without" };
    format!(
        "{README_TITLE}: {} users, {} movies, {} ratings, {contents} contents, seed {}, format {FORMAT}.\n\
         Drawn by a program; no person and no film is meant.\n",
        config.users, config.movies, config.ratings, config.seed
    )
}

fn write_files(
    dir: &Path,
    config: &GeneratorConfig,
    readme: &str,
    progress: &mut impl FnMut(u64),
) -> Result<()> {
    let world = World::draw(config);
    write_table(dir, "movies.csv", "movieId,title,genres", &world, |movie| {
        let GeneratedMovie {
            id,
            title,
            year,
            genres,
            ..
        } = movie;
        format!("{id},\"{title} ({year})\",{genres}\n")
    })?;
    write_table(dir, "links.csv", "movieId,imdbId,tmdbId", &world, |movie| {
        let id = u64::from(movie.id);
        format!("{id},{:07},{}\n", 9_000_000 + id, 900_000 + id)
    })?;
    if config.contents {
        write_contents(dir, &world)?;
    }
    write_ratings(dir, &world, progress)?;
    let path = dir.join("README.txt");
    std::fs::write(&path, readme).map_err(Error::write(&path))
}

fn write_table(
    dir: &Path,
    name: &str,
    header: &str,
    world: &World,
    row: impl Fn(&GeneratedMovie) -> String,
) -> Result<()> {
    let path = dir.join(name);
    let mut text = format!("{header}\n");
    text.extend(world.movies.iter().map(row));
    std::fs::write(&path, text).map_err(Error::write(&path))
}

/// Posters and plots, movie by movie on all threads.
fn write_contents(dir: &Path, world: &World) -> Result<()> {
    let pictures = dir.join("posters");
    std::fs::create_dir_all(&pictures).map_err(Error::write(&pictures))?;
    let rows: Vec<(String, String)> = world
        .movies
        .par_iter()
        .enumerate()
        .map(|(place, movie)| {
            let mut random = world.content_random(place);
            let id = movie.id;
            let (mut poster, mut summary) = (String::new(), String::new());
            if movie.has_plot {
                let plot = plot::write(&movie.traits, &mut random);
                summary = format!("{id},\"{plot}\"\n");
            }
            if movie.has_poster {
                let name = poster::write(&pictures, id, &movie.traits, &mut random)?;
                poster = format!("{id},posters/{name}\n");
            }
            Ok((poster, summary))
        })
        .collect::<Result<_>>()?;
    let (posters, summaries): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
    for (name, header, rows) in [
        ("posters.csv", "movieId,poster_path\n", posters),
        ("summaries.csv", "movieId,summary\n", summaries),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, header.to_owned() + &rows.concat()).map_err(Error::write(&path))?;
    }
    Ok(())
}

/// Rows of some users in `ratings.csv` and `tags.csv`.
#[derive(Default)]
struct Rows {
    ratings: Vec<u8>,
    tags: Vec<u8>,
    count: u64,
}

/// Ratings and tags, some users at a time on all threads; a thread of its own
/// writes them in order, and memory does not grow with their number.
fn write_ratings(dir: &Path, world: &World, progress: &mut impl FnMut(u64)) -> Result<()> {
    let parts = parts(&world.activity);
    let at_once = 2 * rayon::current_num_threads();
    let (send, receive) = sync_channel::<Rows>(at_once);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || write_rows(dir, receive));
        for parts in parts.chunks(at_once) {
            let rows: Vec<Rows> = parts
                .par_iter()
                .map_init(Draw::default, |draw, users| {
                    rows(world, users.clone(), draw)
                })
                .collect();
            for rows in rows {
                let count = rows.count;
                // The writer has stopped at an error, which it returns.
                if send.send(rows).is_err() {
                    break;
                }
                progress(count);
            }
        }
        drop(send);
        writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Stretches of users who have [`RATINGS_AT_A_TIME`] or a little more.
fn parts(activity: &[u32]) -> Vec<Range<u32>> {
    let mut parts = Vec::new();
    let (mut start, mut ratings) = (0, 0);
    for (user, &count) in (0..).zip(activity) {
        ratings += u64::from(count);
        if ratings >= RATINGS_AT_A_TIME || user as usize + 1 == activity.len() {
            parts.push(start..user + 1);
            (start, ratings) = (user + 1, 0);
        }
    }
    parts
}

fn write_rows(dir: &Path, parts: Receiver<Rows>) -> Result<()> {
    let ratings_path = dir.join("ratings.csv");
    let tags_path = dir.join("tags.csv");
    let open = |path: &Path, header: &str| {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(header.as_bytes())?;
        Ok(file)
    };
    let mut ratings = open(&ratings_path, "userId,movieId,rating,timestamp\n")
        .map_err(Error::write(&ratings_path))?;
    let mut tags =
        open(&tags_path, "userId,movieId,tag,timestamp\n").map_err(Error::write(&tags_path))?;
    for rows in parts {
        ratings
            .write_all(&rows.ratings)
            .map_err(Error::write(&ratings_path))?;
        tags.write_all(&rows.tags)
            .map_err(Error::write(&tags_path))?;
    }
    ratings.flush().map_err(Error::write(&ratings_path))?;
    tags.flush().map_err(Error::write(&tags_path))
}

fn rows(world: &World, users: Range<u32>, draw: &mut Draw) -> Rows {
    let mut rows = Rows::default();
    let mut ratings = Vec::new();
    let mut number = itoa::Buffer::new();
    for user in users {
        world.rate(user, draw, &mut ratings);
        rows.count += ratings.len() as u64;
        for (index, rating) in (user..).zip(&ratings) {
            let movie = &world.movies[rating.movie as usize];
            let mut row = |out: &mut Vec<u8>, third: &[u8]| {
                for id in [user + 1, movie.id] {
                    out.extend_from_slice(number.format(id).as_bytes());
                    out.push(b',');
                }
                out.extend_from_slice(third);
                out.push(b',');
                out.extend_from_slice(number.format(rating.timestamp).as_bytes());
                out.push(b'\n');
            };
            let stars = [
                b'0' + rating.half_stars / 2,
                b'.',
                b'0' + rating.half_stars % 2 * 5,
            ];
            row(&mut rows.ratings, &stars);
            // Starting at the user's number, so that users with few ratings
            // have tags too.
            if index % RATINGS_PER_TAG == 0 {
                row(&mut rows.tags, plot::tag(&movie.traits).as_bytes());
            }
        }
    }
    rows
}

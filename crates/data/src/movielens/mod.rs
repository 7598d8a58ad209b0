//! Tables of a MovieLens release and what lies beside it, as Arrow.

mod credits;
mod files;
mod genome;
mod genres;
mod left_out_rows;
mod links;
mod movies;
mod part;
mod picture_path;
mod policy;
mod ratings;
mod side_files;
mod tag_bags;
mod tags;
mod users;

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::cache::{RatingsCache, Snapshot, read_unchanged};
use crate::split::row_numbers;
use crate::text::Dialect;
use crate::{Error, IdMap, RatingsStream, Result};

pub use credits::{Credit, Credits};
pub use files::ReleaseFiles;
use files::{OpenFiles, Table};
pub use genome::Genome;
pub(crate) use left_out_rows::Sieve;
pub use left_out_rows::{LeftOutBecause, LeftOutRows, SideRows};
use links::read_links;
pub use movies::Movies;
pub(crate) use movies::{is_genre, split_title};
pub(crate) use part::part_of;
pub use policy::{Duplicates, LeftOut, UnknownMovies};
pub(crate) use policy::{Origin, Pairs, PassingPairs, first_repeat};
pub use ratings::{HIGHEST_RATING, LOWEST_RATING, Ratings};
pub(crate) use ratings::{OUT_OF_SCALE, RatingColumns, RatingSlices};
pub(crate) use side_files::path_of;
pub use side_files::{Poster, Summary, read_posters, read_summaries};
pub use tag_bags::MovieTags;
use tags::read_tags;
pub(crate) use tags::tags_schema;
use users::{UsersFormat, read_users};

/// How the files of a release are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// ML-100K: `u.data`, `u.item`, `u.user`, `u.genre`.
    Ml100k,
    /// ML-1M: `ratings.dat`, `movies.dat`, `users.dat`.
    Ml1m,
    /// ML-10M: `ratings.dat`, `movies.dat`, `tags.dat`.
    Ml10m,
    /// ML-20M, ML-25M, ML-32M, ml-latest, ml-latest-small: `ratings.csv`,
    /// `movies.csv`, ….
    Csv,
}

/// A MovieLens release in Arrow: [read](Self::open) from its folder, or made of
/// [tables](Self::new) that are at hand.
///
/// Every release gives the same tables; those that it does not have are
/// `None`. Files may be compressed, `ratings.csv.gz`.
///
/// | | ML-100K | ML-1M | ML-10M | ML-20M, -25M | ML-32M, latest |
/// | --- | --- | --- | --- | --- | --- |
/// | ratings, movies | ✓ | ✓ | ✓ | ✓ | ✓ |
/// | users | ✓ | ✓ | | | |
/// | tags | | | ✓ | ✓ | ✓ |
/// | links | | | | ✓ | ✓ |
/// | genome | | | | ✓ | ml-latest |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MovieLens {
    /// The folder that the files lie in, or the archive; `None` of tables that come from none.
    pub dir: Option<PathBuf>,
    /// How its files are written; `None` where there is no folder.
    pub format: Option<Format>,
    /// The ratings.
    pub ratings: Ratings,
    /// The catalogue.
    pub movies: Movies,
    /// `userId` (`UInt32`), `gender` (`Utf8`), `age` (`UInt8`, years; in ML-1M
    /// the least of an age group), `occupation`, `zipCode` (`Utf8`).
    pub users: Option<RecordBatch>,
    /// `movieId` (`UInt32`), `imdbId`, `tmdbId` (`Utf8`, nullable).
    pub links: Option<RecordBatch>,
    /// `userId`, `movieId` (`UInt32`), `tag` (`Utf8`), `timestamp` (`UInt32`,
    /// seconds since 1970; 0 where the file has no times).
    pub tags: Option<RecordBatch>,
    /// The tag genome.
    pub genome: Option<Genome>,
    /// Whether the ratings came from the cache.
    pub from_cache: bool,
    /// Ratings that were found amiss and left out, as the policies say.
    pub left_out: LeftOut,
}

/// A MovieLens release whose ratings stay on disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamedMovieLens {
    /// The catalogue.
    pub movies: Movies,
    /// The ratings.
    pub ratings: RatingsStream,
    /// The tag genome.
    pub genome: Option<Genome>,
}

/// How a release is opened. The default is what [`MovieLens::open`] does.
///
/// ```no_run
/// use mmdlrm_data::{Duplicates, OpenOptions};
///
/// let options = OpenOptions {
///     duplicates: Duplicates::KeepLatest,
///     genome: false,
///     ..OpenOptions::default()
/// };
/// let movielens = options.open("ml-25m")?;
/// println!("{} duplicates left out", movielens.left_out.duplicates);
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// What to do with ratings of movies that the table of movies lacks.
    pub unknown_movies: UnknownMovies,
    /// What to do where a user rated a movie more than once.
    pub duplicates: Duplicates,
    /// Whether to read the tag genome, where there is one.
    pub genome: bool,
    /// A folder to keep the ratings in as Parquet, so that they need not be
    /// parsed again (the other tables always are); [`OpenOptions::cache_in`]
    /// names the usual one. A cache that was made of another file, or is not
    /// whole, is made anew; one that cannot be written is done without, with a
    /// warning.
    pub cache: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            unknown_movies: UnknownMovies::default(),
            duplicates: Duplicates::default(),
            genome: true,
            cache: None,
        }
    }
}

/// The tables beside that of the ratings.
struct SideTables {
    movies: Movies,
    users: Option<RecordBatch>,
    links: Option<RecordBatch>,
    tags: Option<RecordBatch>,
}

impl Format {
    /// Dialect of the file of ratings.
    fn of_ratings(self) -> Dialect {
        match self {
            Self::Ml100k => Dialect::plain("\t", 4),
            Self::Ml1m | Self::Ml10m => Dialect::plain("::", 4),
            Self::Csv => Dialect::Csv,
        }
    }
}

impl MovieLens {
    /// Reads the release in the folder `dir`, whichever it is, as [`ReleaseFiles::find`] finds it.
    ///
    /// # Errors
    /// What [`ReleaseFiles::find`] refuses, a missing column, or the first row that cannot be used, by
    /// line and column; a rating of an unknown movie and a second rating of the
    /// same movie by the same user, unless [`OpenOptions`] say otherwise.
    ///
    /// ```no_run
    /// let movielens = mmdlrm_data::MovieLens::open("ml-latest-small")?;
    /// assert_eq!(movielens.ratings.len(), 100_836);
    /// assert_eq!(movielens.movies.title(0), "Toy Story");
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::default().open(dir)
    }
}

impl OpenOptions {
    /// The usual place of the cache of a release: `.mmdlrm` in its folder, or, of an archive,
    /// `.NAME.zip.mmdlrm` beside it.
    pub fn cache_in(dir: &Path) -> PathBuf {
        match dir.file_name().filter(|_| dir.is_file()) {
            Some(archive) => {
                let archive = archive.to_string_lossy();
                dir.with_file_name(format!(".{archive}.mmdlrm"))
            }
            None => dir.join(".mmdlrm"),
        }
    }

    /// A place under `folder` for the cache of the release in `dir`, and of no other:
    /// it is named by where the ratings lie.
    ///
    /// # Errors
    /// As [`ReleaseFiles::find`].
    pub fn cache_under(folder: &Path, dir: &Path) -> Result<PathBuf> {
        let path = ReleaseFiles::find(dir)?.needed().swap_remove(0);
        let path = path.canonicalize().map_err(Error::read(&path))?;
        let release = match dir.is_file() {
            true => path.file_name(),
            false => path.parent().and_then(Path::file_name),
        };
        let place = xxh3_64(path.as_os_str().as_encoded_bytes());
        let mut name = release.unwrap_or_default().to_os_string();
        name.push(format!("-{place:016x}"));
        Ok(folder.join(name))
    }

    /// Reads the release in the folder `dir`, or in a zip archive, as [`ReleaseFiles::find`] finds
    /// it. What is wanted of an archive is unpacked to the system's folder for what passes, each
    /// time, and removed once it is read.
    ///
    /// # Errors
    /// As [`MovieLens::open`], and what the policies refuse; 2³² ratings or more, which
    /// have to be [left on disk](Self::open_streamed).
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<MovieLens> {
        let release = ReleaseFiles::find(dir)?;
        let files = release.open(|table| self.genome || !is_of_genome(table))?;
        let movielens = files.read(|files| self.open_files(files, release.place()))?;
        tracing::info!(
            ratings = movielens.ratings.len(),
            movies = movielens.movies.len(),
            dir = %release.place().display(),
            "read MovieLens"
        );
        Ok(movielens)
    }

    fn open_files(&self, files: &OpenFiles, place: &Path) -> Result<MovieLens> {
        let dialect = files.format().of_ratings();
        let path = files.needed(Table::Ratings);
        // First, since it needs room for a while.
        let genome = self.read_genome(files)?;
        // Side by side: the one waits where the other computes.
        let (side_tables, ratings) = rayon::join(
            || SideTables::read(files),
            || self.read_ratings(&path, &dialect),
        );
        let SideTables {
            movies,
            users,
            links,
            tags,
        } = side_tables?;
        let ReadRatings {
            mut columns,
            has_times,
            from_cache,
        } = ratings?;
        row_numbers(columns.users.len())?;
        let origin = Origin {
            path: &path,
            dialect: &dialect,
            movies: &name_of(&files.needed(Table::Movies)),
        };
        let left_out = self.apply_policies(&mut columns, &movies.index(), &origin)?;
        let ratings = Ratings::from_columns(columns, &path)?.with_times(has_times);
        Ok(MovieLens {
            dir: Some(place.to_owned()),
            format: Some(files.format()),
            ratings,
            movies,
            users,
            links,
            tags,
            genome,
            from_cache,
            left_out,
        })
    }

    /// Opens the release in the folder `dir`, or in a zip archive, without holding its ratings:
    /// they go to the cache (the usual one, where none is named), and are read from
    /// there whenever they are needed.
    ///
    /// # Errors
    /// As [`Self::open`], and a cache that cannot be written; policies that
    /// keep one of several ratings of a pair, since that takes them all.
    pub fn open_streamed(&self, dir: impl AsRef<Path>) -> Result<StreamedMovieLens> {
        let dir = dir.as_ref();
        let wanted = |table| match table {
            Table::Users | Table::Links | Table::Tags => false,
            _ => self.genome || !is_of_genome(table),
        };
        let files = ReleaseFiles::find(dir)?.open(wanted)?;
        files.read(|files| {
            let movies = read_movies(files)?;
            let origin = Origin {
                path: &files.needed(Table::Ratings),
                dialect: &files.format().of_ratings(),
                movies: &name_of(&files.needed(Table::Movies)),
            };
            let cache = self.cache.clone().unwrap_or_else(|| Self::cache_in(dir));
            let ratings = RatingsStream::open(&cache, &origin, &movies.index(), self)?;
            Ok(StreamedMovieLens {
                movies,
                ratings,
                genome: self.read_genome(files)?,
            })
        })
    }

    fn read_genome(&self, files: &OpenFiles) -> Result<Option<Genome>> {
        let scores = files.get(Table::GenomeScores).filter(|_| self.genome);
        let Some(scores) = scores else {
            return Ok(None);
        };
        let tags = files.get(Table::GenomeTags).ok_or_else(|| {
            let problem = "it is a half of the tag genome, whose other, genome-tags.csv, is not beside \
                           it: put it there, or move this one away";
            Error::NoRelease {
                path: scores.clone(),
                problem: problem.to_owned(),
            }
        })?;
        Genome::read(&tags, &scores).map(Some)
    }

    fn apply_policies(
        &self,
        columns: &mut RatingColumns,
        movies: &IdMap,
        origin: &Origin,
    ) -> Result<LeftOut> {
        let mut left_out = LeftOut::default();
        // What is refused is refused before anything is left out: rows are then
        // still those of the file, and errors name the right line.
        if self.duplicates == Duplicates::Refuse {
            columns.check_duplicates(self.duplicates, origin, &mut left_out)?;
        }
        columns.check_movies(movies, self.unknown_movies, origin, &mut left_out)?;
        if self.duplicates != Duplicates::Refuse {
            columns.check_duplicates(self.duplicates, origin, &mut left_out)?;
        }
        Ok(left_out)
    }

    /// The ratings as the file has them.
    fn read_ratings(&self, path: &Path, dialect: &Dialect) -> Result<ReadRatings> {
        let read = || {
            let read = read_unchanged(path, || RatingColumns::read(path, dialect))?;
            read.0.warn_of_early_times(path);
            Ok::<_, Error>(read)
        };
        let of = |(columns, has_times), from_cache| ReadRatings {
            columns,
            has_times,
            from_cache,
        };
        let Some(dir) = &self.cache else {
            return Ok(of(read()?, false));
        };
        let cache = RatingsCache::new(dir);
        if let Some((reader, has_times)) = cache.find(path) {
            match reader.all_columns() {
                Ok(columns) => return Ok(of((columns, has_times), true)),
                Err(reason) => tracing::info!("made anew: {reason}"),
            }
        }
        let before = Snapshot::take(path)?;
        let (columns, has_times) = read()?;
        match cache.store(path, before, (&columns, has_times)) {
            Err(changed @ Error::Changed { .. }) => return Err(changed),
            Err(error) => tracing::warn!("going on without a cache: {error}"),
            Ok(()) => {}
        }
        Ok(of((columns, has_times), false))
    }
}

/// Ratings as a file has them.
struct ReadRatings {
    columns: RatingColumns,
    has_times: bool,
    from_cache: bool,
}

impl SideTables {
    fn read(files: &OpenFiles) -> Result<Self> {
        let users = |path: &Path| match files.format() {
            Format::Ml100k => read_users(path, UsersFormat::Ml100k),
            _ => read_users(path, UsersFormat::Ml1m),
        };
        let tags = |path: &Path| match name_of(path).to_lowercase().starts_with("tags.dat") {
            true => read_tags(path, &Dialect::plain_with_wide("::", 4, 2)),
            false => read_tags(path, &Dialect::Csv),
        };
        Ok(Self {
            movies: read_movies(files)?,
            users: read_if_present(files.get(Table::Users), users)?,
            links: unless_empty(read_if_present(files.get(Table::Links), read_links))?,
            tags: unless_empty(read_if_present(files.get(Table::Tags), tags))?,
        })
    }
}

fn read_movies(files: &OpenFiles) -> Result<Movies> {
    let path = files.needed(Table::Movies);
    match files.format() {
        Format::Ml100k => Movies::read_u_item(&path, files.get(Table::Genres).as_deref()),
        Format::Ml1m | Format::Ml10m => Movies::read(&path, &Dialect::plain_with_wide("::", 3, 1)),
        Format::Csv => Movies::read(&path, &Dialect::Csv),
    }
}

fn read_if_present<T>(
    path: Option<PathBuf>,
    read: impl FnOnce(&Path) -> Result<T>,
) -> Result<Option<T>> {
    path.map(|path| read(&path)).transpose()
}

/// A table that may be missing, and is as good as that without rows.
fn unless_empty<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(Error::Empty { path, .. }) => {
            tracing::warn!("{} is empty, and gone on without", path.display());
            Ok(None)
        }
        read => read,
    }
}

fn is_of_genome(table: Table) -> bool {
    matches!(table, Table::GenomeScores | Table::GenomeTags)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

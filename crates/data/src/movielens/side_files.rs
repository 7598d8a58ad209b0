//! Posters and plot summaries: tables with a row a movie.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::text::{Dialect, Row, TableFile};
use crate::{IdMap, Movies, Result};

/// The picture of one movie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poster {
    /// Raw movie id.
    pub movie_id: u32,
    /// Where the picture lies; it has not been opened.
    pub path: PathBuf,
}

/// The plot of one movie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Raw movie id.
    pub movie_id: u32,
    /// The plot, as it stands in the file.
    pub text: String,
}

/// Reads a `posters.csv` (`movieId,poster_path`); relative paths are taken
/// from the folder of the file.
///
/// # Errors
/// A row that cannot be read, names a movie outside `movies` where they are
/// given, or names one twice. Whether each picture exists is found out when it is opened.
pub fn read_posters(path: &Path, movies: Option<&Movies>) -> Result<Vec<Poster>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut known = KnownMovies::of(movies);
    let mut posters = Vec::new();
    TableFile::open(path, &Dialect::Csv, &["movieId", "poster_path"])?.for_each(|row| {
        let movie_id = known.take(row)?;
        let poster = row.text(1)?;
        let poster = poster.trim();
        if poster.is_empty() {
            return Err(row.bad(1, "is not a path; name the picture or remove the row"));
        }
        posters.push(Poster {
            movie_id,
            path: folder.join(poster),
        });
        Ok(())
    })?;
    Ok(posters)
}

/// Reads a `summaries.csv` (`movieId,summary`); a summary may be blank.
///
/// # Errors
/// A row that cannot be read, names a movie outside `movies` where they are
/// given, or names one twice.
pub fn read_summaries(path: &Path, movies: Option<&Movies>) -> Result<Vec<Summary>> {
    let mut known = KnownMovies::of(movies);
    let mut summaries = Vec::new();
    TableFile::open(path, &Dialect::Csv, &["movieId", "summary"])?.for_each(|row| {
        let movie_id = known.take(row)?;
        summaries.push(Summary {
            movie_id,
            text: row.text(1)?.into_owned(),
        });
        Ok(())
    })?;
    Ok(summaries)
}

/// Checks that each row is of a movie that exists and has not been seen.
struct KnownMovies {
    index: Option<IdMap>,
    seen: HashSet<u32>,
}

impl KnownMovies {
    fn of(movies: Option<&Movies>) -> Self {
        Self {
            index: movies.map(Movies::index),
            seen: HashSet::new(),
        }
    }

    fn take(&mut self, row: &Row) -> Result<u32> {
        let movie_id = row.id(0)?;
        let unknown = |index: &IdMap| index.row(movie_id).is_none();
        if self.index.as_ref().is_some_and(unknown) {
            return Err(row.bad(
                0,
                "is not a movie of movies.csv; add the movie there or remove this row",
            ));
        }
        if !self.seen.insert(movie_id) {
            return Err(row.bad(0, "stands on an earlier line too; keep one of them"));
        }
        Ok(movie_id)
    }
}

//! Posters and plot summaries: tables with a row a movie.

use std::path::{Path, PathBuf};

use super::left_out_rows::{LeftOutBecause, SideRows, Sieve};
use super::picture_path::picture_path;
use crate::tables::did_you_mean;
use crate::text::{Dialect, TableFile, shorten};
use crate::{Error, Movies, Result};

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

/// Reads a `posters.csv` (`movieId,poster_path`), as [`Poster::read_all`] does, and logs a
/// warning of what is left out.
///
/// # Errors
/// As [`Poster::read_all`].
pub fn read_posters(path: &Path, movies: Option<&Movies>) -> Result<Vec<Poster>> {
    Ok(Poster::read_all(path, movies)?.or_warn())
}

/// Reads a `summaries.csv` (`movieId,summary`), as [`Summary::read_all`] does, and logs a
/// warning of what is left out.
///
/// # Errors
/// As [`Summary::read_all`].
pub fn read_summaries(path: &Path, movies: Option<&Movies>) -> Result<Vec<Summary>> {
    Ok(Summary::read_all(path, movies)?.or_warn())
}

impl Poster {
    /// Reads a `posters.csv` (`movieId,poster_path`). Paths may be relative to the folder of the
    /// file, absolute, `file:///…`, and written with backslashes. Rows without a path, with one
    /// of no file (as an address of the web), of movies outside `movies` where they are given,
    /// and of a movie that an earlier row has are left out.
    ///
    /// # Errors
    /// A row that cannot be read; a file of which no row can be used. Whether each picture exists
    /// is found out when it is opened.
    pub fn read_all(path: &Path, movies: Option<&Movies>) -> Result<SideRows<Self>> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let sieve = Sieve::new(movies, "movies.csv");
        read(path, sieve, &PICTURE, |movie_id, text| {
            let path = path_of(text, folder)?;
            Ok(Self { movie_id, path })
        })
    }
}

/// A path, or why there is none.
pub(crate) fn path_of(text: &str, folder: &Path) -> Result<PathBuf, (LeftOutBecause, String)> {
    if text.trim().is_empty() {
        let problem = "is not a path; name the picture or remove the row";
        return Err((LeftOutBecause::Blank, problem.to_owned()));
    }
    picture_path(text, folder).map_err(|problem| (LeftOutBecause::NotAFile, problem))
}

impl Summary {
    /// Reads a `summaries.csv` (`movieId,summary`); a summary may be blank. Rows of movies outside
    /// `movies` where they are given, and of a movie that an earlier row has, are left out.
    ///
    /// # Errors
    /// A row that cannot be read; a file of which no row can be used.
    pub fn read_all(path: &Path, movies: Option<&Movies>) -> Result<SideRows<Self>> {
        let sieve = Sieve::new(movies, "movies.csv");
        let sieve = sieve.unless(|summary: &Self| summary.text.trim().is_empty());
        read(path, sieve, &PLOT, |movie_id, text| {
            let text = text.to_owned();
            Ok(Self { movie_id, text })
        })
    }
}

/// Reads a table of movies and something of each.
fn read<T>(
    path: &Path,
    mut sieve: Sieve<T>,
    wanted: &Wanted,
    value: impl Fn(u32, &str) -> Result<T, (LeftOutBecause, String)>,
) -> Result<SideRows<T>> {
    if path.is_dir() {
        let problem = format!(
            "it is a folder; name the table of {} and {} that goes with it",
            MOVIE.name, wanted.name
        );
        let source = std::io::Error::new(std::io::ErrorKind::IsADirectory, problem);
        return Err(Error::read(path)(source));
    }
    let file = TableFile::open_all(path, &Dialect::Csv)?;
    let movie = MOVIE.find(path, file.names())?;
    let of_movie = wanted.find(path, file.names())?;
    refuse_ids_of_others(path, file.names(), movie)?;
    file.for_each(|row| {
        let movie_id = row.id(movie)?;
        let value = value(movie_id, &row.text(of_movie)?);
        let column = |number| [movie, of_movie][number];
        sieve.take(movie_id, value, |number, problem| {
            row.bad(column(number), problem)
        });
        Ok(())
    })?;
    sieve.finish()
}

/// A column that is looked for, in letters of any case and with or without `_` between words.
struct Wanted {
    name: &'static str,
    /// Names that mean the same.
    also: &'static [&'static str],
}

const MOVIE: Wanted = Wanted {
    name: "movieId",
    also: &["movie", "itemid", "item", "id"],
};
const PICTURE: Wanted = Wanted {
    name: "poster_path",
    also: &[
        "poster",
        "posterfile",
        "posterurl",
        "path",
        "filepath",
        "file",
        "filename",
        "image",
        "imagepath",
        "imagefile",
        "imageurl",
        "picture",
        "picturepath",
        "picturefile",
        "url",
    ],
};
const PLOT: Wanted = Wanted {
    name: "summary",
    also: &[
        "overview",
        "plot",
        "plotsummary",
        "synopsis",
        "description",
        "storyline",
        "text",
    ],
};

impl Wanted {
    /// Its place in a header.
    fn find(&self, path: &Path, header: &[String]) -> Result<usize> {
        let place = |name: &str| header.iter().position(|it| it == name);
        let same = |name: &str| header.iter().position(|it| plain(it) == plain(name));
        if let Some(found) = place(self.name).or_else(|| same(self.name)) {
            return Ok(found);
        }
        let mut found = self.also.iter().filter_map(|name| same(name));
        let problem = match (found.next(), found.next()) {
            (Some(found), None) => return Ok(found),
            (Some(one), Some(other)) => format!(
                "is not in the header, and may be '{}' or '{}'; call the one that is meant '{}'",
                header[one], header[other], self.name
            ),
            (None, _) => format!(
                "is not in the header '{}'{}; it may be called {} too",
                shorten(&header.join(",")),
                did_you_mean(self.name, header.iter().map(String::as_str)),
                self.also.join(", ")
            ),
        };
        Err(in_header(path, self.name, problem))
    }
}

/// A column called `id` beside ids of TMDb or IMDb is of theirs, as in Kaggle's
/// `movies_metadata.csv`: numbers of other movies.
fn refuse_ids_of_others(path: &Path, header: &[String], movie: usize) -> Result<()> {
    let of_others = |it: &&String| matches!(plain(it).as_str(), "imdbid" | "tmdbid");
    match header.iter().find(of_others) {
        Some(other) if plain(&header[movie]) == "id" => {
            let problem = format!(
                "is not in the header, and 'id' beside '{}' is none of MovieLens; find the movies by \
                 links.csv, and call their ids 'movieId'",
                shorten(other)
            );
            Err(in_header(path, MOVIE.name, problem))
        }
        _ => Ok(()),
    }
}

fn in_header(path: &Path, column: &str, problem: String) -> Error {
    Error::Row {
        path: path.to_owned(),
        line: 1,
        column: column.to_owned(),
        problem,
    }
}

/// A name of a column by its letters and digits alone.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|it| it.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

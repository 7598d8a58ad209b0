use std::path::{Path, PathBuf};

use mmdlrm_data::{IdMap, Movies};
use mmdlrm_train::Posters;

use super::Query;
use crate::{Error, Result};

/// What people see of the movies: titles, years, genres and posters.
#[derive(Debug, Clone)]
pub struct Catalogue {
    table: Movies,
    rows: IdMap,
    movies: Vec<Movie>,
    posters: Posters,
    /// All genres, in order.
    genres: Vec<String>,
}

/// One movie.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Movie {
    /// Raw movie id.
    pub id: u32,
    /// Title without the year.
    pub title: String,
    /// Year of release, where it is known.
    pub year: Option<i32>,
    /// Genres.
    pub genres: Vec<String>,
}

impl Catalogue {
    pub(crate) fn new(table: &Movies, posters: Posters) -> Self {
        let rows = table.index();
        let mut movies: Vec<Movie> = (0..table.len())
            .map(|row| Movie {
                id: table.ids()[row],
                title: table.title(row).to_owned(),
                year: table.year(row),
                genres: table.genres(row).collect(),
            })
            .collect();
        // As the dense rows are.
        movies.sort_unstable_by_key(|movie| movie.id);
        let mut genres: Vec<String> = movies.iter().flat_map(|it| it.genres.clone()).collect();
        genres.sort_unstable();
        genres.dedup();
        Self {
            table: table.clone(),
            rows,
            movies,
            posters,
            genres,
        }
    }

    /// Raw ids of the movies, ascending.
    pub fn ids(&self) -> &[u32] {
        self.rows.ids()
    }

    /// A movie by its raw id.
    ///
    /// # Errors
    /// [`Error::UnknownMovie`].
    pub fn movie(&self, movie_id: u32) -> Result<&Movie> {
        Ok(&self.movies[self.row(movie_id)? as usize])
    }

    /// All movies, by ascending id.
    pub fn movies(&self) -> &[Movie] {
        &self.movies
    }

    /// Names of all genres, in order.
    pub fn genres(&self) -> &[String] {
        &self.genres
    }

    /// The movies as they were read.
    pub(crate) fn table(&self) -> &Movies {
        &self.table
    }

    /// Where posters lie.
    pub(crate) fn posters(&self) -> &Posters {
        &self.posters
    }

    /// Where the poster of a movie lies, if one was named; it may be there no longer.
    pub fn poster(&self, movie_id: u32) -> Option<&Path> {
        self.posters.get(&movie_id).map(PathBuf::as_path)
    }

    /// The movies whose title has all the words of `text`, whatever their case; those
    /// that begin with it first, at most `count`.
    pub fn find(&self, text: &str, count: usize) -> Vec<&Movie> {
        let text = text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return Vec::new();
        }
        let found = self.movies.iter().filter_map(|movie| {
            let title = movie.title.to_lowercase();
            let has_all = words.iter().all(|word| title.contains(word));
            has_all.then(|| (!title.starts_with(text.trim()), title.len(), movie))
        });
        let mut found: Vec<_> = found.collect();
        found
            .sort_by_key(|&(begins_otherwise, length, movie)| (begins_otherwise, length, movie.id));
        found.truncate(count);
        found.into_iter().map(|(.., movie)| movie).collect()
    }

    /// Dense row of a movie.
    pub(super) fn row(&self, movie_id: u32) -> Result<u32> {
        self.rows.row(movie_id).ok_or(Error::UnknownMovie(movie_id))
    }

    /// Dense rows of the movies that a query does not want.
    pub(super) fn unwanted(&self, query: &Query) -> Result<Vec<u32>> {
        if let Some(unknown) = query
            .genres
            .iter()
            .find(|genre| !self.genres.contains(genre))
        {
            return Err(Error::Setting {
                setting: "genre",
                value: unknown.clone(),
                rule: "no movie of the catalogue has it",
            });
        }
        if query.genres.is_empty() && query.years.is_none() {
            return Ok(Vec::new());
        }
        // Each once, however often somebody names it.
        let mut genres: Vec<&String> = query.genres.iter().collect();
        genres.sort_unstable();
        genres.dedup();
        let wants = |movie: &Movie| {
            let of_genre =
                genres.is_empty() || genres.iter().any(|&genre| movie.genres.contains(genre));
            let years = query.years.as_ref();
            of_genre && years.is_none_or(|years| movie.year.is_some_and(|it| years.contains(&it)))
        };
        let movies = (0..).zip(&self.movies);
        let unwanted = movies
            .filter(|(_, movie)| !wants(movie))
            .map(|(row, _)| row);
        Ok(unwanted.collect())
    }
}

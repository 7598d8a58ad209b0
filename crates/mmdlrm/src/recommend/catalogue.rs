use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mmdlrm_data::{IdMap, Movies};
use mmdlrm_train::Posters;

use super::Query;
use super::titles::Titles;
use crate::{Error, Result};

/// Decades that [`Catalogue::vectors`] tells apart, and the first of them; movies before and after
/// go with the first and the last.
const DECADES: usize = 12;
const FIRST_DECADE: f32 = 1920.0;
/// What the year weighs there beside the genres, which weigh 1 together.
const WEIGHT_OF_YEAR: f32 = 0.5;

/// What people see of the movies: titles, years, genres and posters.
#[derive(Debug, Clone)]
pub struct Catalogue {
    table: Movies,
    rows: IdMap,
    movies: Vec<Movie>,
    posters: Posters,
    /// All genres, in order.
    genres: Vec<String>,
    /// Dense rows of the movies of each.
    of_genres: Vec<Vec<u32>>,
    pub(super) titles: Titles,
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
    /// Genres; of other data, the values of those columns that have few.
    pub genres: Vec<String>,
    /// What the data call it, where its id is the number of a name.
    pub named: Option<String>,
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
                named: rows.names().and_then(|names| {
                    let name = names.name(table.ids()[row])?;
                    Some(name.into_owned())
                }),
            })
            .collect();
        // As the dense rows are.
        movies.sort_unstable_by_key(|movie| movie.id);
        let mut genres: Vec<String> = movies.iter().flat_map(|it| it.genres.clone()).collect();
        genres.sort_unstable();
        genres.dedup();
        let mut of_genres = vec![Vec::new(); genres.len()];
        for (row, movie) in (0..).zip(&movies) {
            for genre in &movie.genres {
                if let Ok(genre) = genres.binary_search(genre) {
                    of_genres[genre].push(row);
                }
            }
        }
        Self {
            titles: Titles::new(&movies),
            table: table.clone(),
            rows,
            movies,
            posters,
            genres,
            of_genres,
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

    /// A movie by what the data call it: the digits of its id, or the text that it has there.
    ///
    /// # Errors
    /// [`Error::NobodyNamed`].
    pub fn named(&self, name: &str) -> Result<&Movie> {
        let row = self.rows.find(name);
        let row = row.ok_or_else(|| Error::NobodyNamed(name.to_owned()))?;
        Ok(&self.movies[row as usize])
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
        let found = self.titles.with_words(&text.to_lowercase());
        let found = found.into_iter().take(count);
        found.map(|row| &self.movies[row as usize]).collect()
    }

    /// Dense row of a movie.
    pub(super) fn row(&self, movie_id: u32) -> Result<u32> {
        self.rows.row(movie_id).ok_or(Error::UnknownMovie(movie_id))
    }

    /// Dense rows of the movies whose genres or year a query does not want.
    pub(super) fn unwanted(&self, query: &Query) -> Result<Vec<u32>> {
        let genres = query.genres.iter().map(|genre| {
            let known = self.genres.binary_search(genre);
            known.map_err(|_| Error::Setting {
                setting: "genre",
                value: genre.clone(),
                rule: "no movie of the catalogue has it",
            })
        });
        // Each once, however often somebody names it.
        let genres: BTreeSet<usize> = genres.collect::<Result<_>>()?;
        if genres.is_empty() && query.years.is_none() {
            return Ok(Vec::new());
        }
        let mut is_wanted = vec![genres.is_empty(); self.movies.len()];
        for &row in genres.iter().flat_map(|&genre| &self.of_genres[genre]) {
            is_wanted[row as usize] = true;
        }
        if let Some(years) = &query.years {
            for (is_wanted, movie) in is_wanted.iter_mut().zip(&self.movies) {
                *is_wanted &= movie.year.is_some_and(|year| years.contains(&year));
            }
        }
        let unwanted = (0..).zip(is_wanted).filter(|&(_, is_wanted)| !is_wanted);
        Ok(unwanted.map(|(row, _)| row).collect())
    }

    /// A vector of each movie that says what people see of it: its genres, and about when it was
    /// made; zeros where neither is known.
    pub(super) fn vectors(&self) -> Vec<f32> {
        let width = self.genres.len() + DECADES;
        let mut vectors = vec![0.0; self.movies.len() * width];
        for (genre, movies) in self.of_genres.iter().enumerate() {
            for &row in movies {
                let among = self.movies[row as usize].genres.len() as f32;
                vectors[row as usize * width + genre] = among.sqrt().recip();
            }
        }
        let last = (DECADES - 1) as f32;
        for (vector, movie) in vectors.chunks_exact_mut(width).zip(&self.movies) {
            let Some(year) = movie.year else { continue };
            // Between two decades a part of each.
            let decade = ((year as f32 - FIRST_DECADE) / 10.0).clamp(0.0, last);
            let (before, part) = (decade as usize, decade.fract());
            let decades = &mut vector[self.genres.len()..];
            decades[before] = WEIGHT_OF_YEAR * (1.0 - part);
            if part > 0.0 {
                decades[before + 1] = WEIGHT_OF_YEAR * part;
            }
        }
        vectors
    }
}

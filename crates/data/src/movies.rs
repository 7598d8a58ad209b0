use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{Array, Int32Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Dialect, Row, TableFile};
use crate::{Error, IdMap, Result};

/// How releases write that a movie has no genre.
const NO_GENRES: [&str; 3] = ["", "(no genres listed)", "unknown"];

/// Columns of `u.item` before those of the genres.
const ITEM_COLUMNS: [&str; 5] = ["movieId", "title", "releaseDate", "videoDate", "url"];

/// The movies of a release as one Arrow table, in the order of the file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `movieId` | `UInt32` | raw id |
/// | `title` | `Utf8` | without the year |
/// | `year` | `Int32`, nullable | from the title, `Toy Story (1995)`; in ML-100K else from the date of release |
/// | `genres` | `List<Utf8>` | empty for `(no genres listed)` and `unknown` |
#[derive(Debug, Clone)]
pub struct Movies {
    table: RecordBatch,
}

/// Builds the table row by row, whatever the format.
struct MoviesBuilder {
    ids: Vec<u32>,
    seen: HashSet<u32>,
    titles: StringBuilder,
    years: Vec<Option<i32>>,
    genres: ListBuilder<StringBuilder>,
}

impl Movies {
    /// Schema of the table.
    pub fn schema() -> Arc<Schema> {
        let genre = Field::new_list_field(DataType::Utf8, true);
        Arc::new(Schema::new(vec![
            Field::new("movieId", DataType::UInt32, false),
            Field::new("title", DataType::Utf8, false),
            Field::new("year", DataType::Int32, true),
            Field::new("genres", DataType::List(Arc::new(genre)), false),
        ]))
    }

    /// Reads `movies.csv` or `movies.dat`.
    pub(crate) fn read(path: &Path, dialect: &Dialect) -> Result<Self> {
        let mut movies = MoviesBuilder::new();
        TableFile::open(path, dialect, &["movieId", "title", "genres"])?.for_each(|row| {
            let genres = row.text(2)?;
            movies.push(row, None, genres.trim().split('|').map(str::trim))
        })?;
        movies.finish(path)
    }

    /// Reads ML-100K's `u.item`, whose genres are a column of 0 or 1 each, in
    /// the order of `u.genre`.
    pub(crate) fn read_u_item(path: &Path, genre_path: &Path) -> Result<Self> {
        let mut names = Vec::new();
        let pairs = Dialect::plain("|", 2);
        TableFile::open(genre_path, &pairs, &["genre", "number"])?.for_each(|row| {
            if row.id(1)? as usize != names.len() {
                return Err(row.bad(1, "is out of order; genres are numbered from 0"));
            }
            names.push(row.text(0)?.into_owned());
            Ok(())
        })?;
        let items = Dialect::plain("|", ITEM_COLUMNS.len() + names.len());
        let mut movies = MoviesBuilder::new();
        TableFile::open(path, &items, &ITEM_COLUMNS)?.for_each(|row| {
            let mut genres = Vec::new();
            for (number, name) in names.iter().enumerate() {
                match row.beyond(number) {
                    b"0" => {}
                    b"1" => genres.push(name.as_str()),
                    _ => return Err(row.bad(0, "has a genre that is neither 0 nor 1")),
                }
            }
            // 01-Jan-1995
            let released = row.text(2)?;
            let year = released.rsplit('-').next().and_then(|it| it.parse().ok());
            movies.push(row, year, genres.into_iter())
        })?;
        movies.finish(path)
    }

    /// Number of movies.
    pub fn len(&self) -> usize {
        self.table.num_rows()
    }

    /// Whether there is no movie; a table that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Arrow table.
    pub fn table(&self) -> &RecordBatch {
        &self.table
    }

    /// Raw id of each movie.
    pub fn ids(&self) -> &[u32] {
        self.table.column(0).as_primitive::<UInt32Type>().values()
    }

    /// Title of the movie in `row`, without its year.
    pub fn title(&self, row: usize) -> &str {
        self.table.column(1).as_string::<i32>().value(row)
    }

    /// Year of the movie in `row`, where the title carries one.
    pub fn year(&self, row: usize) -> Option<i32> {
        let years = self.table.column(2).as_primitive::<Int32Type>();
        years.is_valid(row).then(|| years.value(row))
    }

    /// Genres of the movie in `row`.
    pub fn genres(&self, row: usize) -> impl Iterator<Item = String> + use<> {
        let genres = self.table.column(3).as_list::<i32>().value(row);
        let genres = genres.as_string::<i32>().clone();
        (0..genres.len()).map(move |i| genres.value(i).to_owned())
    }

    /// Raw ids and their dense rows (sorted by id, not in the order of the
    /// file).
    pub fn index(&self) -> IdMap {
        IdMap::from_ids(self.ids().iter().copied())
    }
}

impl MoviesBuilder {
    fn new() -> Self {
        Self {
            ids: Vec::new(),
            seen: HashSet::new(),
            titles: StringBuilder::new(),
            years: Vec::new(),
            genres: ListBuilder::new(StringBuilder::new()),
        }
    }

    /// Takes a row whose columns 0 and 1 are the id and the title; `year` is
    /// for titles that have none.
    fn push<'a>(
        &mut self,
        row: &Row,
        year: Option<i32>,
        genres: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let id = row.id(0)?;
        if !self.seen.insert(id) {
            return Err(row.bad(0, "stands on an earlier line too; keep one of them"));
        }
        self.ids.push(id);
        let text = row.text(1)?;
        let (title, year_of_title) = split_title(&text);
        self.titles.append_value(title);
        self.years.push(year_of_title.or(year));
        for genre in genres.filter(|genre| !NO_GENRES.contains(genre)) {
            self.genres.values().append_value(genre);
        }
        self.genres.append(true);
        Ok(())
    }

    fn finish(mut self, path: &Path) -> Result<Movies> {
        let table = RecordBatch::try_new(
            Movies::schema(),
            vec![
                Arc::new(UInt32Array::from(self.ids)),
                Arc::new(self.titles.finish()),
                Arc::new(Int32Array::from(self.years)),
                Arc::new(self.genres.finish()),
            ],
        )
        .map_err(Error::arrow(path))?;
        Ok(Movies { table })
    }
}

/// `"Toy Story (1995) "` → `("Toy Story", Some(1995))`; a title that does not
/// end with four digits in parentheses keeps everything.
fn split_title(title: &str) -> (&str, Option<i32>) {
    let title = title.trim();
    let split = title.strip_suffix(')').and_then(|rest| {
        let (name, year) = rest.rsplit_once('(')?;
        let four_digits = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        Some((name.trim_end(), year.parse().ok().filter(|_| four_digits)?))
    });
    match split {
        Some((name, year)) => (name, Some(year)),
        None => (title, None),
    }
}

#[cfg(test)]
mod tests {
    use super::split_title;

    #[test]
    fn titles_split_from_their_years() {
        for (title, expected) in [
            ("Toy Story (1995)", ("Toy Story", Some(1995))),
            (
                "City of Lost Children, The (Cité, La) (1995) ",
                ("City of Lost Children, The (Cité, La)", Some(1995)),
            ),
            ("Babylon 5", ("Babylon 5", None)),
            ("Odd (199)", ("Odd (199)", None)),
            ("Range (2006–2007)", ("Range (2006–2007)", None)),
            ("(1995)", ("", Some(1995))),
            ("", ("", None)),
        ] {
            assert_eq!(split_title(title), expected);
        }
    }
}

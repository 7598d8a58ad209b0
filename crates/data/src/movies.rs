use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{Array, Int32Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::csv_file::CsvFile;
use crate::{Error, IdMap, Result};

/// How MovieLens writes that a movie has no genre.
const NO_GENRES: &str = "(no genres listed)";

/// `movies.csv` as one Arrow table, in the order of the file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `movieId` | `UInt32` | raw id |
/// | `title` | `Utf8` | without the year |
/// | `year` | `Int32`, nullable | from the title, `Toy Story (1995)` |
/// | `genres` | `List<Utf8>` | empty for `(no genres listed)` |
#[derive(Debug, Clone)]
pub struct Movies {
    table: RecordBatch,
}

impl Movies {
    /// Reads `path`.
    ///
    /// # Errors
    /// What stands in the file and cannot be used, by line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let file = CsvFile::open(path, &["movieId", "title", "genres"])?;
        let mut ids = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut titles = StringBuilder::new();
        let mut years = Vec::new();
        let mut genres = ListBuilder::new(StringBuilder::new());
        file.for_each(|row| {
            let id = row.id(0)?;
            if !seen.insert(id) {
                return Err(row.bad(0, "stands on an earlier line too; keep one of them"));
            }
            ids.push(id);
            let (title, year) = split_title(row.text(1)?);
            titles.append_value(title);
            years.push(year);
            for genre in row.text(2)?.split('|').map(str::trim) {
                if !genre.is_empty() && genre != NO_GENRES {
                    genres.values().append_value(genre);
                }
            }
            genres.append(true);
            Ok(())
        })?;
        let genres = genres.finish();
        let schema = Schema::new(vec![
            Field::new("movieId", DataType::UInt32, false),
            Field::new("title", DataType::Utf8, false),
            Field::new("year", DataType::Int32, true),
            Field::new("genres", genres.data_type().clone(), false),
        ]);
        let table = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(UInt32Array::from(ids)),
                Arc::new(titles.finish()),
                Arc::new(Int32Array::from(years)),
                Arc::new(genres),
            ],
        )
        .map_err(Error::arrow(path))?;
        Ok(Self { table })
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

use std::collections::HashSet;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, RecordBatch, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::genres::genres_in;
use crate::interactions::{column_of_names, names_of};
use crate::text::{Dialect, FULL, Row, TableFile, Texts, open};
use crate::{Category, Error, IdMap, IdNames, Result, Traits};

/// How releases write that a movie has no genre.
const NO_GENRES: [&str; 3] = ["", "(no genres listed)", "unknown"];

/// Columns of `u.item` before those of the genres.
const ITEM_COLUMNS: [&str; 5] = ["movieId", "title", "releaseDate", "videoDate", "url"];

/// The genres of ML-100K, as its `u.genre` has them.
const GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];

/// The movies of a release as one Arrow table, in the order of the file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `movieId` | `UInt32` | raw id |
/// | `title` | `Utf8` | without the year |
/// | `year` | `Int32`, nullable | from the title, `Toy Story (1995)`; in ML-100K else from the date of release |
/// | `genres` | `List<Utf8>` | empty for `(no genres listed)` and `unknown` |
///
/// Items of other data are such a table too: `movieId` is the number of the item's name, `title`
/// its title or else its name, and `genres` are the values of those columns that have few; what
/// else is known of them are further columns, which [`Self::traits`] reads.
#[derive(Debug, Clone)]
pub struct Movies {
    table: RecordBatch,
    names: Option<Arc<IdNames>>,
}

/// Builds the table row by row, whatever the format.
#[derive(Default)]
struct MoviesBuilder {
    ids: Vec<u32>,
    seen: HashSet<u32>,
    titles: Texts,
    years: Vec<Option<i32>>,
    /// Those of all movies, and how many each has.
    genres: Texts,
    genre_counts: Vec<usize>,
}

impl Movies {
    /// Years of release that four digits can tell.
    pub const YEARS: RangeInclusive<i32> = 0..=9999;

    /// Schema of the table.
    pub fn schema() -> Arc<Schema> {
        let genre = Self::genre();
        Arc::new(Schema::new(vec![
            Field::new("movieId", DataType::UInt32, false),
            Field::new("title", DataType::Utf8, false),
            Field::new("year", DataType::Int32, true),
            Field::new("genres", DataType::List(genre), false),
        ]))
    }

    /// A genre in the list of a movie's.
    pub(crate) fn genre() -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Utf8, true))
    }

    /// Of a table of [`Self::schema`] in which no movie stands twice, traits and names behind it.
    ///
    /// # Errors
    /// Names of ids in another order than these.
    pub(crate) fn from_table(table: RecordBatch) -> Result<Self> {
        let ids = table.column(0).as_primitive::<UInt32Type>();
        let names = names_of(&table, ids.values())?;
        Ok(Self { table, names })
    }

    /// Reads `movies.csv` or `movies.dat`.
    pub(crate) fn read(path: &Path, dialect: &Dialect) -> Result<Self> {
        Self::read_into(MoviesBuilder::default(), path, dialect)
    }

    fn read_into(mut movies: MoviesBuilder, path: &Path, dialect: &Dialect) -> Result<Self> {
        TableFile::open(path, dialect, &["movieId", "title", "genres"])?.for_each(|row| {
            let genres = row.text(2)?;
            let genres = genres_in(&genres);
            movies.push(row, None, genres.iter().map(|it| &**it))
        })?;
        movies.finish(path)
    }

    /// Reads ML-100K's `u.item`, whose genres are a column of 0 or 1 each, in
    /// the order of `u.genre`; without that file they are the release's own.
    pub(crate) fn read_u_item(path: &Path, genre_path: Option<&Path>) -> Result<Self> {
        let names = match genre_path {
            Some(genre_path) => read_u_genre(genre_path)?,
            None => {
                check_width(path)?;
                GENRES.map(str::to_owned).to_vec()
            }
        };
        let items = Dialect::plain("|", ITEM_COLUMNS.len() + names.len());
        let mut movies = MoviesBuilder::default();
        TableFile::open(path, &items, &ITEM_COLUMNS)?.for_each(|row| {
            let mut genres = Vec::new();
            for (number, name) in names.iter().enumerate() {
                match row.beyond(number) {
                    b"0" => {}
                    b"1" => genres.push(name.as_str()),
                    _ => return Err(row.bad(0, "has a genre that is neither 0 nor 1")),
                }
            }
            let released = row.text(2)?;
            let year = year_of_release(&released).map_err(|problem| row.bad(2, problem))?;
            movies.push(row, year, genres.into_iter())
        })?;
        movies.finish(path)
    }

    /// Items of other data than MovieLens, by ascending `ids`, which are the numbers of `names`;
    /// `title` and `year` are of an item by its place among them, and so are `traits`.
    pub(crate) fn of_items(
        names: &IdNames,
        ids: &[u32],
        title: impl Fn(usize) -> Option<String>,
        year: impl Fn(usize) -> Option<i32>,
        traits: &Traits,
    ) -> Result<Self> {
        let full = || Error::setting("titles", "too many", FULL);
        let few: Vec<&Category> = traits.categories.iter().filter(|it| is_told(it)).collect();
        let mut movies = MoviesBuilder::default();
        for (place, &id) in ids.iter().enumerate() {
            let name = || names.name(id).unwrap_or_default().into_owned();
            let text = title(place).unwrap_or_else(name);
            movies.ids.push(id);
            movies.titles.push(&text).ok_or_else(full)?;
            movies.years.push(year(place));
            let mut count = 0;
            for category in &few {
                for &value in category.bags.row(place as u32) {
                    let value = &category.values[value as usize];
                    let genre = match few.len() {
                        1 => value.clone(),
                        _ => format!("{}: {value}", category.name),
                    };
                    if !is_genre(&genre) {
                        continue;
                    }
                    movies.genres.push(&genre).ok_or_else(full)?;
                    count += 1;
                }
            }
            movies.genre_counts.push(count);
        }
        let table = movies.table().map_err(Error::table("items"))?;
        let names = names.select(ids);
        let more = traits.to_columns()?.into_iter();
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
            more.chain([column_of_names(&names)]).unzip();
        with_columns(&table, fields, arrays)
            .map_err(Error::table("items"))
            .and_then(Self::from_table)
    }

    /// What is known of the movies beside titles, years and genres, in the order of the table:
    /// nothing, of MovieLens.
    ///
    /// # Errors
    /// Columns of other types than this library writes.
    pub fn traits(&self) -> Result<Traits> {
        Traits::from_table(&self.table)
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

    /// What the items are called, where they have other names than their ids.
    pub fn names(&self) -> Option<&Arc<IdNames>> {
        self.names.as_ref()
    }

    /// Raw ids and their dense rows (sorted by id, not in the order of the
    /// file).
    pub fn index(&self) -> IdMap {
        IdMap::from_ids(self.ids().iter().copied()).with_names(self.names.clone())
    }
}

/// Reads ML-100K's `u.genre`: the names of the genres by their numbers.
fn read_u_genre(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let pairs = Dialect::plain("|", 2);
    TableFile::open(path, &pairs, &["genre", "number"])?.for_each(|row| {
        if row.id(1)? as usize != names.len() {
            return Err(row.bad(1, "is out of order; genres are numbered from 0"));
        }
        names.push(row.text(0)?.into_owned());
        Ok(())
    })?;
    Ok(names)
}

/// Refuses a `u.item` whose genres are not those of the release, where nothing names them.
fn check_width(path: &Path) -> Result<()> {
    const LONGEST_START: u64 = 64 << 10;
    let mut start = Vec::new();
    let read = open(path)?.take(LONGEST_START).read_to_end(&mut start);
    read.map_err(Error::read(path))?;
    let end = memchr::memchr2(b'\n', b'\r', &start).unwrap_or(start.len());
    let fields = memchr::memchr_iter(b'|', &start[..end]).count() + 1;
    let genres = fields.saturating_sub(ITEM_COLUMNS.len());
    if fields == 1 || genres == GENRES.len() {
        return Ok(());
    }
    Err(Error::NoRelease {
        path: path.to_owned(),
        problem: format!(
            "it has columns of {genres} genres where ML-100K has {}, and no u.genre beside it names \
             them; put that there",
            GENRES.len()
        ),
    })
}

/// Values of a category up to which people can choose among them.
const MOST_VALUES: usize = 256;

fn is_told(category: &Category) -> bool {
    category.values.len() <= MOST_VALUES
}

/// The table with columns behind it.
fn with_columns(
    table: &RecordBatch,
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let known = table.schema_ref().fields().iter().cloned();
    let fields: Vec<Arc<Field>> = known.chain(fields.into_iter().map(Arc::new)).collect();
    let arrays = [table.columns(), &arrays].concat();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

impl MoviesBuilder {
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
        let written = self.titles.push(title);
        written.ok_or_else(|| row.bad(1, FULL))?;
        self.years.push(year_of_title.or(year));
        let mut count = 0;
        for genre in genres.filter(|genre| is_genre(genre)) {
            let written = self.genres.push(genre);
            written.ok_or_else(|| {
                row.bad(
                    0,
                    "has genres for which there is no room: their names may come to 2 GiB in all",
                )
            })?;
            count += 1;
        }
        self.genre_counts.push(count);
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<Movies> {
        let table = self.table().map_err(Error::arrow(path))?;
        Movies::from_table(table)
    }

    fn table(self) -> Result<RecordBatch, ArrowError> {
        // No name is empty, so they are no more than their bytes: offsets have room.
        let genres = ListArray::try_new(
            Movies::genre(),
            OffsetBuffer::from_lengths(self.genre_counts),
            Arc::new(self.genres.array()?),
            None,
        )?;
        RecordBatch::try_new(
            Movies::schema(),
            vec![
                Arc::new(UInt32Array::from(self.ids)),
                Arc::new(self.titles.array()?),
                Arc::new(Int32Array::from(self.years)),
                Arc::new(genres),
            ],
        )
    }
}

/// Whether it is the name of a genre, and not that there is none.
pub(crate) fn is_genre(name: &str) -> bool {
    !NO_GENRES.contains(&name)
}

/// `"Toy Story (1995) "` → `("Toy Story", Some(1995))`; a title that does not
/// end with four digits in parentheses keeps everything.
pub(crate) fn split_title(title: &str) -> (&str, Option<i32>) {
    let title = title.trim();
    let split = title.strip_suffix(')').and_then(|rest| {
        let (name, year) = rest.rsplit_once('(')?;
        Some((name.trim_end(), four_digits(year)?))
    });
    match split {
        Some((name, year)) => (name, Some(year)),
        None => (title, None),
    }
}

/// `"01-Jan-1995"` → 1995; the field may be empty.
fn year_of_release(date: &str) -> Result<Option<i32>, &'static str> {
    let date = date.trim();
    if date.is_empty() {
        return Ok(None);
    }
    let year = date.rsplit('-').next().unwrap_or(date);
    let year = four_digits(year).ok_or(
        "does not end with a year of four digits, as 01-Jan-1995 does; mend it or leave it empty",
    )?;
    Ok(Some(year))
}

fn four_digits(text: &str) -> Option<i32> {
    let all = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn years_of_release_have_four_digits() {
        for (date, expected) in [
            ("01-Jan-1995", Ok(Some(1995))),
            ("4-Feb-1971", Ok(Some(1971))),
            ("1995", Ok(Some(1995))),
            ("", Ok(None)),
            (" ", Ok(None)),
        ] {
            assert_eq!(year_of_release(date), expected);
        }
        for date in ["01-Jan-2000000000", "1-1-95", "unknown", "01-Jan-"] {
            assert!(year_of_release(date).is_err(), "{date}");
        }
    }

    #[test]
    fn titles_and_genres_beyond_the_room_of_a_column_are_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.csv");
        let text = "movieId,title,genres\n1,Heat (1995),Crime\n2,Big (1988),Comedy|Drama\n";
        std::fs::write(&path, text).unwrap();
        let read = |titles, genres| {
            let builder = MoviesBuilder {
                titles: Texts::of_at_most(titles),
                genres: Texts::of_at_most(genres),
                ..MoviesBuilder::default()
            };
            Movies::read_into(builder, &path, &Dialect::Csv)
        };
        let whole = read(7, 16).unwrap();
        assert_eq!(
            whole.table(),
            Movies::read(&path, &Dialect::Csv).unwrap().table()
        );
        let error = read(6, 16).unwrap_err().to_string();
        assert!(
            error.contains("movies.csv, line 3, column 'title': 'Big (1988)'"),
            "{error}"
        );
        assert!(error.contains("2 GiB"), "{error}");
        let error = read(7, 15).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("genres"),
            "{error}"
        );
    }
}

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{Float32Array, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use rayon::prelude::*;

use crate::split::row_numbers;
use crate::text::{
    Blocks, Columns, Dialect, Row, TableFile, TimeColumn, decimal, digits, line_end,
};
use crate::{Error, Result, Target};

/// The lowest rating that MovieLens knows, in stars.
pub const LOWEST_RATING: f32 = 0.5;
/// The highest rating that MovieLens knows, in stars.
pub const HIGHEST_RATING: f32 = 5.0;

const NAMES: [&str; 4] = ["userId", "movieId", "rating", "timestamp"];

/// Those of a file of ratings, which may have no times.
pub(crate) fn rating_columns() -> Columns<'static> {
    Columns::but_the_last(&NAMES)
}

/// Rows that are held at a time where they are not held all at once.
const STREAMED_ROWS: usize = 1 << 20;

/// All ratings of a release as one Arrow table, in the order of the file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `userId` | `UInt32` | raw id |
/// | `movieId` | `UInt32` | raw id |
/// | `rating` | `Float32` | stars, 0.5 to 5; of other data, what its [target](Self::target) says |
/// | `timestamp` | `UInt32` | seconds since 1970, UTC; 0 where they [have no times](Self::has_times) |
///
/// 16 bytes a rating: the 25 million of ml-25m take 381 MiB.
#[derive(Debug, Clone)]
pub struct Ratings {
    table: RecordBatch,
    target: Target,
    has_times: bool,
}

/// The columns of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RatingColumns {
    pub users: Vec<u32>,
    pub movies: Vec<u32>,
    pub stars: Vec<f32>,
    pub timestamps: Vec<u32>,
}

impl Ratings {
    /// Schema of the table.
    pub fn schema() -> Arc<Schema> {
        Arc::new(Schema::new(vec![
            Field::new("userId", DataType::UInt32, false),
            Field::new("movieId", DataType::UInt32, false),
            Field::new("rating", DataType::Float32, false),
            Field::new("timestamp", DataType::UInt32, false),
        ]))
    }

    /// Number of ratings, less than 2³².
    pub fn len(&self) -> usize {
        self.table.num_rows()
    }

    /// Whether there is no rating; a table that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Arrow table.
    pub fn table(&self) -> &RecordBatch {
        &self.table
    }

    /// Raw id of each rating's user.
    pub fn user_ids(&self) -> &[u32] {
        self.table.column(0).as_primitive::<UInt32Type>().values()
    }

    /// Raw id of each rating's movie.
    pub fn movie_ids(&self) -> &[u32] {
        self.table.column(1).as_primitive::<UInt32Type>().values()
    }

    /// Each rating, in stars.
    pub fn stars(&self) -> &[f32] {
        self.table.column(2).as_primitive::<Float32Type>().values()
    }

    /// When each rating was given, in seconds since 1970, UTC; 0 of ratings that
    /// [have no times](Self::has_times).
    pub fn timestamps(&self) -> &[u32] {
        self.table.column(3).as_primitive::<UInt32Type>().values()
    }

    /// Whether it is known when they were given. Without that, nothing can be split in time.
    pub fn has_times(&self) -> bool {
        self.has_times
    }

    /// The same, with times or without.
    pub(crate) fn with_times(self, has_times: bool) -> Self {
        Self { has_times, ..self }
    }

    /// What the ratings say: of MovieLens, how many [stars](Target::STARS).
    pub fn target(&self) -> Target {
        self.target
    }

    /// The same with another meaning.
    pub(crate) fn with_target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Of a table of [`Self::schema`] with less than 2³² rows.
    pub(crate) fn from_table(table: RecordBatch) -> Self {
        Self {
            table,
            target: Target::STARS,
            has_times: true,
        }
    }

    /// From columns of the same length, less than 2³².
    pub(crate) fn from_columns(columns: RatingColumns, path: &Path) -> Result<Self> {
        row_numbers(columns.users.len())?;
        Self::try_from_columns(columns).map_err(Error::arrow(path))
    }

    /// The same of no file.
    pub(crate) fn of_columns(columns: RatingColumns) -> Result<Self> {
        row_numbers(columns.users.len())?;
        Self::try_from_columns(columns).map_err(Error::table("interactions"))
    }

    fn try_from_columns(columns: RatingColumns) -> Result<Self, ArrowError> {
        RecordBatch::try_new(
            Self::schema(),
            vec![
                Arc::new(UInt32Array::from(columns.users)),
                Arc::new(UInt32Array::from(columns.movies)),
                Arc::new(Float32Array::from(columns.stars)),
                Arc::new(UInt32Array::from(columns.timestamps)),
            ],
        )
        .map(Self::from_table)
    }
}

impl RatingColumns {
    /// Reads the file at `path`: on all threads where it is written plainly,
    /// otherwise row by row. With them comes whether the file has times.
    pub(crate) fn read(path: &Path, dialect: &Dialect) -> Result<(Self, bool)> {
        match Self::read_plain(path, dialect) {
            Some(read) => Ok(read),
            None => Self::read_rows(path, dialect),
        }
    }

    /// Warns of a time that is no moment at which anybody rated movies: years, days, or dates
    /// written as numbers, which all are early in 1970.
    pub(crate) fn warn_of_early_times(&self, path: &Path) {
        // Counters of a few rows are not meant for times.
        const COUNTERS: u32 = 1_000;
        // In 1973.
        const EARLY: u32 = 100_000_000;
        let time = self.timestamps.iter().find(|&&time| time > 0);
        if let Some(time) = time.filter(|&&time| (COUNTERS..EARLY).contains(&time)) {
            tracing::warn!(
                "times of {} are taken for seconds since 1970, of which the first, {time}, is none \
                 that ratings have; write years, days and dates as 2005-04-02",
                path.display()
            );
        }
    }

    /// Zeros, to be written over: pages that are not touched take no memory.
    pub(crate) fn zeroed(rows: usize) -> Self {
        Self {
            users: vec![0; rows],
            movies: vec![0; rows],
            stars: vec![0.0; rows],
            timestamps: vec![0; rows],
        }
    }

    /// Puts others behind these.
    pub(crate) fn append(&mut self, other: Self) {
        self.users.extend(other.users);
        self.movies.extend(other.movies);
        self.stars.extend(other.stars);
        self.timestamps.extend(other.timestamps);
    }

    /// Raw user and movie, stars, and seconds of each.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, u32, f32, u32)> + '_ {
        (0..self.users.len()).map(|row| {
            let ids = (self.users[row], self.movies[row]);
            (ids.0, ids.1, self.stars[row], self.timestamps[row])
        })
    }

    /// The columns cut into consecutive parts of `lengths` rows.
    pub(crate) fn parts<'a>(
        &'a mut self,
        lengths: impl IntoIterator<Item = usize>,
    ) -> Vec<RatingSlices<'a>> {
        let mut rest = RatingSlices {
            users: &mut self.users,
            movies: &mut self.movies,
            stars: &mut self.stars,
            timestamps: &mut self.timestamps,
        };
        let mut parts = Vec::new();
        for length in lengths {
            let (part, after) = rest.split_at(length);
            parts.push(part);
            rest = after;
        }
        parts
    }

    /// `None` where anything is written in a way that needs a closer look, or
    /// is wrong: the careful reader decides and explains.
    fn read_plain(path: &Path, dialect: &Dialect) -> Option<(Self, bool)> {
        let blocks = Blocks::open(path, dialect, &rating_columns())?;
        let rows: usize = blocks.rows().iter().sum();
        if rows == 0 {
            return None;
        }
        let columns = Self::parse(&blocks, 0..blocks.rows().len())?;
        Some((columns, has_times(&blocks)))
    }

    fn parse(blocks: &Blocks, range: Range<usize>) -> Option<Self> {
        let rows = &blocks.rows()[range.clone()];
        let mut columns = Self::zeroed(rows.iter().sum());
        let (separator, has_times) = (blocks.separator(), has_times(blocks));
        columns
            .parts(rows.iter().copied())
            .into_par_iter()
            .zip(range)
            .map_init(Vec::new, |buffer, (part, block)| {
                blocks.read(block, buffer, |text| match has_times {
                    true => part.parse::<true>(text, separator),
                    false => part.parse::<false>(text, separator),
                })
            })
            .collect::<Option<()>>()?;
        Some(columns)
    }

    /// As [`Self::read`] where the file is written plainly, but hands out about
    /// [`STREAMED_ROWS`] at a time; whether there are times. `None` where the file is not, perhaps
    /// after some rows.
    pub(crate) fn stream_plain(
        path: &Path,
        dialect: &Dialect,
        take: &mut dyn FnMut(&Self) -> Result<()>,
    ) -> Result<Option<bool>> {
        let Some(blocks) = Blocks::open(path, dialect, &rating_columns()) else {
            return Ok(None);
        };
        let (mut start, mut rows) = (0, 0);
        for (block, &length) in blocks.rows().iter().enumerate() {
            rows += length;
            if rows >= STREAMED_ROWS || block + 1 == blocks.rows().len() {
                match Self::parse(&blocks, start..block + 1) {
                    Some(columns) => take(&columns)?,
                    None => return Ok(None),
                }
                (start, rows) = (block + 1, 0);
            }
        }
        Ok((start > 0).then(|| has_times(&blocks)))
    }

    /// Row by row, handed out [`STREAMED_ROWS`] at a time; whether there are times.
    pub(crate) fn stream_rows(
        path: &Path,
        dialect: &Dialect,
        take: &mut dyn FnMut(&Self) -> Result<()>,
    ) -> Result<bool> {
        let mut columns = Self::default();
        let file = TableFile::open_columns(path, dialect, &rating_columns())?;
        let mut times = Times::of(&file);
        let has_times = times.0.is_some();
        file.for_each(|row| {
            columns.push(row, &mut times)?;
            if columns.users.len() == STREAMED_ROWS {
                take(&columns)?;
                columns = Self::default();
            }
            Ok(())
        })?;
        take(&columns)?;
        Ok(has_times)
    }

    fn read_rows(path: &Path, dialect: &Dialect) -> Result<(Self, bool)> {
        let mut columns = Self::default();
        let file = TableFile::open_columns(path, dialect, &rating_columns())?;
        let mut times = Times::of(&file);
        let has_times = times.0.is_some();
        file.for_each(|row| columns.push(row, &mut times))?;
        Ok((columns, has_times))
    }

    fn push(&mut self, row: &Row, times: &mut Times) -> Result<()> {
        self.users.push(row.id(0)?);
        self.movies.push(row.id(1)?);
        let stars = row.number(2)?;
        if !(LOWEST_RATING..=HIGHEST_RATING).contains(&stars) {
            return Err(row.bad(2, OUT_OF_SCALE));
        }
        self.stars.push(stars);
        self.timestamps.push(times.read(row)?);
        Ok(())
    }
}

/// What is said of a rating that MovieLens does not know.
pub(crate) const OUT_OF_SCALE: &str = "is outside the scale of 0.5 to 5 stars; mend or remove the \
                                       row, or read ratings of another scale by --interactions \
                                       FILE --scale LOW:HIGH";

/// Whether the last column is there.
fn has_times(blocks: &Blocks) -> bool {
    blocks.columns() == NAMES.len()
}

/// How times are read, where there are any.
struct Times(Option<TimeColumn>);

impl Times {
    fn of(file: &TableFile) -> Self {
        Self(file.has(3).then(TimeColumn::default))
    }

    fn read(&mut self, row: &Row) -> Result<u32> {
        match &mut self.0 {
            Some(column) => column.read(row, 3),
            None => Ok(0),
        }
    }
}

/// A stretch of rows to be filled.
pub(crate) struct RatingSlices<'a> {
    pub users: &'a mut [u32],
    pub movies: &'a mut [u32],
    pub stars: &'a mut [f32],
    pub timestamps: &'a mut [u32],
}

impl<'a> RatingSlices<'a> {
    pub(crate) fn split_at(self, length: usize) -> (Self, Self) {
        let (users, users_after) = self.users.split_at_mut(length);
        let (movies, movies_after) = self.movies.split_at_mut(length);
        let (stars, stars_after) = self.stars.split_at_mut(length);
        let (timestamps, timestamps_after) = self.timestamps.split_at_mut(length);
        (
            Self {
                users,
                movies,
                stars,
                timestamps,
            },
            Self {
                users: users_after,
                movies: movies_after,
                stars: stars_after,
                timestamps: timestamps_after,
            },
        )
    }

    /// Parses exactly as many rows as the slices hold.
    fn parse<const HAS_TIMES: bool>(self, mut text: &[u8], separator: &[u8]) -> Option<()> {
        let rows = self
            .users
            .iter_mut()
            .zip(self.movies)
            .zip(self.stars.iter_mut().zip(self.timestamps));
        for ((user, movie), (stars, timestamp)) in rows {
            *user = digits(&mut text)?;
            text = text.strip_prefix(separator)?;
            *movie = digits(&mut text)?;
            text = text.strip_prefix(separator)?;
            *stars = half_stars(&mut text)?;
            if HAS_TIMES {
                text = text.strip_prefix(separator)?;
                *timestamp = digits(&mut text)?;
            }
            line_end(&mut text)?;
        }
        text.is_empty().then_some(())
    }
}

/// Takes a rating off the front of `text`.
#[inline]
fn half_stars(text: &mut &[u8]) -> Option<f32> {
    let stars = match **text {
        // Nearly all: a digit, a point, a digit.
        [
            whole @ b'0'..=b'9',
            b'.',
            tenths @ b'0'..=b'9',
            ref rest @ ..,
        ] if !rest.first().is_some_and(u8::is_ascii_digit) => {
            *text = rest;
            f32::from((whole - b'0') * 10 + (tenths - b'0')) / 10.0
        }
        _ => decimal(text)?,
    };
    (LOWEST_RATING..=HIGHEST_RATING)
        .contains(&stars)
        .then_some(stars)
}

#[cfg(test)]
mod tests;

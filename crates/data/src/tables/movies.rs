use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, Int32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Schema};

use super::{TEXT_TYPES, Table, table_of, texts_of};
use crate::interactions::further_columns;
use crate::movielens::{is_genre, split_title};
use crate::text::{FULL, Texts};
use crate::{Error, Movies, Result};

/// Nothing is copied.
impl From<&Movies> for RecordBatch {
    fn from(movies: &Movies) -> Self {
        movies.table().clone()
    }
}

/// Nothing is copied.
impl From<Movies> for RecordBatch {
    fn from(movies: Movies) -> Self {
        Self::from(&movies)
    }
}

/// From columns of the names of [`Movies`], in any order and beside any others, of which those that
/// [traits](Movies::traits) are kept. Columns of
/// the same types are not copied.
///
/// `movieId` may be of any integer type, and texts of any of Arrow's. `genres` are a list of
/// texts or, as in the files, one text with `|` between them; `(no genres listed)` and the
/// like are left out. Without a column `year`, it is taken from the end of the title, as in
/// the files; with one, titles are left as they are.
///
/// # Errors
/// A column that is missing, stands twice, or is of another type; a null elsewhere than for
/// a year, an id that 32 bits do not hold or that stands twice, and a year of more than four
/// digits, by column and row, counted from 0.
impl TryFrom<&RecordBatch> for Movies {
    type Error = Error;

    fn try_from(batch: &RecordBatch) -> Result<Self, Error> {
        let table = Table::new("movies", batch);
        let ids = table.ids("movieId")?;
        let mut seen = HashSet::new();
        for (row, &id) in ids.values().iter().enumerate() {
            if !seen.insert(id) {
                let problem = format!("'{id}' stands in an earlier row too; keep one of them");
                return Err(table.bad("movieId", Some(row), problem));
            }
        }
        let titles = table.texts("title")?;
        let (titles, years) = match table.find("year")? {
            Some(years) => (titles, table.years(years)?),
            None => {
                let split = || titles.iter().map(|it| split_title(it.unwrap_or_default()));
                let years: Int32Array = split().map(|(_, year)| year).collect();
                let names = split().map(|(name, _)| name);
                (table.column_of_texts("title", names)?, years)
            }
        };
        let genres = table.genres()?;
        let columns: [ArrayRef; 4] = [
            Arc::new(ids),
            Arc::new(titles),
            Arc::new(years),
            Arc::new(genres),
        ];
        let (more, arrays) = further_columns(batch);
        let known = Self::schema();
        let fields = known.fields().iter().cloned().chain(more);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        table_of("movies", schema, columns.into_iter().chain(arrays)).and_then(Self::from_table)
    }
}

/// As from a borrowed one.
impl TryFrom<RecordBatch> for Movies {
    type Error = Error;

    fn try_from(batch: RecordBatch) -> Result<Self, Error> {
        Self::try_from(&batch)
    }
}

impl Table<'_> {
    /// Years, of which some may be null; `Int32` is not copied.
    fn years(&self, array: &ArrayRef) -> Result<Int32Array> {
        match array.data_type() {
            DataType::Int8 => self.years_of::<Int8Type>(array),
            DataType::Int16 => self.years_of::<Int16Type>(array),
            DataType::Int32 => self.years_of::<Int32Type>(array),
            DataType::Int64 => self.years_of::<Int64Type>(array),
            DataType::UInt8 => self.years_of::<UInt8Type>(array),
            DataType::UInt16 => self.years_of::<UInt16Type>(array),
            DataType::UInt32 => self.years_of::<UInt32Type>(array),
            DataType::UInt64 => self.years_of::<UInt64Type>(array),
            other => Err(self.of_type("year", other, "an integer type, as Int32 or Int64")),
        }
    }

    fn years_of<T>(&self, array: &ArrayRef) -> Result<Int32Array>
    where
        T: ArrowPrimitiveType<Native: TryInto<i32> + std::fmt::Display>,
    {
        let years = array.as_primitive::<T>().iter().enumerate();
        let year = |(row, year): (usize, Option<T::Native>)| {
            let Some(year) = year else { return Ok(None) };
            let known = year.try_into().ok().filter(|it| Movies::YEARS.contains(it));
            let problem = || format!("'{year}' is not a year of four digits or fewer");
            let known = known.ok_or_else(|| self.bad("year", Some(row), problem()))?;
            Ok(Some(known))
        };
        let years: Int32Array = years.map(year).collect::<Result<_>>()?;
        Ok(match array.as_primitive_opt::<Int32Type>() {
            Some(same) => same.clone(),
            None => years,
        })
    }

    /// Genres, as a list of texts for each row.
    fn genres(&self) -> Result<ListArray> {
        const COLUMN: &str = "genres";
        let array = self.column(COLUMN)?;
        self.refuse_nulls(COLUMN, array)?;
        if let Some(lists) = self.genres_as_they_are(array) {
            return lists;
        }
        let (mut counts, mut names) = (Vec::with_capacity(self.rows()), Texts::default());
        for row in 0..self.rows() {
            let mut listed = self.genres_of(array, row)?;
            listed.retain(|name| is_genre(name));
            for name in &listed {
                let written = names.push(name);
                written.ok_or_else(|| self.bad(COLUMN, Some(row), FULL))?;
            }
            counts.push(listed.len());
        }
        let names = names.array().map_err(self.failed())?;
        let offsets = OffsetBuffer::from_lengths(counts);
        ListArray::try_new(Movies::genre(), offsets, Arc::new(names), None).map_err(self.failed())
    }

    /// The same lists, where none holds what is left out or cut.
    fn genres_as_they_are(&self, array: &ArrayRef) -> Option<Result<ListArray>> {
        let lists = array.as_list_opt::<i32>()?;
        let names = lists.values().as_string_opt::<i32>()?;
        let plain = |name: Option<&str>| name.is_some_and(|it| is_genre(it) && it.trim() == it);
        names.iter().all(plain).then(|| {
            let (offsets, names) = (lists.offsets().clone(), Arc::clone(lists.values()));
            ListArray::try_new(Movies::genre(), offsets, names, None).map_err(self.failed())
        })
    }

    /// What a row lists.
    fn genres_of(&self, array: &ArrayRef, row: usize) -> Result<Vec<String>> {
        let listed = match array.data_type() {
            DataType::List(_) => array.as_list::<i32>().value(row),
            DataType::LargeList(_) => array.as_list::<i64>().value(row),
            _ => {
                let text = texts_of(&array.slice(row, 1)).map(|texts| texts.join("|"));
                let text = text.ok_or_else(|| {
                    let expected = format!("lists of texts, or {TEXT_TYPES}");
                    self.of_type("genres", array.data_type(), &expected)
                })?;
                return Ok(text.split('|').map(|name| name.trim().to_owned()).collect());
            }
        };
        if listed.null_count() > 0 {
            let problem = "lists a genre that is null; leave it out of the list";
            return Err(self.bad("genres", Some(row), problem));
        }
        let names = texts_of(&listed).ok_or_else(|| {
            let expected = format!("lists of texts, or {TEXT_TYPES}");
            self.of_type("genres", array.data_type(), &expected)
        })?;
        Ok(names.iter().map(|name| name.trim().to_owned()).collect())
    }
}

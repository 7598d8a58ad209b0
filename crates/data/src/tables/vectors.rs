use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, Float32Array, RecordBatch, UInt32Array};
use arrow_schema::DataType;

use super::{Table, to_f32};
use crate::interactions::{interned, is_usual_item};
use crate::{IdMap, Modality, Result};

/// What the table is of, for messages.
pub(super) const VECTORS: &str = "vectors";
pub(super) const MOVIE_ID: &str = "movieId";
const LISTS: &str = "lists of numbers, as FixedSizeList of Float16, Float32 or Float64";

/// A column of vectors.
struct Vectors {
    /// Its name.
    column: String,
    /// `[rows, width]`.
    values: Float32Array,
    width: usize,
}

impl Modality {
    /// Of a table of vectors that were computed elsewhere: `movieId`, of any integer type (of items
    /// that have names these, in a column that may be called otherwise), and one column of vectors, whatever its name, which are fixed-size lists, or lists
    /// that are all of one length, of floats of 16, 32 or 64 bits. Other columns are not
    /// looked at. Vectors are standardized as by [`Self::standardized`]; those of movies
    /// outside the catalogue are [left out](Self::left_out).
    ///
    /// A table that came in several batches is made one by `arrow::compute::concat_batches`.
    ///
    /// # Errors
    /// No column of vectors, or several; a column that is missing, stands twice, or is of
    /// another type; a null, a vector of another length, a number that is not finite, a
    /// movie's second vector, by column and row, counted from 0; as [`Self::standardized`].
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use mmdlrm_data::arrow_array::types::Float64Type;
    /// use mmdlrm_data::arrow_array::{
    ///     ArrayRef, FixedSizeListArray, Int64Array, RecordBatch,
    /// };
    /// use mmdlrm_data::{IdMap, Modality};
    ///
    /// let vectors = [Some([1.0, 3.0].map(Some)), Some([1.0, 5.0].map(Some))];
    /// let vectors = FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(vectors, 2);
    /// let table = RecordBatch::try_from_iter([
    ///     ("movieId", Arc::new(Int64Array::from(vec![7, 12])) as ArrayRef),
    ///     ("sound", Arc::new(vectors)),
    /// ])?;
    /// let movies = IdMap::from_ids([7, 9, 12]);
    /// let sound = Modality::from_record_batch("sound", &movies, &table)?;
    /// assert_eq!(sound.row_of_movie(), [0, Modality::MISSING, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_record_batch(name: &str, movies: &IdMap, batch: &RecordBatch) -> Result<Self> {
        let table = Table::new(VECTORS, batch);
        let column = table.item_column(movies)?;
        let ids = table.item_ids(column, movies)?;
        let vectors = table.vectors()?;
        let mut rows = HashMap::new();
        for (row, &id) in ids.values().iter().enumerate() {
            // Nobody asks about the others.
            if movies.row(id).is_none() {
                continue;
            }
            if let Some(before) = rows.insert(id, row) {
                let problem = format!("'{id}' stands in row {before} too; keep one of them");
                return Err(table.bad(column, Some(row), problem));
            }
            let vector = vectors.row(row).iter().enumerate();
            if let Some((place, x)) = vector.into_iter().find(|(_, x)| !x.is_finite()) {
                let problem = format!(
                    "number {place} of the vector of movie {id} is {x}; make it anew, or leave it out"
                );
                return Err(table.bad(&vectors.column, Some(row), problem));
            }
        }
        let all = ids.values().iter().enumerate();
        let all = all.map(|(row, &id)| (id, vectors.row(row)));
        Self::standardized(name, vectors.width, movies, all)
    }
}

impl Vectors {
    fn row(&self, row: usize) -> &[f32] {
        &self.values.values()[row * self.width..][..self.width]
    }
}

impl Table<'_> {
    /// The column of the ids: `movieId`; of items with names also the only one beside the vectors,
    /// or one that is called as an item's usually is.
    pub(super) fn item_column(&self, movies: &IdMap) -> Result<&str> {
        let fields = self.batch.schema_ref().fields().iter();
        let others = fields.filter(|field| !is_vectors(field.data_type()));
        let others: Vec<&str> = others.map(|field| field.name().as_str()).collect();
        match others[..] {
            _ if movies.names().is_none() || others.contains(&MOVIE_ID) => Ok(MOVIE_ID),
            [one] => Ok(one),
            _ => others.iter().copied().find(|name| is_usual_item(name)).ok_or_else(|| {
                let found = others.join(", ");
                let problem = format!(
                    "there is no such column, and none of a usual name for the ids of items, as \
                     item_id; beside the vectors there are: {found}"
                );
                self.bad(MOVIE_ID, None, problem)
            }),
        }
    }

    /// Ids of a column, by the names of `movies` where these have some; those of others are no
    /// movie's.
    fn item_ids(&self, column: &str, movies: &IdMap) -> Result<UInt32Array> {
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        let Some(names) = movies.names() else {
            return self.ids(MOVIE_ID);
        };
        let (numbers, texts) = interned(VECTORS, column, array)?;
        let found: Vec<u32> = texts
            .iter()
            .map(|it| names.find(it).unwrap_or(u32::MAX))
            .collect();
        Ok(numbers
            .iter()
            .map(|&number| found[number as usize])
            .collect::<Vec<u32>>()
            .into())
    }

    /// Name of the one column of lists of numbers.
    pub(super) fn vector_column(&self) -> Result<&str> {
        let fields = self.batch.schema_ref().fields().iter();
        let lists = fields.filter(|field| is_vectors(field.data_type()));
        let names: Vec<&str> = lists.map(|field| field.name().as_str()).collect();
        match names[..] {
            [column] => Ok(column),
            [] => {
                let fields = self.batch.schema_ref().fields().iter();
                let found = fields.map(|field| format!("{} ({})", field.name(), field.data_type()));
                let found = found.collect::<Vec<_>>().join(", ");
                let problem =
                    format!("there has to be one column of {LISTS}; the columns are: {found}");
                Err(self.bad("vector", None, problem))
            }
            _ => {
                let problem = format!("there has to be one column of {LISTS}; leave one of them");
                Err(self.bad(&names.join(", "), None, problem))
            }
        }
    }

    fn vectors(&self) -> Result<Vectors> {
        let column = self.vector_column()?;
        let array = self.column(column)?;
        self.refuse_nulls(column, array)?;
        let (values, start, width) = match array.data_type() {
            DataType::FixedSizeList(_, width) => {
                let width = usize::try_from(*width).unwrap_or_default();
                (array.as_fixed_size_list().values(), 0, width)
            }
            DataType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                let ends = lists.offsets().iter().map(|&end| end as usize);
                let (start, width) = self.one_width(column, ends.collect())?;
                (lists.values(), start, width)
            }
            _ => {
                let lists = array.as_list::<i32>();
                let ends = lists.offsets().iter().map(|&end| end as usize);
                let (start, width) = self.one_width(column, ends.collect())?;
                (lists.values(), start, width)
            }
        };
        let used = values.slice(start, self.rows() * width);
        if used.null_count() > 0 {
            let place = (0..used.len()).find(|&place| used.is_null(place));
            let row = place.and_then(|place| place.checked_div(width));
            return Err(self.bad(column, row, "has a number that is null; leave the row out"));
        }
        let values = to_f32(&used);
        let expected = || self.of_type(column, array.data_type(), LISTS);
        Ok(Vectors {
            values: values.ok_or_else(expected)?,
            column: column.to_owned(),
            width,
        })
    }

    /// Where lists begin, and the length that all of them have.
    fn one_width(&self, column: &str, ends: Vec<usize>) -> Result<(usize, usize)> {
        let width = |pair: &[usize]| pair[1] - pair[0];
        let first = ends.windows(2).next().map_or(0, width);
        if let Some(row) = ends.windows(2).position(|pair| width(pair) != first) {
            let problem = format!(
                "has {} numbers where those before have {first}; take all of them from one encoder",
                width(&ends[row..])
            );
            return Err(self.bad(column, Some(row), problem));
        }
        Ok((ends.first().copied().unwrap_or(0), first))
    }
}

/// Whether it is a type of lists of numbers that need no more than be rounded.
fn is_vectors(found: &DataType) -> bool {
    match found {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().is_floating()
        }
        _ => false,
    }
}

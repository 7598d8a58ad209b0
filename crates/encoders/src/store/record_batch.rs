use std::sync::Arc;

use arrow_array::builder::{Float16Builder, Float32Builder, StringBuilder};
use arrow_array::{ArrayRef, FixedSizeListArray, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use half::f16;

use super::{EmbeddingStore, Kind, Precision};

impl EmbeddingStore {
    /// All embeddings of a kind as a table, by ascending id; `None` of a kind without an
    /// encoder. `Modality::from_record_batch` of the crate `mmdlrm-data` takes it.
    ///
    /// | column | Arrow type | |
    /// | --- | --- | --- |
    /// | `movieId` | `UInt32` | raw id |
    /// | `kind` | `Utf8` | `image` or `text` |
    /// | `source` | `UInt64` | xxh3 of the picture's or text's bytes |
    /// | `vector` | `FixedSizeList` of `Float32` or `Float16` | of the kind's [width](Self::width), in the store's [precision](Self::precision) |
    ///
    /// # Errors
    /// More numbers than Arrow counts in one list.
    ///
    /// ```
    /// use mmdlrm_encoders::{ClipEncoder, EmbeddingStore, Kind, LoadOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("store.parquet");
    /// let clip = ClipEncoder::untrained(42, ["a robot"], &LoadOptions::default())?;
    /// let mut store = EmbeddingStore::builder(&path).images(&clip).open()?;
    /// store.insert(7, Kind::Image, 1, vec![0.5; clip.width()])?;
    /// let table = store.record_batch(Kind::Image)?.ok_or("no pictures")?;
    /// assert_eq!((table.num_rows(), table.num_columns()), (1, 4));
    /// assert!(store.record_batch(Kind::Text)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_batch(&self, kind: Kind) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(width) = self.width(kind) else {
            return Ok(None);
        };
        let rows = self.of_kind(kind).count();
        let ids = self.of_kind(kind).map(|(movie_id, _)| movie_id);
        let sources = self.of_kind(kind).map(|(_, embedding)| embedding.source);
        let numbers = self
            .of_kind(kind)
            .map(|(_, embedding)| &embedding.vector[..]);
        let mut kinds = StringBuilder::with_capacity(rows, rows * kind.name().len());
        kinds.append_value_n(kind.name(), rows);
        let (number, values): (_, ArrayRef) = match self.precision() {
            Precision::F32 => {
                let mut values = Float32Builder::with_capacity(rows * width);
                numbers.for_each(|vector| values.append_slice(vector));
                (DataType::Float32, Arc::new(values.finish()))
            }
            Precision::F16 => {
                // Rounded when they were inserted: nothing is lost.
                let mut values = Float16Builder::with_capacity(rows * width);
                let halves = numbers.flatten().map(|&x| Some(f16::from_f32(x)));
                values.extend(halves);
                (DataType::Float16, Arc::new(values.finish()))
            }
        };
        let item = Arc::new(Field::new_list_field(number, false));
        let length = i32::try_from(width).map_err(|_| ArrowError::OffsetOverflowError(width))?;
        let vectors = FixedSizeListArray::try_new(Arc::clone(&item), length, values, None)?;
        let schema = Schema::new(vec![
            Field::new("movieId", DataType::UInt32, false),
            Field::new("kind", DataType::Utf8, false),
            Field::new("source", DataType::UInt64, false),
            Field::new("vector", DataType::FixedSizeList(item, length), false),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(ids)),
            Arc::new(kinds.finish()),
            Arc::new(UInt64Array::from_iter_values(sources)),
            Arc::new(vectors),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).map(Some)
    }
}

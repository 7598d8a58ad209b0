use std::sync::Arc;

use mmdlrm_data::arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use mmdlrm_data::arrow_schema::{DataType, Field, Schema};
use mmdlrm_data::{Batch, Error, IdMap, Result};

use crate::Features;

impl Features {
    /// A table of a batch of these features, a row a sample: that of any [`Batch`], with the
    /// columns of the [schema](Self::schema), behind raw ids.
    ///
    /// | column | Arrow type | |
    /// | --- | --- | --- |
    /// | `userId`, `movieId` | `UInt32`, nullable | raw ids; null of a [new movie](Self::with_new_movie) |
    /// | `user`, `movie`, `timestamp` | `UInt32` | dense rows, seconds since 1970 |
    /// | `genre` | `List<UInt32>` | ids of [genres](Self::genre_names) |
    /// | `dense` | `FixedSizeList<Float32>` | the field's metadata, `names`, have the [names](Self::dense_names), by commas |
    /// | `imageRow`, … | `UInt32`, nullable | for each [modality](Self::modalities) its name and `Row`: where the movie's vector stands in it; null where it has none |
    /// | `stars`, `base` | `Float32` | where the batch has them |
    ///
    /// Nothing but ids and offsets is copied.
    ///
    /// # Errors
    /// A batch of which no table can be made, such as one with columns of different lengths.
    pub fn record_batch(&self, batch: Batch) -> Result<RecordBatch> {
        let ids = [
            ids(self.users(), &batch.users),
            ids(self.movies(), &batch.movies),
        ];
        let table = RecordBatch::try_from(batch)?;
        let of_ids = ["userId", "movieId"].map(|name| Field::new(name, DataType::UInt32, true));
        let fields = of_ids.into_iter().map(Arc::new);
        let fields = fields.chain(table.schema_ref().fields().iter().cloned());
        let columns = ids.into_iter().chain(table.columns().iter().cloned());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, columns.collect()).map_err(|source| Error::Table {
            table: "samples",
            source,
        })
    }
}

fn ids(map: &IdMap, rows: &[u32]) -> ArrayRef {
    Arc::new(rows.iter().map(|&row| map.id(row)).collect::<UInt32Array>())
}

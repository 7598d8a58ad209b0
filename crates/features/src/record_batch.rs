use std::collections::HashMap;
use std::sync::Arc;

use mmdlrm_data::arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use mmdlrm_data::arrow_schema::{DataType, Field, Schema};
use mmdlrm_data::{Batch, Error, IdMap, Result};

use crate::Features;

/// Key of the metadata of the column `dense`: the names of the features, by commas.
const NAMES: &str = "names";

impl Features {
    /// A table of a batch of these features, a row a sample. Nothing but ids and offsets is
    /// copied.
    ///
    /// | column | Arrow type | |
    /// | --- | --- | --- |
    /// | `userId`, `movieId` | `UInt32`, nullable | raw ids; null of a [new movie](Self::with_new_movie) |
    /// | `imageRow`, … | `UInt32`, nullable | for each [modality](Self::modalities) its name and `Row`: where the movie's vector stands in it; null where it has none |
    /// | `dense` | `FixedSizeList<Float32>` | the field's metadata, `names`, have the [names](Self::dense_names), by commas |
    ///
    /// The other columns are those of a [`Batch`] as a record batch: `user`, `movie`,
    /// `timestamp`, `genres`, `stars` and `base`.
    ///
    /// # Errors
    /// A batch of more modalities or other features, or one with columns of different
    /// lengths.
    pub fn record_batch(&self, batch: Batch) -> Result<RecordBatch> {
        let (users, movies) = (
            ids(self.users(), &batch.users),
            ids(self.movies(), &batch.movies),
        );
        let dense = batch.dense.len();
        if dense > 0 && dense != batch.len() * self.dense_names().len() {
            let rule = "a batch has as many for each sample as there are features of these names";
            return Err(Error::setting("number of dense features", dense, rule));
        }
        let modalities = batch.modality_rows.len();
        if modalities > self.modalities().len() {
            let rule = "a batch has those of these features";
            return Err(Error::setting("number of modalities", modalities, rule));
        }
        let table = RecordBatch::try_from(batch)?;
        let mut fields = vec![
            Field::new("userId", DataType::UInt32, true),
            Field::new("movieId", DataType::UInt32, true),
        ];
        let mut modalities = self.modalities().iter();
        for field in table.schema_ref().fields() {
            let field = field.as_ref().clone();
            fields.push(match field.name().as_str() {
                "dense" => {
                    let names = self.dense_names().join(",");
                    field.with_metadata(HashMap::from([(NAMES.to_owned(), names)]))
                }
                name if name.starts_with("modality") => match modalities.next() {
                    Some(modality) => field.with_name(format!("{}Row", modality.name())),
                    None => field,
                },
                _ => field,
            });
        }
        let columns = [users, movies].into_iter();
        let columns = columns.chain(table.columns().iter().cloned()).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|source| {
            Error::Table {
                table: "samples",
                source,
            }
        })
    }
}

fn ids(map: &IdMap, rows: &[u32]) -> ArrayRef {
    Arc::new(rows.iter().map(|&row| map.id(row)).collect::<UInt32Array>())
}

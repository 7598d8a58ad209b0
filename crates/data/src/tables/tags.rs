use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use super::{Table, table_of};
use crate::movielens::tags_schema;
use crate::{MovieLens, Result};

impl MovieLens {
    /// The same with these tags: a table of `userId`, `movieId`, `tag` and `timestamp`, whose
    /// types may be others that say the same, as for [`Ratings`](crate::Ratings).
    ///
    /// # Errors
    /// A column that is missing, stands twice, or is of another type; a null, an id or a time
    /// that 32 bits do not hold, by column and row, counted from 0.
    pub fn with_tags(mut self, tags: &RecordBatch) -> Result<Self> {
        let table = Table::new("tags", tags);
        let columns: [ArrayRef; 4] = [
            Arc::new(table.ids("userId")?),
            Arc::new(table.ids("movieId")?),
            Arc::new(table.texts("tag")?),
            Arc::new(table.seconds("timestamp")?),
        ];
        self.tags = Some(table_of("tags", tags_schema(), columns)?);
        Ok(self)
    }
}

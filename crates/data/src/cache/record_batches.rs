use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use super::ratings_parquet::{GroupBatches, RatingsBatch, RatingsReader};
use crate::movielens::RatingColumns;
use crate::{Error, IdMap, Ratings, Result};

/// The ratings of a [`RatingsStream`](crate::RatingsStream) as a reader of record batches,
/// which is what `parquet`, DataFusion and others take. The columns are those of
/// [`Ratings`], a batch has some thousand rows, and one batch is in memory at a time, beside
/// the bytes of its row group.
///
/// All ratings come, in the order of the file, or an error, which is the last item: an
/// [`ArrowError::ExternalError`] whose source is this crate's [`Error`].
///
/// ```
/// use mmdlrm_data::arrow_array::RecordBatchReader;
/// use mmdlrm_data::{OpenOptions, Ratings, generate};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let release = OpenOptions::default().open_streamed(&folder)?;
/// let batches = release.ratings.record_batches();
/// assert_eq!(batches.schema(), Ratings::schema());
/// let mut rows = 0;
/// for batch in batches {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(rows, 300);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RatingsBatches {
    reader: Arc<RatingsReader>,
    /// The movies whose ratings are kept; `None` where all are.
    known: Option<IdMap>,
    /// Row groups to come.
    groups: Range<usize>,
    group: Option<GroupBatches>,
    /// Rows that have come, and that are to come in all.
    seen: usize,
    rows: usize,
}

impl RatingsBatches {
    pub(super) fn new(reader: Arc<RatingsReader>, known: Option<IdMap>, rows: usize) -> Self {
        let groups = reader.lengths().len();
        Self {
            groups: 0..groups,
            reader,
            known,
            group: None,
            seen: 0,
            rows,
        }
    }

    /// The next batch that has a row; `None` where all have come.
    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.group.as_mut().and_then(Iterator::next) {
                let batch = self.kept(&batch?)?;
                if batch.num_rows() > 0 {
                    self.seen += batch.num_rows();
                    return Ok(Some(batch));
                }
            } else if let Some(group) = self.groups.next() {
                self.group = Some(self.reader.batches(group)?);
            } else {
                self.group = None;
                Error::unless_all("ratings", self.seen, self.rows)?;
                return Ok(None);
            }
        }
    }

    /// Without the ratings of movies that are not known.
    fn kept(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let path = self.reader.path();
        let Some(known) = &self.known else {
            let columns = batch.columns().to_vec();
            return RecordBatch::try_new(Ratings::schema(), columns).map_err(Error::arrow(path));
        };
        let columns = RatingsBatch::of(batch);
        let mut kept = RatingColumns::default();
        for (row, &movie) in columns.movies.iter().enumerate() {
            if known.row(movie).is_some() {
                kept.users.push(columns.users[row]);
                kept.movies.push(movie);
                kept.stars.push(columns.stars[row]);
                kept.timestamps.push(columns.timestamps[row]);
            }
        }
        Ok(Ratings::from_columns(kept, path)?.into())
    }
}

impl Iterator for RatingsBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.advance().map_err(|error| {
            // Nothing comes after an error.
            self.groups = 0..0;
            self.group = None;
            self.rows = self.seen;
            ArrowError::ExternalError(error.into())
        });
        batch.transpose()
    }
}

impl RecordBatchReader for RatingsBatches {
    fn schema(&self) -> SchemaRef {
        Ratings::schema()
    }
}

impl fmt::Debug for RatingsBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RatingsBatches")
            .field("path", &self.reader.path())
            .field("seen", &self.seen)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

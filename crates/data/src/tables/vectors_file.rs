//! Vectors that were computed elsewhere, in a Parquet file. It may come from anywhere: what
//! it asks for is counted before anything of it is held.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::vectors::{MOVIE_ID, VECTORS};
use super::{Table, check_chunk};
use crate::text::most_unpacked;
use crate::{Error, IdMap, Modality, Result};

/// Numbers of the longest vector: many times those of encoders, and few enough for a tower.
const LONGEST_VECTOR: usize = 1 << 16;
/// Bytes of a number once it is read.
const NUMBER: u64 = size_of::<f32>() as u64;

impl Modality {
    /// Of a Parquet file with the columns of [`Self::from_record_batch`], as pandas, polars
    /// and `mmdlrm encode` write it, uncompressed or compressed by zstd or Snappy.
    ///
    /// What is held of a file goes by its length: a column may unpack to 200 times that, or
    /// to 256 MiB.
    ///
    /// # Errors
    /// With the file: one that cannot be read or is no Parquet, one that unpacks to more,
    /// vectors of more than 65,536 numbers, or none of a movie of the catalogue; as
    /// [`Self::from_record_batch`].
    ///
    /// ```no_run
    /// use std::path::Path;
    ///
    /// use mmdlrm_data::{Modality, MovieLens};
    ///
    /// let movies = MovieLens::open("ml-25m")?.movies.index();
    /// let sound = Modality::from_parquet("sound", &movies, Path::new("sound.parquet"))?;
    /// println!("{} movies have {} numbers", sound.present(), sound.width());
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn from_parquet(name: &str, movies: &IdMap, path: &Path) -> Result<Self> {
        let batch = VectorsFile::open(path, movies)?.read()?;
        let modality = Self::from_record_batch(name, movies, &batch);
        let modality = modality.map_err(Error::in_file(path))?;
        if modality.width() > LONGEST_VECTOR {
            return Err(too_large(
                path,
                format!(
                    "its vectors have {} numbers each, where a modality has {LONGEST_VECTOR} at \
                     most; project them to fewer",
                    modality.width()
                ),
            ));
        }
        if modality.present() == 0 {
            let problem = format!(
                "none of its {} ids is a movie of the data; are they ids of this release?",
                batch.num_rows()
            );
            let error = Table::new(VECTORS, &batch).bad(MOVIE_ID, None, problem);
            return Err(Error::in_file(path)(error));
        }
        Ok(modality)
    }
}

/// A file of which the metadata have been read, and which of its columns are wanted.
struct VectorsFile<'a> {
    path: &'a Path,
    file: Arc<File>,
    length: u64,
    /// Bytes that a column may come to.
    most: u64,
    metadata: ArrowReaderMetadata,
    columns: ProjectionMask,
    rows: usize,
}

impl<'a> VectorsFile<'a> {
    fn open(path: &'a Path, movies: &IdMap) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let length = file.metadata().map_err(Error::read(path))?.len();
        let metadata =
            ArrowReaderMetadata::load(&file, Default::default()).map_err(Error::parquet(path))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let rows = usize::try_from(rows).map_err(Error::parquet(path))?;
        let columns = columns_of(&metadata, rows, movies).map_err(Error::in_file(path))?;
        Ok(Self {
            path,
            file: Arc::new(file),
            length,
            most: most_unpacked(length),
            metadata,
            columns,
            rows,
        })
    }

    /// The two columns, all rows in one table.
    fn read(self) -> Result<RecordBatch> {
        let parquet = self.metadata.metadata();
        self.check_groups(parquet)?;
        self.check_lists()?;
        for leaf in 0..parquet.file_metadata().schema_descr().num_columns() {
            if self.columns.leaf_included(leaf) {
                self.check_column(parquet, leaf)?;
            }
        }
        let Self { path, rows, .. } = self;
        let file = self.file.try_clone().map_err(Error::read(path))?;
        let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata)
            .with_projection(self.columns)
            .with_batch_size(rows)
            .build()
            .map_err(Error::parquet(path))?;
        let batch = batches.next().transpose();
        let batch = batch.map_err(Error::parquet(path))?;
        let all = batch.filter(|batch| batch.num_rows() == rows && batches.next().is_none());
        let others = "it has not the rows that its footer speaks of";
        all.ok_or_else(|| Error::parquet(path)(others))
    }

    /// Groups of rows are added up by whoever reads them.
    fn check_groups(&self, parquet: &ParquetMetaData) -> Result<()> {
        let rows = parquet.row_groups().iter().try_fold(0usize, |sum, group| {
            sum.checked_add(usize::try_from(group.num_rows()).ok()?)
        });
        match rows == Some(self.rows) {
            true => Ok(()),
            false => Err(Error::parquet(self.path)(
                "its groups of rows have not the rows that its footer speaks of",
            )),
        }
    }

    /// Lists of one length take it where they are null, too.
    fn check_lists(&self) -> Result<()> {
        let fields = self.metadata.schema().fields().iter();
        let widths = fields.filter_map(|field| match field.data_type() {
            DataType::FixedSizeList(_, width) => u64::try_from(*width).ok(),
            _ => None,
        });
        let width = widths.max().unwrap_or(1);
        self.check_bytes((self.rows as u64).saturating_mul(width.saturating_mul(NUMBER)))
    }

    /// Goes over the pages of a column, one at a time: footers and headers of pages can say
    /// anything, and what is packed can come to anything.
    fn check_column(&self, parquet: &ParquetMetaData, leaf: usize) -> Result<()> {
        let mut bytes = 0u64;
        for group in parquet.row_groups() {
            let chunk = group.column(leaf);
            check_chunk(self.path, self.length, chunk)?;
            let pages = SerializedPageReader::new(Arc::clone(&self.file), chunk, self.rows, None);
            for page in pages.map_err(Error::parquet(self.path))? {
                let page = page.map_err(Error::parquet(self.path))?;
                let numbers = u64::from(page.num_values()) * NUMBER;
                bytes = bytes.saturating_add(numbers.max(page.buffer().len() as u64));
                self.check_bytes(bytes)?;
            }
        }
        Ok(())
    }

    fn check_bytes(&self, bytes: u64) -> Result<()> {
        if bytes <= self.most {
            return Ok(());
        }
        let problem = "a column unpacks to more than 256 MiB and 200 times the length of the file, \
                       as no vectors do; write it without compression and dictionaries if it is \
                       right";
        Err(too_large(self.path, problem.to_owned()))
    }
}

/// Ids and vectors, found by names and types alone.
fn columns_of(
    metadata: &ArrowReaderMetadata,
    rows: usize,
    movies: &IdMap,
) -> Result<ProjectionMask> {
    let empty = RecordBatch::new_empty(Arc::clone(metadata.schema()));
    let table = Table::new(VECTORS, &empty);
    let ids = table.item_column(movies)?;
    table.column(ids)?;
    let vectors = table.vector_column()?;
    if rows == 0 {
        return Err(table.bad(ids, None, "there is no row; write one a movie"));
    }
    let fields = metadata.schema().fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| [ids, vectors].contains(&field.name().as_str()));
    let wanted = wanted.map(|(place, _)| place);
    Ok(ProjectionMask::roots(metadata.parquet_schema(), wanted))
}

fn too_large(path: &Path, problem: String) -> Error {
    Error::TooLarge {
        path: path.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Float32Type;
    use arrow_array::{ArrayRef, FixedSizeListArray, Int64Array};
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// What reading says of 1,000 vectors of 64 numbers, where a column may have so many bytes.
    fn read(vector: Option<f32>, most: u64) -> Result<RecordBatch> {
        let rows = (0..1000).map(|_| vector.map(|x| vec![Some(x); 64]));
        let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 64);
        let ids: Vec<i64> = (0..1000).collect();
        let batch = RecordBatch::try_from_iter([
            (MOVIE_ID, Arc::new(Int64Array::from(ids)) as ArrayRef),
            ("v", Arc::new(vectors)),
        ]);
        let batch = batch.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
        let mut file = VectorsFile::open(&path, &IdMap::default())?;
        file.most = most;
        file.read()
    }

    #[test]
    fn what_unpacks_to_far_more_than_it_holds_is_refused_before_it_is_held() {
        // They come to 256,000 bytes, of a number that repeats, and of nulls, which have none.
        for vector in [Some(0.5), None] {
            assert_eq!(read(vector, 260_000).unwrap().num_rows(), 1000);
            let error = read(vector, 250_000).unwrap_err().to_string();
            assert!(
                error.contains("200 times the length of the file"),
                "{error}"
            );
        }
    }
}

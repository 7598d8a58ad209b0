use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::error::first_line;
use crate::{ClipEncoder, Error, Result};

const MODEL_KEY: &str = "mmdlrm_model";
const FINGERPRINT_KEY: &str = "mmdlrm_fingerprint";

/// What an embedding is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A movie's poster.
    Image,
    /// A movie's plot.
    Text,
}

impl Kind {
    /// Both, in the order of the store's columns.
    pub const ALL: [Self; 2] = [Self::Image, Self::Text];

    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
        }
    }
}

/// Embeddings of movies by one model, kept in a Parquet file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `movieId` | `Int64` | ascending |
/// | `image`, `text` | `FixedSizeList<Float32>`, nullable | null: missing |
/// | `image_source`, `text_source` | `UInt64`, nullable | hash of the picture's or text's bytes |
///
/// The file's metadata names the model and its fingerprint; a store of another
/// model is refused. An embedding whose source has changed counts as missing.
#[derive(Debug, Clone)]
pub struct EmbeddingStore {
    path: PathBuf,
    model: String,
    fingerprint: String,
    width: usize,
    movies: BTreeMap<u32, [Option<Embedding>; 2]>,
}

#[derive(Debug, Clone, PartialEq)]
struct Embedding {
    source: u64,
    vector: Vec<f32>,
}

impl EmbeddingStore {
    /// Opens the store at `path` for the embeddings of `encoder`; where there
    /// is no file, the store is empty.
    ///
    /// # Errors
    /// A file that is damaged, or that another model made.
    pub fn open(path: impl Into<PathBuf>, encoder: &ClipEncoder) -> Result<Self> {
        let mut store = Self {
            path: path.into(),
            model: encoder.name().to_owned(),
            fingerprint: encoder.fingerprint().to_owned(),
            width: encoder.width(),
            movies: BTreeMap::new(),
        };
        if store.path.exists() {
            store.read()?;
        }
        Ok(store)
    }

    /// Where the file is, or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The embedding of a movie, if there is one and its source still has the
    /// hash `source`.
    pub fn get(&self, movie_id: u32, kind: Kind, source: u64) -> Option<&[f32]> {
        let embedding = self.movies.get(&movie_id)?[kind as usize].as_ref()?;
        (embedding.source == source).then_some(embedding.vector.as_slice())
    }

    /// For each movie with an embedding of a kind the hash of its source.
    pub(crate) fn sources(&self, kind: Kind) -> HashMap<u32, u64> {
        let of_kind = |(&id, kinds): (&u32, &[Option<Embedding>; 2])| {
            Some((id, kinds[kind as usize].as_ref()?.source))
        };
        self.movies.iter().filter_map(of_kind).collect()
    }

    /// Keeps an embedding, in memory until [`Self::save`]. A vector of another
    /// length than [`Self::width`] is not kept.
    pub fn insert(&mut self, movie_id: u32, kind: Kind, source: u64, vector: Vec<f32>) {
        if vector.len() == self.width {
            self.movies.entry(movie_id).or_default()[kind as usize] =
                Some(Embedding { source, vector });
        }
    }

    /// Writes everything beside the file and renames it into place.
    ///
    /// # Errors
    /// A folder that cannot be made or written.
    pub fn save(&self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.partial"));
        let file = File::create(&beside).map_err(Error::write(&beside))?;
        let store_error = |problem: String| Error::Store {
            path: self.path.clone(),
            problem,
        };
        let table = self
            .table()
            .map_err(|error| store_error(first_line(error)))?;
        let properties = WriterProperties::builder()
            // Embeddings repeat nothing.
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(vec![
                KeyValue::new(MODEL_KEY.to_owned(), self.model.clone()),
                KeyValue::new(FINGERPRINT_KEY.to_owned(), self.fingerprint.clone()),
            ]))
            .build();
        let written = ArrowWriter::try_new(&file, table.schema(), Some(properties))
            .and_then(|mut writer| {
                writer.write(&table)?;
                writer.close()
            })
            .map_err(std::io::Error::other)
            .and_then(|_| file.sync_all())
            .and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(Error::write(&self.path))
    }

    /// The Arrow schema of the file.
    fn schema(&self) -> Schema {
        let vector = || {
            let item = Field::new_list_field(DataType::Float32, true);
            DataType::FixedSizeList(Arc::new(item), self.width as i32)
        };
        Schema::new(vec![
            Field::new("movieId", DataType::Int64, false),
            Field::new("image", vector(), true),
            Field::new("text", vector(), true),
            Field::new("image_source", DataType::UInt64, true),
            Field::new("text_source", DataType::UInt64, true),
        ])
    }

    fn table(&self) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
        let ids = Int64Array::from_iter_values(self.movies.keys().map(|&id| i64::from(id)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ids)];
        for kind in Kind::ALL {
            let values = Float32Builder::with_capacity(self.movies.len() * self.width);
            let mut vectors = FixedSizeListBuilder::new(values, self.width as i32);
            for embedding in self.embeddings(kind) {
                match embedding {
                    Some(embedding) => vectors.values().append_slice(&embedding.vector),
                    None => vectors.values().append_nulls(self.width),
                }
                vectors.append(embedding.is_some());
            }
            columns.push(Arc::new(vectors.finish()));
        }
        for kind in Kind::ALL {
            let sources: UInt64Array = self
                .embeddings(kind)
                .map(|embedding| Some(embedding?.source))
                .collect();
            columns.push(Arc::new(sources));
        }
        RecordBatch::try_new(Arc::new(self.schema()), columns)
    }

    fn embeddings(&self, kind: Kind) -> impl Iterator<Item = Option<&Embedding>> {
        self.movies
            .values()
            .map(move |kinds| kinds[kind as usize].as_ref())
    }

    fn read(&mut self) -> Result<()> {
        let path = self.path.clone();
        let damaged = |problem: String| Error::Store {
            path: path.clone(),
            problem,
        };
        let file = File::open(&path).map_err(Error::read(&path))?;
        let metadata = ArrowReaderMetadata::load(&file, Default::default())
            .map_err(|error| damaged(first_line(error)))?;
        let entry = |key: &str| {
            let entries = metadata.metadata().file_metadata().key_value_metadata();
            let entry = entries?.iter().find(|entry| entry.key == key)?;
            entry.value.clone()
        };
        let found = entry(FINGERPRINT_KEY)
            .ok_or_else(|| damaged("it does not say which model made it".to_owned()))?;
        if found != self.fingerprint {
            return Err(Error::OtherModel {
                path: path.clone(),
                found: entry(MODEL_KEY).unwrap_or(found),
                expected: self.model.clone(),
            });
        }
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .build()
            .map_err(|error| damaged(first_line(error)))?;
        for batch in batches {
            let batch = batch.map_err(|error| damaged(first_line(error)))?;
            self.read_batch(&batch)
                .ok_or_else(|| damaged("its columns are not those of a store".to_owned()))?;
        }
        Ok(())
    }

    /// `None` for a batch of other columns.
    fn read_batch(&mut self, batch: &RecordBatch) -> Option<()> {
        let ids = batch
            .column_by_name("movieId")?
            .as_primitive_opt::<Int64Type>()?;
        for kind in Kind::ALL {
            let vectors = batch
                .column_by_name(kind.name())?
                .as_fixed_size_list_opt()?;
            let sources = batch
                .column_by_name(&format!("{}_source", kind.name()))?
                .as_primitive_opt::<UInt64Type>()?;
            let width = usize::try_from(vectors.value_length()).ok()?;
            if width != self.width {
                return None;
            }
            let values = vectors.values().as_primitive_opt::<Float32Type>()?.values();
            for row in (0..batch.num_rows()).filter(|&row| vectors.is_valid(row)) {
                let movie_id = u32::try_from(ids.value(row)).ok()?;
                let start = vectors.value_offset_at(row);
                let vector = values.get(start..start + width)?.to_vec();
                self.insert(movie_id, kind, sources.value(row), vector);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn encoder(seed: u64) -> ClipEncoder {
        ClipEncoder::untrained(seed, ["a robot"], &Device::Cpu).unwrap()
    }

    #[test]
    fn what_is_saved_is_read_back_and_the_missing_stay_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new folder/store.parquet");
        let encoder = encoder(1);
        let mut store = EmbeddingStore::open(&path, &encoder).unwrap();
        let vector: Vec<f32> = (0..store.width()).map(|i| i as f32).collect();
        store.insert(7, Kind::Text, 11, vector.clone());
        store.insert(3, Kind::Image, 12, vector.clone());
        store.insert(4, Kind::Image, 13, vec![1.0]);
        store.save().unwrap();

        let read = EmbeddingStore::open(&path, &encoder).unwrap();
        assert_eq!(read.get(7, Kind::Text, 11), Some(vector.as_slice()));
        assert_eq!(read.get(3, Kind::Image, 12), Some(vector.as_slice()));
        for (movie_id, kind, source) in [
            (7, Kind::Text, 99),
            (7, Kind::Image, 11),
            (3, Kind::Text, 12),
            (4, Kind::Image, 13),
        ] {
            assert_eq!(
                read.get(movie_id, kind, source),
                None,
                "{movie_id} {kind:?} {source}"
            );
        }
    }

    #[test]
    fn a_store_of_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.parquet");
        EmbeddingStore::open(&path, &encoder(1))
            .unwrap()
            .save()
            .unwrap();
        let error = EmbeddingStore::open(&path, &encoder(2)).unwrap_err();
        assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    }

    #[test]
    fn a_damaged_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.parquet");
        let encoder = encoder(1);
        let mut store = EmbeddingStore::open(&path, &encoder).unwrap();
        store.insert(1, Kind::Text, 1, vec![0.5; store.width()]);
        store.save().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for damaged in [
            &whole[..whole.len() / 2],
            &whole[1..],
            b"",
            b"not parquet at all",
        ] {
            std::fs::write(&path, damaged).unwrap();
            let error = EmbeddingStore::open(&path, &encoder).unwrap_err();
            assert!(matches!(error, Error::Store { .. }), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}

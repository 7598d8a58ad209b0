mod file;
mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::f16;
use serde::{Deserialize, Serialize};

use self::file::StoreFile;
pub use self::rows::Precision;
use self::rows::{Row, RowFormat};
use crate::{Error, Identity, ImageEncoder, Result, TextEncoder};

/// Embeddings that are written together; a process that is killed loses no more
/// than these.
const GROUP: usize = 256;

/// What an embedding is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A movie's poster.
    Image,
    /// A movie's plot.
    Text,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Image, Self::Text];

    /// The word in the store's column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
        }
    }
}

/// Embeddings of movies, kept in a Parquet file.
///
/// | column | Arrow type | |
/// | --- | --- | --- |
/// | `movieId` | `Int64` | |
/// | `kind` | `Utf8` | `image` or `text` |
/// | `source` | `UInt64` | xxh3 of the picture's or text's bytes |
/// | `vector` | `List<Float32>` or `List<Float16>` | |
///
/// The file's metadata, `mmdlrm.encoders`, holds for each kind the
/// [`Identity`] of its encoder; a store of another is refused. An embedding
/// whose source has changed counts as missing.
///
/// What is inserted is appended in row groups of 256, so that a process that is
/// killed loses no more than the group at hand. [`Self::finish`] writes the
/// file anew, sorted by kind and movie: the same embeddings give the same
/// bytes, whatever happened on the way. One process at a time has a store open.
///
/// ```
/// use mmdlrm_encoders::{ClipEncoder, EmbeddingStore, Kind, LoadOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("store.parquet");
/// let clip = ClipEncoder::untrained(42, ["a robot"], &LoadOptions::default())?;
/// let mut store = EmbeddingStore::builder(&path).images(&clip).open()?;
/// store.insert(7, Kind::Image, 1, vec![0.5; clip.width()])?;
/// store.finish()?;
/// drop(store);
///
/// // Without an encoder: whatever is in it.
/// let store = EmbeddingStore::builder(&path).open()?;
/// assert_eq!(store.identity(Kind::Image).unwrap().model, clip.name());
/// assert_eq!(store.vectors(Kind::Image).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EmbeddingStore {
    file: StoreFile,
    encoders: Encoders,
    movies: BTreeMap<(Kind, u32), Embedding>,
    /// Inserted, not yet written.
    pending: Vec<(Kind, u32)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Embedding {
    source: u64,
    vector: Vec<f32>,
}

/// What made the embeddings of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Encoders(BTreeMap<Kind, EncoderOfKind>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EncoderOfKind {
    identity: Identity,
    width: usize,
}

/// How a store is opened; see [`EmbeddingStore::builder`].
#[derive(Debug, Clone)]
pub struct StoreBuilder {
    path: PathBuf,
    encoders: Encoders,
    precision: Option<Precision>,
}

impl StoreBuilder {
    /// For the pictures' embeddings of `encoder`.
    pub fn images(mut self, encoder: &dyn ImageEncoder) -> Self {
        let (identity, width) = (encoder.image_identity().clone(), encoder.image_width());
        let made = EncoderOfKind { identity, width };
        self.encoders.0.insert(Kind::Image, made);
        self
    }

    /// For the texts' embeddings of `encoder`.
    pub fn texts(mut self, encoder: &dyn TextEncoder) -> Self {
        let (identity, width) = (encoder.text_identity().clone(), encoder.text_width());
        let made = EncoderOfKind { identity, width };
        self.encoders.0.insert(Kind::Text, made);
        self
    }

    /// What numbers are kept as: `F32` for a new store, and by default what an
    /// old one has.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// Opens the store; where there is no file, an empty one is made. What a
    /// killed process left half written is cut off, with a warning.
    ///
    /// # Errors
    /// A file that is damaged, that another model made, that keeps numbers of
    /// another precision, or that another process has open; a folder that
    /// cannot be written.
    pub fn open(self) -> Result<EmbeddingStore> {
        let precision = self.precision.unwrap_or_default();
        let new = (self.encoders.to_json(), RowFormat { precision });
        let (file, rows) = StoreFile::open(&self.path, new)?;
        let format = file.format();
        if let Some(wanted) = self.precision.filter(|&wanted| wanted != format.precision) {
            return Err(Error::Store {
                path: self.path,
                problem: format!("it keeps {} numbers, not {wanted}", format.precision),
            });
        }
        let encoders = self.encoders.joined(file.encoders(), &self.path)?;
        let mut store = EmbeddingStore {
            file,
            encoders,
            movies: BTreeMap::new(),
            pending: Vec::new(),
        };
        for row in rows {
            let row = row?;
            if store.width(row.kind) != Some(row.vector.len()) {
                return Err(Error::Store {
                    path: self.path,
                    problem: format!("movie {} has a vector of another width", row.movie_id),
                });
            }
            let (source, vector) = (row.source, row.vector);
            let embedding = Embedding { source, vector };
            store.movies.insert((row.kind, row.movie_id), embedding);
        }
        Ok(store)
    }
}

impl Encoders {
    fn to_json(&self) -> String {
        // A map of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// These, and those of a file that are of other kinds.
    fn joined(mut self, json: &str, path: &Path) -> Result<Self> {
        let of_file: Self = serde_json::from_str(json).map_err(|error| Error::Store {
            path: path.to_owned(),
            problem: format!("its metadata cannot be read: {error}"),
        })?;
        for (kind, found) in of_file.0 {
            match self.0.get(&kind) {
                Some(wanted) if !wanted.identity.same_vectors(&found.identity) => {
                    return Err(Error::OtherModel {
                        path: path.to_owned(),
                        kind,
                        found: Box::new(found.identity),
                        expected: Box::new(wanted.identity.clone()),
                    });
                }
                // The file's own name for it, so that a run from another folder
                // leaves the bytes alone.
                _ => self.0.insert(kind, found),
            };
        }
        Ok(self)
    }
}

impl EmbeddingStore {
    /// Opens or makes the store at `path`.
    pub fn builder(path: impl Into<PathBuf>) -> StoreBuilder {
        StoreBuilder {
            path: path.into(),
            encoders: Encoders::default(),
            precision: None,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What numbers are kept as.
    pub fn precision(&self) -> Precision {
        self.file.format().precision
    }

    /// Whose embeddings of a kind it holds, or will.
    pub fn identity(&self, kind: Kind) -> Option<&Identity> {
        self.encoders.0.get(&kind).map(|made| &made.identity)
    }

    /// Length of a kind's embeddings.
    pub fn width(&self, kind: Kind) -> Option<usize> {
        self.encoders.0.get(&kind).map(|made| made.width)
    }

    /// The embedding of a movie, if there is one and its source still has the
    /// hash `source`.
    pub fn get(&self, movie_id: u32, kind: Kind, source: u64) -> Option<&[f32]> {
        let embedding = self.movies.get(&(kind, movie_id))?;
        (embedding.source == source).then_some(embedding.vector.as_slice())
    }

    /// All embeddings of a kind, in the order of their movies.
    pub fn vectors(&self, kind: Kind) -> impl Iterator<Item = (u32, &[f32])> {
        self.of_kind(kind)
            .map(|(movie_id, embedding)| (movie_id, embedding.vector.as_slice()))
    }

    /// For each movie with an embedding of a kind the hash of its source.
    pub(crate) fn sources(&self, kind: Kind) -> BTreeMap<u32, u64> {
        self.of_kind(kind)
            .map(|(movie_id, embedding)| (movie_id, embedding.source))
            .collect()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (u32, &Embedding)> {
        self.movies
            .range((kind, 0)..=(kind, u32::MAX))
            .map(|(&(_, movie_id), embedding)| (movie_id, embedding))
    }

    /// Keeps an embedding, rounded to the store's precision; a full group is
    /// written.
    ///
    /// # Errors
    /// A vector of another length than [`Self::width`]; a file that cannot be
    /// written.
    pub fn insert(
        &mut self,
        movie_id: u32,
        kind: Kind,
        source: u64,
        mut vector: Vec<f32>,
    ) -> Result<()> {
        if self.width(kind) != Some(vector.len()) {
            return Err(Error::Compute(format!(
                "a vector of {} numbers for movie {movie_id}, whose {} embeddings have {:?}",
                vector.len(),
                kind.name(),
                self.width(kind)
            )));
        }
        if self.file.format().precision == Precision::F16 {
            // So that it is the same now as after reading it again.
            let round = |x: &mut f32| *x = f16::from_f32(*x).to_f32();
            vector.iter_mut().for_each(round);
        }
        let embedding = Embedding { source, vector };
        self.movies.insert((kind, movie_id), embedding);
        self.pending.push((kind, movie_id));
        if self.pending.len() >= GROUP {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what has been inserted as a row group, to the disk.
    ///
    /// # Errors
    /// A file that cannot be written; it stays as it was.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row<'_>> = self
            .pending
            .iter()
            .filter_map(|key| row(&self.movies, key))
            .collect();
        self.file.append(&rows, &self.encoders.to_json())?;
        self.pending.clear();
        Ok(())
    }

    /// Writes the file anew beside itself, sorted, and renames it, if anything
    /// has been appended since that was last done.
    ///
    /// # Errors
    /// A file that cannot be written; what was flushed stays.
    pub fn finish(&mut self) -> Result<()> {
        self.flush()?;
        if self.file.is_sorted() {
            return Ok(());
        }
        let rows = self.movies.keys().filter_map(|key| row(&self.movies, key));
        self.file.rewrite(rows, &self.encoders.to_json())
    }
}

fn row<'a>(
    movies: &'a BTreeMap<(Kind, u32), Embedding>,
    key @ &(kind, movie_id): &(Kind, u32),
) -> Option<Row<'a>> {
    let embedding = movies.get(key)?;
    Some(Row {
        movie_id,
        kind,
        source: embedding.source,
        vector: &embedding.vector,
    })
}

#[cfg(test)]
mod tests;

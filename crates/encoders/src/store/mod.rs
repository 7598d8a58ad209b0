mod file;
mod journal;
mod lock;
mod problem;
mod record_batch;
mod rows;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use half::f16;
use serde::{Deserialize, Serialize};

use self::file::StoreFile;
use self::journal::Journal;
use self::lock::{Lock, lock};
pub use self::problem::StoreProblem;
pub use self::rows::Precision;
use self::rows::{OwnedRow, Row, RowFormat};
use crate::{Error, Identity, ImageEncoder, Result, TextEncoder, VectorProblem};

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
    pub const fn name(self) -> &'static str {
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
/// That is the file, in which ids are `Int64`, the integers that pandas, polars and SQL are
/// at home with. What is handed over in memory, by [`Self::record_batch`], has the ids of
/// this library, `UInt32`.
///
/// The file's metadata, `mmdlrm.encoders`, holds for each kind the
/// [`Identity`] of its encoder; a store of another is refused. An embedding
/// whose source has changed counts as missing.
///
/// The file is whole at any moment: [`Self::finish`] replaces it by one with all that has
/// been inserted, sorted by kind and movie, so that the same embeddings give the same bytes,
/// whatever happened on the way. Until then what is inserted is appended, 256 embeddings at a
/// time, to a journal beside it, `NAME.journal`, so that a process that is killed loses no
/// more than these; the next to open the store finds the others.
///
/// Every vector is of its kind's length and of finite numbers, both when it is inserted and
/// when it is read. One process at a time has a store open: the others are refused by a lock
/// on `.NAME.lock`, which stays.
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
    path: PathBuf,
    /// Held as long as the store is; without it nothing is written.
    lock: Option<Lock>,
    journal: Journal,
    format: RowFormat,
    encoders: Encoders,
    movies: BTreeMap<(Kind, u32), Embedding>,
    /// Inserted, not yet in the journal.
    pending: Vec<(Kind, u32)>,
    /// Whether the file has all that is in the journal, in order.
    finished: bool,
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
    /// killed process left half written is left out, with a warning.
    ///
    /// # Errors
    /// A file that is damaged, that another model made, that keeps numbers of
    /// another precision, or that another process has open; a vector of another length
    /// than its kind's, or not of finite numbers; a folder that cannot be written.
    pub fn open(self) -> Result<EmbeddingStore> {
        let path = resolved(self.path)?;
        let lock = lock(&path)?;
        let mut journal = Journal::of(&path);
        if !path.try_exists().map_err(Error::read(&path))? {
            if lock.is_none() {
                return Err(lock::refused(&path));
            }
            journal.abandon()?;
            let precision = self.precision.unwrap_or_default();
            let none: [Row<'_>; 0] = [];
            let encoders = self.encoders.to_json();
            file::write(&path, RowFormat { precision }, none.into_iter(), &encoders)?;
        }
        // First: whoever finishes meanwhile, where there are no locks, moves rows from
        // the journal to the file.
        let mut records = Vec::new();
        journal.read(|record| {
            records.push(record);
            Ok(())
        })?;
        let file = StoreFile::open(&path)?;
        let format = file.format();
        let (found, wanted) = (format.precision, self.precision.unwrap_or(format.precision));
        if found != wanted {
            return Err(store_error(
                &path,
                StoreProblem::Precision { found, wanted },
            ));
        }
        let mut store = EmbeddingStore {
            encoders: self.encoders.joined(file.encoders()?, &path)?,
            finished: file.is_sorted() && journal.is_empty(),
            path,
            lock,
            journal,
            format,
            movies: BTreeMap::new(),
            pending: Vec::new(),
        };
        file.read(|row| {
            let problem = store.take(row);
            problem.map_err(|problem| store_error(&store.path, problem))
        })?;
        for record in records {
            let path = store.journal.path();
            store.encoders = store.encoders.joined(&record.encoders, path)?;
            for row in record.rows {
                let problem = store.take(row);
                problem.map_err(|problem| store_error(store.journal.path(), problem))?;
            }
        }
        Ok(store)
    }
}

/// The path of a store in a folder that is there, links followed: two names of a file have
/// one lock.
fn resolved(path: PathBuf) -> Result<PathBuf> {
    let unusable = |kind: ErrorKind, what: &str| {
        let source = std::io::Error::new(kind, what);
        Err(Error::read(&path)(source))
    };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => unusable(ErrorKind::IsADirectory, "it is a directory"),
        // A pipe would never end.
        Ok(found) if !found.is_file() => unusable(ErrorKind::Other, "it is no regular file"),
        Ok(_) if path.is_symlink() => path.canonicalize().map_err(Error::read(&path)),
        Ok(_) => Ok(path),
        Err(error) if !is_absent(&error) => Err(Error::read(&path)(error)),
        Err(_) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
            }
            Ok(path)
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn store_error(path: &Path, problem: StoreProblem) -> Error {
    Error::Store {
        path: path.to_owned(),
        problem,
    }
}

impl Encoders {
    fn to_json(&self) -> String {
        // A map of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// These, and those of a file that are of other kinds.
    fn joined(&self, json: &str, path: &Path) -> Result<Self> {
        let of_file: Self = serde_json::from_str(json)
            .map_err(|error| store_error(path, StoreProblem::Encoders(error)))?;
        let mut joined = self.clone();
        for (kind, found) in of_file.0 {
            if let Some(wanted) = self.0.get(&kind) {
                found.check(&wanted.identity, wanted.width, kind, path)?;
            }
            // The file's own name for it, so that a run from another folder
            // leaves the bytes alone.
            joined.0.insert(kind, found);
        }
        Ok(joined)
    }
}

impl EncoderOfKind {
    /// Refuses an encoder whose vectors cannot stand beside this one's in the store at
    /// `path`.
    fn check(&self, identity: &Identity, width: usize, kind: Kind, path: &Path) -> Result<()> {
        if !self.identity.same_vectors(identity) {
            return Err(Error::OtherModel {
                path: path.to_owned(),
                kind,
                found: Box::new(self.identity.clone()),
                expected: Box::new(identity.clone()),
            });
        }
        if self.width != width {
            return Err(Error::OtherWidth {
                path: path.to_owned(),
                kind,
                encoder: identity.model.clone(),
                found: self.width,
                expected: width,
            });
        }
        Ok(())
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
        &self.path
    }

    /// What numbers are kept as.
    pub fn precision(&self) -> Precision {
        self.format.precision
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

    /// Refuses an encoder other than the one whose embeddings of a kind it holds.
    pub(crate) fn check(&self, kind: Kind, identity: &Identity, width: usize) -> Result<()> {
        let made = self.encoders.0.get(&kind);
        let made = made.ok_or_else(|| Error::NoEncoder {
            path: self.path.clone(),
            kind,
        })?;
        made.check(identity, width, kind, &self.path)
    }

    /// Keeps an embedding, rounded to the store's precision; a full group is
    /// written.
    ///
    /// # Errors
    /// A vector of another length than [`Self::width`], of a number that is none or
    /// infinite, or too large for [`Precision::F16`]; a kind without an encoder; a file
    /// that cannot be written.
    pub fn insert(
        &mut self,
        movie_id: u32,
        kind: Kind,
        source: u64,
        vector: Vec<f32>,
    ) -> Result<()> {
        let Some(made) = self.encoders.0.get(&kind) else {
            return Err(Error::NoEncoder {
                path: self.path.clone(),
                kind,
            });
        };
        let vector = checked(vector, made.width, self.format.precision);
        let vector = vector.map_err(|problem| Error::Vector {
            movie_id,
            kind,
            encoder: made.identity.model.clone(),
            problem,
        })?;
        let embedding = Embedding { source, vector };
        self.movies.insert((kind, movie_id), embedding);
        self.pending.push((kind, movie_id));
        if self.pending.len() >= GROUP {
            self.flush()?;
        }
        Ok(())
    }

    /// Takes over an embedding that was read.
    fn take(&mut self, row: OwnedRow) -> std::result::Result<(), StoreProblem> {
        let (kind, movie_id, source) = (row.kind, row.movie_id, row.source);
        let made = self.encoders.0.get(&kind);
        let made = made.ok_or(StoreProblem::NoEncoderOf { movie_id, kind })?;
        let vector = checked(row.vector, made.width, self.format.precision);
        let vector = vector.map_err(|problem| StoreProblem::Vector {
            movie_id,
            kind,
            problem,
        })?;
        let embedding = Embedding { source, vector };
        self.movies.insert((kind, movie_id), embedding);
        Ok(())
    }

    /// Appends what has been inserted to the journal, and forces it to the disk.
    ///
    /// # Errors
    /// A file that cannot be written; it stays as it was.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.lock.is_none() {
            return Err(lock::refused(&self.path));
        }
        let rows: Vec<Row<'_>> = self
            .pending
            .iter()
            .filter_map(|key| row(&self.movies, key))
            .collect();
        self.journal.append(&rows, &self.encoders.to_json())?;
        self.finished = false;
        self.pending.clear();
        Ok(())
    }

    /// Writes the file anew beside itself, sorted, renames it, and removes the journal, if
    /// anything has been inserted since that was last done.
    ///
    /// # Errors
    /// A file that cannot be written; what was flushed stays.
    pub fn finish(&mut self) -> Result<()> {
        self.flush()?;
        if self.finished {
            return Ok(());
        }
        if self.lock.is_none() {
            return Err(lock::refused(&self.path));
        }
        let rows = self.movies.keys().filter_map(|key| row(&self.movies, key));
        file::write(&self.path, self.format, rows, &self.encoders.to_json())?;
        self.journal.clear()?;
        self.finished = true;
        Ok(())
    }
}

/// A vector of `width` finite numbers, rounded to what a store keeps, so that it is the
/// same now as after reading it again.
fn checked(
    mut vector: Vec<f32>,
    width: usize,
    precision: Precision,
) -> std::result::Result<Vec<f32>, VectorProblem> {
    if let Some(problem) = VectorProblem::of(&vector, width) {
        return Err(problem);
    }
    if precision == Precision::F16 {
        for (place, number) in vector.iter_mut().enumerate() {
            let half = f16::from_f32(*number);
            if half.is_infinite() {
                let value = *number;
                return Err(VectorProblem::BeyondF16 { place, value });
            }
            *number = half.to_f32();
        }
    }
    Ok(vector)
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

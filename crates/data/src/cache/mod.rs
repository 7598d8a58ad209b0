//! Ratings kept as Parquet beside the text they were read from.
//!
//! `ratings.parquet` is any reader's to use. `ratings.json` beside it says
//! which file it was made from (size, times, hash) and what its own bytes hash
//! to. Where any of that does not fit, the text is read again.

mod digest;
mod ratings_parquet;
mod record_batches;
mod scratch;
mod stream;
mod verified_file;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::movielens::RatingColumns;
use crate::text::Dialect;
use crate::{Error, Result};
use digest::{Digest, Hashed};
pub(crate) use ratings_parquet::RatingsReader;
use ratings_parquet::RatingsWriter;
pub use record_batches::RatingsBatches;
pub(crate) use scratch::ScratchRatings;
pub use stream::RatingsStream;

/// Raised when the files are written otherwise.
const FORMAT: u32 = 2;
/// Two seconds, of FAT, in nanoseconds.
const SLOWEST_TICK: u64 = 2_000_000_000;

/// Where the ratings of one release are kept.
pub(crate) struct RatingsCache {
    dir: PathBuf,
}

/// `ratings.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    source: Stamp,
    /// Whether the same stamp means the same bytes.
    settled: bool,
    source_xxh3: String,
    rows: usize,
    /// Whether the times are those of the source; if not, all are 0.
    has_times: bool,
    cache_bytes: u64,
    cache_xxh3: String,
}

/// What the file system says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    name: String,
    bytes: u64,
    /// Nanoseconds since 1970 of the last write.
    modified: u64,
    /// Nanoseconds since 1970 of the last change of any kind, which no program
    /// can set back; 0 where the system has no such time.
    changed: u64,
    /// The file's number in its file system; 0 where it has none.
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
        #[cfg(unix)]
        let (changed, inode) = {
            use std::os::unix::fs::MetadataExt;
            let seconds = metadata.ctime() as u64;
            (
                seconds * 1_000_000_000 + metadata.ctime_nsec() as u64,
                metadata.ino(),
            )
        };
        #[cfg(not(unix))]
        let (changed, inode) = (0, 0);
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            bytes: metadata.len(),
            modified: modified.map_or(0, |time| time.as_nanos() as u64),
            changed,
            inode,
        })
    }

    /// Of a file that is to be read.
    pub(crate) fn before(path: &Path) -> Result<Self> {
        Self::of(path).map_err(Error::read(path))
    }

    /// That the file is as it was.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        match Self::before(path)? == *self {
            true => Ok(()),
            false => Err(Error::Changed {
                path: path.to_owned(),
            }),
        }
    }

    /// Whether a later write must give another stamp. Clocks of file systems
    /// tick slowly: a write right after the last one may bear the same time.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_nanos() as u64);
        self.changed != 0 && self.changed.saturating_add(SLOWEST_TICK) < now
    }
}

/// What `read` makes of the file at `path`, if nobody writes that meanwhile.
pub(crate) fn read_unchanged<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = Stamp::before(path)?;
    let read = read()?;
    before.check(path)?;
    Ok(read)
}

/// A source before it is read.
pub(crate) struct Snapshot {
    stamp: Stamp,
    settled: bool,
    /// Of its bytes, where its stamp does not tell whether they change.
    digest: Option<Digest>,
}

impl Snapshot {
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let stamp = Stamp::before(path)?;
        let settled = stamp.is_settled();
        let digest = match settled {
            true => None,
            false => Some(Digest::of_file(path).map_err(Error::read(path))?),
        };
        Ok(Self {
            stamp,
            settled,
            digest,
        })
    }
}

impl RatingsCache {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The Parquet file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join("ratings.parquet")
    }

    fn manifest_path(&self) -> PathBuf {
        self.dir.join("ratings.json")
    }

    /// The ratings of `source`, and whether they have times, if the cache is whole and was made
    /// from it.
    pub(crate) fn find(&self, source: &Path) -> Option<(RatingsReader, bool)> {
        let found = self.check(source);
        if let Err(reason) = &found {
            tracing::info!(cache = %self.path().display(), "made anew: {reason}");
        }
        found.ok()
    }

    /// Why there is nothing to use is told, not an error: all of it can be made anew.
    fn check(&self, source: &Path) -> Result<(RatingsReader, bool)> {
        let bad = |problem: &str| Error::cache(&self.path())(problem);
        let path = self.manifest_path();
        let manifest = std::fs::read(&path).map_err(Error::read(&path))?;
        let mut manifest: Manifest =
            serde_json::from_slice(&manifest).map_err(|error| Error::read(&path)(error.into()))?;
        if manifest.format != FORMAT {
            return Err(bad("it has another format"));
        }
        let stamp = Stamp::before(source)?;
        if !(manifest.settled && manifest.source == stamp) {
            let alike = manifest.source.name == stamp.name && manifest.source.bytes == stamp.bytes;
            let same = || Digest::of_file(source).map(|it| it.xxh3 == manifest.source_xxh3);
            if !(alike && same().map_err(Error::read(source))?) {
                return Err(bad("it was made of another file"));
            }
            manifest.settled = stamp.is_settled();
            manifest.source = stamp;
            // The next time needs no hash; if this fails, it does.
            let _ = self.write_manifest(&manifest);
        }
        let digest = Digest {
            bytes: manifest.cache_bytes,
            xxh3: manifest.cache_xxh3,
        };
        let file = File::open(self.path()).map_err(Error::read(&self.path()))?;
        let reader = RatingsReader::open(file, &self.path(), (manifest.rows, &digest))?;
        Ok((reader, manifest.has_times))
    }

    /// Writes the cache of `source`, as it was when `before` was taken. Where
    /// anything fails, what was there before stays.
    pub(crate) fn store(
        &self,
        source: &Path,
        before: Snapshot,
        (columns, has_times): (&RatingColumns, bool),
    ) -> Result<()> {
        let mut draft = self.draft()?;
        draft.writer.write_all(columns)?;
        self.place(draft, source, before, has_times)?;
        Ok(())
    }

    /// The ratings of `source`, and whether they have times; where the cache is not there it is
    /// made, holding a part of the rows at a time. What is read is what was verified, whoever
    /// replaces the cache meanwhile.
    pub(crate) fn open(&self, source: &Path, dialect: &Dialect) -> Result<(RatingsReader, bool)> {
        if let Some(found) = self.find(source) {
            return Ok(found);
        }
        let before = Snapshot::take(source)?;
        let mut draft = self.draft()?;
        let mut write = |columns: &RatingColumns| draft.writer.write_all(columns);
        let has_times = match RatingColumns::stream_plain(source, dialect, &mut write)? {
            Some(has_times) => has_times,
            None => {
                draft = self.draft()?;
                let mut write = |columns: &RatingColumns| draft.writer.write_all(columns);
                RatingColumns::stream_rows(source, dialect, &mut write)?
            }
        };
        let (file, rows, digest) = self.place(draft, source, before, has_times)?;
        let reader = RatingsReader::open(file, &self.path(), (rows, &digest))?;
        Ok((reader, has_times))
    }

    fn draft(&self) -> Result<Draft> {
        let path = self.path();
        std::fs::create_dir_all(&self.dir).map_err(Error::write(&self.dir))?;
        let file = beside(&path)?;
        let handle = file.as_file().try_clone().map_err(Error::write(&path))?;
        let writer = RatingsWriter::new(Hashed::new(handle), &path)?;
        Ok(Draft { file, writer })
    }

    /// Puts what was written in its place; a handle of it, its rows and its digest.
    fn place(
        &self,
        draft: Draft,
        source: &Path,
        before: Snapshot,
        has_times: bool,
    ) -> Result<(File, usize, Digest)> {
        let (rows, hashed) = draft.writer.close()?;
        let (written, digest) = hashed.finish();
        let of_source = Digest::of_file(source).map_err(Error::read(source))?;
        let stamp = Stamp::before(source)?;
        if stamp != before.stamp || before.digest.is_some_and(|before| before != of_source) {
            let path = source.to_owned();
            return Err(Error::Changed { path });
        }
        let manifest = Manifest {
            format: FORMAT,
            settled: before.settled,
            source: stamp,
            source_xxh3: of_source.xxh3,
            rows,
            has_times,
            cache_bytes: digest.bytes,
            cache_xxh3: digest.xxh3.clone(),
        };
        place(draft.file, &self.path())?;
        self.write_manifest(&manifest)?;
        Ok((written, rows, digest))
    }

    fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let path = self.manifest_path();
        let file = beside(&path)?;
        serde_json::to_writer_pretty(file.as_file(), manifest)
            .map_err(|error| Error::write(&path)(error.into()))?;
        place(file, &path)
    }
}

/// A cache that is being written.
struct Draft {
    file: tempfile::NamedTempFile<File>,
    writer: RatingsWriter<Hashed<File>>,
}

/// A file beside `path`, to be renamed to it; gone if it is not.
pub(crate) fn beside(path: &Path) -> Result<tempfile::NamedTempFile<File>> {
    tempfile::Builder::new()
        .prefix(".partial")
        // As any file, where the default is for secrets; to be read back.
        .make_in(path.parent().unwrap_or(Path::new(".")), |path| {
            let mut options = File::options();
            options.read(true).write(true).create_new(true).open(path)
        })
        .map_err(Error::write(path))
}

fn place(file: tempfile::NamedTempFile<File>, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(Error::write(path))?;
    file.persist(path)
        .map_err(|error| Error::write(path)(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratings.csv");
        std::fs::write(&path, "userId,movieId,rating,timestamp\n").unwrap();
        assert_eq!(read_unchanged(&path, || Ok(1)).unwrap(), 1);
        let grown = read_unchanged(&path, || {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(b"1,1,4.0,1\n").unwrap();
            Ok(1)
        });
        let error = grown.unwrap_err().to_string();
        assert!(
            error.contains("ratings.csv changed while it was read"),
            "{error}"
        );
    }
}

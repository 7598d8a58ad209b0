//! Ratings kept as Parquet beside the text they were read from.
//!
//! `ratings.parquet` is any reader's to use. `ratings.json` beside it says
//! which file it was made from (size, times, hash) and what its own bytes hash
//! to. Where any of that does not fit, the text is read again.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::ratings::RatingColumns;
use crate::ratings_parquet::{RatingsReader, RatingsWriter};
use crate::text::Dialect;
use crate::{Error, Result};

/// Raised when the files are written otherwise.
const FORMAT: u32 = 1;
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
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
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

    /// Whether a later write must give another stamp. Clocks of file systems
    /// tick slowly: a write right after the last one may bear the same time.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_nanos() as u64);
        self.changed != 0 && self.changed.saturating_add(SLOWEST_TICK) < now
    }
}

/// A source before it is read.
pub(crate) struct Snapshot {
    stamp: Stamp,
    settled: bool,
    /// Its hash, where its stamp does not tell whether it is changed.
    xxh3: Option<String>,
}

impl Snapshot {
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let stamp = Stamp::of(path).map_err(Error::read(path))?;
        let settled = stamp.is_settled();
        let xxh3 = match settled {
            true => None,
            false => Some(hash(path).map_err(Error::read(path))?.1),
        };
        Ok(Self {
            stamp,
            settled,
            xxh3,
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

    /// The ratings of `source`, if these are they.
    pub(crate) fn load(&self, source: &Path) -> Option<RatingColumns> {
        let rows = self.check(source)?;
        let reader = RatingsReader::open(&self.path());
        let columns = reader
            .filter(|it| it.lengths().iter().sum::<usize>() == rows && rows <= u32::MAX as usize)
            .and_then(|it| it.read_all());
        if columns.is_none() {
            tracing::info!(cache = %self.path().display(), "the cache cannot be decoded");
        }
        columns
    }

    /// Number of rows, if the cache is whole and was made from `source`.
    pub(crate) fn check(&self, source: &Path) -> Option<usize> {
        let manifest = std::fs::read(self.manifest_path()).ok()?;
        let manifest: Option<Manifest> = serde_json::from_slice(&manifest).ok();
        let Some(mut manifest) = manifest.filter(|it| it.format == FORMAT) else {
            tracing::info!(cache = %self.dir.display(), "not a cache of this format");
            return None;
        };
        let stamp = Stamp::of(source).ok()?;
        if !(manifest.settled && manifest.source == stamp) {
            let alike = manifest.source.name == stamp.name && manifest.source.bytes == stamp.bytes;
            if !alike || hash(source).ok()?.1 != manifest.source_xxh3 {
                tracing::info!(cache = %self.dir.display(), "the cache is of another file");
                return None;
            }
            manifest.settled = stamp.is_settled();
            manifest.source = stamp;
            // The next time needs no hash; if this fails, it does.
            let _ = self.write_manifest(&manifest);
        }
        let found = hash(&self.path()).ok()?;
        if found != (manifest.cache_bytes, manifest.cache_xxh3) {
            tracing::info!(cache = %self.path().display(), "the cache is damaged");
            return None;
        }
        Some(manifest.rows)
    }

    /// Writes the cache of `source`, as it was when `before` was taken. Where
    /// anything fails, what was there before stays.
    pub(crate) fn store(
        &self,
        source: &Path,
        before: Snapshot,
        columns: &RatingColumns,
    ) -> Result<()> {
        let mut draft = self.draft()?;
        draft.writer.write_all(columns)?;
        self.place(draft, source, before)
    }

    /// Makes the cache of `source`, if it is not there, holding a part of the
    /// rows at a time.
    pub(crate) fn ensure(&self, source: &Path, dialect: &Dialect) -> Result<()> {
        if self.check(source).is_some() {
            return Ok(());
        }
        let before = Snapshot::take(source)?;
        let mut draft = self.draft()?;
        let mut write = |columns: &RatingColumns| draft.writer.write_all(columns);
        if RatingColumns::stream_plain(source, dialect, &mut write)?.is_none() {
            draft = self.draft()?;
            let mut write = |columns: &RatingColumns| draft.writer.write_all(columns);
            RatingColumns::stream_rows(source, dialect, &mut write)?;
        }
        self.place(draft, source, before)
    }

    fn draft(&self) -> Result<Draft> {
        let path = self.path();
        std::fs::create_dir_all(&self.dir).map_err(Error::write(&self.dir))?;
        let file = beside(&path)?;
        let handle = file.as_file().try_clone().map_err(Error::write(&path))?;
        let writer = RatingsWriter::new(Hashed::new(handle), &path)?;
        Ok(Draft { file, writer })
    }

    fn place(&self, draft: Draft, source: &Path, before: Snapshot) -> Result<()> {
        let (rows, hashed) = draft.writer.close()?;
        let (cache_bytes, cache_xxh3) = hashed.digest();
        let (_, source_xxh3) = hash(source).map_err(Error::read(source))?;
        let stamp = Stamp::of(source).map_err(Error::read(source))?;
        if stamp != before.stamp || before.xxh3.is_some_and(|before| before != source_xxh3) {
            let changed = std::io::Error::other("it changed while it was read");
            return Err(Error::read(source)(changed));
        }
        let manifest = Manifest {
            format: FORMAT,
            settled: before.settled,
            source: stamp,
            source_xxh3,
            rows,
            cache_bytes,
            cache_xxh3,
        };
        place(draft.file, &self.path())?;
        self.write_manifest(&manifest)
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
fn beside(path: &Path) -> Result<tempfile::NamedTempFile<File>> {
    tempfile::Builder::new()
        .prefix(".partial")
        // As any file, where the default is for secrets.
        .make_in(path.parent().unwrap_or(Path::new(".")), |path| {
            File::create_new(path)
        })
        .map_err(Error::write(path))
}

fn place(file: tempfile::NamedTempFile<File>, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(Error::write(path))?;
    file.persist(path)
        .map_err(|error| Error::write(path)(error.error))?;
    Ok(())
}

/// Length and hash of a file.
fn hash(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut hashed = Hashed::new(std::io::sink());
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hashed.digest()),
            read => hashed.write_all(&buffer[..read])?,
        }
    }
}

/// Hashes what passes through.
pub(crate) struct Hashed<W> {
    inner: W,
    bytes: u64,
    state: Box<Xxh3>,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            bytes: 0,
            state: Box::new(Xxh3::new()),
        }
    }

    fn digest(&self) -> (u64, String) {
        (self.bytes, format!("{:032x}", self.state.digest128()))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

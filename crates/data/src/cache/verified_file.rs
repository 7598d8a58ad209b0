//! A file whose bytes were hashed once, and are compared whenever they are used.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use xxhash_rust::xxh3::xxh3_64;

use super::digest::{Digest, Hashed};
use crate::text::read_exact_at;
use crate::{Error, Result};

/// Bytes that have a hash of their own: 8 bytes for each are held.
const BLOCK: usize = 64 << 10;
/// Blocks that are read at a time while all are hashed.
const BLOCKS_AT_A_TIME: usize = 16;

/// A file that has the digest it was written with.
///
/// All is read through one handle and by position: another file that takes the place
/// of this one is not noticed, and threads do not move each other's cursor. What is
/// handed out has the hash of when the file was verified; where it was changed since,
/// that is an error.
pub(crate) struct VerifiedFile {
    file: File,
    path: PathBuf,
    length: u64,
    /// Hash of each [`BLOCK`], the last of which may be shorter.
    blocks: Vec<u64>,
}

impl VerifiedFile {
    /// Reads all of `file` once; `path` is for messages.
    ///
    /// # Errors
    /// A file that does not have the digest that is expected.
    pub(crate) fn new(file: File, path: &Path, expected: &Digest) -> Result<Self> {
        let length = file.metadata().map_err(Error::cache(path))?.len();
        let mut verified = Self {
            file,
            path: path.to_owned(),
            length,
            blocks: Vec::new(),
        };
        if length != expected.bytes {
            return Err(verified.problem("it is not as long as it was written"));
        }
        if verified.hash().map_err(Error::cache(path))? != *expected {
            return Err(verified.problem("it does not have the hash that it was written with"));
        }
        Ok(verified)
    }

    fn hash(&mut self) -> std::io::Result<Digest> {
        let mut whole = Hashed::new(std::io::sink());
        let mut buffer = vec![0; BLOCK * BLOCKS_AT_A_TIME];
        let mut place = 0;
        while place < self.length {
            let left = usize::try_from(self.length - place).unwrap_or(usize::MAX);
            buffer.truncate(left);
            read_exact_at(&self.file, &mut buffer, place)?;
            whole.write_all(&buffer)?;
            self.blocks.extend(buffer.chunks(BLOCK).map(xxh3_64));
            place += buffer.len() as u64;
        }
        Ok(whole.finish().1)
    }

    /// The name it was opened by; another file may have it by now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Some of its bytes.
    ///
    /// # Errors
    /// Bytes that the file does not have, cannot be read, or that have changed.
    pub(crate) fn stretch(&self, range: Range<u64>) -> Result<Stretch> {
        if range.start > range.end || range.end > self.length {
            return Err(self.problem("it lacks what its footer speaks of"));
        }
        let block = BLOCK as u64;
        let first = range.start / block;
        let start = first * block;
        let end = (range.end.div_ceil(block) * block).min(self.length);
        let mut bytes = vec![0; (end - start) as usize];
        read_exact_at(&self.file, &mut bytes, start).map_err(Error::cache(&self.path))?;
        let hashes = self.blocks[first as usize..].iter();
        if bytes
            .chunks(BLOCK)
            .zip(hashes)
            .any(|(it, &hash)| xxh3_64(it) != hash)
        {
            return Err(self.problem("it was changed while it was in use"));
        }
        let within = (range.start - start) as usize..(range.end - start) as usize;
        Ok(Stretch {
            start: range.start,
            bytes: Bytes::from(bytes).slice(within),
        })
    }

    /// An error about this file.
    pub(crate) fn problem(&self, problem: &str) -> Error {
        Error::cache(&self.path)(problem)
    }
}

/// A stretch of a file in memory, which Parquet's reader asks by places in the file.
pub(crate) struct Stretch {
    start: u64,
    bytes: Bytes,
}

impl Stretch {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn place(&self, offset: u64) -> parquet::errors::Result<u64> {
        let before = || ParquetError::EOF("asked for bytes before the stretch".to_owned());
        offset.checked_sub(self.start).ok_or_else(before)
    }
}

impl Length for Stretch {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Stretch {
    type T = <Bytes as ChunkReader>::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.bytes.get_read(self.place(start)?)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.bytes.get_bytes(self.place(start)?, length)
    }
}

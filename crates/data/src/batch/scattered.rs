//! A shuffle on disk, and pieces of one length of what streams past.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Rated, Shuffle};
use crate::{Error, Result};

/// Cuts a stream of rows into pieces of one length.
pub(crate) struct Cut {
    length: usize,
    rows: Vec<Rated>,
}

impl Cut {
    pub fn new(length: usize) -> Self {
        Self {
            length: length.max(1),
            rows: Vec::new(),
        }
    }

    pub fn push<E>(
        &mut self,
        mut rows: &[Rated],
        mut take: impl FnMut(Vec<Rated>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !rows.is_empty() {
            let room = self.length - self.rows.len();
            let (front, rest) = rows.split_at(room.min(rows.len()));
            self.rows.extend_from_slice(front);
            rows = rest;
            if self.rows.len() == self.length {
                take(std::mem::take(&mut self.rows))?;
            }
        }
        Ok(())
    }

    /// The last piece, which may be shorter.
    pub fn finish<E>(self, mut take: impl FnMut(Vec<Rated>) -> Result<(), E>) -> Result<(), E> {
        if self.rows.is_empty() {
            return Ok(());
        }
        take(self.rows)
    }
}

/// Rows in a scratch file, each chunk ordered by bucket.
pub(crate) struct Scattered {
    shuffle: Shuffle,
    file: BufWriter<File>,
    /// For each chunk where its buckets start in the file, in rows, and its
    /// end.
    starts: Vec<Vec<u64>>,
    rows: u64,
    path: PathBuf,
}

impl Scattered {
    pub fn new(shuffle: Shuffle, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        // It has no name: it is gone when it is closed, however that happens.
        let file = tempfile::tempfile_in(dir).map_err(Error::write(dir))?;
        Ok(Self {
            shuffle,
            file: BufWriter::with_capacity(1 << 20, file),
            starts: Vec::new(),
            rows: 0,
            path: dir.to_owned(),
        })
    }

    pub fn send(&mut self, chunk: &[Rated]) -> Result<()> {
        let sent = self.shuffle.send(self.starts.len(), chunk);
        for rated in sent.rows() {
            self.file
                .write_all(&rated.to_bytes())
                .map_err(Error::write(&self.path))?;
        }
        let buckets = 0..self.shuffle.buckets();
        let starts = buckets.map(|bucket| self.rows + sent.range(bucket).start as u64);
        let end = self.rows + chunk.len() as u64;
        self.starts.push(starts.chain([end]).collect());
        self.rows = end;
        Ok(())
    }

    /// Reads the buckets back, shuffles each, and hands out batches of `size`.
    pub fn hand_out(self, size: usize, take: &mut dyn FnMut(Vec<Rated>) -> bool) -> Result<()> {
        let read_error = |error| Error::read(&self.path)(error);
        let mut file = self
            .file
            .into_inner()
            .map_err(|error| Error::write(&self.path)(error.into_error()))?;
        let mut cut = Cut::new(size);
        let mut give = |rated| take(rated).then_some(()).ok_or(());
        let mut bytes = Vec::new();
        for bucket in 0..self.shuffle.buckets() {
            let mut rows = Vec::new();
            for starts in &self.starts {
                let (start, end) = (starts[bucket], starts[bucket + 1]);
                bytes.resize((end - start) as usize * Rated::BYTES, 0);
                file.seek(SeekFrom::Start(start * Rated::BYTES as u64))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(read_error)?;
                rows.extend(bytes.as_chunks().0.iter().map(Rated::from_bytes));
            }
            self.shuffle.finish(bucket, &mut rows);
            if cut.push(&rows, &mut give).is_err() {
                return Ok(());
            }
        }
        // Whether the last one is wanted makes no difference.
        let _ = cut.finish(give);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

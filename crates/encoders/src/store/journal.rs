//! What has been embedded since the Parquet file was written.
//!
//! ```text
//! journal = "mmdlrm embeddings 1\n" record*
//! record  = length: u64, checksum: u64, payload: [u8; length]
//! payload = length: u64, encoders: [u8; length] (JSON), row*
//! row     = kind: u8, movie: u32, source: u64, width: u64, [f32; width]
//! ```
//!
//! Numbers are little-endian. The checksum is xxh3 of the payload, seeded with the
//! place where the record begins. A record is on the disk before its rows count as kept;
//! what a killed process left of the last one does not have its checksum, and is
//! overwritten by the next.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::problem::StoreProblem;
use super::rows::{OwnedRow, Row};
use super::store_error;
use crate::files::sync_folder_of;
use crate::{Error, Kind, Result};

/// What a journal begins with.
const MAGIC: &[u8] = b"mmdlrm embeddings 1\n";
/// Bytes of the largest payload that is written and read: 256 vectors of a million numbers.
const LARGEST_PAYLOAD: u64 = 1 << 30;
/// Bytes of a record before its payload.
const RECORD_HEADER: u64 = 16;

/// The journal of a store, a file beside it that is there while something is in it.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Where the last whole record ends; 0 without a whole beginning.
    end: u64,
    /// Open once something has been written.
    file: Option<File>,
}

/// The rows of a record, and JSON of what made them.
pub(super) struct Record {
    pub encoders: String,
    pub rows: Vec<OwnedRow>,
}

impl Journal {
    /// The journal of the store at `path`: its name and `.journal`.
    pub fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".journal");
        Self {
            path: name.into(),
            end: 0,
            file: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it holds something.
    pub fn is_empty(&self) -> bool {
        self.end <= MAGIC.len() as u64
    }

    /// Reads the records that were written completely.
    pub fn read(&mut self, mut on_record: impl FnMut(Record) -> Result<()>) -> Result<()> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file.map_err(Error::read(&self.path))?,
        };
        let length = file.metadata().map_err(Error::read(&self.path))?.len();
        let mut reader = BufReader::new(file);
        if self.begins(&mut reader)? {
            self.end = MAGIC.len() as u64;
            while let Some(payload) = self.payload(&mut reader, length)? {
                let at = self.end;
                let record = Record::parse(&payload);
                let record = record.ok_or_else(|| self.problem(StoreProblem::Record { at }))?;
                on_record(record)?;
                self.end += RECORD_HEADER + payload.len() as u64;
            }
        }
        if self.end < length {
            tracing::warn!(
                path = %self.path.display(),
                bytes = length - self.end,
                "left out what was not written completely"
            );
        }
        Ok(())
    }

    /// Reads the beginning; `false` for one that was not written completely, as a killed
    /// process or, with zeros, a power cut leaves it.
    fn begins(&self, reader: &mut impl Read) -> Result<bool> {
        let mut found = Vec::new();
        reader
            .take(MAGIC.len() as u64)
            .read_to_end(&mut found)
            .map_err(Error::read(&self.path))?;
        if found == MAGIC {
            return Ok(true);
        }
        match MAGIC.starts_with(&found) || found.iter().all(|&byte| byte == 0) {
            true => Ok(false),
            false => Err(self.problem(StoreProblem::NotAJournal)),
        }
    }

    /// The payload of the record at [`Self::end`] of a file of `length` bytes; `None`
    /// where there is no whole one.
    fn payload(&self, reader: &mut impl Read, length: u64) -> Result<Option<Vec<u8>>> {
        let left = length - self.end;
        let Some(most) = left.checked_sub(RECORD_HEADER) else {
            return Ok(None);
        };
        let most = most.min(LARGEST_PAYLOAD);
        let mut header = [0; RECORD_HEADER as usize];
        reader
            .read_exact(&mut header)
            .map_err(Error::read(&self.path))?;
        let mut numbers = Bytes(&header);
        let (Some(size), Some(checksum)) = (numbers.u64(), numbers.u64()) else {
            return Ok(None);
        };
        // No more is allocated than the file has, nor for what nobody wrote.
        let Some(size) = usize::try_from(size)
            .ok()
            .filter(|&size| size as u64 <= most)
        else {
            return Ok(None);
        };
        let mut payload = vec![0; size];
        reader
            .read_exact(&mut payload)
            .map_err(Error::read(&self.path))?;
        let whole = xxh3_64_with_seed(&payload, self.end) == checksum;
        Ok(whole.then_some(payload))
    }

    /// Appends rows, and forces them to the disk.
    pub fn append(&mut self, rows: &[Row<'_>], encoders: &str) -> Result<()> {
        let written = self.write(rows, encoders);
        written.map_err(Error::write(&self.path))
    }

    fn write(&mut self, rows: &[Row<'_>], encoders: &str) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let options = &mut File::options();
                let file = options.create(true).truncate(false).write(true);
                let file = file.open(&self.path)?;
                // What a killed process left half written goes.
                file.set_len(self.end)?;
                sync_folder_of(&self.path)?;
                none.insert(file)
            }
        };
        let mut bytes = Vec::new();
        if self.end == 0 {
            bytes.extend(MAGIC);
        }
        let payload = payload(rows, encoders);
        if payload.len() as u64 > LARGEST_PAYLOAD {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let checksum = xxh3_64_with_seed(&payload, self.end + bytes.len() as u64);
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(payload);
        let written = file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            // A full disk need not keep half a record; if this fails too, the next to
            // open the journal passes over it.
            Err(_) => drop(file.set_len(self.end)),
        }
        written
    }

    /// Removes the journal of a store that is no longer there: whoever deleted it wants
    /// to encode again.
    pub fn abandon(&mut self) -> Result<()> {
        if self.path.is_file() {
            tracing::warn!(path = %self.path.display(), "removed: its store is gone");
        }
        self.clear()
    }

    /// Removes the file: its rows are in the Parquet file.
    pub fn clear(&mut self) -> Result<()> {
        self.file = None;
        self.end = 0;
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::write(&self.path)(error))
            }
            _ => Ok(()),
        }
    }

    fn problem(&self, problem: StoreProblem) -> Error {
        store_error(&self.path, problem)
    }
}

fn payload(rows: &[Row<'_>], encoders: &str) -> Vec<u8> {
    let mut bytes = (encoders.len() as u64).to_le_bytes().to_vec();
    bytes.extend(encoders.as_bytes());
    for row in rows {
        bytes.push(kind_byte(row.kind));
        bytes.extend(row.movie_id.to_le_bytes());
        bytes.extend(row.source.to_le_bytes());
        bytes.extend((row.vector.len() as u64).to_le_bytes());
        bytes.extend(row.vector.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes
}

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Image => 0,
        Kind::Text => 1,
    }
}

impl Record {
    /// `None` for bytes of another form.
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(payload);
        let length = bytes.u64()?;
        let encoders = std::str::from_utf8(bytes.take(length)?).ok()?.to_owned();
        let mut rows = Vec::new();
        while !bytes.0.is_empty() {
            rows.push(bytes.row()?);
        }
        Some(Self { encoders, rows })
    }
}

/// What is left to read of some bytes; each call takes some, or is `None` where there are
/// not as many.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn row(&mut self) -> Option<OwnedRow> {
        let [kind] = self.array()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|&known| kind_byte(known) == kind)?;
        let movie_id = u32::from_le_bytes(self.array()?);
        let source = self.u64()?;
        let width = self.width()?;
        let (numbers, []) = self.take(width)?.as_chunks() else {
            return None;
        };
        Some(OwnedRow {
            movie_id,
            kind,
            source,
            vector: numbers
                .iter()
                .map(|&number| f32::from_le_bytes(number))
                .collect(),
        })
    }

    /// Bytes of the vector that follows.
    fn width(&mut self) -> Option<u64> {
        self.u64()?.checked_mul(size_of::<f32>() as u64)
    }
}

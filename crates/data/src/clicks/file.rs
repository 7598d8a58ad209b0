//! A file of rows, some at a time.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::prelude::*;

use super::{ClickRows, parquet, text};
use crate::text::{broken, is_compressed, open};
use crate::{Error, Result};

/// Bytes of text that are read at a time.
const CHUNK: usize = 1 << 20;
/// Bytes of the longest row.
const LONGEST_ROW: usize = 64 << 10;
/// Chunks that are read ahead of those that are worked on.
const AHEAD: usize = 8;

/// Rows of a file, whatever is in them.
pub(super) fn count(path: &Path) -> Result<usize> {
    if parquet::is_parquet(path) {
        return parquet::count(path);
    }
    let mut rows = 0;
    text_chunks(path, &mut |chunk| {
        if let Chunk::Text(bytes) = chunk {
            let ends = memchr::memchr_iter(b'\n', &bytes).count();
            rows += ends + usize::from(!bytes.ends_with(b"\n"));
        }
        true
    })?;
    Ok(rows)
}

/// Rows as a file has them, not yet looked at.
pub(super) enum Chunk {
    /// Whole rows.
    Text(Vec<u8>),
    /// A part of a table, and the number of rows before it.
    Table(Box<parquet::Part>),
}

/// Hands out the chunks of a file, one after another, until `take` says that nobody wants more.
fn chunks(path: &Path, take: &mut dyn FnMut(Chunk) -> bool) -> Result<()> {
    match parquet::is_parquet(path) {
        true => parquet::parts(path, &mut |part| take(Chunk::Table(Box::new(part)))),
        false => text_chunks(path, take),
    }
}

fn text_chunks(path: &Path, take: &mut dyn FnMut(Chunk) -> bool) -> Result<()> {
    let mut reader = open(path)?;
    // A file that is compressed is damaged after some line.
    let counts = is_compressed(path);
    let (mut rest, mut lines) = (Vec::new(), 0);
    loop {
        let mut bytes = std::mem::take(&mut rest);
        bytes.reserve(CHUNK);
        let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut bytes);
        let read = read.map_err(|error| broken(path, lines, error))?;
        let end = match read {
            0 => bytes.len(),
            _ => memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1),
        };
        rest = bytes[end..].to_vec();
        bytes.truncate(end);
        if rest.len() > LONGEST_ROW {
            let problem = "a row has no end within 64 KiB, as none of a label, 13 numbers and 26 \
                           categories; is it a text file with a tab between two fields?";
            return Err(Error::InFile {
                path: path.to_owned(),
                source: Box::new(super::column_error(0, None, problem)),
            });
        }
        if counts {
            lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        }
        if (!bytes.is_empty() && !take(Chunk::Text(bytes))) || read == 0 {
            return Ok(());
        }
    }
}

impl Chunk {
    /// Lines of errors are those of the chunk.
    fn rows(&self, path: &Path) -> Result<ClickRows> {
        match self {
            Self::Text(bytes) => text::parse(bytes, path),
            Self::Table(part) => part.rows(path),
        }
    }
}

/// An error in a chunk behind so many rows of text.
fn behind(rows: usize, error: Error) -> Error {
    match error {
        Error::Row {
            path,
            line,
            column,
            problem,
        } => Error::Row {
            path,
            line: line + rows as u64,
            column,
            problem,
        },
        other => other,
    }
}

/// Reads the rows of a file on the thread that asks, some at a time, until `take` says that
/// nobody wants more.
pub(super) fn for_each(path: &Path, take: &mut dyn FnMut(ClickRows) -> Result<bool>) -> Result<()> {
    let (mut outcome, mut before) = (Ok(()), 0);
    chunks(path, &mut |chunk| {
        let rows = chunk.rows(path).map_err(|error| behind(before, error));
        let taken = rows.and_then(|rows| {
            before += rows.len();
            take(rows)
        });
        let goes_on = matches!(taken, Ok(true));
        outcome = taken.map(|_| ());
        goes_on
    })?;
    outcome
}

/// Reads the rows of a file on all threads, some at a time: `work` is done wherever there is a
/// thread for it, and `take` gets what came of it, in the order of the rows.
pub(super) fn for_each_on_all<T: Send>(
    path: &Path,
    work: impl Fn(ClickRows) -> T + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let (send, receive) = sync_channel(AHEAD);
    let file: PathBuf = path.to_owned();
    let reader = std::thread::spawn(move || chunks(&file, &mut |chunk| send.send(chunk).is_ok()));
    let taken = take_all(path, receive, work, &mut take);
    match reader.join() {
        // Rows that were read before the file broke off may be at fault themselves.
        Ok(read) => taken.and(read),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn take_all<T: Send>(
    path: &Path,
    chunks: Receiver<Chunk>,
    work: impl Fn(ClickRows) -> T + Sync,
    take: &mut dyn FnMut(T) -> Result<()>,
) -> Result<()> {
    let at_a_time = 4 * rayon::current_num_threads();
    let mut before = 0;
    loop {
        let some: Vec<Chunk> = chunks.iter().take(at_a_time).collect();
        if some.is_empty() {
            return Ok(());
        }
        let done = some.into_par_iter().map(|chunk| {
            let rows = chunk.rows(path)?;
            Ok((rows.len(), work(rows)))
        });
        for done in done.collect::<Vec<_>>() {
            let (rows, done) = done.map_err(|error| behind(before, error))?;
            before += rows;
            take(done)?;
        }
    }
}

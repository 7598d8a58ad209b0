//! Rows as they were read, in a scratch file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::events::Events;
use super::times::Ticks;
use crate::text::{read_exact_at, write_all_at};
use crate::{Error, Result};

/// Rows that any number of threads write. The file has no name, so that it is gone when it is
/// closed, however that happens.
pub(super) struct RowsOnDisk {
    file: File,
    end: AtomicU64,
    path: PathBuf,
    /// All that was written, with the thread whose numbers it is by, in the order of the table.
    pub written: Vec<(usize, Written)>,
}

/// Where some rows lie.
pub(super) struct Written {
    /// Rows of the table before them.
    pub before: usize,
    pub rows: usize,
    start: u64,
    bytes: usize,
    has_targets: bool,
    are_seconds: Option<bool>,
}

impl RowsOnDisk {
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        Ok(Self {
            file: tempfile::tempfile_in(dir).map_err(Error::write(dir))?,
            end: AtomicU64::new(0),
            path: dir.to_owned(),
            written: Vec::new(),
        })
    }

    /// Writes rows with so many before them, column by column.
    pub fn write(&self, events: &Events, before: usize) -> Result<Written> {
        let times = &events.times;
        let mut bytes: Vec<u8> = Vec::new();
        bytes.extend(events.users.iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend(events.items.iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend(events.targets.iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend(times.values.iter().flat_map(|it| it.to_le_bytes()));
        let start = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        write_all_at(&self.file, &bytes, start).map_err(Error::write(&self.path))?;
        Ok(Written {
            before,
            rows: events.users.len(),
            start,
            bytes: bytes.len(),
            has_targets: !events.targets.is_empty(),
            are_seconds: times.are_seconds,
        })
    }

    /// Reads them back.
    pub fn read(&self, written: &Written) -> Result<Events> {
        let mut bytes = vec![0; written.bytes];
        read_exact_at(&self.file, &mut bytes, written.start).map_err(Error::read(&self.path))?;
        let (users, rest) = words(&bytes, written.rows);
        let (items, rest) = words(rest, written.rows);
        let (targets, rest) = words(rest, if written.has_targets { written.rows } else { 0 });
        let ticks = rest.as_chunks().0.iter().map(|it| i64::from_le_bytes(*it));
        Ok(Events {
            users: users.iter().map(|it| u32::from_le_bytes(*it)).collect(),
            items: items.iter().map(|it| u32::from_le_bytes(*it)).collect(),
            targets: targets.iter().map(|it| f32::from_le_bytes(*it)).collect(),
            times: Ticks {
                values: ticks.collect(),
                are_seconds: written.are_seconds,
            },
        })
    }
}

/// So many words of 32 bits, and what lies behind them.
fn words(bytes: &[u8], count: usize) -> (&[[u8; 4]], &[u8]) {
    let (words, rest) = bytes.split_at(4 * count);
    (words.as_chunks().0, rest)
}

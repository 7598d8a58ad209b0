//! Rows on disk, user by user, whatever their order.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Rated;
use crate::{Error, Result};

/// Rows of a shelf, unless one user has more: 24 MiB.
const ROWS_OF_A_SHELF: u64 = 1 << 20;
/// Rows that are put in order before they are written.
const ROWS_OF_A_LOAD: usize = 1 << 20;
/// Bytes of a row in a scratch file: what was rated, and what the sender calls it.
const ROW_BYTES: usize = Rated::BYTES + size_of::<u64>();

/// Rows that are sent in any order, and come back user by user, ascending, those of a user in the
/// order in which they were sent. Memory is that of two shelves, whatever the number of rows: they
/// lie in a scratch file, 24 bytes each, in shelves of neighbouring users.
pub(crate) struct ByUser {
    /// The first user of each shelf, ascending.
    shelves: Vec<u32>,
    load: Vec<(Rated, u64)>,
    file: BufWriter<File>,
    /// For each load where its shelves start in the file, in rows, and its end.
    starts: Vec<Vec<u64>>,
    rows: u64,
    path: PathBuf,
}

impl ByUser {
    /// For users who have so many rows each; the scratch file, which has no name, is made in `dir`.
    pub fn new(counts: &[u32], dir: &Path) -> Result<Self> {
        Self::with_shelves_of(ROWS_OF_A_SHELF, counts, dir)
    }

    fn with_shelves_of(most: u64, counts: &[u32], dir: &Path) -> Result<Self> {
        let (mut shelves, mut rows) = (vec![0], 0);
        for (user, &count) in (0..).zip(counts) {
            if rows > 0 && rows + u64::from(count) > most {
                shelves.push(user);
                rows = 0;
            }
            rows += u64::from(count);
        }
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        let file = tempfile::tempfile_in(dir).map_err(Error::write(dir))?;
        Ok(Self {
            shelves,
            load: Vec::new(),
            file: BufWriter::with_capacity(1 << 20, file),
            starts: Vec::new(),
            rows: 0,
            path: dir.to_owned(),
        })
    }

    /// Takes a row, and what it is called.
    pub fn send(&mut self, rated: Rated, name: u64) -> Result<()> {
        self.load.push((rated, name));
        match self.load.len() {
            ROWS_OF_A_LOAD => self.put_away(),
            _ => Ok(()),
        }
    }

    fn put_away(&mut self) -> Result<()> {
        // Stable: those of a user stay in their order.
        self.load.sort_by_key(|(rated, _)| rated.user);
        for (rated, name) in &self.load {
            let written = self.file.write_all(&rated.to_bytes());
            let written = written.and_then(|()| self.file.write_all(&name.to_le_bytes()));
            written.map_err(Error::write(&self.path))?;
        }
        let start = |&user: &u32| {
            let before = self.load.partition_point(|(rated, _)| rated.user < user);
            self.rows + before as u64
        };
        let end = self.rows + self.load.len() as u64;
        let starts = self.shelves.iter().map(start).chain([end]).collect();
        self.starts.push(starts);
        self.rows = end;
        self.load.clear();
        Ok(())
    }

    /// Hands out the rows of one user after the other.
    ///
    /// # Errors
    /// A scratch file that can no longer be written or read, or whatever `take` returns.
    pub fn hand_out<E: From<Error>>(
        mut self,
        mut take: impl FnMut(&[(Rated, u64)]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.load.is_empty() {
            self.put_away()?;
        }
        let path = &self.path;
        let file = self.file.into_inner();
        let mut file = file.map_err(|error| Error::write(path)(error.into_error()))?;
        let (mut rows, mut bytes) = (Vec::new(), Vec::new());
        for shelf in 0..self.shelves.len() {
            rows.clear();
            for starts in &self.starts {
                let (start, end) = (starts[shelf], starts[shelf + 1]);
                bytes.resize((end - start) as usize * ROW_BYTES, 0);
                file.seek(SeekFrom::Start(start * ROW_BYTES as u64))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(Error::read(path))?;
                rows.extend(bytes.as_chunks::<ROW_BYTES>().0.iter().map(from_bytes));
            }
            rows.sort_by_key(|(rated, _)| rated.user);
            for of_user in rows.chunk_by(|(a, _), (b, _)| a.user == b.user) {
                take(of_user)?;
            }
        }
        Ok(())
    }
}

fn from_bytes(bytes: &[u8; ROW_BYTES]) -> (Rated, u64) {
    let (mut rated, mut name) = ([0; Rated::BYTES], [0; 8]);
    rated.copy_from_slice(&bytes[..Rated::BYTES]);
    name.copy_from_slice(&bytes[Rated::BYTES..]);
    (Rated::from_bytes(&rated), u64::from_le_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_user_by_user_in_the_order_in_which_they_were_sent() {
        let folder = tempfile::tempdir().unwrap();
        let rows = 1000u64;
        let of = |row: u64| Rated {
            user: (row * 7 % 13) as u32,
            movie: row as u32,
            stars: 0.5,
            timestamp: 9,
        };
        let mut counts = [0; 13];
        (0..rows).for_each(|row| counts[of(row).user as usize] += 1);
        for most in [1, 100, 1 << 20] {
            let mut by_user = ByUser::with_shelves_of(most, &counts, folder.path()).unwrap();
            for row in 0..rows {
                by_user.send(of(row), row << 40).unwrap();
                // Several loads.
                if row % 300 == 0 {
                    by_user.put_away().unwrap();
                }
            }
            let mut seen = Vec::new();
            let take = |of_user: &[(Rated, u64)]| {
                assert!(of_user.iter().all(|it| it.0.user == of_user[0].0.user));
                seen.extend_from_slice(of_user);
                Ok::<_, Error>(())
            };
            by_user.hand_out(take).unwrap();
            let mut expected: Vec<_> = (0..rows).map(|row| (of(row), row << 40)).collect();
            expected.sort_by_key(|(rated, name)| (rated.user, *name));
            assert_eq!(seen, expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

//! Ratings in a file without a name, which is gone when it is closed, however that happens.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::digest::Hashed;
use super::ratings_parquet::{ROW_GROUP, RatingsReader, RatingsWriter};
use crate::movielens::RatingColumns;
use crate::{Error, Result};

/// Ratings as they are written, to be read back.
pub(crate) struct ScratchRatings {
    writer: RatingsWriter<Hashed<File>>,
    /// Those that are to be written.
    columns: RatingColumns,
    path: PathBuf,
}

impl ScratchRatings {
    /// In the folder `dir`, which is made where it is not there.
    pub fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::write(dir))?;
        let file = tempfile::tempfile_in(dir).map_err(Error::write(dir))?;
        Ok(Self {
            writer: RatingsWriter::new(Hashed::new(file), dir)?,
            columns: RatingColumns::default(),
            path: dir.to_owned(),
        })
    }

    /// Takes rows.
    pub fn write(&mut self, columns: RatingColumns) -> Result<()> {
        self.columns.append(columns);
        match self.columns.users.len() >= ROW_GROUP {
            true => self.writer.write_all(&std::mem::take(&mut self.columns)),
            false => Ok(()),
        }
    }

    /// All of them, to be read.
    pub fn finish(mut self) -> Result<RatingsReader> {
        self.writer.write_all(&self.columns)?;
        let (rows, hashed) = self.writer.close()?;
        let (file, digest) = hashed.finish();
        RatingsReader::open(file, &self.path, (rows, &digest))
    }
}

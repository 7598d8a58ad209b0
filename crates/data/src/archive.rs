//! Zip archives, in which nothing is trusted.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::{Error, Result};

/// Bytes that all files of an archive may come to: the largest release takes 1.2 GB.
pub(crate) const MOST_BYTES: u64 = 8 << 30;
/// Bytes of a list of files, of which each takes 46 and its name; 20 files are a release.
const LONGEST_LIST: u64 = 64 << 20;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An archive and the bytes that may still be unpacked of it.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<BufReader<Limited<'a>>>,
    path: &'a Path,
    room: u64,
}

impl<'a> Archive<'a> {
    /// Reads the list of files; `path` is for messages, and `room` the bytes that may be unpacked.
    ///
    /// # Errors
    /// What is no zip archive, and a list that is longer than those of releases.
    pub(crate) fn open(file: &'a File, path: &'a Path, room: u64) -> Result<Self> {
        let left = Rc::new(Cell::new(LONGEST_LIST));
        let limited = Limited {
            file,
            left: Rc::clone(&left),
        };
        let zip = ZipArchive::new(BufReader::new(limited));
        let zip = zip.map_err(|error| bad(path, "", told(error)))?;
        // What is unpacked has a limit of its own.
        left.set(u64::MAX);
        Ok(Self { zip, path, room })
    }

    /// How many files and folders it has.
    pub(crate) fn len(&self) -> usize {
        self.zip.len()
    }

    /// The name of each; of a folder it ends with `/`.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.zip.file_names_raw();
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Unpacks a file to where there is none yet. The size that the archive tells may be a lie.
    ///
    /// # Errors
    /// A link, an empty or damaged file, one for which there is no room, and a `target` that
    /// cannot be written.
    pub(crate) fn unpack(&mut self, number: usize, name: &str, target: &Path) -> Result<File> {
        let (path, room) = (self.path, self.room);
        let member = self.zip.by_index(number);
        let mut member = member.map_err(|error| bad(path, name, told(error)))?;
        if member.is_symlink() {
            return Err(bad(path, name, "it is a link; releases have none"));
        }
        let mut file = File::create_new(target).map_err(Error::write(target))?;
        let mut limited = (&mut member).take(room.saturating_add(1));
        let written = copy(&mut limited, &mut file, target).map_err(|error| match error {
            CopyError::Read(problem) => bad(path, name, problem),
            CopyError::Write(error) => error,
        })?;
        let problem = match written {
            0 => "it is empty".to_owned(),
            _ if written > room => format!(
                "it and those before it unpack to more than {} MiB",
                room >> 20
            ),
            _ => {
                self.room -= written;
                return Ok(file);
            }
        };
        Err(bad(path, name, problem))
    }
}

/// What is wrong with an archive, and what to do about it.
fn told(error: ZipError) -> Cause {
    let what = match &error {
        ZipError::InvalidArchive(_) => {
            "it is no whole zip archive; download it again, or unpack it with what it was packed by"
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            "it is packed in a way that is not read; unpack it, and name the folder"
        }
        _ => return error.into(),
    };
    format!("{error}: {what}").into()
}

/// An error of an archive, or of the file `member` in it.
pub(crate) fn bad(path: &Path, member: &str, problem: impl Into<Cause>) -> Error {
    let member = member.chars().take(100).flat_map(char::escape_debug);
    Error::Archive {
        path: path.to_owned(),
        member: member.collect(),
        problem: problem.into(),
    }
}

enum CopyError {
    Read(std::io::Error),
    Write(Error),
}

fn copy(from: &mut impl Read, to: &mut File, path: &Path) -> Result<u64, CopyError> {
    let mut buffer = vec![0; 256 << 10];
    let mut written = 0;
    loop {
        let read = from.read(&mut buffer).map_err(CopyError::Read)?;
        if read == 0 {
            return Ok(written);
        }
        to.write_all(&buffer[..read])
            .map_err(|error| CopyError::Write(Error::write(path)(error)))?;
        written += read as u64;
    }
}

/// A file of which no more than some bytes are read.
struct Limited<'a> {
    file: &'a File,
    left: Rc<Cell<u64>>,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        let problem = "its list of files is longer than 64 MiB, as that of no release is";
        self.left
            .set(left.ok_or_else(|| std::io::Error::other(problem))?);
        Ok(read)
    }
}

impl Seek for Limited<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

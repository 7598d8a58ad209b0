//! What was written into a made-up folder: nothing else in it is ever removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::{FORMAT, GeneratorConfig};
use crate::{Error, Result};

/// Its name in the folder.
const NAME: &str = "made-up.json";

/// The list that lies in a made-up folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    config: GeneratorConfig,
    /// By path from the folder, with slashes.
    files: BTreeMap<String, Contents>,
}

/// What a file held when it was written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Contents {
    bytes: u64,
    xxh3: String,
}

/// All that lies below a folder.
#[derive(Default)]
struct Found {
    files: Vec<(String, PathBuf)>,
    /// A folder comes before those in it.
    folders: Vec<PathBuf>,
}

impl Manifest {
    /// Lists all files below `dir`, which was made by `config`, in a file there.
    pub(super) fn write(dir: &Path, config: &GeneratorConfig) -> Result<()> {
        let files = Found::below(dir)?.files.into_par_iter();
        let manifest = Self {
            format: FORMAT,
            config: config.clone(),
            files: files
                .map(|(name, path)| Ok((name, Contents::of(&path)?)))
                .collect::<Result<_>>()?,
        };
        let path = dir.join(NAME);
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other);
        text.and_then(|text| std::fs::write(&path, text))
            .map_err(Error::write(&path))
    }

    /// The list in `dir`; `None` where there is none that can be read as one.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(NAME)).ok()?).ok()
    }

    /// Whether it was made by `config`, and all files are there, as long as they were.
    pub(super) fn is_whole(&self, dir: &Path, config: &GeneratorConfig) -> bool {
        let is_there = |(name, contents): (&String, &Contents)| {
            let metadata = std::fs::symlink_metadata(dir.join(name));
            metadata.is_ok_and(|it| it.is_file() && it.len() == contents.bytes)
        };
        self.format == FORMAT && self.config == *config && self.files.iter().all(is_there)
    }

    /// Checks that nothing lies below `dir` but what was written there.
    ///
    /// # Errors
    /// The first file that was not, or that has changed since.
    pub(super) fn check(&self, dir: &Path) -> Result<()> {
        self.own(dir).map(|_| ())
    }

    /// Removes `dir`, if nothing lies there but what was written.
    ///
    /// # Errors
    /// As [`Self::check`]; nothing has been removed then.
    pub(super) fn remove(&self, dir: &Path) -> Result<()> {
        let own = self.own(dir)?;
        for (_, path) in &own.files {
            std::fs::remove_file(path).map_err(Error::write(path))?;
        }
        for path in own.folders.iter().rev() {
            std::fs::remove_dir(path).map_err(Error::write(path))?;
        }
        // The list goes last: who is stopped before can go on.
        let list = dir.join(NAME);
        std::fs::remove_file(&list).map_err(Error::write(&list))?;
        std::fs::remove_dir(dir).map_err(Error::write(dir))
    }

    /// What lies below `dir` beside the list, all of it as it was written.
    fn own(&self, dir: &Path) -> Result<Found> {
        let mut found = Found::below(dir)?;
        found.files.retain(|(name, _)| name != NAME);
        found.files.par_iter().try_for_each(|(name, path)| {
            let problem = match self.files.get(name) {
                None => "was not made with the folder",
                Some(made) if *made != Contents::of(path)? => "has changed since it was made",
                Some(_) => return Ok(()),
            };
            Err(foreign(path, problem))
        })?;
        Ok(found)
    }
}

/// The error at what stands in the way of a made-up folder.
pub(super) fn foreign(path: &Path, problem: &'static str) -> Error {
    Error::Occupied {
        path: path.to_owned(),
        problem,
    }
}

impl Contents {
    fn of(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::read(path))?;
        let mut hash = Xxh3Default::new();
        let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hash.update(&buffer[..read]);
                    bytes += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::read(path)(error)),
            }
        }
        Ok(Self {
            bytes,
            xxh3: format!("{:032x}", hash.digest128()),
        })
    }
}

impl Found {
    /// # Errors
    /// A folder that cannot be listed, and what is neither file nor folder: a link may
    /// lead elsewhere.
    fn below(dir: &Path) -> Result<Self> {
        let mut found = Self::default();
        found.look(dir, "")?;
        Ok(found)
    }

    fn look(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        for entry in std::fs::read_dir(dir).map_err(Error::read(dir))? {
            let entry = entry.map_err(Error::read(dir))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(Error::read(&path))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if kind.is_dir() {
                self.folders.push(path.clone());
                self.look(&path, &format!("{name}/"))?;
            } else if kind.is_file() {
                self.files.push((name, path));
            } else {
                return Err(foreign(&path, "was not made with the folder"));
            }
        }
        Ok(())
    }
}

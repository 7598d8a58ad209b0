//! Where a model's files come from: a local folder or the Hugging Face hub.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::error::Cause;
use crate::{Error, Result};

/// Set to anything but `0`, `false`, `no` or `off`: nothing is downloaded, as
/// for Hugging Face's own libraries.
const OFFLINE: &str = "HF_HUB_OFFLINE";

/// The configuration of a model.
pub(crate) const CONFIG: &str = "config.json";
/// Its weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Its tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// Which modules of sentence-transformers it has.
pub(crate) const MODULES: &str = "modules.json";
/// How it wants pictures, …
pub(crate) const PREPROCESSOR: &str = "preprocessor_config.json";
/// … or that and more, of transformers 5.
pub(crate) const PROCESSOR: &str = "processor_config.json";

/// Bytes of the largest tokenizer that is read; that of XLM-R has 17 MB.
const LARGEST_TOKENIZER: u64 = 64 << 20;
/// Bytes of the largest configuration that is read.
const LARGEST_CONFIG: u64 = 1 << 20;

/// A small file of a model, read once, so that what is used is what is hashed.
pub(crate) struct SmallFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl SmallFile {
    /// Reads a file of at most `most` bytes.
    fn read(path: PathBuf, most: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        read.map_err(Error::read(&path))?;
        match bytes.len() as u64 > most {
            false => Ok(Self { path, bytes }),
            true => Err(Error::Config {
                path,
                problem: format!("the file is larger than {} MiB", most >> 20).into(),
            }),
        }
    }
}

/// A model in Hugging Face layout.
pub(crate) enum ModelFiles {
    Folder(PathBuf),
    Hub { model: String, revision: String },
}

impl ModelFiles {
    /// A folder of that name, or else a model of the hub: `owner/model` or
    /// `owner/model@revision`; `pinned` names revisions of models that are
    /// named without one.
    pub fn find(dir_or_id: &str, pinned: &[(&str, &str)]) -> Result<Self> {
        let dir = Path::new(dir_or_id);
        if dir.is_dir() {
            return Ok(Self::Folder(dir.to_owned()));
        }
        let is_id = dir_or_id.split('/').count() == 2
            && !dir_or_id.starts_with(['.', '/', '~'])
            && !dir_or_id.ends_with('/');
        if !is_id {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::read(dir)(source));
        }
        let (model, revision) = dir_or_id.split_once('@').unwrap_or_else(|| {
            let pinned = pinned.iter().find(|(model, _)| *model == dir_or_id);
            (dir_or_id, pinned.map_or("main", |(_, revision)| revision))
        });
        Ok(Self::Hub {
            model: model.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// What the model is called: the folder's name, or its name on the hub.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(dir) => {
                let name = dir.file_name().unwrap_or(dir.as_os_str());
                name.to_string_lossy().into_owned()
            }
            Self::Hub { model, .. } => model.clone(),
        }
    }

    /// The commit that files of the hub's cache belong to, or what was asked for.
    pub fn revision(&self) -> Option<String> {
        let Self::Hub { revision, .. } = self else {
            return None;
        };
        Some(self.commit().unwrap_or_else(|| revision.clone()))
    }

    /// The commit that a file of the hub's cache belongs to.
    fn commit(&self) -> Option<String> {
        let cached = [CONFIG, MODULES].iter().find_map(|file| self.cached(file));
        // snapshots/<commit>/config.json
        let commit = cached?.parent()?.file_name()?.to_owned();
        Some(commit.to_string_lossy().into_owned())
    }

    /// The file on this machine, downloaded where it has to be.
    pub fn file(&self, file: &str) -> Result<PathBuf> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(file);
                match path.is_file() {
                    true => Ok(path),
                    false => Err(Error::MissingFile {
                        dir: dir.clone(),
                        file: file.to_owned(),
                    }),
                }
            }
            Self::Hub { model, .. } => match self.cached(file) {
                Some(path) => Ok(path),
                None => self.download(file).map_err(|problem| Error::Hub {
                    model: model.clone(),
                    file: file.to_owned(),
                    problem,
                }),
            },
        }
    }

    /// As [`Self::file`], for one that a model may lack. That the hub has none is kept in its
    /// cache, as its own library keeps it; what nobody has asked for may be there.
    pub fn optional_file(&self, file: &str) -> Result<Option<PathBuf>> {
        let marker = self.marker_of_absence(file);
        if marker.as_ref().is_some_and(|marker| marker.is_file()) {
            return Ok(None);
        }
        match self.file(file) {
            Ok(path) => Ok(Some(path)),
            Err(Error::MissingFile { .. }) => Ok(None),
            // Other failures must not pass for it.
            Err(Error::Hub { problem, .. }) if is_absent(&problem) => {
                if let Some(marker) = marker
                    && let Err(error) = mark(&marker)
                {
                    tracing::warn!(marker = %marker.display(), "cannot be written: {error}");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `models--OWNER--NAME/.no_exist/COMMIT/FILE`.
    fn marker_of_absence(&self, file: &str) -> Option<PathBuf> {
        let repo = self.repo()?.folder_name();
        let cache = Cache::from_env().path().join(repo);
        Some(cache.join(".no_exist").join(self.commit()?).join(file))
    }

    /// The content of a small file.
    pub fn read(&self, file: &str) -> Result<SmallFile> {
        SmallFile::read(self.file(file)?, largest(file))
    }

    /// As [`Self::read`], for one that a model may lack.
    pub fn read_optional(&self, file: &str) -> Result<Option<SmallFile>> {
        let path = self.optional_file(file)?;
        path.map(|path| SmallFile::read(path, largest(file)))
            .transpose()
    }

    fn repo(&self) -> Option<Repo> {
        match self {
            Self::Folder(_) => None,
            Self::Hub { model, revision } => Some(Repo::with_revision(
                model.clone(),
                RepoType::Model,
                revision.clone(),
            )),
        }
    }

    /// The file in the hub's cache, so that a machine without a network can go
    /// on.
    fn cached(&self, file: &str) -> Option<PathBuf> {
        Cache::from_env().repo(self.repo()?).get(file)
    }

    fn download(&self, file: &str) -> std::result::Result<PathBuf, Cause> {
        let repo = self.repo().ok_or("it is a folder")?;
        if offline(std::env::var(OFFLINE).ok().as_deref()) {
            return Err(format!(
                "it is not in the cache and {OFFLINE} is set, so that nobody knows whether the \
                 model has it; load the model once with a network"
            )
            .into());
        }
        tracing::info!(model = repo.url(), file, "downloading");
        ApiBuilder::from_env()
            // Drawn on a terminal only: the weights are 600 MB.
            .with_progress(true)
            .build()
            .and_then(|api| api.repo(repo).get(file))
            .map_err(Cause::from)
    }
}

/// Whether the hub says that there is no such file.
fn is_absent(problem: &Cause) -> bool {
    match problem.downcast_ref() {
        Some(ApiError::RequestError(problem)) => problem.to_string().ends_with(" 404"),
        _ => false,
    }
}

/// Writes an empty file.
fn mark(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    File::create(path).map(|_| ())
}

fn largest(file: &str) -> u64 {
    match file.ends_with(TOKENIZER) {
        true => LARGEST_TOKENIZER,
        false => LARGEST_CONFIG,
    }
}

fn offline(variable: Option<&str>) -> bool {
    let off = ["", "0", "false", "no", "off"];
    variable.is_some_and(|value| !off.contains(&value.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_is_what_the_hub_s_own_library_takes_for_it() {
        for (value, expected) in [("1", true), ("TRUE", true), ("on", true), ("0", false)] {
            assert_eq!(offline(Some(value)), expected, "{value}");
        }
        assert!(!offline(None));
    }

    #[test]
    fn names_of_folders_revisions_and_models_are_told_apart() {
        let pins = [("owner/model", "abc")];
        let revision = |id: &str| match ModelFiles::find(id, &pins).unwrap() {
            ModelFiles::Hub { revision, .. } => revision,
            ModelFiles::Folder(_) => "a folder".to_owned(),
        };
        assert_eq!(revision("owner/model"), "abc");
        assert_eq!(revision("owner/model@v2"), "v2");
        assert_eq!(revision("owner/other"), "main");
        for no_model in ["/no/such/folder", "./a", "single", "a/b/c", "~/a"] {
            assert!(ModelFiles::find(no_model, &pins).is_err(), "{no_model}");
        }
    }
}

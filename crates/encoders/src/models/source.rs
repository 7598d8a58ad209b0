//! Where a model's files come from: a local folder or the Hugging Face hub.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::hub::{self, Asked, HubModel, Settings};
use crate::{Error, Result};

/// The configuration of a model.
pub(crate) const CONFIG: &str = "config.json";
/// Its tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// … or, of older models, the tokens by themselves, one a line, …
pub(crate) const VOCABULARY_TEXT: &str = "vocab.txt";
/// … or with their numbers, …
pub(crate) const VOCABULARY_JSON: &str = "vocab.json";
/// … and which of them are put together.
pub(crate) const MERGES: &str = "merges.txt";
/// What a tokenizer does beside.
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// … and which tokens it has for what.
pub(crate) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
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
    Hub(Box<HubModel>),
}

impl ModelFiles {
    /// A folder of that name, or else a model of the hub: `owner/model`,
    /// `owner/model@revision`, or its address; `pinned` names revisions of models
    /// that are named without one.
    pub fn find(dir_or_id: &str, pinned: &[(&str, &str)]) -> Result<Self> {
        if let Some(dir) = hub::folder(dir_or_id)? {
            return Ok(Self::Folder(dir));
        }
        let settings = Settings::from_env()?;
        let model = hub::model(dir_or_id, &settings.endpoint)?;
        let asked = Asked::new(dir_or_id, model, pinned);
        Ok(Self::Hub(Box::new(HubModel::new(asked, settings))))
    }

    /// What the model is called: the folder's name, or its name on the hub.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(dir) => {
                let name = dir.file_name().unwrap_or(dir.as_os_str());
                name.to_string_lossy().into_owned()
            }
            Self::Hub(model) => model.id().to_owned(),
        }
    }

    /// The commit that files of the hub's cache belong to, or what was asked for.
    pub fn revision(&self) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::Hub(model) => Some(model.revision()),
        }
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
            Self::Hub(model) => model.file(file),
        }
    }

    /// As [`Self::file`], for one that a model may lack: it costs one request, and none once it
    /// is known. Other failures do not pass for it.
    pub fn optional_file(&self, file: &str) -> Result<Option<PathBuf>> {
        match self {
            Self::Folder(dir) => Ok(Some(dir.join(file)).filter(|path| path.is_file())),
            Self::Hub(model) => model.optional_file(file),
        }
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
}

fn largest(file: &str) -> u64 {
    let of_tokens = [TOKENIZER, VOCABULARY_TEXT, VOCABULARY_JSON, MERGES];
    match of_tokens.iter().any(|name| file.ends_with(name)) {
        true => LARGEST_TOKENIZER,
        false => LARGEST_CONFIG,
    }
}

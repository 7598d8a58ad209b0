//! Where a model's files come from: a local folder or the Hugging Face hub.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};

use crate::{Error, Result};

/// The model that is meant where none is named.
pub const DEFAULT_CLIP: &str = "openai/clip-vit-base-patch32";
/// The revision of it that has safetensors; `main` has only PyTorch's pickle.
const DEFAULT_CLIP_REVISION: &str = "refs/pr/15";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// The files of a CLIP model, all of them on this machine.
pub(crate) struct ClipFiles {
    /// How the model is called in messages and stores.
    pub name: String,
    pub config: PathBuf,
    pub weights: PathBuf,
    pub tokenizer: PathBuf,
    pub preprocessor: Option<PathBuf>,
}

impl ClipFiles {
    /// A folder of that name, or else a model of the hub: `owner/model` or
    /// `owner/model@revision`.
    pub fn find(dir_or_id: &str) -> Result<Self> {
        let dir = Path::new(dir_or_id);
        if dir.is_dir() {
            return Self::in_folder(dir);
        }
        let is_id = dir_or_id.split('/').count() == 2
            && !dir_or_id.starts_with(['.', '/', '~'])
            && !dir_or_id.ends_with('/');
        if !is_id {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::read(dir)(source));
        }
        Self::on_hub(dir_or_id)
    }

    fn in_folder(dir: &Path) -> Result<Self> {
        let file = |file: &'static str| {
            let path = dir.join(file);
            match path.is_file() {
                true => Ok(path),
                false => Err(Error::MissingFile {
                    dir: dir.to_owned(),
                    file,
                }),
            }
        };
        Ok(Self {
            name: dir
                .file_name()
                .unwrap_or(dir.as_os_str())
                .to_string_lossy()
                .into_owned(),
            config: file(CONFIG)?,
            weights: file(WEIGHTS)?,
            tokenizer: file(TOKENIZER)?,
            preprocessor: file(PREPROCESSOR).ok(),
        })
    }

    /// Files of the hub's cache where they are there, so that a machine
    /// without a network can go on; the others are downloaded.
    fn on_hub(id: &str) -> Result<Self> {
        let (model, revision) = match id.split_once('@') {
            Some((model, revision)) => (model, revision),
            None if id == DEFAULT_CLIP => (id, DEFAULT_CLIP_REVISION),
            None => (id, "main"),
        };
        let repo = || Repo::with_revision(model.to_owned(), RepoType::Model, revision.to_owned());
        let cached = Cache::from_env().repo(repo());
        let file = |file: &'static str| {
            if let Some(path) = cached.get(file) {
                return Ok(path);
            }
            tracing::info!(model, revision, file, "downloading");
            ApiBuilder::from_env()
                // Drawn on a terminal only: the weights are 600 MB.
                .with_progress(true)
                .build()
                .and_then(|api| api.repo(repo()).get(file))
                .map_err(|problem| Error::Hub {
                    model: id.to_owned(),
                    file,
                    problem: problem.to_string(),
                })
        };
        Ok(Self {
            name: format!("{model}@{revision}"),
            config: file(CONFIG)?,
            weights: file(WEIGHTS)?,
            tokenizer: file(TOKENIZER)?,
            preprocessor: file(PREPROCESSOR).ok(),
        })
    }
}

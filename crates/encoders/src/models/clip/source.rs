//! Where a CLIP's parts come from: Hugging Face's layout, OpenCLIP's, or a file of OpenAI's.

use std::path::{Path, PathBuf};

use super::config::ClipConfig;
use super::open_clip;
use crate::error::Cause;
use crate::models::model_type::has_model_type;
use crate::models::recipe::{PictureRecipe, Preprocessor, Processor};
use crate::models::sentence::folder_of_clip;
use crate::models::source::{CONFIG, ModelFiles, SmallFile};
use crate::models::vocabulary::{Vocabulary, tokenizer_of};
use crate::models::weights::{OF_HUGGING_FACE, OF_OPEN_CLIP, Weights, weights_of};
use crate::{DEFAULT_CLIP, Error, Result};

/// The revision of [`DEFAULT_CLIP`] that has safetensors; `main` has only PyTorch's pickle.
pub(crate) const PINNED: [(&str, &str); 1] = [(DEFAULT_CLIP, "refs/pr/15")];
/// OpenCLIP's configuration.
pub(crate) const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";

/// What a CLIP is built from.
pub(super) struct ClipSource {
    pub name: String,
    pub revision: Option<String>,
    pub config: ClipConfig,
    pub weights: Vec<PathBuf>,
    pub tokenizer: SmallFile,
    pub recipe: PictureRecipe,
    /// What is hashed before the weights, …
    pub config_bytes: Vec<u8>,
    /// … and after the tokenizer.
    pub preprocessor_bytes: Vec<u8>,
}

impl ClipSource {
    /// Finds the parts of a folder, a model of the hub, or a file.
    pub fn find(dir_or_id: &str) -> Result<Self> {
        let path = Path::new(dir_or_id);
        if path.is_file() {
            return Self::of_file(path);
        }
        let files = ModelFiles::find(dir_or_id, &PINNED)?;
        let config = files.read_optional(CONFIG)?;
        // timm's models have a configuration of timm's own beside OpenCLIP's.
        if let Some(config) = config
            && (has_model_type(&config)? || files.optional_file(OPEN_CLIP_CONFIG)?.is_none())
        {
            return Self::of_hugging_face(&files, "", config);
        }
        if let Some(folder) = folder_of_clip(&files)? {
            let config = files.read(&format!("{folder}{CONFIG}"))?;
            return Self::of_hugging_face(&files, &folder, config);
        }
        if let Some(config) = files.read_optional(OPEN_CLIP_CONFIG)? {
            let weights = weights_of(&files, "", OF_OPEN_CLIP)?;
            return Self::of_open_clip(&files, &config, weights);
        }
        if let ModelFiles::Folder(dir) = &files
            && let Some(path) = only_checkpoint(dir)
        {
            return Self::of_file(&path);
        }
        // Which says that it is missing.
        Self::of_hugging_face(&files, "", files.read(CONFIG)?)
    }

    /// `folder` is empty, or ends with `/`.
    fn of_hugging_face(files: &ModelFiles, folder: &str, config_file: SmallFile) -> Result<Self> {
        let config = ClipConfig::read(&config_file)?;
        let weights = weights_of(files, folder, OF_HUGGING_FACE)?;
        let tokenizer = tokenizer_of(files, folder, Vocabulary::Clip)?;
        let preprocessor = Preprocessor::find(files, folder)?;
        let found = preprocessor.as_ref();
        let usual = PictureRecipe::clip(config.side());
        let recipe = Preprocessor::recipe_of_one_size(found, Processor::Clip, usual, "crop_size")?;
        Ok(Self {
            name: files.name(),
            revision: files.revision(),
            recipe,
            config,
            weights,
            tokenizer,
            config_bytes: config_file.bytes,
            preprocessor_bytes: preprocessor.map_or(Vec::new(), |it| it.file.bytes),
        })
    }

    fn of_open_clip(
        files: &ModelFiles,
        config_file: &SmallFile,
        weights: Vec<PathBuf>,
    ) -> Result<Self> {
        let (config, recipe) = open_clip::read(config_file)?;
        Ok(Self {
            name: files.name(),
            revision: files.revision(),
            config,
            weights,
            tokenizer: usual_tokenizer(files)?,
            recipe,
            config_bytes: config_file.bytes.clone(),
            preprocessor_bytes: Vec::new(),
        })
    }

    /// A file of weights alone: one of OpenAI's says by its shapes what it is, and with
    /// OpenCLIP's configuration beside it any is known.
    fn of_file(path: &Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let files = ModelFiles::Folder(folder.to_owned());
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let paths = vec![path.to_owned()];
        if let Some(config) = files.read_optional(OPEN_CLIP_CONFIG)? {
            let found = Self::of_open_clip(&files, &config, paths)?;
            return Ok(Self { name, ..found });
        }
        let unusable = |problem: Cause| Error::Weights {
            model: name.clone(),
            problem,
        };
        let weights = Weights::open(&paths).map_err(|problem| unusable(problem.into()))?;
        let config = open_clip::of_shapes(&weights).map_err(|problem| unusable(problem.into()))?;
        if !weights.is_torch_script() {
            return Err(unusable(
                format!(
                    "its numbers do not say which activation they were trained with; put \
                     OpenCLIP's {OPEN_CLIP_CONFIG} of the model beside it"
                )
                .into(),
            ));
        }
        let side = config.side();
        Ok(Self {
            name,
            revision: None,
            config,
            weights: paths,
            tokenizer: usual_tokenizer(&files)?,
            recipe: PictureRecipe::clip(side).cut_as_torchvision(),
            config_bytes: Vec::new(),
            preprocessor_bytes: Vec::new(),
        })
    }
}

/// The tokenizer of a folder, or else of [`DEFAULT_CLIP`]: OpenAI's and OpenCLIP's models have
/// one and the same, and seldom bring it along.
fn usual_tokenizer(files: &ModelFiles) -> Result<SmallFile> {
    match tokenizer_of(files, "", Vocabulary::Clip) {
        Err(Error::MissingFile { .. } | Error::Hub { .. }) => tokenizer_of(
            &ModelFiles::find(DEFAULT_CLIP, &PINNED)?,
            "",
            Vocabulary::Clip,
        ),
        found => found,
    }
}

/// The one `.pt` file of a folder.
fn only_checkpoint(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut found = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "pt"));
    found.next().filter(|_| found.next().is_none())
}

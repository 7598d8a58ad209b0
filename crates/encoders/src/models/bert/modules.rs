//! What sentence-transformers puts around a transformer: what `modules.json` names.

use std::collections::HashMap;

use serde::Deserialize;

use super::dense::DenseStep;
use super::pooling::PoolingConfig;
use crate::models::json::{parse, parse_config, unusable};
use crate::models::long_texts::length;
use crate::models::sentence::read_modules;
use crate::models::source::{ModelFiles, SmallFile, TOKENIZER_CONFIG};
use crate::models::tokens::LEAST_TOKENS;
use crate::models::weights::ModelHash;
use crate::{Error, LoadOptions, Pooling, Result};

/// How a module is set up, in its folder.
pub(super) const MODULE_CONFIG: &str = "config.json";
/// What stands before every text, and how much of a vector is kept.
const PROMPTS: &str = "config_sentence_transformers.json";

/// What a sentence-transformers folder asks for.
#[derive(Default)]
pub(super) struct SentenceTransformer {
    /// Whether it is one: there is a `modules.json`.
    is_one: bool,
    /// Where the transformer's own files lie: in the model's folder, or one in it.
    folder: String,
    /// The vectors that stand one after another.
    pub poolings: Option<Vec<Pooling>>,
    /// What is done with these, in order.
    pub steps: Vec<Step>,
    /// Most tokens of a text.
    pub longest: Option<usize>,
    /// Whether texts are made lower case before the tokenizer sees them.
    pub lowercase: bool,
    /// What is put before each text.
    pub prompt: String,
}

/// Something that is done with a text's vector.
pub(super) enum Step {
    /// It is brought to length one.
    Normalize,
    /// `activation(W·x + b)`.
    Dense(Box<DenseStep>),
    /// So many numbers of it stay.
    Truncate(usize),
}

type Arguments = serde_json::Map<String, serde_json::Value>;

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
    /// What goes to the tokenizer and to the configuration beside, by its names of all
    /// versions, …
    #[serde(default)]
    tokenizer_args: Arguments,
    #[serde(default)]
    processor_kwargs: Arguments,
    #[serde(default)]
    processing_kwargs: Arguments,
    #[serde(default)]
    config_args: Arguments,
    #[serde(default)]
    config_kwargs: Arguments,
    /// … and, of version 6, what is taken of the transformer.
    modality_config: Option<ModalityConfig>,
    module_output_name: Option<String>,
}

#[derive(Deserialize)]
struct ModalityConfig {
    text: Option<Method>,
}

#[derive(Deserialize)]
struct Method {
    method_output_name: Option<String>,
}

impl SentenceConfig {
    fn problem(&self) -> Option<String> {
        for (of, arguments) in [
            ("tokenizer_args", &self.tokenizer_args),
            ("processor_kwargs", &self.processor_kwargs),
            ("processing_kwargs", &self.processing_kwargs),
            ("config_args", &self.config_args),
            ("config_kwargs", &self.config_kwargs),
        ] {
            if let Some(name) = arguments.keys().next() {
                return Some(format!("{of} has {name}, which is not supported"));
            }
        }
        let text = self
            .modality_config
            .as_ref()
            .and_then(|it| it.text.as_ref());
        let of_text = text.and_then(|it| it.method_output_name.as_deref());
        for (name, found, supported) in [
            ("method_output_name", of_text, "last_hidden_state"),
            (
                "module_output_name",
                self.module_output_name.as_deref(),
                "token_embeddings",
            ),
        ] {
            if let Some(found) = found.filter(|&found| found != supported) {
                return Some(format!(
                    "{name} is '{found}'; only {supported} is supported"
                ));
            }
        }
        let longest = self.max_seq_length.filter(|&it| it < LEAST_TOKENS)?;
        Some(format!(
            "max_seq_length, {longest}, leaves no room for a text"
        ))
    }
}

#[derive(Deserialize)]
struct TokenizerConfig {
    /// 10³⁰ where there is no limit.
    model_max_length: Option<f64>,
}

#[derive(Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: HashMap<String, Option<String>>,
    default_prompt_name: Option<String>,
    truncate_dim: Option<usize>,
}

impl SentenceTransformer {
    /// Reads what is there, and hashes the modules that have weights of their own.
    ///
    /// # Errors
    /// A module that is not known: a vector without it would be another one.
    pub fn read(files: &ModelFiles, options: &LoadOptions, hash: &mut ModelHash) -> Result<Self> {
        let Some((file, modules)) = read_modules(files)? else {
            return Ok(Self::default());
        };
        let bad = |problem: String| unusable(&file, problem);
        let mut found = Self::default();
        for (number, module) in modules.iter().enumerate() {
            let folder = module.folder().map_err(&bad)?;
            match (number, module.kind()) {
                (0, "Transformer") => found.folder = folder,
                (1, "Pooling") => {
                    let config = files.read(&format!("{folder}{MODULE_CONFIG}"))?;
                    found.poolings = Some(PoolingConfig::read(&config)?);
                }
                (2.., "Normalize") => found.steps.push(Step::Normalize),
                (2.., "Dense") => {
                    let dense = DenseStep::read(files, &folder, options, hash)?;
                    found.steps.push(Step::Dense(Box::new(dense)));
                }
                // Which does something in training alone.
                (2.., "Dropout") => {}
                (_, kind) => {
                    return Err(bad(format!(
                        "module {number} is '{kind}'; supported are a Transformer, then Pooling, \
                         then Dense, Normalize and Dropout"
                    )));
                }
            }
        }
        if found.poolings.is_none() {
            return Err(bad(
                "it has no Pooling behind a Transformer, which makes one vector of the tokens'"
                    .to_owned(),
            ));
        }
        if let Some(file) = files.read_optional(PROMPTS)? {
            let prompts: Prompts = parse(&file)?;
            found.steps.extend(prompts.truncate_dim.map(Step::Truncate));
            found.prompt = prompts.default(&file)?;
        }
        found.is_one = true;
        Ok(found)
    }

    /// Reads how long texts may be, from where sentence-transformers looks for it, for a model
    /// of this type.
    pub fn read_limits(&mut self, files: &ModelFiles, model_type: &str) -> Result<()> {
        if !self.is_one {
            return Ok(());
        }
        for kind in ["bert", model_type] {
            let name = format!("{}sentence_{kind}_config.json", self.folder);
            if let Some(file) = files.read_optional(&name)? {
                let config = parse_config(&file, SentenceConfig::problem)?;
                (self.longest, self.lowercase) = (config.max_seq_length, config.do_lower_case);
                break;
            }
        }
        if self.longest.is_none() {
            self.longest = longest_of_tokenizer(files, &self.folder)?;
        }
        Ok(())
    }

    /// Where a file of the transformer's own lies.
    pub fn file(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// Width of what comes out where `width` numbers go in.
    ///
    /// # Errors
    /// A layer that takes vectors of another.
    pub fn width(&self, mut width: usize) -> Result<usize> {
        for step in &self.steps {
            width = match step {
                Step::Normalize => width,
                Step::Dense(dense) => dense.width_after(width)?,
                Step::Truncate(most) => width.min(*most),
            };
        }
        Ok(width)
    }

    /// In words, for an identity.
    pub fn describe(&self) -> String {
        let step = |step: &Step| match step {
            // As stores have it: in another spelling it would be another model.
            Step::Normalize => ", normalised".to_owned(),
            Step::Dense(dense) => format!(", dense to {}", dense.outputs()),
            Step::Truncate(most) => format!(", cut to {most}"),
        };
        self.steps.iter().map(step).collect()
    }

    /// The same of what is done with texts, before which `prompt` stands.
    pub fn describe_texts(&self, prompt: &str) -> String {
        let mut words = String::new();
        if self.lowercase {
            words += ", lowercased";
        }
        if !prompt.is_empty() {
            words += &format!(", behind {prompt:?}");
        }
        words
    }
}

impl Step {
    /// Does it with all vectors.
    pub fn apply(&self, vectors: &mut [Vec<f32>]) {
        match self {
            Self::Normalize => {
                for vector in vectors {
                    let scale = 1.0 / length(vector);
                    vector.iter_mut().for_each(|x| *x *= scale);
                }
            }
            Self::Truncate(most) => vectors.iter_mut().for_each(|it| it.truncate(*most)),
            Self::Dense(dense) => {
                let mut scratch = Vec::new();
                for vector in vectors {
                    dense.apply(vector, &mut scratch);
                }
            }
        }
    }
}

fn longest_of_tokenizer(files: &ModelFiles, folder: &str) -> Result<Option<usize>> {
    let file = files.read_optional(&format!("{folder}{TOKENIZER_CONFIG}"))?;
    let Some(file) = file else { return Ok(None) };
    let config: TokenizerConfig = parse(&file)?;
    let Some(longest) = config.model_max_length else {
        return Ok(None);
    };
    match longest >= LEAST_TOKENS as f64 {
        true => Ok(Some(longest as usize)),
        false => Err(Error::Config {
            path: file.path,
            problem: format!("model_max_length, {longest}, leaves no room for a text").into(),
        }),
    }
}

impl Prompts {
    /// The prompt that stands before texts where nobody names one.
    fn default(mut self, file: &SmallFile) -> Result<String> {
        let bad = |problem: String| unusable(file, problem);
        if self.truncate_dim == Some(0) {
            return Err(bad("truncate_dim is 0, which leaves no vector".to_owned()));
        }
        let Some(name) = self.default_prompt_name else {
            return Ok(String::new());
        };
        let prompt = self.prompts.remove(&name).ok_or_else(|| {
            bad(format!(
                "default_prompt_name is '{name}', and there is no such prompt"
            ))
        })?;
        Ok(prompt.unwrap_or_default())
    }
}

//! What sentence-transformers puts around a transformer: `modules.json`, and what it names.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path};

use serde::Deserialize;

use super::dense::DenseStep;
use super::pooling::PoolingConfig;
use crate::models::json::{parse, parse_config};
use crate::models::long_texts::length;
use crate::models::source::{MODULES, ModelFiles, SmallFile};
use crate::models::tokens::LEAST_TOKENS;
use crate::models::weights::ModelHash;
use crate::{Error, LoadOptions, Pooling, Result};

/// How a module is set up, in its folder.
pub(super) const MODULE_CONFIG: &str = "config.json";
/// How long texts may be, …
const SENTENCE_CONFIG: &str = "sentence_bert_config.json";
/// … or, of newer versions, here.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// What stands before every text, and how much of a vector is kept.
const PROMPTS: &str = "config_sentence_transformers.json";

/// What a sentence-transformers folder asks for.
#[derive(Default)]
pub(super) struct SentenceTransformer {
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

#[derive(Deserialize)]
struct Module {
    r#type: String,
    #[serde(default)]
    path: String,
}

impl Module {
    /// What it is called, without the Python module of sentence-transformers that it lies in.
    fn kind(&self) -> &str {
        match self.r#type.strip_prefix("sentence_transformers.") {
            Some(own) => own.rsplit('.').next().unwrap_or(own),
            None => &self.r#type,
        }
    }
}

/// The most modules that are read: published models have up to five.
const MOST_MODULES: usize = 16;

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
    /// What goes to the tokenizer beside, …
    #[serde(default)]
    tokenizer_args: serde_json::Map<String, serde_json::Value>,
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
        if let Some(name) = self.tokenizer_args.keys().next() {
            return Some(format!("tokenizer_args has {name}, which is not supported"));
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
        let Some(file) = files.read_optional(MODULES)? else {
            return Ok(Self::default());
        };
        let modules: Vec<Module> = parse(&file)?;
        let bad = |problem: String| Error::Config {
            path: file.path.clone(),
            problem: problem.into(),
        };
        if modules.len() > MOST_MODULES {
            let count = modules.len();
            return Err(bad(format!(
                "it has {count} modules; at most {MOST_MODULES} are read"
            )));
        }
        let mut found = Self::default();
        for (number, module) in modules.iter().enumerate() {
            let folder = folder_of(&module.path).map_err(&bad)?;
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
        if let Some(file) = files.read_optional(&format!("{}{SENTENCE_CONFIG}", found.folder))? {
            let config = parse_config(&file, SentenceConfig::problem)?;
            (found.longest, found.lowercase) = (config.max_seq_length, config.do_lower_case);
        }
        if found.longest.is_none() {
            found.longest = longest_of_tokenizer(files, &found.folder)?;
        }
        if let Some(file) = files.read_optional(PROMPTS)? {
            let prompts: Prompts = parse(&file)?;
            found.steps.extend(prompts.truncate_dim.map(Step::Truncate));
            found.prompt = prompts.default(&file)?;
        }
        Ok(found)
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

    /// The same of what is done with texts.
    pub fn describe_texts(&self) -> String {
        let mut words = String::new();
        if self.lowercase {
            words += ", lowercased";
        }
        if !self.prompt.is_empty() {
            words += &format!(", behind {:?}", self.prompt);
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

/// A module's folder as it stands before a file's name: within the model's own.
fn folder_of(path: &str) -> std::result::Result<String, String> {
    let parts: Vec<&OsStr> = Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(format!("path '{path}' leads out of the model's folder")),
        })
        .collect::<std::result::Result<_, _>>()?;
    let parts = parts.iter().map(|part| format!("{}/", part.display()));
    Ok(parts.collect())
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
        let bad = |problem: String| Error::Config {
            path: file.path.clone(),
            problem: problem.into(),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_lie_within_their_model() {
        assert_eq!(folder_of(""), Ok(String::new()));
        assert_eq!(folder_of("."), Ok(String::new()));
        for path in ["2_Dense", "./2_Dense/"] {
            assert_eq!(folder_of(path), Ok("2_Dense/".to_owned()));
        }
        for path in ["..", "../other", "/etc", "a/../../b"] {
            assert!(folder_of(path).is_err(), "{path}");
        }
    }
}

mod config;
mod open_clip;
mod source;
mod towers;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use mmdlrm_kernels::InstructionSet;
use std::fmt;

use self::config::{ClipConfig, TextConfig, VisionConfig};
use self::source::ClipSource;
use self::towers::{TextTower, VisionTower};

pub(crate) use self::source::{OPEN_CLIP_CONFIG, PINNED};

use crate::models::recipe::PictureRecipe;
use crate::models::side_by_side::{ROWS_AT_A_TIME, pictures_side_by_side, side_by_side};
use crate::models::tokens::{Frame, Tokens};
use crate::models::untrained::SeededWeights;
use crate::models::weights::ModelHash;
use crate::{Identity, ImageEncoder, LoadOptions, LongTexts, Result, TextEncoder};

const POOLING_OF_PICTURES: &str = "projected class token";
const POOLING_OF_TEXTS: &str = "projected end token";

/// CLIP's picture and text towers (Radford et al., 2021).
///
/// Both give projected embeddings as transformers' `get_image_features` and
/// `get_text_features` do: `[projection_dim]`, not normalized to length one.
///
/// ```
/// use mmdlrm_encoders::{ClipEncoder, LoadOptions, TextEncoder};
///
/// let plots = ["A sailor finds the river.", "A robot crosses the bank."];
/// let clip = ClipEncoder::untrained(42, plots, &LoadOptions::default())?;
/// let vectors = clip.encode_texts(&plots)?;
/// assert_eq!(vectors.len(), 2);
/// assert_eq!(vectors[0].len(), clip.text_width());
/// # Ok::<(), mmdlrm_encoders::Error>(())
/// ```
pub struct ClipEncoder {
    image_identity: Identity,
    text_identity: Identity,
    width: usize,
    positions: usize,
    recipe: PictureRecipe,
    tokens: Tokens,
    long_texts: LongTexts,
    towers: Towers,
    device: Device,
    dtype: DType,
}

impl fmt::Debug for ClipEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipEncoder")
            .field("images", &self.image_identity)
            .field("texts", &self.text_identity)
            .field("width", &self.width)
            .field("device", &self.device)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

/// What a model is put together from.
struct Parts {
    recipe: PictureRecipe,
    tokens: Tokens,
    identity: Identity,
    towers: Towers,
}

struct Towers {
    vision: VisionTower,
    text: TextTower,
}

impl Towers {
    fn new(config: &ClipConfig, weights: &VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            vision: VisionTower::new(config, weights)?,
            text: TextTower::new(config, weights)?,
        })
    }
}

impl ClipEncoder {
    /// Loads a model from a folder in Hugging Face layout (`config.json`, weights,
    /// `tokenizer.json`, `preprocessor_config.json`) or OpenCLIP's, from a file of OpenAI's own,
    /// `ViT-B-32.pt`, or, where `dir_or_id` is neither, from the hub: `owner/model` or
    /// `owner/model@revision`, through the hub's cache. With `HF_HUB_OFFLINE`
    /// set, nothing is downloaded.
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others.
    pub fn load(dir_or_id: &str, options: &LoadOptions) -> Result<Self> {
        options.refuse_of_texts("a CLIP")?;
        options.refuse_of_pictures("a CLIP")?;
        let source = ClipSource::find(dir_or_id)?;
        let (config, recipe) = (source.config, source.recipe);
        let text = &config.text_config;
        let longest = text.max_position_embeddings;
        let tokens = Tokens::read(&source.tokenizer, Frame::Clip, text.vocab_size, longest)?;
        let mut hash = ModelHash::new();
        hash.update(&source.config_bytes);
        let towers = options.weights(&source.name, &source.weights, &mut hash, |weights| {
            Towers::new(&config, &weights)
        })?;
        hash.update(&source.tokenizer.bytes);
        hash.update(&source.preprocessor_bytes);
        let identity = Identity {
            model: source.name,
            revision: source.revision,
            pooling: POOLING_OF_PICTURES.to_owned(),
            preprocessing: recipe.describe(),
            dtype: options.dtype.as_str().to_owned(),
            hash: hash.digest(),
        };
        let parts = Parts {
            recipe,
            tokens,
            identity,
            towers,
        };
        Ok(Self::of(&config, parts, options))
    }

    /// A small model of CLIP's shape with weights drawn by `seed`: it has
    /// learned nothing, but what pictures and texts look like still shows in
    /// its vectors. `texts` name the words that it can tell apart.
    ///
    /// # Errors
    /// Where the device fails, or `MMDLRM_SIMD` asks for what there is not.
    pub fn untrained<'a>(
        seed: u64,
        texts: impl IntoIterator<Item = &'a str>,
        options: &LoadOptions,
    ) -> Result<Self> {
        InstructionSet::in_use()?;
        let longest = TextConfig::default().max_position_embeddings;
        let tokens = Tokens::of_words(texts, longest)?;
        let config = untrained_config(tokens.vocabulary());
        let recipe = PictureRecipe::clip(config.side());
        let mut hash = ModelHash::new();
        hash.update(&tokens.fingerprint().to_le_bytes());
        let identity = Identity {
            model: format!("untrained CLIP, seed {seed}"),
            revision: None,
            pooling: POOLING_OF_PICTURES.to_owned(),
            preprocessing: recipe.describe(),
            dtype: options.dtype.as_str().to_owned(),
            hash: format!("untrained-{seed}-{}", hash.digest()),
        };
        let backend = Box::new(SeededWeights { seed });
        let weights = VarBuilder::from_backend(backend, options.dtype, options.device.clone());
        let parts = Parts {
            recipe,
            tokens,
            identity,
            towers: Towers::new(&config, &weights)?,
        };
        Ok(Self::of(&config, parts, options))
    }

    fn of(config: &ClipConfig, parts: Parts, options: &LoadOptions) -> Self {
        let Parts {
            recipe,
            tokens,
            identity,
            towers,
        } = parts;
        let text_identity = Identity {
            pooling: POOLING_OF_TEXTS.to_owned(),
            preprocessing: options.long_texts.describe(tokens.longest()),
            ..identity.clone()
        };
        Self {
            image_identity: identity,
            text_identity,
            width: config.projection_dim,
            positions: config.vision_config.positions(),
            recipe,
            tokens,
            long_texts: options.long_texts,
            towers,
            device: options.device.clone(),
            dtype: options.dtype,
        }
    }

    /// Length of an embedding, of a picture or a text.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the model is called: its folder or its name on the hub.
    pub fn name(&self) -> &str {
        &self.image_identity.model
    }

    /// Token ids of a text's windows, unpadded, each with the start and the end
    /// token: one, or as many as it takes where long texts are cut into
    /// windows.
    ///
    /// # Errors
    /// A tokenizer that refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        self.tokens.windows(text, self.long_texts)
    }

    /// Embeds texts of token ids, each ending with the end token. What stands behind an earlier end
    /// token, as where a text spells it out, is not seen: transformers' vector is that of the first.
    ///
    /// # Errors
    /// A text that is empty or too long, an id outside the vocabulary, or a
    /// device that fails.
    pub fn encode_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        self.tokens.check(texts)?;
        let texts = texts.iter().map(|text| self.tokens.to_first_end(text));
        let texts: Vec<Vec<u32>> = texts.map(<[u32]>::to_vec).collect();
        side_by_side(&self.device, &texts, ROWS_AT_A_TIME, Vec::len, |texts| {
            self.towers.text.forward(texts)
        })
    }
}

impl ImageEncoder for ClipEncoder {
    fn image_identity(&self) -> &Identity {
        &self.image_identity
    }

    fn image_width(&self) -> usize {
        self.width
    }

    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.recipe.prepare(bytes)
    }

    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let (side, rows) = (self.recipe.crop, (ROWS_AT_A_TIME, self.positions));
        pictures_side_by_side(&self.device, pictures, side, rows, |pixels| {
            self.towers.vision.forward(&pixels.to_dtype(self.dtype)?)
        })
    }
}

impl TextEncoder for ClipEncoder {
    fn text_identity(&self) -> &Identity {
        &self.text_identity
    }

    fn text_width(&self) -> usize {
        self.width
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.tokens.embed(texts, self.long_texts, |windows| {
            self.encode_tokens(windows)
        })
    }
}

/// Large enough that colours, shapes and words come through, small enough for
/// a thousand pictures in seconds.
fn untrained_config(vocab_size: usize) -> ClipConfig {
    let (hidden_size, intermediate_size, num_hidden_layers, num_attention_heads) = (96, 192, 2, 4);
    ClipConfig {
        projection_dim: 128,
        text_config: TextConfig {
            vocab_size,
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads,
            ..TextConfig::default()
        },
        vision_config: VisionConfig {
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads,
            image_size: 96,
            patch_size: 16,
            ..VisionConfig::default()
        },
        ..ClipConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrained_model_sees_what_stands_behind_a_mark() {
        let texts = ["a robot, of gold.", "a robot, of rust."];
        let clip = ClipEncoder::untrained(42, texts, &LoadOptions::default()).unwrap();
        let vectors = clip.encode_texts(&texts).unwrap();
        assert_ne!(vectors[0], vectors[1]);
    }
}

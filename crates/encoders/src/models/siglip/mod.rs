mod config;
mod texts;
mod towers;

use candle_core::{DType, Device};
use std::fmt;

use self::config::SiglipConfig;
use self::texts::TextRecipe;
use self::towers::{TextTower, VisionTower};
use crate::models::recipe::{PictureRecipe, Preprocessor, Processor};
use crate::models::side_by_side::{ROWS_AT_A_TIME, pictures_side_by_side, side_by_side};
use crate::models::source::{CONFIG, ModelFiles};
use crate::models::tokens::{ENDED_FRAMES, Frame, Tokens};
use crate::models::vocabulary::{Vocabulary, tokenizer_of};
use crate::models::weights::{ModelHash, OF_HUGGING_FACE, weights_of};
use crate::{Identity, ImageEncoder, LoadOptions, LongTexts, Result, TextEncoder};

/// SigLIP's picture and text towers (Zhai et al., 2023), and those of SigLIP 2 (Tschannen et
/// al., 2025) that take pictures of one size, whose `model_type` is `siglip` too.
///
/// Both give embeddings as transformers' `get_image_features` and `get_text_features` do, not
/// normalized to length one. Texts are filled up to the length that the model was trained on.
///
/// ```no_run
/// use mmdlrm_encoders::{ImageEncoder, LoadOptions, SiglipEncoder, TextEncoder};
///
/// let siglip = SiglipEncoder::load("google/siglip-base-patch16-224", &LoadOptions::default())?;
/// let vectors = siglip.encode_texts(&["a sailor finds the river"])?;
/// assert_eq!(vectors[0].len(), siglip.image_width());
/// # Ok::<(), mmdlrm_encoders::Error>(())
/// ```
pub struct SiglipEncoder {
    image_identity: Identity,
    text_identity: Identity,
    config: SiglipConfig,
    recipe: PictureRecipe,
    tokens: Tokens,
    texts: TextRecipe,
    long_texts: LongTexts,
    vision: VisionTower,
    text: TextTower,
    device: Device,
    dtype: DType,
}

impl fmt::Debug for SiglipEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiglipEncoder")
            .field("images", &self.image_identity)
            .field("texts", &self.text_identity)
            .field("device", &self.device)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl SiglipEncoder {
    /// Loads a model from a folder in Hugging Face layout or from the hub, as
    /// [`ClipEncoder::load`](crate::ClipEncoder::load) does.
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others.
    pub fn load(dir_or_id: &str, options: &LoadOptions) -> Result<Self> {
        options.refuse_of_texts("a SigLIP")?;
        options.refuse_of_pictures("a SigLIP")?;
        let files = ModelFiles::find(dir_or_id, &[])?;
        let config_file = files.read(CONFIG)?;
        let config = SiglipConfig::read(&config_file)?;
        let weights = weights_of(&files, "", OF_HUGGING_FACE)?;
        let tokenizer = tokenizer_of(&files, "", Vocabulary::SentencePieces)?;
        let preprocessor = Preprocessor::find(&files, "")?;
        let found = preprocessor.as_ref();
        // Within the limits of a configuration that was checked.
        let usual = PictureRecipe::siglip(config.vision_config.image_size as u32);
        let recipe = Preprocessor::recipe_of_one_size(found, Processor::Siglip, usual, "size")?;
        let longest = config.text_config.max_position_embeddings;
        let vocabulary = config.text_config.vocab_size;
        let tokens = Tokens::read(
            &tokenizer,
            Frame::OfTokenizer(ENDED_FRAMES),
            vocabulary,
            longest,
        )?;
        let texts = TextRecipe::read(&files, &config.text_config, &tokens)?;
        let mut hash = ModelHash::new();
        hash.update(&config_file.bytes);
        let (vision, text) = options.weights(&files.name(), &weights, &mut hash, |weights| {
            Ok((
                VisionTower::new(&config.vision_config, &weights)?,
                TextTower::new(&config.text_config, &weights)?,
            ))
        })?;
        hash.update(&tokenizer.bytes);
        let image_identity = Identity {
            model: files.name(),
            revision: files.revision(),
            pooling: "attention of the head".to_owned(),
            preprocessing: recipe.describe(),
            dtype: options.dtype.as_str().to_owned(),
            hash: hash.digest(),
        };
        let text_identity = Identity {
            pooling: "projected last token".to_owned(),
            preprocessing: format!(
                "{}{}",
                options.long_texts.describe(longest),
                texts.describe()
            ),
            ..image_identity.clone()
        };
        Ok(Self {
            image_identity,
            text_identity,
            config,
            recipe,
            tokens,
            texts,
            long_texts: options.long_texts,
            vision,
            text,
            device: options.device.clone(),
            dtype: options.dtype,
        })
    }

    /// Token ids of a text's windows, each filled up to the length that the model takes.
    ///
    /// # Errors
    /// A tokenizer that refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        let text = self.texts.canonical(text);
        let windows = self.tokens.windows(&text, self.long_texts)?;
        let padded = windows.iter().map(|window| self.texts.padded(window));
        Ok(padded.collect())
    }

    /// Embeds texts of token ids, which are filled up where they are short.
    ///
    /// # Errors
    /// A text that is empty or too long, an id outside the vocabulary, or a device that fails.
    pub fn encode_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let texts = texts.iter().map(|text| self.texts.padded(text));
        let texts: Vec<Vec<u32>> = texts.collect();
        self.tokens.check(&texts)?;
        side_by_side(&self.device, &texts, ROWS_AT_A_TIME, Vec::len, |texts| {
            self.text.forward(texts)
        })
    }
}

impl ImageEncoder for SiglipEncoder {
    fn image_identity(&self) -> &Identity {
        &self.image_identity
    }

    fn image_width(&self) -> usize {
        self.config.vision_config.hidden_size
    }

    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.recipe.prepare(bytes)
    }

    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let rows = (ROWS_AT_A_TIME, self.config.vision_config.patches());
        pictures_side_by_side(&self.device, pictures, self.recipe.crop, rows, |pixels| {
            self.vision.forward(&pixels.to_dtype(self.dtype)?)
        })
    }
}

impl TextEncoder for SiglipEncoder {
    fn text_identity(&self) -> &Identity {
        &self.text_identity
    }

    fn text_width(&self) -> usize {
        self.config.text_config.width()
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let canonical = texts.iter().map(|text| self.texts.canonical(text));
        let canonical: Vec<String> = canonical.collect();
        let texts: Vec<&str> = canonical.iter().map(String::as_str).collect();
        self.tokens.embed(&texts, self.long_texts, |windows| {
            self.encode_tokens(windows)
        })
    }
}

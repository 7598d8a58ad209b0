use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use crate::clip_model::{TextTower, VisionTower};
use crate::config::{ClipConfig, PreprocessorConfig, TextConfig, VisionConfig};
use crate::error::first_line;
use crate::picture::Preprocessor;
use crate::source::ClipFiles;
use crate::tokens::ClipTokenizer;
use crate::untrained::SeededWeights;
use crate::{Error, Result};

/// Raised when the same model and inputs come to other vectors.
const METHOD: &str = "mmdlrm-clip-1";
/// Bytes of a file that are hashed at a time.
const HASHED_AT_A_TIME: usize = 1 << 20;

/// CLIP's picture and text towers (Radford et al., 2021).
///
/// Both give projected embeddings as transformers' `get_image_features` and
/// `get_text_features` do: `[projection_dim]`, not normalised to length one.
///
/// ```
/// use mmdlrm_encoders::{ClipEncoder, Device};
///
/// let plots = ["A sailor finds the river.", "A robot crosses the bank."];
/// let clip = ClipEncoder::untrained(42, plots, &Device::Cpu)?;
/// let vectors = clip.encode_texts(&plots)?;
/// assert_eq!(vectors.len(), 2);
/// assert_eq!(vectors[0].len(), clip.width());
/// # Ok::<(), mmdlrm_encoders::Error>(())
/// ```
pub struct ClipEncoder {
    name: String,
    fingerprint: String,
    width: usize,
    image_size: usize,
    preprocessor: Preprocessor,
    tokenizer: ClipTokenizer,
    vision: VisionTower,
    text: TextTower,
    device: Device,
}

impl ClipEncoder {
    /// Loads a model from a folder in Hugging Face layout (`config.json`,
    /// `model.safetensors`, `tokenizer.json`, `preprocessor_config.json`) or,
    /// where `dir_or_id` is no folder, from the hub: `owner/model` or
    /// `owner/model@revision`, through the hub's cache.
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others.
    pub fn load(dir_or_id: &str, device: &Device) -> Result<Self> {
        let files = ClipFiles::find(dir_or_id)?;
        let config = ClipConfig::read(&files.config)?;
        let image_size = config.vision_config.image_size;
        let preprocessor = PreprocessorConfig::read(files.preprocessor.as_deref(), image_size)?;
        let text = &config.text_config;
        let tokenizer = ClipTokenizer::read(
            &files.tokenizer,
            text.vocab_size,
            text.max_position_embeddings,
        )?;
        let fingerprint = fingerprint(&files)?;
        let weights_error = |error: candle_core::Error| Error::Weights {
            model: files.name.clone(),
            problem: first_line(error),
        };
        // SAFETY: the mapping is read once, here, into tensors of its own type
        // and dropped; a file that another program changes meanwhile can spoil
        // the numbers or end the process, as it could any reader of a map.
        let weights =
            unsafe { VarBuilder::from_mmaped_safetensors(&[&files.weights], DType::F32, device) }
                .map_err(weights_error)?;
        Self::build(
            files.name.clone(),
            fingerprint,
            &config,
            preprocessor,
            tokenizer,
            weights,
        )
        .map_err(weights_error)
    }

    /// A small model of CLIP's shape with weights drawn by `seed`: it has
    /// learned nothing, but what pictures and texts look like still shows in
    /// its vectors. `texts` name the words that it can tell apart.
    ///
    /// # Errors
    /// Only where the device fails.
    pub fn untrained<'a>(
        seed: u64,
        texts: impl IntoIterator<Item = &'a str>,
        device: &Device,
    ) -> Result<Self> {
        let longest = TextConfig::default().max_position_embeddings;
        let tokenizer = ClipTokenizer::of_words(texts, longest)?;
        let config = untrained_config(tokenizer.vocabulary());
        let preprocessor = PreprocessorConfig::read(None, config.vision_config.image_size)?;
        let weights =
            VarBuilder::from_backend(Box::new(SeededWeights { seed }), DType::F32, device.clone());
        let name = format!("untrained CLIP, seed {seed}");
        let fingerprint = format!("{METHOD}-untrained-{seed}-{:016x}", tokenizer.fingerprint());
        Ok(Self::build(
            name,
            fingerprint,
            &config,
            preprocessor,
            tokenizer,
            weights,
        )?)
    }

    fn build(
        name: String,
        fingerprint: String,
        config: &ClipConfig,
        preprocessor: PreprocessorConfig,
        tokenizer: ClipTokenizer,
        weights: VarBuilder,
    ) -> candle_core::Result<Self> {
        let image_size = config.vision_config.image_size;
        Ok(Self {
            name,
            fingerprint,
            width: config.projection_dim,
            image_size,
            preprocessor: Preprocessor::new(preprocessor, image_size),
            tokenizer,
            vision: VisionTower::new(config, &weights)?,
            text: TextTower::new(config, &weights)?,
            device: weights.device().clone(),
        })
    }

    /// What the model is called: its folder or its name on the hub.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Differs between models that give different vectors: a hash of
    /// configuration, weights, tokenizer and preprocessing.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Length of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Decodes and prepares a picture, the bytes of a JPEG or PNG file, as
    /// transformers' `CLIPImageProcessor` does: `[3, size, size]`, normalised.
    ///
    /// # Errors
    /// [`Error::Picture`] for what is not a whole picture of a sane size.
    pub fn prepare_picture(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.preprocessor.prepare(bytes)
    }

    /// Embeds prepared pictures, `[3, size, size]` each.
    ///
    /// # Errors
    /// A picture of another size, or a device that fails.
    pub fn encode_pictures(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        self.side_by_side(pictures, |pictures| {
            let shape = (pictures.len(), 3, self.image_size, self.image_size);
            let pixels = Tensor::from_vec(pictures.concat(), shape, &self.device)?;
            vectors(&self.vision.forward(&pixels)?)
        })
    }

    /// Token ids of a text, unpadded, cut to the model's length so that the
    /// end token stays.
    ///
    /// # Errors
    /// A tokenizer that refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text)
    }

    /// Embeds texts.
    ///
    /// # Errors
    /// A tokenizer that refuses a text, or a device that fails.
    pub fn encode_texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Vec<f32>>> {
        let tokens = texts
            .iter()
            .map(|text| self.tokenize(text.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        self.encode_tokens(&tokens)
    }

    /// Embeds texts of token ids, each ending with the end token.
    ///
    /// # Errors
    /// An id outside the vocabulary, or a device that fails.
    pub fn encode_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        self.side_by_side(texts, |texts| {
            vectors(&self.text.forward(texts, &self.device)?)
        })
    }

    /// Cuts a batch into a part a thread on a CPU: candle's elementwise
    /// operations take a thread each, so that whole forward passes side by side
    /// keep the cores busy. A GPU takes the batch whole.
    fn side_by_side<T: Sync>(
        &self,
        batch: &[T],
        encode: impl Fn(&[T]) -> Result<Vec<Vec<f32>>> + Send + Sync,
    ) -> Result<Vec<Vec<f32>>> {
        let parts = if self.device.is_cpu() {
            rayon::current_num_threads()
        } else {
            1
        };
        let encoded = batch
            .par_chunks(batch.len().div_ceil(parts).max(1))
            .map(encode)
            .collect::<Result<Vec<_>>>()?;
        Ok(encoded.into_iter().flatten().collect())
    }
}

/// The rows of `[batch, width]`, all of them numbers.
fn vectors(embeddings: &Tensor) -> Result<Vec<Vec<f32>>> {
    let vectors: Vec<Vec<f32>> = embeddings.to_vec2()?;
    if vectors.iter().flatten().all(|x| x.is_finite()) {
        return Ok(vectors);
    }
    Err(Error::Compute(
        "an embedding is not a number; are the weights damaged?".to_owned(),
    ))
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
    }
}

fn fingerprint(files: &ClipFiles) -> Result<String> {
    let mut hasher = Xxh3::new();
    let paths = [&files.config, &files.weights, &files.tokenizer];
    for path in paths.into_iter().chain(&files.preprocessor) {
        hash_file(path, &mut hasher)?;
    }
    Ok(format!("{METHOD}-{:032x}", hasher.digest128()))
}

fn hash_file(path: &Path, hasher: &mut Xxh3) -> Result<()> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).map_err(Error::read(path))?;
    let mut buffer = vec![0; HASHED_AT_A_TIME];
    loop {
        match file.read(&mut buffer).map_err(Error::read(path))? {
            0 => return Ok(()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

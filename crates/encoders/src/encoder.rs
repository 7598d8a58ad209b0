//! What encoders have in common.

use serde::{Deserialize, Serialize};

use crate::Result;

/// What embeddings depend on besides the pictures or texts: two encoders of
/// equal identity give the same vectors.
///
/// An [`EmbeddingStore`](crate::EmbeddingStore) keeps it, and refuses vectors
/// of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The model's folder or its name on the hub.
    pub model: String,
    /// The hub's commit, for a model from there.
    pub revision: Option<String>,
    /// How one vector comes of many: `projected class token`, `mean of tokens`.
    pub pooling: String,
    /// What happens to a picture or text before the model sees it.
    pub preprocessing: String,
    /// The numbers that it computes with: `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// Of configuration, weights, tokenizer and preprocessing.
    pub hash: String,
}

impl Identity {
    /// Of an encoder of one's own, that computes in `f32`. `hash` is to be another
    /// whenever a vector would be: a version, or a hash of weights and settings.
    ///
    /// ```
    /// let identity = mmdlrm_encoders::Identity::new("letters", "a to z, version 1");
    /// assert_eq!(identity.dtype, "f32");
    /// ```
    pub fn new(model: &str, hash: &str) -> Self {
        Self {
            model: model.to_owned(),
            revision: None,
            pooling: String::new(),
            preprocessing: String::new(),
            dtype: "f32".to_owned(),
            hash: hash.to_owned(),
        }
    }

    /// Whether vectors of both can stand side by side: all is equal but the
    /// name, which may be another folder's.
    pub fn same_vectors(&self, other: &Self) -> bool {
        let Self {
            pooling,
            preprocessing,
            dtype,
            hash,
            ..
        } = self;
        (pooling, preprocessing, dtype, hash)
            == (
                &other.pooling,
                &other.preprocessing,
                &other.dtype,
                &other.hash,
            )
    }
}

/// Pictures to vectors.
pub trait ImageEncoder: Send + Sync {
    /// What the vectors depend on.
    fn image_identity(&self) -> &Identity;

    /// Length of a vector.
    fn image_width(&self) -> usize;

    /// Decodes and prepares a picture, the bytes of a JPEG or PNG file:
    /// `[3, height, width]`, normalized.
    ///
    /// # Errors
    /// [`Error::Picture`](crate::Error::Picture) for what is not a whole picture of a sane size.
    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>>;

    /// Embeds prepared pictures: `[pictures][width]`.
    ///
    /// # Errors
    /// A picture of another size, or a device that fails.
    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>>;
}

/// Texts to vectors.
pub trait TextEncoder: Send + Sync {
    /// What the vectors depend on.
    fn text_identity(&self) -> &Identity;

    /// Length of a vector.
    fn text_width(&self) -> usize;

    /// Embeds texts: `[texts][width]`.
    ///
    /// # Errors
    /// A tokenizer that refuses a text, or a device that fails.
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

/// The model that is meant where none is named: a CLIP on the hub.
pub const DEFAULT_CLIP: &str = "openai/clip-vit-base-patch32";

/// How the vectors of a BERT's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pooling {
    /// The last layer's vector of the first token, `[CLS]`.
    Cls,
    /// The mean of the last layer's `n` vectors, `[CLS]` and `[SEP]` included.
    Mean,
    /// The largest of each number of theirs.
    Max,
    /// Their sum over √n.
    MeanSqrtLen,
    /// Their mean by weights of 1, 2, …, n.
    WeightedMean,
    /// That of the last token, `[SEP]`.
    LastToken,
}

impl Pooling {
    /// In words, for an identity: in another spelling it would be another model.
    #[cfg(feature = "models")]
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Cls => "[CLS] token",
            Self::Mean => "mean of tokens",
            Self::Max => "largest of tokens",
            Self::MeanSqrtLen => "sum of tokens over the root of their number",
            Self::WeightedMean => "mean of tokens by their place",
            Self::LastToken => "last token",
        }
    }
}

/// What becomes of a text with more tokens than the model takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongTexts {
    /// It is cut; the end token stays.
    #[default]
    Truncate,
    /// It is cut into windows of whole sentences where they fit, and its
    /// vector is the mean of theirs, each of length one.
    Chunk,
}

//! Models by what their `config.json` says they are.

use std::path::Path;
use std::sync::Arc;

use crate::models::clip::{OPEN_CLIP_CONFIG, PINNED};
use crate::models::model_type::{OF_BOTH, OF_PICTURES, OF_TEXTS, has_model_type, model_type};
use crate::models::sentence::folder_of_clip;
use crate::models::source::{CONFIG, MODULES, ModelFiles};
use crate::{
    BertEncoder, ClipEncoder, Dinov2Encoder, ImageEncoder, LoadOptions, ResNetEncoder, Result,
    SiglipEncoder, TextEncoder,
};

/// Loads whatever embeds pictures, from a folder or the hub, by the `model_type` of its
/// `config.json`: [`ClipEncoder`], [`SiglipEncoder`], [`Dinov2Encoder`] or [`ResNetEncoder`].
///
/// ```no_run
/// use mmdlrm_encoders::{LoadOptions, load_image_encoder};
///
/// let encoder = load_image_encoder("facebook/dinov2-small", &LoadOptions::default())?;
/// let picture = encoder.prepare_image(&std::fs::read("poster.jpg")?)?;
/// let vectors = encoder.encode_images(&[picture])?;
/// assert_eq!(vectors[0].len(), encoder.image_width());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A `model_type` that is not supported, or is one of texts; what the encoder's own `load`
/// refuses.
pub fn load_image_encoder(dir_or_id: &str, options: &LoadOptions) -> Result<Box<dyn ImageEncoder>> {
    let supported = [&OF_BOTH[..], &OF_PICTURES].concat();
    Ok(match kind(dir_or_id, &supported, "resnet")?.as_str() {
        "clip" => Box::new(ClipEncoder::load(dir_or_id, options)?),
        "siglip" => Box::new(SiglipEncoder::load(dir_or_id, options)?),
        "resnet" => Box::new(ResNetEncoder::load(dir_or_id, options)?),
        _ => Box::new(Dinov2Encoder::load(dir_or_id, options)?),
    })
}

/// Loads whatever embeds texts, as [`load_image_encoder`] does pictures: [`ClipEncoder`],
/// [`SiglipEncoder`], or [`BertEncoder`] for BERT, its relatives, and any sentence-transformers
/// folder of them.
///
/// ```no_run
/// use mmdlrm_encoders::{LoadOptions, load_text_encoder};
///
/// let e5 = LoadOptions::default().with_prompt("passage: ");
/// let encoder = load_text_encoder("intfloat/multilingual-e5-small", &e5)?;
/// let vectors = encoder.encode_texts(&["A sailor finds the river."])?;
/// assert_eq!(vectors[0].len(), encoder.text_width());
/// # Ok::<(), mmdlrm_encoders::Error>(())
/// ```
///
/// # Errors
/// A `model_type` that is not supported, or is one of pictures; what the encoder's own `load`
/// refuses.
pub fn load_text_encoder(dir_or_id: &str, options: &LoadOptions) -> Result<Box<dyn TextEncoder>> {
    let supported = [&OF_BOTH[..], &OF_TEXTS].concat();
    Ok(match kind(dir_or_id, &supported, "bert")?.as_str() {
        "clip" => Box::new(ClipEncoder::load(dir_or_id, options)?),
        "siglip" => Box::new(SiglipEncoder::load(dir_or_id, options)?),
        _ => Box::new(BertEncoder::load(dir_or_id, options)?),
    })
}

/// One model that embeds pictures and texts, loaded once.
#[derive(Clone)]
pub struct TwoTowers {
    /// Its tower for pictures …
    pub images: Arc<dyn ImageEncoder>,
    /// … and the one for texts.
    pub texts: Arc<dyn TextEncoder>,
}

impl std::fmt::Debug for TwoTowers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwoTowers")
            .field("images", self.images.image_identity())
            .field("texts", self.texts.text_identity())
            .finish()
    }
}

impl<E: ImageEncoder + TextEncoder + 'static> From<E> for TwoTowers {
    fn from(encoder: E) -> Self {
        let encoder = Arc::new(encoder);
        Self {
            images: encoder.clone(),
            texts: encoder,
        }
    }
}

/// Loads whatever embeds pictures and texts, as [`load_image_encoder`] does pictures:
/// [`ClipEncoder`] or [`SiglipEncoder`].
///
/// # Errors
/// A `model_type` that is not supported, or is one of pictures or texts alone; what the encoder's
/// own `load` refuses.
pub fn load_two_towers(dir_or_id: &str, options: &LoadOptions) -> Result<TwoTowers> {
    Ok(match kind(dir_or_id, &OF_BOTH, "clip")?.as_str() {
        "siglip" => SiglipEncoder::load(dir_or_id, options)?.into(),
        _ => ClipEncoder::load(dir_or_id, options)?.into(),
    })
}

/// The `model_type` of a model, which is one of `supported`; `usual` where its configuration has
/// none.
fn kind(dir_or_id: &str, supported: &[&str], usual: &str) -> Result<String> {
    // Weights by themselves are CLIP's.
    if Path::new(dir_or_id).is_file() {
        return Ok("clip".to_owned());
    }
    let files = ModelFiles::find(dir_or_id, &PINNED)?;
    let config = files.read_optional(CONFIG)?;
    if let Some(config) = &config
        && has_model_type(config)?
    {
        return model_type(config, usual, supported);
    }
    // What else says what it is: sentence-transformers, which may keep the configuration below, …
    let is_sentence = files.optional_file(MODULES)?.is_some();
    if is_sentence && supported.contains(&"bert") && folder_of_clip(&files)?.is_none() {
        return Ok("bert".to_owned());
    }
    // … or CLIPs of other layouts.
    match config {
        Some(_) if files.optional_file(OPEN_CLIP_CONFIG)?.is_none() => Ok(usual.to_owned()),
        _ => Ok("clip".to_owned()),
    }
}

//! Encoders as a configuration names them.

use std::path::Path;
use std::sync::Arc;

use mmdlrm_data::{Poster, Summary};
use mmdlrm_encoders::{
    BertEncoder, ClipEncoder, ImageEncoder, LoadOptions, ResNetEncoder, TextEncoder,
};

use crate::device::device;
use crate::modalities::{Encoders, ModalityEncoder};
use crate::{Clip, EncoderConfig, ExperimentConfig, Result};

/// Everything can be loaded.
pub(crate) fn check(_: &ExperimentConfig) -> Result<()> {
    Ok(())
}

/// Loads what `posters` and `summaries` need.
pub(crate) fn load(
    config: &ExperimentConfig,
    posters: &[Poster],
    summaries: &[Summary],
) -> Result<Encoders> {
    let options = LoadOptions::default()
        .with_device(device(&config.device)?)
        .with_long_texts(config.long_texts);
    Encoders::load(&config.encoders, &options, posters, summaries)
}

#[cfg_attr(docsrs, doc(cfg(feature = "encoders")))]
impl Encoders {
    /// Loads what `posters` and `summaries` need.
    ///
    /// # Errors
    /// A model that cannot be found or used.
    pub fn load(
        config: &EncoderConfig,
        options: &LoadOptions,
        posters: &[Poster],
        summaries: &[Summary],
    ) -> Result<Self> {
        let mut encoders = Self {
            images: None,
            texts: None,
        };
        let by_clip = (
            config.resnet.is_none() && !posters.is_empty(),
            config.bert.is_none() && !summaries.is_empty(),
        );
        if by_clip.0 || by_clip.1 {
            let clip = Arc::new(match &config.clip {
                Clip::Pretrained(dir_or_id) => ClipEncoder::load(dir_or_id, options)?,
                Clip::Untrained { seed } => {
                    let texts = summaries.iter().map(|summary| summary.text.as_str());
                    ClipEncoder::untrained(*seed, texts, options)?
                }
            });
            encoders.images = by_clip.0.then(|| clip.clone() as Arc<dyn ImageEncoder>);
            encoders.texts = by_clip.1.then_some(clip as Arc<dyn TextEncoder>);
        }
        if let (Some(model), false) = (&config.resnet, posters.is_empty()) {
            let resnet = ResNetEncoder::load(model, config.image_size, options)?;
            encoders.images = Some(Arc::new(resnet));
        }
        if let (Some(model), false) = (&config.bert, summaries.is_empty()) {
            let bert = BertEncoder::load(model, config.pooling, options)?;
            encoders.texts = Some(Arc::new(bert));
        }
        Ok(encoders)
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "encoders")))]
impl ModalityEncoder {
    /// Loads the encoders, and opens the store in `folder`: one file for each pair of
    /// models, so that any later run finds it.
    ///
    /// # Errors
    /// A model or a store that cannot be used.
    pub fn open(
        config: &EncoderConfig,
        options: &LoadOptions,
        posters: Vec<Poster>,
        summaries: Vec<Summary>,
        folder: &Path,
    ) -> Result<Self> {
        let encoders = Encoders::load(config, options, &posters, &summaries)?;
        Self::with(encoders, options.long_texts, posters, summaries, folder)
    }
}

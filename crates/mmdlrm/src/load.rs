//! Encoders as a configuration names them.

use std::path::Path;

use mmdlrm_data::{Poster, Summary};
use mmdlrm_encoders::{
    ClipEncoder, LoadOptions, load_image_encoder, load_text_encoder, load_two_towers,
};

use crate::device::device;
use crate::modalities::{Encoders, ModalityEncoder};
use crate::{Clip, EncoderConfig, ExperimentConfig, Result};

/// Everything can be loaded.
pub(crate) fn check(_: &ExperimentConfig) -> Result<()> {
    Ok(())
}

/// Loads what encodes posters and plots, where they are wanted. An untrained model knows the
/// words of `plots` alone.
pub(crate) fn load(
    config: &ExperimentConfig,
    wanted: (bool, bool),
    plots: impl FnOnce() -> Result<Vec<Summary>>,
) -> Result<Encoders> {
    let options = LoadOptions::default()
        .with_device(device(&config.device)?)
        .with_long_texts(config.long_texts);
    load_with(&config.encoders, &options, wanted, plots)
}

fn load_with(
    config: &EncoderConfig,
    options: &LoadOptions,
    (posters, plots): (bool, bool),
    texts: impl FnOnce() -> Result<Vec<Summary>>,
) -> Result<Encoders> {
    config.validate()?;
    let mut encoders = Encoders {
        images: None,
        texts: None,
    };
    let by_both = (
        config.image.is_none() && posters,
        config.text.is_none() && plots,
    );
    if by_both.0 || by_both.1 {
        let towers = match &config.clip {
            Clip::Pretrained(dir_or_id) => load_two_towers(dir_or_id, options)?,
            Clip::Untrained { seed } => {
                let texts = texts()?;
                let texts = texts.iter().map(|summary| summary.text.as_str());
                ClipEncoder::untrained(*seed, texts, options)?.into()
            }
        };
        encoders.images = by_both.0.then_some(towers.images);
        encoders.texts = by_both.1.then_some(towers.texts);
    }
    if let (Some(model), true) = (&config.image, posters) {
        let mut options = options.clone();
        options.image_size = config.image_size;
        encoders.images = Some(load_image_encoder(model, &options)?.into());
    }
    if let (Some(model), true) = (&config.text, plots) {
        let mut options = options.clone();
        options.pooling = config.pooling;
        options.prompt.clone_from(&config.text_prompt);
        encoders.texts = Some(load_text_encoder(model, &options)?.into());
    }
    Ok(encoders)
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
        let wanted = (!posters.is_empty(), !summaries.is_empty());
        load_with(config, options, wanted, || Ok(summaries.to_vec()))
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

//! Vectors of items that were computed elsewhere.

use mmdlrm_data::Modality;
use mmdlrm_features::Features;
use mmdlrm_train::{Error, Result};

/// One modality of all items, `[items, width]`: zeros of an item that has no vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ItemFeatures {
    pub name: String,
    pub width: usize,
    pub values: Vec<f32>,
}

impl ItemFeatures {
    /// All that the features have.
    pub fn of(features: &Features) -> Vec<Self> {
        features
            .modalities()
            .iter()
            .map(Self::of_modality)
            .collect()
    }

    fn of_modality(modality: &Modality) -> Self {
        let width = modality.width();
        let rows = modality.row_of_movie();
        let mut values = vec![0.0; rows.len() * width];
        for (out, &row) in values.chunks_exact_mut(width.max(1)).zip(rows) {
            if row != Modality::MISSING {
                let vector = &modality.values()[row as usize * width..][..width];
                out.iter_mut()
                    .zip(vector)
                    .for_each(|(out, x)| *out = x.to_f32());
            }
        }
        Self {
            name: modality.name().to_owned(),
            width,
            values,
        }
    }
}

/// Refuses features without any modality.
pub(crate) fn need_modalities(model: &str, features: &Features) -> Result<()> {
    match features.modalities().is_empty() {
        false => Ok(()),
        true => Err(Error::Mismatch(format!(
            "{model} learns from vectors of movies, and there are none: give it posters, summaries \
             or vectors that were computed elsewhere"
        ))),
    }
}

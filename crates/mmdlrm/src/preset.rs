use mmdlrm_features::Features;
use mmdlrm_model::DlrmConfig;
use mmdlrm_train::shapes;
use serde::{Deserialize, Serialize};

use crate::{Best, TwoStage};

/// Models with names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Users, movies, genres, dense features and every modality, through dot
    /// products to the top MLP.
    #[default]
    Mmdlrm,
    /// The same with dense features by side, so that a pair meets in products and
    /// the top MLP alone: a little less accurate, and far quicker to rank with.
    MmdlrmFactored,
    /// As [`Self::Mmdlrm`], without modalities.
    Dlrm,
    /// A tower for each modality and one for the dense features, side by side
    /// through a linear layer of 128; no ids.
    DlrmMultimodal,
    /// The dense tower and the encoders' vectors as they are, side by side
    /// through a linear layer of 128; no ids.
    DlrmClip,
    /// The most accurate predictor of ratings, [`Best`].
    Best,
    /// The most accurate recommender, [`TwoStage`]: it puts movies in order, and another model
    /// beside it, as [`Self::Best`], predicts stars.
    Rank,
}

impl Preset {
    /// All presets with the names they are written with.
    pub const ALL: [(&'static str, Self); 7] = [
        ("mmdlrm", Self::Mmdlrm),
        ("mmdlrm-factored", Self::MmdlrmFactored),
        ("dlrm", Self::Dlrm),
        ("dlrm-multimodal", Self::DlrmMultimodal),
        ("dlrm-clip", Self::DlrmClip),
        ("best", Self::Best),
        ("rank", Self::Rank),
    ];

    /// Whether the preset looks at pictures and plots.
    pub fn uses_modalities(self) -> bool {
        self != Self::Dlrm
    }

    /// The shape of the preset's [`Dlrm`](mmdlrm_model::Dlrm), for data with `features` and
    /// embeddings of `dim`: all of the model, or, of [`Self::Best`] and
    /// [`Self::Rank`], a part of it.
    pub fn config(self, features: &Features, dim: usize) -> DlrmConfig {
        match self {
            Self::Mmdlrm => shapes::mmdlrm(features, dim),
            Self::MmdlrmFactored => shapes::mmdlrm_factored(features, dim),
            Self::Dlrm => shapes::dlrm(features, dim),
            Self::DlrmMultimodal => shapes::dlrm_multimodal(features, dim),
            Self::DlrmClip => shapes::dlrm_clip(features, dim),
            Self::Best => Best::shape(features, dim),
            Self::Rank => TwoStage::shape(features, dim),
        }
    }
}

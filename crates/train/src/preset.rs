use mmdlrm_data::{DENSE_FEATURES, Features, MOVIE_FEATURES};
use mmdlrm_model::{
    Activation, BottomConfig, DlrmConfig, Interaction, ModalityConfig, Output, Side, TableConfig,
};
use serde::{Deserialize, Serialize};

use crate::input::{GENRE_TABLE, MOVIE_TABLE, USER_TABLE};

/// Width of the hidden layer of bottom and top MLPs.
const HIDDEN: usize = 128;

/// Model configurations with names.
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
}

impl Preset {
    /// All presets with the names they are written with.
    pub const ALL: [(&'static str, Self); 5] = [
        ("mmdlrm", Self::Mmdlrm),
        ("mmdlrm-factored", Self::MmdlrmFactored),
        ("dlrm", Self::Dlrm),
        ("dlrm-multimodal", Self::DlrmMultimodal),
        ("dlrm-clip", Self::DlrmClip),
    ];

    /// Whether the preset looks at pictures and plots.
    pub fn uses_modalities(self) -> bool {
        self != Self::Dlrm
    }

    /// The configuration for data with `features`, with embeddings of `dim`.
    pub fn config(self, features: &Features, dim: usize) -> DlrmConfig {
        let (mean, deviation) = features.rating_scale();
        let tables = vec![
            TableConfig::new(USER_TABLE, features.users().len(), Side::User),
            TableConfig::new(MOVIE_TABLE, features.movies().len(), Side::Item),
            TableConfig::new(GENRE_TABLE, features.genre_names().len().max(1), Side::Item),
        ];
        let towers = |tower: &[usize]| -> Vec<ModalityConfig> {
            let modalities = features.modalities().iter();
            modalities
                .map(|modality| {
                    ModalityConfig::new(modality.name(), modality.width(), tower.to_vec())
                })
                .collect()
        };
        let common = DlrmConfig {
            dim,
            bottoms: vec![BottomConfig::new(
                Side::Pair,
                0..DENSE_FEATURES.len(),
                vec![HIDDEN, dim],
            )],
            top: vec![HIDDEN],
            output: Output {
                offset: mean,
                scale: deviation,
                ..Output::default()
            },
            ..DlrmConfig::default()
        };
        let side_by_side = DlrmConfig {
            interaction: Interaction::Cat,
            top_activation: Activation::Identity,
            ..common.clone()
        };
        match self {
            Self::Mmdlrm => DlrmConfig {
                tables,
                modalities: towers(&[dim]),
                ..common
            },
            Self::MmdlrmFactored => DlrmConfig {
                bottoms: bottoms_by_side(dim),
                tables,
                modalities: towers(&[dim]),
                ..common
            },
            Self::Dlrm => DlrmConfig { tables, ..common },
            Self::DlrmMultimodal => DlrmConfig {
                modalities: towers(&[dim]),
                ..side_by_side
            },
            Self::DlrmClip => DlrmConfig {
                modalities: towers(&[]),
                ..side_by_side
            },
        }
    }
}

/// One bottom MLP for what depends on the movie, one for the rest: with nothing
/// that depends on both, ranking factors.
fn bottoms_by_side(dim: usize) -> Vec<BottomConfig> {
    let layers = vec![HIDDEN, dim];
    let of_users = (0..DENSE_FEATURES.len()).filter(|column| !MOVIE_FEATURES.contains(column));
    vec![
        BottomConfig::new(Side::User, of_users, layers.clone()),
        BottomConfig::new(Side::Item, MOVIE_FEATURES, layers),
    ]
}

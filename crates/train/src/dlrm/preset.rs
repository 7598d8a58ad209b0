use mmdlrm_features::{DENSE_FEATURES, Features, MOVIE_FEATURES};
use mmdlrm_model::{
    Activation, BottomConfig, DlrmConfig, Interaction, ModalityConfig, Output, Pooling, Side,
    TableConfig,
};
use serde::{Deserialize, Serialize};

use super::input::{
    AUDIENCE_TABLE, GENRE_TABLE, HISTORY_TABLE, MOVIE_TABLE, RATED_AUDIENCE_TABLE,
    RATED_HISTORY_TABLE, USER_TABLE,
};

/// Width of the hidden layer of bottom and top MLPs.
const HIDDEN: usize = 128;

/// Of [`Preset::Best`], chosen on validation rows; `docs/accuracy.md` has the
/// figures.
const BEST_HIDDEN: usize = 64;
const BEST_DROPOUT: f32 = 0.3;
const BEST_TABLE_L2: f32 = 1e-4;

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
    /// The most accurate predictor of ratings: what the user rated and who rated
    /// the movie, as bags, beside biases and neighbours in time. No ids; a new
    /// user or movie needs no training. It predicts what biases leave.
    Best,
}

impl Preset {
    /// All presets with the names they are written with.
    pub const ALL: [(&'static str, Self); 6] = [
        ("mmdlrm", Self::Mmdlrm),
        ("mmdlrm-factored", Self::MmdlrmFactored),
        ("dlrm", Self::Dlrm),
        ("dlrm-multimodal", Self::DlrmMultimodal),
        ("dlrm-clip", Self::DlrmClip),
        ("best", Self::Best),
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
            Self::Best => best(features, dim, towers(&[dim])),
            Self::DlrmClip => DlrmConfig {
                modalities: towers(&[]),
                ..side_by_side
            },
        }
    }
}

fn best(features: &Features, dim: usize, modalities: Vec<ModalityConfig>) -> DlrmConfig {
    let (users, movies) = (features.users().len(), features.movies().len());
    let bag = |name: &str, rows: usize, side: Side| TableConfig {
        pooling: Pooling::SqrtN,
        ..TableConfig::new(name, rows, side)
    };
    DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(
            Side::Pair,
            0..features.dense_names().len(),
            vec![BEST_HIDDEN, dim],
        )],
        tables: vec![
            bag(HISTORY_TABLE, movies, Side::User),
            bag(AUDIENCE_TABLE, users, Side::Item),
            bag(RATED_HISTORY_TABLE, movies, Side::User),
            bag(RATED_AUDIENCE_TABLE, users, Side::Item),
            bag(GENRE_TABLE, features.genre_names().len().max(1), Side::Item),
        ],
        modalities,
        top: vec![BEST_HIDDEN],
        wide: true,
        dropout: BEST_DROPOUT,
        table_l2: BEST_TABLE_L2,
        zero_output: true,
        ..DlrmConfig::default()
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

use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::pairwise::{DEPTHS, DEPTHS_OR_NONE, HISTORIES, PairwiseTraining, WIDTHS, not_negative};

/// How a [`LightGt`](crate::LightGt) is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::LightGtConfig;
///
/// let mut config = LightGtConfig::default();
/// config.score_weight = 1.5;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("score_weight is 1.5"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LightGtConfig {
    /// `D`, the width of all vectors, from 1 to 4,096.
    pub dim: usize,
    /// `S`, the most movies of a user that are looked at at a time, from 1 to 2,048.
    pub history: usize,
    /// `L`, blocks of attention, from 1 to 64.
    pub blocks: usize,
    /// `G`, how many times the vectors of users and movies go to neighbours, where that is less
    /// than `L`; from 0 to 64.
    pub gcn_layers: usize,
    /// Heads of a block, each of the full width, from 1 to 64.
    pub heads: usize,
    /// `w`, what the vectors of users and movies weigh beside the modalities, from 0 to 1.
    pub score_weight: f64,
    /// `λ`, of the penalty on the vectors of all users and movies, 0 or more.
    pub decay: f64,
    /// Share of the attention weights that are dropped in training, from 0 to below 1.
    pub dropout: f64,
    /// Whether of fewer than three modalities only the first has a say: the authors' code, whose
    /// modalities are pictures, sound and text, leaves text out where there is no sound.
    pub visual_only_without_acoustic: bool,
    /// Whether the movie that a step learns from is left out of the history that it is learned
    /// by. The authors' code leaves it in.
    pub exclude_target: bool,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

impl Default for LightGtConfig {
    /// The authors' for MovieLens, with all modalities that there are. They end after 20 epochs
    /// without a better one on validation rows, which data need not have: it is left out here.
    fn default() -> Self {
        Self {
            dim: 64,
            history: 50,
            blocks: 4,
            gcn_layers: 4,
            heads: 1,
            score_weight: 0.05,
            decay: 0.01,
            dropout: 0.1,
            visual_only_without_acoustic: false,
            exclude_target: false,
            training: PairwiseTraining {
                epochs: 100,
                batch_size: 2048,
                learning_rate: 0.01,
                ..PairwiseTraining::default()
            },
        }
    }
}

impl LightGtConfig {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        WIDTHS.check("dim", self.dim)?;
        HISTORIES.check("history", self.history)?;
        DEPTHS.check("blocks", self.blocks)?;
        DEPTHS_OR_NONE.check("gcn_layers", self.gcn_layers)?;
        DEPTHS.check("heads", self.heads)?;
        not_negative("decay", self.decay)?;
        let refused = |setting, value: f64, rule| {
            Err(Error::Setting {
                setting,
                value: value.to_string(),
                rule,
            })
        };
        if !(0.0..=1.0).contains(&self.score_weight) {
            return refused("score_weight", self.score_weight, "it must be from 0 to 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refused("dropout", self.dropout, "it must be from 0 to below 1");
        }
        self.training.validate()
    }

    /// How many of so many modalities have a say.
    pub(super) fn heard(&self, modalities: usize) -> usize {
        match self.visual_only_without_acoustic && modalities < 3 {
            true => modalities.min(1),
            false => modalities,
        }
    }

    /// Which mean of the layers the vectors of users and movies are.
    pub(super) fn id_layers(&self) -> usize {
        self.blocks.min(self.gcn_layers)
    }
}

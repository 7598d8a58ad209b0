use mmdlrm_train::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::pairwise::{AT_LEAST_ONE, DEPTHS, PairwiseTraining, TIMES, WIDTHS, not_negative};

/// How a [`Pea`](crate::Pea) is shaped and learned; its documentation has the formula.
///
/// ```
/// use mmdlrm_baselines::{PeaConfig, PeaLayer};
///
/// let mut config = PeaConfig::peagcn();
/// assert_eq!(config.layer, PeaLayer::Gcn);
/// config.heads = 2;
/// let error = config.validate().unwrap_err().to_string();
/// assert!(error.contains("heads is 2"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PeaConfig {
    /// What nodes make of their neighbours.
    pub layer: PeaLayer,
    /// Heads of the first layer of attention, which stand beside each other; the second has one.
    /// From 1 to 64.
    pub heads: usize,
    /// Numbers that are learned of a node, from 1 to 4,096.
    pub dim: usize,
    /// Numbers of a node between the two layers of a metapath, for each head, from 1 to 4,096.
    pub hidden: usize,
    /// Numbers of a node after the second, from 1 to 4,096.
    pub repr: usize,
    /// What nodes make of all metapaths.
    pub fusion: PeaFusion,
    /// Whether the loss has a term that keeps nodes and their own features together, or apart.
    pub entity_aware: bool,
    /// How much that term weighs, 0 or more.
    pub entity_coefficient: f64,
    /// Which of both it does.
    pub entity_sign: EntitySign,
    /// How often a tag was given, at least, to be a node, 1 or more.
    pub least_taggings: usize,
    /// How many movies somebody has a part in, at least, to be a node, 1 or more.
    pub least_movies: usize,
    /// How often an epoch has each training pair, each time with another movie, from 1 to 1,000.
    pub times: usize,
    /// Added to each parameter's gradient is so much of the parameter, 0 or more.
    pub weight_decay: f64,
    /// How long and how fast it learns.
    pub training: PairwiseTraining,
}

/// What the nodes of a [`Pea`](crate::Pea) make of their neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeaLayer {
    /// As much of each as it is attended to (PEAGAT; Veličković et al., 2018).
    #[default]
    Gat,
    /// A sum, by degrees (PEAGCN; Kipf and Welling, 2017).
    Gcn,
    /// Their mean beside the node itself (PEASage; Hamilton et al., 2017).
    Sage,
}

/// What the nodes of a [`Pea`](crate::Pea) make of all metapaths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeaFusion {
    /// As much of each as it is attended to.
    #[default]
    Attention,
    /// Their mean.
    Mean,
}

/// Which way the term for entities goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntitySign {
    /// As the authors' code has it, against what their paper says: the further a node is from its
    /// own feature, beside another, the less is the loss.
    #[default]
    AsPublished,
    /// The other way round.
    Repaired,
}

impl Default for PeaConfig {
    /// PEAGAT as published for ml-latest-small, with entity-awareness: the sign of the authors'
    /// code, 30 epochs of batches of 1,024 at a rate of 0.001.
    fn default() -> Self {
        Self {
            layer: PeaLayer::Gat,
            heads: 1,
            dim: 64,
            hidden: 64,
            repr: 16,
            fusion: PeaFusion::Attention,
            entity_aware: true,
            entity_coefficient: 0.1,
            entity_sign: EntitySign::AsPublished,
            least_taggings: 11,
            least_movies: 10,
            times: 4,
            weight_decay: 0.001,
            training: PairwiseTraining {
                epochs: 30,
                batch_size: 1024,
                learning_rate: 0.001,
                ..PairwiseTraining::default()
            },
        }
    }
}

impl PeaConfig {
    /// With graph attention.
    pub fn peagat() -> Self {
        Self::default()
    }

    /// With graph convolution.
    pub fn peagcn() -> Self {
        Self {
            layer: PeaLayer::Gcn,
            ..Self::default()
        }
    }

    /// With GraphSAGE.
    pub fn peasage() -> Self {
        Self {
            layer: PeaLayer::Sage,
            ..Self::default()
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    pub fn validate(&self) -> Result<()> {
        DEPTHS.check("heads", self.heads)?;
        WIDTHS.check("dim", self.dim)?;
        WIDTHS.check("hidden", self.hidden)?;
        WIDTHS.check("repr", self.repr)?;
        AT_LEAST_ONE.check("least_taggings", self.least_taggings)?;
        AT_LEAST_ONE.check("least_movies", self.least_movies)?;
        TIMES.check("times", self.times)?;
        if self.heads > 1 && self.layer != PeaLayer::Gat {
            return Err(Error::Setting {
                setting: "heads",
                value: self.heads.to_string(),
                rule: "only graph attention has more than one",
            });
        }
        not_negative("entity_coefficient", self.entity_coefficient)?;
        not_negative("weight_decay", self.weight_decay)?;
        self.training.validate()
    }
}

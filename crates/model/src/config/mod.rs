//! What a model looks like.

pub(crate) mod checks;
mod tables;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layout::Layout;

pub use tables::{Combine, Compression, Pooling, TableConfig, mixed_dims};

/// What a model looks like. A preset is a value of this type, never another
/// code path.
///
/// ```
/// use mmdlrm_model::{BottomConfig, DlrmConfig, Interaction, ModalityConfig, Side, TableConfig};
///
/// let config = DlrmConfig {
///     dim: 64,
///     bottoms: vec![
///         BottomConfig::new(Side::User, 0..4, vec![128, 64]),
///         BottomConfig::new(Side::Item, 4..6, vec![64]),
///     ],
///     tables: vec![
///         TableConfig::new("user", 610, Side::User),
///         TableConfig::new("movie", 9742, Side::Item),
///     ],
///     modalities: vec![ModalityConfig::new("image", 512, vec![64])],
///     interaction: Interaction::Dot { itself: false },
///     top: vec![128],
///     ..DlrmConfig::default()
/// };
/// config.validate()?;
/// assert_eq!(config.dense_features(), 6);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DlrmConfig {
    /// Length of the vectors that interact.
    pub dim: usize,
    /// The dense features, each through the bottom MLP of its side. Together
    /// they take each column once.
    pub bottoms: Vec<BottomConfig>,
    /// Embedding tables, each pooled over a bag of ids.
    pub tables: Vec<TableConfig>,
    /// Vectors from encoders, each through a tower.
    pub modalities: Vec<ModalityConfig>,
    /// How the vectors meet.
    pub interaction: Interaction,
    /// Widths of the hidden layers of the top MLP; its last layer, of width 1,
    /// is understood.
    pub top: Vec<usize>,
    /// Activation of the hidden layers of the top MLP.
    pub top_activation: Activation,
    /// Whether the top MLP reads the dense features themselves too, and the answer
    /// of a linear layer on all that it reads is added to its own (Wide & Deep:
    /// Cheng et al., 2016).
    pub wide: bool,
    /// From the last number to a prediction.
    pub output: Output,
    /// Share of the outputs of hidden layers of bottom and top MLPs that a
    /// training step sets to 0, the others being scaled up for it (Srivastava
    /// et al., 2014).
    pub dropout: f32,
    /// `λ` of a penalty `λ·‖w‖²` on weights and biases of MLPs, towers and
    /// projections. Penalties are part of the gradients, not of the loss that
    /// is shown.
    pub l2: f32,
    /// `λ` of a penalty `λ·‖e‖²` on each pooled embedding, the mean over the
    /// samples of a batch: rows that are used more are held back more.
    pub embedding_norm: f32,
    /// `λ` of a penalty `λ·‖e‖²` on each row of a table that a batch touches,
    /// once however often it is used: rows that learn little fade.
    pub table_l2: f32,
    /// Whether the last layer, and the wide one, are 0 at first: an untrained model
    /// then predicts [`Output::offset`].
    pub zero_output: bool,
}

impl Default for DlrmConfig {
    /// Embeddings of 64, one dense feature through 128 → 64, dot interaction, a
    /// top MLP 128 → 1, identity output; no tables, no modalities, no
    /// regularization.
    fn default() -> Self {
        Self {
            dim: 64,
            bottoms: vec![BottomConfig::new(Side::Pair, 0..1, vec![128, 64])],
            tables: Vec::new(),
            modalities: Vec::new(),
            interaction: Interaction::default(),
            top: vec![128],
            top_activation: Activation::Relu,
            wide: false,
            output: Output::default(),
            dropout: 0.0,
            l2: 0.0,
            embedding_norm: 0.0,
            table_l2: 0.0,
            zero_output: false,
        }
    }
}

impl DlrmConfig {
    /// Columns of [`Inputs::dense`](crate::Inputs::dense).
    pub fn dense_features(&self) -> usize {
        self.bottoms.iter().map(|bottom| bottom.columns.len()).sum()
    }

    /// How many numbers a model of this shape learns, before there is room for them.
    ///
    /// # Errors
    /// As [`Self::validate`].
    ///
    /// ```
    /// use mmdlrm_model::{Dlrm, DlrmConfig, Side, TableConfig};
    ///
    /// let config = DlrmConfig {
    ///     tables: vec![TableConfig::new("user", 1000, Side::User)],
    ///     ..DlrmConfig::default()
    /// };
    /// assert_eq!(config.parameters()?, Dlrm::new(config.clone(), 1)?.parameters().len());
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn parameters(&self) -> Result<usize> {
        self.validate()?;
        let layout = Layout::new(self);
        let of_tables = layout.tables.iter().map(|table| table.rows * table.dim);
        Ok(layout.dense_length + of_tables.sum::<usize>())
    }

    /// The side of each vector that interacts: bottoms, tables, modalities.
    pub(crate) fn sides(&self) -> Vec<Side> {
        let bottoms = self.bottoms.iter().map(|bottom| bottom.side);
        let tables = self.tables.iter().map(|table| table.side);
        let modalities = self.modalities.iter().map(|modality| modality.side);
        bottoms.chain(tables).chain(modalities).collect()
    }

    /// The inputs that describe pairs, by name: with none of them, ranking
    /// [factors](crate::Dlrm::score_items).
    pub fn pair_inputs(&self) -> Vec<String> {
        let bottoms = self.bottoms.iter();
        let bottoms = bottoms.map(|bottom| (bottom.side, "dense features"));
        let tables = self.tables.iter();
        let tables = tables.map(|table| (table.side, table.name.as_str()));
        let modalities = self.modalities.iter();
        let modalities = modalities.map(|modality| (modality.side, modality.name.as_str()));
        bottoms
            .chain(tables)
            .chain(modalities)
            .filter(|&(side, _)| side == Side::Pair)
            .map(|(_, name)| name)
            .chain(self.wide.then_some("dense features that the top MLP reads"))
            .map(str::to_owned)
            .collect()
    }
}

/// Dense features of one side and the MLP that makes a vector of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottomConfig {
    /// Whom the features describe; a side has at most one bottom MLP.
    pub side: Side,
    /// Columns of [`Inputs::dense`](crate::Inputs::dense).
    pub columns: Vec<usize>,
    /// Widths of the layers, each followed by a ReLU, without the input.
    pub layers: Vec<usize>,
}

impl BottomConfig {
    /// A bottom MLP of the given columns and widths.
    pub fn new(
        side: Side,
        columns: impl IntoIterator<Item = usize>,
        layers: impl Into<Vec<usize>>,
    ) -> Self {
        Self {
            side,
            columns: columns.into_iter().collect(),
            layers: layers.into(),
        }
    }
}

/// Whom an input describes. What describes the user or the item alone is
/// computed once for each when a catalogue is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The user, and the moment: whatever is the same for all items that are
    /// ranked for somebody.
    User,
    /// The item: a movie.
    Item,
    /// Both together.
    Pair,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Item => "item",
            Self::Pair => "pair",
        }
    }
}

/// Vectors that an encoder computed, and the tower that brings them to the
/// length the interaction needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModalityConfig {
    /// Name: `image`, `text`, ….
    pub name: String,
    /// Length of the vectors.
    pub width: usize,
    /// Widths of the tower's layers, each followed by a ReLU; empty to take
    /// the vectors as they are.
    pub tower: Vec<usize>,
    /// Whom the vectors describe.
    #[serde(default = "item")]
    pub side: Side,
}

fn item() -> Side {
    Side::Item
}

impl ModalityConfig {
    /// A modality of the items with a tower of the given layer widths.
    pub fn new(name: &str, width: usize, tower: Vec<usize>) -> Self {
        Self {
            name: name.to_owned(),
            width,
            tower,
            side: Side::Item,
        }
    }

    /// Length of the vector that meets the others.
    pub fn output_width(&self) -> usize {
        self.tower.last().copied().unwrap_or(self.width)
    }
}

/// How the vectors of a sample meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Interaction {
    /// The bottom MLPs' vectors and all pairwise dot products.
    Dot {
        /// Whether each vector meets itself too.
        itself: bool,
    },
    /// All vectors side by side.
    Cat,
}

impl Default for Interaction {
    fn default() -> Self {
        Self::Dot { itself: false }
    }
}

/// Activation between layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x`.
    Identity,
}

/// From the top MLP's last number `z` to the prediction
/// `activation(z) · scale + offset`, in the unit of the targets. Losses are
/// taken on the normalized target `(y − offset) / scale`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Activation of the last layer.
    pub activation: OutputActivation,
    /// Added to every prediction: the mean rating.
    pub offset: f32,
    /// Factor of every prediction: the ratings' standard deviation.
    pub scale: f32,
}

impl Output {
    /// A sigmoid stretched to predictions between `low` and `high`.
    ///
    /// ```
    /// use mmdlrm_model::{Output, OutputActivation};
    ///
    /// let stars = Output::within(0.5, 5.0);
    /// assert_eq!(stars.activation, OutputActivation::Sigmoid);
    /// assert_eq!((stars.offset, stars.scale), (0.5, 4.5));
    /// ```
    pub fn within(low: f32, high: f32) -> Self {
        Self {
            activation: OutputActivation::Sigmoid,
            offset: low,
            scale: high - low,
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self {
            activation: OutputActivation::Identity,
            offset: 0.0,
            scale: 1.0,
        }
    }
}

/// Activation of the last layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputActivation {
    /// `z`.
    #[default]
    Identity,
    /// `1 / (1 + e⁻ᶻ)`.
    Sigmoid,
}

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest list of parameters that a configuration may ask for, in
/// numbers: 2³⁵ numbers are 128 GiB.
const MOST_PARAMETERS: usize = 1 << 35;

/// What a model looks like. A preset is a value of this type, never another
/// code path.
///
/// ```
/// use mmdlrm_model::{DlrmConfig, Interaction, ModalityConfig, Side, TableConfig};
///
/// let config = DlrmConfig {
///     dim: 64,
///     dense_features: 6,
///     bottom: vec![128, 64],
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
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DlrmConfig {
    /// Length of an embedding.
    pub dim: usize,
    /// Number of dense features.
    pub dense_features: usize,
    /// Widths of the layers of the bottom MLP, without its input.
    pub bottom: Vec<usize>,
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
    /// From the last number to a prediction.
    pub output: Output,
}

impl Default for DlrmConfig {
    /// Embeddings of 64, a bottom MLP 128 → 64, dot interaction, a top MLP
    /// 128 → 1, identity output; no tables, no modalities, one dense feature.
    fn default() -> Self {
        Self {
            dim: 64,
            dense_features: 1,
            bottom: vec![128, 64],
            tables: Vec::new(),
            modalities: Vec::new(),
            interaction: Interaction::default(),
            top: vec![128],
            top_activation: Activation::Relu,
            output: Output::default(),
        }
    }
}

/// One embedding table, `[rows, dim]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// Name, for messages and for whoever fills the bags.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Whom the bag describes.
    pub side: Side,
    /// How the vectors of a bag become one.
    #[serde(default)]
    pub pooling: Pooling,
}

impl TableConfig {
    /// A table whose bags are summed.
    pub fn new(name: &str, rows: usize, side: Side) -> Self {
        Self {
            name: name.to_owned(),
            rows,
            side,
            pooling: Pooling::Sum,
        }
    }
}

/// Whom an input describes. What describes the item alone is computed once an
/// item when a catalogue is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The user.
    User,
    /// The item: a movie.
    Item,
}

/// How the vectors of a bag become one. An empty bag gives zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean.
    Mean,
}

/// Vectors that an encoder computed for the items, and the tower that brings
/// them to the length the interaction needs.
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
}

impl ModalityConfig {
    /// A modality with a tower of the given layer widths.
    pub fn new(name: &str, width: usize, tower: Vec<usize>) -> Self {
        Self {
            name: name.to_owned(),
            width,
            tower,
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
    /// The bottom MLP's vector and all pairwise dot products.
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
/// taken on the normalised target `(y − offset) / scale`.
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

impl DlrmConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Config`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        at_least_one("dim", self.dim)?;
        at_least_one("dense_features", self.dense_features)?;
        check_layers("bottom", &self.bottom)?;
        check_layers("top", &self.top)?;
        if self.bottom.is_empty() {
            return Err(bad("bottom", "empty", "the bottom MLP needs a layer"));
        }
        let mut names: Vec<&str> = Vec::new();
        for (number, table) in self.tables.iter().enumerate() {
            at_least_one(&format!("tables[{number}].rows"), table.rows)?;
            if u32::try_from(table.rows).is_err() {
                let rule = "ids are 32-bit, so a table has at most 4294967295 rows";
                return Err(bad(&format!("tables[{number}].rows"), table.rows, rule));
            }
            names.push(&table.name);
        }
        for (number, modality) in self.modalities.iter().enumerate() {
            at_least_one(&format!("modalities[{number}].width"), modality.width)?;
            check_layers(&format!("modalities[{number}].tower"), &modality.tower)?;
            names.push(&modality.name);
        }
        for (number, name) in names.iter().enumerate() {
            if name.is_empty() || names[..number].contains(name) {
                return Err(bad(
                    "name",
                    format!("'{name}'"),
                    "tables and modalities need names of their own",
                ));
            }
        }
        if matches!(self.interaction, Interaction::Dot { .. }) {
            self.check_dot_widths()?;
        }
        if !(self.output.scale.is_finite() && self.output.scale > 0.0) {
            return Err(bad("output.scale", self.output.scale, "it must be above 0"));
        }
        if !self.output.offset.is_finite() {
            return Err(bad(
                "output.offset",
                self.output.offset,
                "it must be a finite number",
            ));
        }
        self.check_size()
    }

    /// A dot product needs vectors of one length.
    fn check_dot_widths(&self) -> Result<()> {
        let rule = |dim| format!("with dot interaction it must end at dim, {dim}");
        if self.bottom.last() != Some(&self.dim) {
            return Err(bad("bottom", format!("{:?}", self.bottom), rule(self.dim)));
        }
        for (number, modality) in self.modalities.iter().enumerate() {
            if modality.output_width() != self.dim {
                let tower = format!("{:?} on vectors of {}", modality.tower, modality.width);
                return Err(bad(
                    &format!("modalities[{number}].tower"),
                    tower,
                    rule(self.dim),
                ));
            }
        }
        Ok(())
    }

    /// Refuses what no machine could hold, before anything is allocated.
    fn check_size(&self) -> Result<()> {
        let mut layers = vec![(self.dense_features, self.bottom.as_slice())];
        layers.extend(
            self.modalities
                .iter()
                .map(|m| (m.width, m.tower.as_slice())),
        );
        let mut total = 0usize;
        let mut add = |rows: usize, columns: usize| {
            total = total.saturating_add(rows.saturating_mul(columns));
        };
        for (mut input, widths) in layers {
            for &width in widths {
                add(input, width);
                input = width;
            }
        }
        for table in &self.tables {
            add(table.rows, self.dim);
        }
        if total > MOST_PARAMETERS {
            return Err(bad(
                "number of parameters",
                total,
                "it must stay below 2^35",
            ));
        }
        Ok(())
    }
}

fn check_layers(setting: &str, widths: &[usize]) -> Result<()> {
    widths
        .iter()
        .enumerate()
        .try_for_each(|(layer, &width)| at_least_one(&format!("{setting}[{layer}]"), width))
}

fn at_least_one(setting: &str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(bad(setting, value, "it must be 1 or more"));
    }
    Ok(())
}

fn bad(setting: &str, value: impl ToString, rule: impl Into<String>) -> Error {
    Error::Config {
        setting: setting.to_owned(),
        value: value.to_string(),
        rule: rule.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nonsense_value_is_named() {
        type Spoil = fn(&mut DlrmConfig);
        let cases: [(&str, Spoil); 9] = [
            ("dim", |c| c.dim = 0),
            ("dense_features", |c| c.dense_features = 0),
            ("bottom", |c| c.bottom.clear()),
            ("bottom[0]", |c| c.bottom[0] = 0),
            ("bottom", |c| c.bottom = vec![32]),
            ("tables[0].rows", |c| {
                c.tables = vec![TableConfig::new("user", 0, Side::User)]
            }),
            ("modalities[0].tower", |c| {
                c.modalities = vec![ModalityConfig::new("image", 512, vec![])]
            }),
            ("output.scale", |c| c.output.scale = 0.0),
            ("number of parameters", |c| {
                c.tables = vec![TableConfig::new("user", u32::MAX as usize, Side::User)]
            }),
        ];
        assert!(DlrmConfig::default().validate().is_ok());
        for (name, spoil) in cases {
            let mut config = DlrmConfig::default();
            spoil(&mut config);
            match config.validate() {
                Err(Error::Config { setting, .. }) => assert_eq!(setting, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

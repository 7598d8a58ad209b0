use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::layout::Layout;
use crate::{DlrmConfig, Error, Result};

/// Every number that a model learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Weights and biases of all MLPs, towers and projections and the vectors
    /// that stand for missing modalities, one after another.
    pub dense: Vec<f32>,
    /// Embedding tables, in the order of the configuration; one that is
    /// compressed or has learned weights may take several.
    pub tables: Vec<Table>,
}

/// An embedding table as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Table {
    /// Name in a file of weights: `emb_l.0.weight`, ….
    pub name: String,
    /// Length of a row.
    pub dim: usize,
    /// `[rows, dim]`.
    pub values: Vec<f32>,
}

/// A named piece of [`Parameters::dense`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// Name in a file of weights: `bot_l.0.weight`, `top_l.2.bias`, ….
    pub name: String,
    /// Shape, outermost first: a weight is `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// Where it begins.
    pub start: usize,
}

impl Segment {
    /// Its place in [`Parameters::dense`].
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.shape.iter().product::<usize>()
    }
}

/// Name and value of the number furthest from 0 of some parameters with names; NaN is
/// further than any other.
pub(crate) fn extreme<'a>(parameters: impl Iterator<Item = (String, &'a [f32])>) -> (String, f32) {
    let key = |x: f32| if x.is_nan() { f32::INFINITY } else { x.abs() };
    let further = |a: f32, &b: &f32| if a.is_nan() || key(a) >= key(b) { a } else { b };
    let extremes = parameters.map(|(name, values)| (name, values.iter().fold(0.0, further)));
    extremes
        .max_by(|(_, a), (_, b)| key(*a).total_cmp(&key(*b)))
        .unwrap_or_default()
}

impl Parameters {
    /// Draws parameters as facebookresearch/dlrm does: tables uniform within
    /// `±√(1/rows)`, of the rows that are stored where ids are hashed and of the ids
    /// where they are cut into quotient and remainder (of those two the bound is the
    /// root where they are multiplied), weights normal with variance `2/(inputs + outputs)`,
    /// biases normal with variance `1/outputs`; learned weights of ids are 1,
    /// vectors of missing modalities 0.
    pub(crate) fn draw(config: &DlrmConfig, layout: &Layout, seed: u64) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut dense = vec![0.0; layout.dense_length];
        for (_, layer) in layout.layers(config) {
            let mut fill = |range: std::ops::Range<usize>, variance: f64| {
                let deviation = variance.sqrt() as f32;
                for x in &mut dense[range] {
                    let unit: f32 = StandardNormal.sample(&mut random);
                    *x = deviation * unit;
                }
            };
            let bias = layer.bias_start();
            fill(
                layer.start..bias,
                2.0 / (layer.inputs + layer.outputs) as f64,
            );
            fill(bias..layer.end(), 1.0 / layer.outputs as f64);
        }
        if let (true, Some(last)) = (config.zero_output, layout.top.layers.last()) {
            dense[last.start..last.end()].fill(0.0);
            if let Some(wide) = &layout.wide {
                dense[wide.start..wide.end()].fill(0.0);
            }
        }
        let tables = layout
            .tables
            .iter()
            .map(|shape| {
                let length = shape.rows * shape.dim;
                let values = if shape.is_weights {
                    vec![1.0; length]
                } else {
                    let uniform = Uniform::new_inclusive(-shape.bound, shape.bound)
                        .map_err(|error| Error::Weights(format!("{}: {error}", shape.name)))?;
                    (0..length).map(|_| uniform.sample(&mut random)).collect()
                };
                Ok(Table {
                    name: shape.name.clone(),
                    dim: shape.dim,
                    values,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { dense, tables })
    }

    /// All 0, to be read from a file.
    pub(crate) fn zeros(layout: &Layout) -> Self {
        let tables = layout.tables.iter().map(|shape| Table {
            name: shape.name.clone(),
            dim: shape.dim,
            values: vec![0.0; shape.rows * shape.dim],
        });
        Self {
            dense: vec![0.0; layout.dense_length],
            tables: tables.collect(),
        }
    }

    /// Number of learned numbers.
    pub fn len(&self) -> usize {
        self.dense.len()
            + self
                .tables
                .iter()
                .map(|table| table.values.len())
                .sum::<usize>()
    }

    /// Whether there is nothing to learn; never so for a valid configuration.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

use std::borrow::Cow;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::input::same;
use crate::layout::Layout;
use crate::{DlrmConfig, Error, Result, RowStep, RowUpdate, TableStore};

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

/// An embedding table as it is stored, `[rows, dim]`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Table {
    /// Name in a file of weights: `emb_l.0.weight`, ….
    pub name: String,
    /// Length of a row.
    pub dim: usize,
    store: Box<dyn TableStore>,
}

impl Table {
    /// A table whose rows lie in memory, `[rows, dim]`.
    pub(crate) fn new(name: String, dim: usize, values: Vec<f32>) -> Self {
        Self {
            name,
            dim,
            store: Box::new(values),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.store.len() / self.dim
    }

    /// Where the rows lie.
    pub fn store(&self) -> &dyn TableStore {
        &*self.store
    }

    /// As [`Self::store`], for optimizers and whoever loads a model.
    pub fn store_mut(&mut self) -> &mut dyn TableStore {
        &mut *self.store
    }

    /// Keeps the rows in another store, which has them already.
    ///
    /// # Errors
    /// [`Error::Length`] of a store that is not as long as the one before, or not as long as
    /// it says.
    pub fn set_store(&mut self, mut store: Box<dyn TableStore>) -> Result<()> {
        let length = self.store.len();
        same(&self.name, store.len(), length)?;
        same(
            &self.name,
            store.as_slice().map_or(length, <[f32]>::len),
            length,
        )?;
        let found = store.as_mut_slice().map_or(length, |values| values.len());
        same(&self.name, found, length)?;
        self.store = store;
        Ok(())
    }

    /// All numbers, `[rows, dim]`; copied only where they do not lie in memory as they are.
    ///
    /// # Errors
    /// A store that fails.
    pub fn values(&self) -> Result<Cow<'_, [f32]>> {
        if let Some(values) = self.store.as_slice() {
            return Ok(Cow::Borrowed(values));
        }
        let mut values = vec![0.0; self.store.len()];
        let rows: Vec<u32> = (0..self.rows() as u32).collect();
        self.gather(&rows, &mut values)?;
        Ok(Cow::Owned(values))
    }

    /// Replaces all numbers, `[rows, dim]`.
    ///
    /// # Errors
    /// [`Error::Length`] where they are not as many; a store that fails.
    pub fn set_values(&mut self, values: &[f32]) -> Result<()> {
        same(&self.name, values.len(), self.store.len())?;
        let written = self.store.write(0, self.dim, values);
        written.map_err(|source| Error::store(&self.name, source))
    }

    /// Moves rows by their gradients; nothing where there are none.
    ///
    /// # Errors
    /// A store that fails.
    pub fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<()> {
        if step.rows.is_empty() {
            return Ok(());
        }
        let moved = self.store.apply(step, update);
        moved.map_err(|source| Error::store(&self.name, source))
    }

    /// Writes the rows of the numbers `rows`, which ascend, `[rows, dim]`.
    pub(crate) fn gather(&self, rows: &[u32], out: &mut [f32]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let gathered = self.store.gather(rows, self.dim, out);
        gathered.map_err(|source| Error::store(&self.name, source))
    }
}

impl Clone for Table {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            dim: self.dim,
            store: self.store.boxed_clone(),
        }
    }
}

/// Those that have the same numbers, whatever they are kept in.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.dim) == (&other.name, other.dim)
            && match (self.values(), other.values()) {
                (Ok(own), Ok(others)) => own == others,
                _ => false,
            }
    }
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

/// The number furthest from 0; NaN is further than any other.
pub(crate) fn furthest(values: &[f32]) -> f32 {
    let further = |a: f32, &b: &f32| {
        if a.is_nan() || distance(a) >= distance(b) {
            a
        } else {
            b
        }
    };
    values.iter().fold(0.0, further)
}

/// The name and value that is furthest from 0.
pub(crate) fn furthest_of(values: impl IntoIterator<Item = (String, f32)>) -> (String, f32) {
    let values = values.into_iter();
    values
        .max_by(|(_, a), (_, b)| distance(*a).total_cmp(&distance(*b)))
        .unwrap_or_default()
}

fn distance(x: f32) -> f32 {
    if x.is_nan() { f32::INFINITY } else { x.abs() }
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
                Ok(Table::new(shape.name.clone(), shape.dim, values))
            })
            .collect::<Result<_>>()?;
        Ok(Self { dense, tables })
    }

    /// All 0, to be read from a file.
    pub(crate) fn zeros(layout: &Layout) -> Self {
        let zeros = |length| vec![0.0; length];
        let tables = layout.tables.iter();
        let tables = tables.map(|it| Table::new(it.name.clone(), it.dim, zeros(it.rows * it.dim)));
        Self {
            dense: zeros(layout.dense_length),
            tables: tables.collect(),
        }
    }

    /// Number of learned numbers.
    pub fn len(&self) -> usize {
        self.dense.len()
            + self
                .tables
                .iter()
                .map(|table| table.store.len())
                .sum::<usize>()
    }

    /// Whether there is nothing to learn; never so for a valid configuration.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

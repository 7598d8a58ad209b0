//! From a table of the configuration to the tables that are stored, and from
//! their pooled vectors to the one that interacts.

use std::ops::Range;

use crate::config::{Combine, Compression, Pooling};
use crate::mlp::Layer;
use crate::{Activation, TableConfig};

/// A table that is stored.
#[derive(Debug, Clone)]
pub(crate) struct TableShape {
    /// Name in a file of weights.
    pub name: String,
    pub rows: usize,
    pub dim: usize,
    /// Whether its rows are weights of ids, one number each.
    pub is_weights: bool,
    /// Bound of the uniform distribution it is drawn from.
    pub bound: f32,
    /// The table of the configuration that it belongs to.
    pub lookup: usize,
    pub row_of: RowOf,
    /// Where its pooled vector stands in a row; empty for weights.
    pub columns: Range<usize>,
}

/// The row of an id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowOf {
    Id,
    Remainder(u32),
    Quotient(u32),
}

impl RowOf {
    #[inline(always)]
    pub fn row(self, id: u32) -> u32 {
        match self {
            Self::Id => id,
            Self::Remainder(by) => id % by,
            Self::Quotient(by) => id / by,
        }
    }
}

/// How a table of the configuration is looked up.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub pooling: Pooling,
    /// The stored tables that are pooled.
    pub tables: Range<usize>,
    /// The stored table of learned weights.
    pub weights: Option<usize>,
    /// How the pooled vectors of two stored tables become the one at `pooled`, where
    /// they do not stand there already.
    pub combine: Option<Combine>,
    /// Where the pooled vector stands in a row.
    pub pooled: Range<usize>,
    /// The layer from `pooled` to `slot`, where these are two places.
    pub projection: Option<Layer>,
    /// Where the vector that interacts stands in a row.
    pub slot: Range<usize>,
}

/// Lays the tables out one after another.
pub(crate) struct LookupBuilder {
    pub lookups: Vec<Lookup>,
    pub shapes: Vec<TableShape>,
    /// Numbers of a row so far.
    pub row_width: usize,
    /// Parameters of MLPs and projections so far.
    pub dense_end: usize,
}

impl LookupBuilder {
    /// Adds a table whose vector interacts at `slot`.
    pub fn add(&mut self, config: &TableConfig, slot: Range<usize>) {
        let number = self.lookups.len();
        let own = config.dim.unwrap_or(slot.len());
        let projection = (own != slot.len()).then(|| {
            let layer = Layer {
                inputs: own,
                outputs: slot.len(),
                start: self.dense_end,
                has_bias: false,
                activation: Activation::Identity,
            };
            self.dense_end = layer.end();
            layer
        });
        let pooled = match projection {
            None => slot.clone(),
            Some(_) => self.columns(own),
        };
        let first = self.shapes.len();
        let mut shape = TableShape {
            name: format!("emb_l.{number}.weight"),
            rows: config.rows,
            dim: own,
            is_weights: false,
            bound: bound(config.rows),
            lookup: number,
            row_of: RowOf::Id,
            columns: pooled.clone(),
        };
        let mut to_combine = None;
        match config.compression {
            Compression::None => {
                if config.dim.is_some() {
                    shape.name = format!("emb_l.{number}.embs.weight");
                }
                self.shapes.push(shape);
            }
            Compression::Hashed { buckets } => {
                shape.rows = buckets;
                shape.bound = bound(buckets);
                shape.row_of = RowOf::Remainder(id(buckets));
                self.shapes.push(shape);
            }
            Compression::QuotientRemainder {
                collisions,
                combine,
            } => {
                let (quotient, remainder) = match combine {
                    Combine::Cat => {
                        let middle = pooled.start + own / 2;
                        (pooled.start..middle, middle..pooled.end)
                    }
                    _ => (self.columns(own), self.columns(own)),
                };
                to_combine = (combine != Combine::Cat).then_some(combine);
                if combine == Combine::Product {
                    // The product of two is to be as large as one.
                    shape.bound = shape.bound.sqrt();
                }
                let of = |name, rows, row_of, columns: Range<usize>| TableShape {
                    name: format!("emb_l.{number}.{name}"),
                    rows,
                    dim: columns.len(),
                    row_of,
                    columns,
                    ..shape.clone()
                };
                let by = id(collisions);
                let rows = config.rows.div_ceil(collisions);
                self.shapes
                    .push(of("weight_q", rows, RowOf::Quotient(by), quotient));
                self.shapes
                    .push(of("weight_r", collisions, RowOf::Remainder(by), remainder));
            }
        }
        let tables = first..self.shapes.len();
        let weights = config.learned_weights.then(|| {
            self.shapes.push(TableShape {
                name: format!("v_W_l.{number}"),
                rows: config.rows,
                dim: 1,
                is_weights: true,
                bound: 0.0,
                lookup: number,
                row_of: RowOf::Id,
                columns: 0..0,
            });
            self.shapes.len() - 1
        });
        self.lookups.push(Lookup {
            pooling: config.pooling,
            tables,
            weights,
            combine: to_combine,
            pooled,
            projection,
            slot,
        });
    }

    fn columns(&mut self, width: usize) -> Range<usize> {
        self.row_width += width;
        self.row_width - width..self.row_width
    }
}

/// Bound of the uniform distribution that a table of so many rows is drawn from, as
/// facebookresearch/dlrm draws it.
fn bound(rows: usize) -> f32 {
    (1.0 / rows as f32).sqrt()
}

/// A number of ids, which a valid configuration keeps below 2³².
fn id(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Lookup {
    /// Whether the pooled vector is what interacts.
    pub fn is_plain(&self) -> bool {
        self.combine.is_none() && self.projection.is_none()
    }

    /// Combines the pooled vectors of `rows`, as wide as `width` each.
    pub fn combine(&self, shapes: &[TableShape], rows: &mut [f32], width: usize) {
        let Some(combine) = self.combine else {
            return;
        };
        let (quotient, remainder) = self.halves(shapes);
        for row in rows.chunks_exact_mut(width) {
            for i in 0..self.pooled.len() {
                let (q, r) = (row[quotient.start + i], row[remainder.start + i]);
                row[self.pooled.start + i] = match combine {
                    Combine::Product => q * r,
                    Combine::Sum | Combine::Cat => q + r,
                };
            }
        }
    }

    /// The gradients of what was combined from that of the result.
    pub fn combine_backward(
        &self,
        shapes: &[TableShape],
        rows: &[f32],
        gradients: &mut [f32],
        width: usize,
    ) {
        let Some(combine) = self.combine else {
            return;
        };
        let (quotient, remainder) = self.halves(shapes);
        let rows = rows.chunks_exact(width);
        for (row, gradient) in rows.zip(gradients.chunks_exact_mut(width)) {
            for i in 0..self.pooled.len() {
                let g = gradient[self.pooled.start + i];
                let (q, r) = match combine {
                    Combine::Product => (row[remainder.start + i], row[quotient.start + i]),
                    Combine::Sum | Combine::Cat => (1.0, 1.0),
                };
                gradient[quotient.start + i] = g * q;
                gradient[remainder.start + i] = g * r;
            }
        }
    }

    fn halves(&self, shapes: &[TableShape]) -> (Range<usize>, Range<usize>) {
        let of = |table: usize| shapes[table].columns.clone();
        (of(self.tables.start), of(self.tables.end - 1))
    }
}

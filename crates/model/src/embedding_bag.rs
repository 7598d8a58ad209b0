//! Embedding bags: forward pooling, and the gradient of the rows touched.

use mmdlrm_kernels::{add_scaled, dot, prefetch, vectorize};
use rayon::prelude::*;

use crate::config::Pooling;
use crate::grouped::Grouped;
use crate::lookup::{Lookup, TableShape};
use crate::shared_bags::{SharedGradients, SharedSums};
use crate::{SharedBags, Table, TableInput};

/// Rows that a thread sums without asking for help.
const ROWS_PER_TASK: usize = 16;

/// Gradient of one embedding table: only the rows that a batch touched, so
/// that a step costs nothing for the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowGradients {
    /// Length of a row.
    pub dim: usize,
    /// Gradient of each of [`Self::rows`], `[rows, dim]`.
    pub values: Vec<f32>,
    grouped: Grouped,
    /// Sample of each id of the batch; empty where each has one id.
    sample_of: Vec<u32>,
    shared: SharedGradients,
}

impl RowGradients {
    /// The rows that were touched, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.grouped.rows
    }
}

/// A bag of a batch and how to read it.
#[derive(Clone, Copy)]
pub(crate) struct BagReader<'a> {
    pub bags: &'a TableInput<'a>,
    pub lookup: &'a Lookup,
    pub tables: &'a [Table],
    /// Sums over shared bags, one a table.
    pub sums: &'a [SharedSums],
}

impl BagReader<'_> {
    /// What the vector of id number `position`, in a bag of `length` ids, is
    /// multiplied by.
    #[inline]
    fn weight(&self, position: usize, length: usize) -> f32 {
        let given = self.bags.weights().map_or(1.0, |weights| weights[position]);
        let learned = self.lookup.weights.map_or(1.0, |table| {
            self.tables[table].values[self.bags.ids()[position] as usize]
        });
        given * learned * self.lookup.pooling.share(length)
    }

    #[inline]
    fn is_weighted(&self) -> bool {
        self.bags.weights().is_some() || self.lookup.weights.is_some()
    }

    /// Asks for the first row of a sample that will be pooled soon.
    #[inline]
    pub fn prefetch(&self, table: usize, shape: &TableShape, sample: usize) {
        let first = match self.bags {
            TableInput::Shared(bags) => bags.left_out(sample),
            _ => Some(self.bags.span(sample).start),
        };
        if let Some(&id) = first.and_then(|position| self.bags.ids().get(position)) {
            let start = shape.row_of.row(id) as usize * shape.dim;
            prefetch(&self.tables[table].values[start..start + shape.dim]);
        }
    }

    /// Writes the pooled vector of a sample; an empty bag gives zeros.
    #[inline]
    pub fn pool(&self, table: usize, shape: &TableShape, sample: usize, out: &mut [f32]) {
        let (values, dim) = (&self.tables[table].values, out.len());
        if let TableInput::Shared(bags) = self.bags {
            let pooling = self.lookup.pooling;
            return self.sums[table].read(bags, pooling, (shape, values), sample, out);
        }
        let span = self.bags.span(sample);
        let length = span.len();
        let ids = &self.bags.ids()[span.clone()];
        let row = |id: u32| {
            let start = shape.row_of.row(id) as usize * dim;
            &values[start..start + dim]
        };
        if self.is_weighted() {
            out.fill(0.0);
            for (position, &id) in span.zip(ids) {
                add_scaled(out, row(id), self.weight(position, length));
            }
            return;
        }
        match ids {
            [] => out.fill(0.0),
            [id] => out.copy_from_slice(row(*id)),
            [first, rest @ ..] => {
                out.copy_from_slice(row(*first));
                for &id in rest {
                    out.iter_mut().zip(row(id)).for_each(|(sum, x)| *sum += x);
                }
                if self.lookup.pooling != Pooling::Sum {
                    let share = self.lookup.pooling.share(length);
                    out.iter_mut().for_each(|x| *x *= share);
                }
            }
        }
    }
}

impl RowGradients {
    /// For each id of the batch the place of its row among [`Self::rows`].
    #[cfg(feature = "candle")]
    pub(crate) fn places(&self) -> Vec<u32> {
        let mut places = vec![0; self.grouped.entry_count()];
        self.grouped.write_places(&mut places);
        places
    }

    /// Finds the rows that the batch touches.
    pub(crate) fn sort(&mut self, bags: &TableInput, shape: &TableShape) {
        self.sample_of.clear();
        if let TableInput::Shared(bags) = bags {
            let rows = self.shared.sort(bags, shape);
            return self.grouped.sort(rows.zip(0..));
        }
        if !matches!(bags, TableInput::Single(_)) {
            bags.write_samples(&mut self.sample_of);
        }
        let rows = bags.ids().iter().map(|&id| shape.row_of.row(id));
        self.grouped.sort(rows.zip(0..));
    }

    /// Sums for each touched row the gradients of the bags it is in;
    /// `of_sample(s)` is the gradient of the row of sample `s`.
    ///
    /// The sum of a row runs over its samples in order, so it is the same
    /// whatever the number of threads.
    pub(crate) fn collect<'a>(
        &mut self,
        reader: BagReader,
        shapes: &[TableShape],
        shape: &TableShape,
        of_sample: impl Fn(usize) -> &'a [f32] + Sync,
    ) {
        let dim = shape.dim;
        self.dim = dim;
        self.values.resize(self.grouped.rows.len() * dim, 0.0);
        if let TableInput::Shared(bags) = reader.bags {
            let of_vector = |sample: usize| &of_sample(sample)[shape.columns.clone()];
            return self.collect_shared(bags, reader.lookup.pooling, of_vector);
        }
        let (grouped, sample_of) = (&self.grouped, &self.sample_of);
        let tasks = self.values.par_chunks_mut(ROWS_PER_TASK * dim).enumerate();
        tasks.for_each(|(task, values)| {
            vectorize(
                #[inline(always)]
                || {
                    for (row, out) in values.chunks_exact_mut(dim).enumerate() {
                        let mut is_first = true;
                        for entry in grouped.entries(task * ROWS_PER_TASK + row) {
                            let entry = entry as usize;
                            let sample = match sample_of.is_empty() {
                                true => entry,
                                false => sample_of[entry] as usize,
                            };
                            reader.add_gradient(
                                entry,
                                sample,
                                shapes,
                                shape,
                                of_sample(sample),
                                std::mem::take(&mut is_first),
                                out,
                            );
                        }
                    }
                },
            );
        });
    }
}

impl RowGradients {
    /// Adds the touched rows of a table, times `factor`.
    pub(crate) fn add_rows(&mut self, table: &Table, factor: f32) {
        let Self {
            dim,
            values,
            grouped,
            ..
        } = self;
        vectorize(
            #[inline(always)]
            || {
                let values = values.chunks_exact_mut(*dim);
                for (out, &row) in values.zip(&grouped.rows) {
                    let start = row as usize * *dim;
                    add_scaled(out, &table.values[start..start + *dim], factor);
                }
            },
        );
    }

    fn collect_shared<'a>(
        &mut self,
        bags: &SharedBags,
        pooling: Pooling,
        of_vector: impl Fn(usize) -> &'a [f32] + Sync,
    ) {
        let dim = self.dim;
        self.shared.sum(bags, pooling, dim, &of_vector);
        let (grouped, shared) = (&self.grouped, &self.shared);
        let tasks = self.values.par_chunks_mut(ROWS_PER_TASK * dim).enumerate();
        tasks.for_each(|(task, values)| {
            vectorize(
                #[inline(always)]
                || {
                    for (row, out) in values.chunks_exact_mut(dim).enumerate() {
                        out.fill(0.0);
                        for entry in grouped.entries(task * ROWS_PER_TASK + row) {
                            shared.add(entry as usize, bags, pooling, &of_vector, out);
                        }
                    }
                },
            );
        });
    }
}

impl BagReader<'_> {
    /// Adds to a row what it gets from id number `entry`, in the bag of
    /// `sample`, whose row has `gradient`; the first replaces what is there.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a loop body, inlined")]
    fn add_gradient(
        &self,
        entry: usize,
        sample: usize,
        shapes: &[TableShape],
        shape: &TableShape,
        gradient: &[f32],
        is_first: bool,
        out: &mut [f32],
    ) {
        let length = self.bags.span(sample).len();
        if shape.is_weights {
            let before = if is_first { 0.0 } else { out[0] };
            out[0] = before + self.weight_gradient(entry, length, shapes, gradient);
            return;
        }
        let weight = self.weight(entry, length);
        let gradient = &gradient[shape.columns.clone()];
        if is_first {
            out.iter_mut()
                .zip(gradient)
                .for_each(|(out, g)| *out = weight * g);
        } else {
            add_scaled(out, gradient, weight);
        }
    }

    /// Derivative by the learned weight of id number `position`.
    fn weight_gradient(
        &self,
        position: usize,
        length: usize,
        shapes: &[TableShape],
        gradient: &[f32],
    ) -> f32 {
        let id = self.bags.ids()[position];
        let given = self.bags.weights().map_or(1.0, |weights| weights[position]);
        let products = self.lookup.tables.clone().map(|table| {
            let shape = &shapes[table];
            let start = shape.row_of.row(id) as usize * shape.dim;
            let row = &self.tables[table].values[start..start + shape.dim];
            dot(row, &gradient[shape.columns.clone()])
        });
        given * self.lookup.pooling.share(length) * products.sum::<f32>()
    }
}

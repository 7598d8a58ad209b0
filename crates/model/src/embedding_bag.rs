//! Embedding bags: forward pooling, and the gradient of the rows touched.

use mmdlrm_kernels::{add_scaled, dot, prefetch, vectorize};
use rayon::prelude::*;

use crate::config::Pooling;
use crate::grouped::Grouped;
use crate::lookup::{Lookup, TableShape};
use crate::shared_bags::SharedGradients;
use crate::table_rows::{Fetched, TableRows};
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

    /// The batch's ids by row.
    pub(crate) fn grouped(&self) -> &Grouped {
        &self.grouped
    }
}

/// The bags of a lookup and how to read them.
#[derive(Clone, Copy)]
pub(crate) struct BagReader<'a> {
    bags: &'a TableInput<'a>,
    lookup: &'a Lookup,
    /// All stored tables, and what was fetched of them.
    tables: &'a [Table],
    fetched: &'a [Fetched],
    /// Learned weights of ids.
    weights: Option<TableRows<'a>>,
}

impl<'a> BagReader<'a> {
    pub fn new(
        bags: &'a TableInput<'a>,
        lookup: &'a Lookup,
        shapes: &[TableShape],
        tables: &'a [Table],
        fetched: &'a [Fetched],
    ) -> Self {
        let reader = Self {
            bags,
            lookup,
            tables,
            fetched,
            weights: None,
        };
        let weights = lookup
            .weights
            .map(|table| reader.rows(table, &shapes[table]));
        Self { weights, ..reader }
    }

    /// The rows of a stored table.
    pub fn rows(&self, table: usize, shape: &TableShape) -> TableRows<'a> {
        let (stored, fetched) = (&self.tables[table], &self.fetched[table]);
        TableRows::new(stored, shape, self.bags.ids(), fetched)
    }

    /// What the vector of id number `position`, in a bag of `length` ids, is
    /// multiplied by.
    #[inline]
    fn weight(&self, position: usize, length: usize) -> f32 {
        let given = self.bags.weights().map_or(1.0, |weights| weights[position]);
        let learned = self.weights.map_or(1.0, |weights| weights.row(position)[0]);
        given * learned * self.lookup.pooling.share(length)
    }

    #[inline]
    fn is_weighted(&self) -> bool {
        self.bags.weights().is_some() || self.weights.is_some()
    }

    /// Asks for the first row of a sample that will be pooled soon.
    #[inline]
    pub fn prefetch(&self, rows: TableRows, sample: usize) {
        let first = match self.bags {
            TableInput::Shared(bags) => bags.left_out(sample),
            _ => Some(self.bags.span(sample).start),
        };
        if let Some(first) = first.filter(|&first| first < self.bags.ids().len()) {
            prefetch(rows.row(first));
        }
    }

    /// Writes the pooled vector of a sample, of the stored table of number `table` with these
    /// `rows`; an empty bag gives zeros.
    #[inline]
    pub fn pool(&self, table: usize, rows: TableRows, sample: usize, out: &mut [f32]) {
        if let TableInput::Shared(bags) = self.bags {
            let pooling = self.lookup.pooling;
            return self.fetched[table]
                .sums
                .read(bags, pooling, rows, sample, out);
        }
        let span = self.bags.span(sample);
        let length = span.len();
        if self.is_weighted() {
            out.fill(0.0);
            for position in span {
                add_scaled(out, rows.row(position), self.weight(position, length));
            }
            return;
        }
        if length == 0 {
            return out.fill(0.0);
        }
        out.copy_from_slice(rows.row(span.start));
        for position in span.skip(1) {
            let row = rows.row(position);
            out.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        if length > 1 && self.lookup.pooling != Pooling::Sum {
            let share = self.lookup.pooling.share(length);
            out.iter_mut().for_each(|x| *x *= share);
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
        // Learned weights are moved by the rows that they are multiplied with.
        let weighed = match shape.is_weights {
            true => reader.lookup.tables.clone(),
            false => 0..0,
        };
        let weighed: Vec<(&TableShape, TableRows)> = weighed
            .map(|table| (&shapes[table], reader.rows(table, &shapes[table])))
            .collect();
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
                                &weighed,
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
    /// Adds the touched rows of the table, times `factor`.
    pub(crate) fn add_rows(&mut self, rows: TableRows, factor: f32) {
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
                for (place, (out, &row)) in values.zip(&grouped.rows).enumerate() {
                    add_scaled(out, rows.distinct(place, row), factor);
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
        weighed: &[(&TableShape, TableRows)],
        shape: &TableShape,
        gradient: &[f32],
        is_first: bool,
        out: &mut [f32],
    ) {
        let length = self.bags.span(sample).len();
        if shape.is_weights {
            let before = if is_first { 0.0 } else { out[0] };
            out[0] = before + self.weight_gradient(entry, length, weighed, gradient);
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
        weighed: &[(&TableShape, TableRows)],
        gradient: &[f32],
    ) -> f32 {
        let given = self.bags.weights().map_or(1.0, |weights| weights[position]);
        let products = weighed
            .iter()
            .map(|(shape, rows)| dot(rows.row(position), &gradient[shape.columns.clone()]));
        given * self.lookup.pooling.share(length) * products.sum::<f32>()
    }
}

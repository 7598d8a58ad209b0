//! One training step's gradients, by explicit backward passes.
//!
//! The batch is cut into as many parts as there are threads, each part into
//! pieces that fit a core's cache; a piece goes forwards and backwards before
//! the next begins. Parts are fixed by the number of threads and their sums
//! are taken in order, so the same seed and threads give the same bits.

use std::ops::Range;

use mmdlrm_kernels::{copy_rows, store};
use rayon::prelude::*;

use crate::dropout::Dropout;
use crate::embedding_bag::RowGradients;
use crate::forward::{PIECE, Packed, Piece, Run, project};
use crate::input::same;
use crate::interaction::add_scaled;
use crate::mlp::MlpBuffers;
use crate::towers::Towered;
use crate::{Batch, Dlrm, Loss, ModalityInput, Result};

/// Gradients of one batch, and the buffers they are computed in: keep one and
/// pass it to every step.
#[derive(Debug, Default)]
pub struct Gradients {
    /// Of [`Parameters::dense`](crate::Parameters::dense).
    pub dense: Vec<f32>,
    /// Of each of [`Parameters::tables`](crate::Parameters::tables), by the rows
    /// touched.
    pub tables: Vec<RowGradients>,
    /// Number of the next step, which decides what dropout drops; it rises by
    /// one with each.
    pub step: u64,
    parts: Vec<Part>,
    tower_buffers: Vec<MlpBuffers>,
    towered: Vec<Towered>,
    packed: Packed,
}

/// What one thread works on.
#[derive(Debug, Default)]
struct Part {
    piece: Piece,
    interaction_gradient: Vec<f32>,
    /// Gradient of the row of each sample of the part, `[samples, row_width]`.
    row_gradients: Vec<f32>,
    dense: Vec<f32>,
    loss: f64,
}

/// The gradients of all rows, which lie in parts.
#[derive(Clone, Copy)]
struct AllRows<'a> {
    parts: &'a [Vec<f32>],
    per_part: usize,
    width: usize,
}

impl<'a> AllRows<'a> {
    #[inline]
    fn of_sample(self, sample: usize) -> &'a [f32] {
        let row = sample % self.per_part * self.width;
        &self.parts[sample / self.per_part][row..row + self.width]
    }
}

impl Dlrm {
    /// Computes the gradients of the mean loss over `batch`, with the penalties
    /// that the configuration asks for, and returns that loss without them.
    /// `targets` are in the unit of the predictions, `[batch]`.
    ///
    /// # Errors
    /// A batch that does not fit the configuration.
    pub fn gradients(
        &self,
        batch: &Batch,
        targets: &[f32],
        loss: Loss,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        let samples = batch.check(&self.config)?;
        same("targets", targets.len(), samples)?;
        loss.check(&self.config.output, samples)?;
        let Gradients {
            dense,
            tables,
            step,
            parts,
            tower_buffers,
            towered,
            packed,
        } = gradients;
        dense.clear();
        dense.resize(self.layout.dense_length, 0.0);
        tables.resize_with(self.layout.tables.len(), RowGradients::default);
        if samples == 0 {
            tables.fill_with(RowGradients::default);
            return Ok(0.0);
        }
        let threads = rayon::current_num_threads();
        parts.resize_with(threads, Part::default);
        tower_buffers.resize_with(threads, MlpBuffers::default);
        // Pairs stay together.
        let per_part = samples.div_ceil(threads).next_multiple_of(2);
        rayon::join(
            || packed.pack(&self.layout, &self.parameters.dense),
            || self.sort_rows(batch, tables),
        );
        self.run_towers(batch, packed, None, towered, tower_buffers);
        let run = Run {
            model: self,
            packed,
            batch,
            towered,
            dropout: Dropout::new(self.config.dropout, *step),
            only: None,
        };
        *step += 1;
        parts.par_iter_mut().enumerate().for_each(|(number, part)| {
            let start = (number * per_part).min(samples);
            let end = (start + per_part).min(samples);
            run.run_part(targets, loss, start..end, part);
        });
        // All threads read all rows while each writes its own sums.
        let row_gradients: Vec<Vec<f32>> = parts
            .iter_mut()
            .map(|part| std::mem::take(&mut part.row_gradients))
            .collect();
        let rows = AllRows {
            parts: &row_gradients,
            per_part,
            width: self.layout.row_width,
        };
        rayon::join(
            || run.towers_backward(rows, parts, tower_buffers),
            || run.collect_rows(rows, tables),
        );
        for (part, gradients) in parts.iter_mut().zip(row_gradients) {
            part.row_gradients = gradients;
            add_scaled(dense, &part.dense, 1.0);
        }
        self.add_l2(dense);
        Ok(parts.iter().map(|part| part.loss).sum::<f64>() / samples as f64)
    }

    fn sort_rows(&self, batch: &Batch, tables: &mut [RowGradients]) {
        let shapes = self.layout.tables.par_iter();
        tables.par_iter_mut().zip(shapes).for_each(|(rows, shape)| {
            rows.sort(&batch.bags[shape.lookup], shape);
        });
    }

    fn add_l2(&self, dense: &mut [f32]) {
        if self.config.l2 == 0.0 {
            return;
        }
        for (_, layer) in self.layout.layers(&self.config) {
            let range = layer.start..layer.end();
            let parameters = &self.parameters.dense[range.clone()];
            add_scaled(&mut dense[range], parameters, 2.0 * self.config.l2);
        }
    }
}

impl Run<'_> {
    /// Forwards and backwards through everything but towers and tables.
    fn run_part(&self, targets: &[f32], loss: Loss, samples: Range<usize>, part: &mut Part) {
        let layout = &self.model.layout;
        let width = layout.row_width;
        part.loss = 0.0;
        part.dense.clear();
        part.dense.resize(layout.dense_length, 0.0);
        part.row_gradients.resize(samples.len() * width, 0.0);
        let share = 1.0 / targets.len() as f32;
        for start in samples.clone().step_by(PIECE) {
            let range = start..samples.end.min(start + PIECE);
            self.forward_piece(range.clone(), &mut part.piece);
            let top = &mut part.piece.top;
            top.last_gradient(&layout.top, range.len());
            if let (Some(last), Some(slopes)) = (top.outputs.last(), top.gradients.last_mut()) {
                let (targets, output) = (&targets[range.clone()], &self.model.config.output);
                part.loss += loss.of_samples(last, targets, output, share, slopes);
            }
            let offset = start - samples.start;
            let rows = offset * width..(offset + range.len()) * width;
            self.piece_backward(range, rows, share, part);
        }
        self.missing_backward(samples, part);
    }

    /// From the gradients of a piece's last numbers to those of its `rows`.
    fn piece_backward(&self, range: Range<usize>, rows: Range<usize>, share: f32, part: &mut Part) {
        let layout = &self.model.layout;
        let Part {
            piece,
            interaction_gradient,
            row_gradients,
            dense,
            ..
        } = part;
        interaction_gradient.resize(range.len() * layout.interaction_width, 0.0);
        layout.top.backward(
            &self.packed.top,
            &self.model.parameters.dense,
            copy_rows(&piece.interacted, layout.interaction_width),
            range.len(),
            &mut piece.top,
            dense,
            Some(interaction_gradient),
            self.dropout,
        );
        let gradients = &mut row_gradients[rows];
        let interaction = self.model.config.interaction;
        layout.interact_backward(interaction, &piece.rows, interaction_gradient, gradients);
        self.bags_backward(piece, share, gradients, dense);
        for (number, mlp) in layout.bottoms.iter().enumerate() {
            let columns = layout.slots[number].clone();
            let buffers = &mut piece.bottoms[number];
            let upstream = buffers.last_gradient(mlp, range.len());
            let of_rows = gradients.chunks_exact(layout.row_width);
            for (out, row) in upstream.chunks_exact_mut(columns.len()).zip(of_rows) {
                out.copy_from_slice(&row[columns.clone()]);
            }
            mlp.backward(
                &self.packed.bottoms[number],
                &self.model.parameters.dense,
                self.dense_input(number, range.start),
                range.len(),
                buffers,
                dense,
                None,
                self.dropout,
            );
        }
    }

    /// Penalties, projections and combinations of pooled vectors.
    fn bags_backward(
        &self,
        piece: &mut Piece,
        share: f32,
        gradients: &mut [f32],
        dense: &mut [f32],
    ) {
        let layout = &self.model.layout;
        let width = layout.row_width;
        let penalty = 2.0 * self.model.config.embedding_norm * share;
        for (lookup, packed) in layout.lookups.iter().zip(&self.packed.projections) {
            let slot = lookup.slot.clone();
            if penalty > 0.0 {
                let rows = piece.rows.chunks_exact(width);
                for (gradient, row) in gradients.chunks_exact_mut(width).zip(rows) {
                    add_scaled(&mut gradient[slot.clone()], &row[slot.clone()], penalty);
                }
            }
            if lookup.is_plain() {
                continue;
            }
            if let Some(layer) = &lookup.projection {
                let (mut upstream, mut scratch) = (Vec::new(), Vec::new());
                project(gradients, width, slot, &mut upstream);
                project(
                    &piece.rows,
                    width,
                    lookup.pooled.clone(),
                    &mut piece.scratch,
                );
                let input = copy_rows(&piece.scratch, layer.inputs);
                layer.backward_parameters(&upstream, input, dense, &mut scratch);
                layer.backward_input(
                    packed,
                    copy_rows(&upstream, layer.outputs),
                    upstream.len() / layer.outputs,
                    (&mut gradients[lookup.pooled.start..], width),
                    store(),
                    &mut scratch,
                );
            }
            lookup.combine_backward(&layout.tables, &piece.rows, gradients, width);
        }
    }

    /// Gradients of the vectors that stand for missing modalities.
    fn missing_backward(&self, samples: Range<usize>, part: &mut Part) {
        let layout = &self.model.layout;
        let towers = layout.towers.iter().zip(self.batch.modalities);
        for ((tower, input), columns) in towers.zip(layout.modality_slots()) {
            let missing = &mut part.dense[tower.missing..tower.missing + tower.width];
            let rows = part.row_gradients.chunks_exact(layout.row_width);
            for (row, &vector) in rows.zip(&input.rows[samples.clone()]) {
                if vector == ModalityInput::MISSING {
                    add_scaled(missing, &row[columns.clone()], 1.0);
                }
            }
        }
    }

    fn towers_backward(&self, rows: AllRows, parts: &mut [Part], buffers: &mut [MlpBuffers]) {
        let layout = &self.model.layout;
        let threads = parts.len();
        let parts = parts.par_iter_mut().zip(buffers).enumerate();
        parts.for_each(|(number, (part, buffers))| {
            for (modality, towered) in self.towered.iter().enumerate() {
                let vectors = self.batch.modalities[modality].vectors;
                let run = self.model.tower_run(vectors, self.packed, modality);
                if run.tower.mlp.layers.is_empty() {
                    continue;
                }
                let columns = layout.modality_slots()[modality].clone();
                let per_thread = towered.distinct().div_ceil(threads);
                let start = (number * per_thread).min(towered.distinct());
                let end = (start + per_thread).min(towered.distinct());
                let of_sample = |sample: usize| &rows.of_sample(sample)[columns.clone()];
                towered.backward(run, start..end, of_sample, buffers, &mut part.dense);
            }
        });
    }

    fn collect_rows(&self, rows: AllRows, tables: &mut [RowGradients]) {
        let shapes = &self.model.layout.tables;
        let tables = tables.par_iter_mut().zip(shapes);
        tables.for_each(|(gradients, shape)| {
            let reader = self.reader(shape.lookup);
            gradients.collect(reader, shapes, shape, |sample| rows.of_sample(sample));
        });
    }
}

//! One training step's gradients, by explicit backward passes.
//!
//! The batch is cut into as many parts as there are threads, each part into
//! pieces that fit a core's cache; a piece goes forwards and backwards before
//! the next begins. Parts are fixed by the number of threads and their sums
//! are taken in order, so the same seed and threads give the same bits.

use rayon::prelude::*;

use crate::embedding_bag::RowGradients;
use crate::forward::{PIECE, Piece};
use crate::input::same;
use crate::mlp::MlpBuffers;
use crate::towers::Towered;
use crate::{Batch, Dlrm, Loss, Result};

/// Gradients of one batch, and the buffers they are computed in: keep one and
/// pass it to every step.
#[derive(Debug, Default)]
pub struct Gradients {
    /// Of [`Parameters::dense`](crate::Parameters::dense).
    pub dense: Vec<f32>,
    /// Of each table, by the rows touched.
    pub tables: Vec<RowGradients>,
    parts: Vec<Part>,
    towered: Vec<Towered>,
}

/// What one thread works on.
#[derive(Debug, Default)]
struct Part {
    piece: Piece,
    tower: MlpBuffers,
    gathered: Vec<f32>,
    interaction_gradient: Vec<f32>,
    /// Gradient of the vectors of each sample of the part,
    /// `[samples, slot_width]`.
    slot_gradients: Vec<f32>,
    dense: Vec<f32>,
    loss: f64,
}

impl Dlrm {
    /// Computes the gradients of the mean loss over `batch`, and returns that
    /// loss. `targets` are in the unit of the predictions, `[batch]`.
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
        loss.check(&self.config.output)?;
        gradients.dense.clear();
        gradients.dense.resize(self.layout.dense_length, 0.0);
        gradients
            .tables
            .resize_with(self.config.tables.len(), RowGradients::default);
        if samples == 0 {
            gradients.tables.fill_with(RowGradients::default);
            return Ok(0.0);
        }
        let threads = rayon::current_num_threads();
        gradients.parts.resize_with(threads, Part::default);
        let per_part = samples.div_ceil(threads);

        let Gradients {
            dense,
            tables,
            parts,
            towered,
        } = gradients;
        self.run_towers(batch, towered);
        parts.par_iter_mut().enumerate().for_each(|(number, part)| {
            let start = (number * per_part).min(samples);
            let end = (start + per_part).min(samples);
            self.run_part(batch, towered, targets, loss, start..end, part);
        });
        self.towers_backward(batch, per_part, towered, parts);
        self.collect_rows(batch, per_part, parts, tables);
        for part in parts.iter() {
            dense
                .iter_mut()
                .zip(&part.dense)
                .for_each(|(sum, g)| *sum += g);
        }
        Ok(parts.iter().map(|part| part.loss).sum::<f64>() / samples as f64)
    }

    /// Forwards and backwards through everything but towers and tables.
    fn run_part(
        &self,
        batch: &Batch,
        towered: &[Towered],
        targets: &[f32],
        loss: Loss,
        samples: std::ops::Range<usize>,
        part: &mut Part,
    ) {
        let slot_width = self.layout.slot_width;
        part.loss = 0.0;
        part.dense.clear();
        part.dense.resize(self.layout.dense_length, 0.0);
        part.slot_gradients.resize(samples.len() * slot_width, 0.0);
        let share = 1.0 / targets.len() as f32;
        for start in samples.clone().step_by(PIECE) {
            let range = start..samples.end.min(start + PIECE);
            self.forward_piece(batch, towered, range.clone(), &mut part.piece);
            part.loss += self.loss_gradient(&targets[range.clone()], loss, share, &mut part.piece);
            let offset = start - samples.start;
            let slots = offset * slot_width..(offset + range.len()) * slot_width;
            self.piece_backward(batch, range, slots, part);
        }
        self.missing_backward(batch, samples, part);
    }

    /// Sum of the losses of a piece; leaves their gradients at the top MLP.
    fn loss_gradient(&self, targets: &[f32], loss: Loss, share: f32, piece: &mut Piece) -> f64 {
        let output = self.config.output;
        let top = &self.layout.top;
        piece.top.last_gradient(top, targets.len());
        let MlpBuffers { outputs, gradients } = &mut piece.top;
        let (Some(last), Some(gradient)) = (outputs.last(), gradients.last_mut()) else {
            return 0.0;
        };
        let mut sum = 0.0;
        for ((g, &z), &target) in gradient.iter_mut().zip(last).zip(targets) {
            let target = (target - output.offset) / output.scale;
            let (value, slope) = loss.of(z, target, output.activation);
            sum += f64::from(value);
            *g = slope * share;
        }
        sum
    }

    fn piece_backward(
        &self,
        batch: &Batch,
        range: std::ops::Range<usize>,
        slots: std::ops::Range<usize>,
        part: &mut Part,
    ) {
        let parameters = &self.parameters.dense;
        let Part {
            piece,
            interaction_gradient,
            slot_gradients,
            dense,
            ..
        } = part;
        interaction_gradient.resize(range.len() * self.layout.interaction_width, 0.0);
        self.layout.top.backward(
            parameters,
            &piece.interacted,
            range.len(),
            &mut piece.top,
            dense,
            Some(interaction_gradient),
        );
        let slot_gradients = &mut slot_gradients[slots];
        self.layout.interact_backward(
            self.config.interaction,
            &piece.slots,
            self.config.dim,
            interaction_gradient,
            slot_gradients,
        );
        let columns = self.layout.slots[0].clone();
        let upstream = piece.bottom.last_gradient(&self.layout.bottom, range.len());
        for (out, row) in upstream
            .chunks_exact_mut(columns.len())
            .zip(slot_gradients.chunks_exact(self.layout.slot_width))
        {
            out.copy_from_slice(&row[columns.clone()]);
        }
        let input = self.dense_rows(batch.dense, range.clone());
        self.layout.bottom.backward(
            parameters,
            input,
            range.len(),
            &mut piece.bottom,
            dense,
            None,
        );
    }

    /// Gradients of the vectors that stand for missing modalities.
    fn missing_backward(&self, batch: &Batch, samples: std::ops::Range<usize>, part: &mut Part) {
        let modality_slots = self.layout.modality_slots(self.config.tables.len());
        for ((tower, input), columns) in self
            .layout
            .towers
            .iter()
            .zip(batch.modalities)
            .zip(modality_slots)
        {
            let missing = &mut part.dense[tower.missing..tower.missing + tower.width];
            let rows = part.slot_gradients.chunks_exact(self.layout.slot_width);
            for (row, _) in rows
                .zip(&input.rows[samples.clone()])
                .filter(|&(_, &row)| row == crate::ModalityInput::MISSING)
            {
                missing
                    .iter_mut()
                    .zip(&row[columns.clone()])
                    .for_each(|(sum, g)| *sum += g);
            }
        }
    }

    fn towers_backward(
        &self,
        batch: &Batch,
        per_part: usize,
        towered: &mut [Towered],
        parts: &mut [Part],
    ) {
        let modality_slots = self.layout.modality_slots(self.config.tables.len());
        towered.par_iter_mut().for_each(Towered::group_samples);
        // All parts read all slot gradients while each writes its own sums.
        let slot_gradients: Vec<Vec<f32>> = parts
            .iter_mut()
            .map(|part| std::mem::take(&mut part.slot_gradients))
            .collect();
        let threads = parts.len();
        parts.par_iter_mut().enumerate().for_each(|(number, part)| {
            for (modality, (tower, towered)) in
                self.layout.towers.iter().zip(towered.iter()).enumerate()
            {
                let per_thread = towered.distinct().div_ceil(threads);
                let start = (number * per_thread).min(towered.distinct());
                let end = (start + per_thread).min(towered.distinct());
                towered.backward(
                    start..end,
                    tower,
                    &self.parameters.dense,
                    &batch.modalities[modality],
                    |sample| {
                        self.slot_gradient(
                            &slot_gradients,
                            per_part,
                            sample,
                            &modality_slots[modality],
                        )
                    },
                    &mut part.gathered,
                    &mut part.tower,
                    &mut part.dense,
                );
            }
        });
        for (part, gradients) in parts.iter_mut().zip(slot_gradients) {
            part.slot_gradients = gradients;
        }
    }

    fn collect_rows(
        &self,
        batch: &Batch,
        per_part: usize,
        parts: &[Part],
        tables: &mut [RowGradients],
    ) {
        let table_slots = self.layout.table_slots(self.config.tables.len());
        let slot_gradients: Vec<&[f32]> = parts
            .iter()
            .map(|part| part.slot_gradients.as_slice())
            .collect();
        tables
            .par_iter_mut()
            .enumerate()
            .for_each(|(number, rows)| {
                let pooling = self.config.tables[number].pooling;
                rows.collect(&batch.bags[number], pooling, self.config.dim, |sample| {
                    self.slot_gradient(&slot_gradients, per_part, sample, &table_slots[number])
                });
            });
    }

    /// Gradient of one vector of one sample of the batch.
    fn slot_gradient<'a, S: AsRef<[f32]>>(
        &self,
        parts: &'a [S],
        per_part: usize,
        sample: usize,
        columns: &std::ops::Range<usize>,
    ) -> &'a [f32] {
        let row = sample % per_part * self.layout.slot_width;
        &parts[sample / per_part].as_ref()[row + columns.start..row + columns.end]
    }
}

//! One training step's gradients, by explicit backward passes, in three stages.
//!
//! 1. [`prepare_step`](Dlrm::prepare_step): weights are packed, ids sorted by row, towers run on
//!    the distinct vectors of each modality, rows of tables gathered, shared bags pooled.
//! 2. [`run_parts`](Pass::run_parts): samples go forwards and backwards through everything but
//!    towers and tables. What comes of it is `∂L/∂row` of each sample, `row` being its vectors
//!    side by side, and the gradients of all parameters but the towers'.
//! 3. [`towers_backward`](Pass::towers_backward), [`collect_rows`](Pass::collect_rows): the rows'
//!    gradients are summed by distinct vector and taken back through the towers, and summed by
//!    the rows of the tables.
//!
//! In the second the batch is cut into parts, each into pieces that fit a core's cache; a piece
//! goes forwards and backwards before the next begins. Threads take parts as
//! they come, each part has sums of its own, and these are added up in order, a
//! [wave](crate::waves) of parts at a time: the same seed gives the same bits,
//! whatever the number of threads, and memory does not grow with the batch.

use std::ops::Range;

use mmdlrm_kernels::{add_scaled, copy_rows, store};
use rayon::prelude::*;

use crate::dropout::{DEFAULT_SEED, Dropout};
use crate::embedding_bag::RowGradients;
use crate::forward::{PIECE, Pass, PieceBuffers, Prepared, copy_columns};
use crate::input::{finite, same};
use crate::mlp::{Layer, MlpBuffers, Sums};
use crate::part_size::{part_size, samples_together};
use crate::per_thread::PerThread;
use crate::towers::Towered;
use crate::waves::{add_in_order, wave};
use crate::{Dlrm, Inputs, ModalityInput, Objective, Result, StepPart};

/// Most samples of a part: some pieces, so that adding up is little work beside
/// them.
const PART: usize = 4 * PIECE;
/// Most distinct vectors of a part; a tower has more parameters to add up.
const TOWER_PART: usize = 8 * PIECE;
/// Least parts of a wave: all of a batch of 8,192 samples, so that threads seldom wait
/// for each other.
const WAVE: usize = 24;

/// Gradients of one batch, and the buffers they are computed in: keep one and
/// pass it to every step.
#[derive(Debug)]
pub struct Gradients {
    /// Gradients of [`Parameters::dense`](crate::Parameters::dense).
    pub dense: Vec<f32>,
    /// Gradients of each of [`Parameters::tables`](crate::Parameters::tables), by the
    /// rows touched.
    pub tables: Vec<RowGradients>,
    /// Number of the next step, which with [`Self::seed`] decides what dropout
    /// drops; it rises by one with each.
    pub step: u64,
    /// Seed of what dropout drops; 42 by default.
    pub seed: u64,
    /// Which of its step's samples the next batch has, which takes it; all of them by default.
    pub part: Option<StepPart>,
    buffers: Buffers,
}

impl Default for Gradients {
    fn default() -> Self {
        Self::with_seed(DEFAULT_SEED)
    }
}

impl Gradients {
    /// For a run whose dropout is drawn by `seed`.
    pub fn with_seed(seed: u64) -> Self {
        Self {
            dense: Vec::new(),
            tables: Vec::new(),
            step: 0,
            seed,
            part: None,
            buffers: Buffers::default(),
        }
    }
}

/// What is of no account once a step's gradients are computed.
#[derive(Debug, Default)]
struct Buffers {
    prepared: Prepared,
    /// Sums of each part of a wave.
    parts: Vec<PartSums>,
    tower_parts: Vec<TowerPart>,
    /// Sums of each tower part of a wave.
    tower_sums: Vec<Vec<f32>>,
    /// Gradient of the row of each sample, `[batch, row_width]`.
    rows: Vec<f32>,
    scratch: PerThread<Scratch>,
    tower_buffers: PerThread<MlpBuffers>,
}

/// Sums over the samples of a part, [`PART`] at most.
#[derive(Debug, Default)]
struct PartSums {
    /// Gradients of all parameters but the towers'.
    dense: Vec<f32>,
    loss: f64,
}

/// [`TOWER_PART`] distinct vectors of a modality, or fewer.
#[derive(Debug)]
struct TowerPart {
    modality: usize,
    /// Places of the vectors among the distinct ones.
    places: Range<usize>,
}

/// What a thread works with.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub piece: PieceBuffers,
    interaction_gradient: Vec<f32>,
}

impl Dlrm {
    /// Computes the gradients of the mean loss over `batch`, with the penalties
    /// that the configuration asks for, and returns that loss without them; over a whole step
    /// where the batch is a [part](Gradients::part) of one.
    /// `targets` are in the unit of the predictions, `[batch]`.
    ///
    /// # Errors
    /// A batch that does not fit the configuration, or a [store](crate::TableStore) that
    /// fails.
    pub fn gradients(
        &self,
        batch: &Inputs,
        targets: &[f32],
        loss: impl Objective,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        // One instance of it all, whatever the loss.
        self.gradients_of(batch, targets, &loss, gradients)
    }

    fn gradients_of(
        &self,
        batch: &Inputs,
        targets: &[f32],
        loss: &dyn Objective,
        gradients: &mut Gradients,
    ) -> Result<f64> {
        let samples = batch.check(&self.config)?;
        same("targets", targets.len(), samples)?;
        finite("targets", targets, 1)?;
        loss.check(&self.config.output, targets)?;
        let Gradients {
            dense,
            tables,
            step,
            seed,
            part: of_step,
            buffers,
        } = gradients;
        let part = StepPart::of(*of_step, samples)?;
        let together = samples_together(loss, samples)?;
        if !part.first.is_multiple_of(together) {
            return Err(part.refuse(
                "it begins among samples that are compared with each other; begin it at the first \
                 of them",
            ));
        }
        if self.config.table_l2 > 0.0 && !part.is_whole(samples) {
            return Err(part.refuse(
                "each part would add table_l2 for the rows that it touches; set it to 0, or give \
                 the whole step",
            ));
        }
        let Buffers {
            prepared,
            parts,
            tower_parts,
            tower_sums,
            rows,
            scratch,
            tower_buffers,
        } = buffers;
        scratch.fit();
        tower_buffers.fit();
        if let Err(error) = self.prepare_step(batch, tables, prepared, tower_buffers) {
            // Of a batch that failed there is nothing to be moved by.
            tables.clear();
            return Err(error);
        }
        *of_step = None;
        let pass = Pass {
            dropout: Dropout::new(self.config.dropout, *seed, *step),
            first: part.first,
            ..prepared.pass(self, batch, None)
        };
        // Of all samples of the step: nothing is the mean over no samples.
        let share = 1.0 / part.samples.max(1) as f32;
        *step += 1;

        let layout = &self.layout;
        rows.resize(samples * layout.row_width, 0.0);
        dense.clear();
        dense.resize(layout.dense_length, 0.0);
        let (before_towers, of_towers) = dense.split_at_mut(layout.towers_start);
        let loss = (targets, loss, share);
        let sum = pass.run_parts(loss, rows, parts, before_towers, scratch);

        cut_towers(pass.towered, tower_parts);
        rayon::join(
            || pass.towers_backward(rows, tower_parts, tower_sums, tower_buffers, of_towers),
            || pass.collect_rows(rows, tables),
        );
        self.add_l2(part.share(samples), dense);
        Ok(sum / part.samples.max(1) as f64)
    }

    /// What a step computes before any sample goes through the model. Few stages: each that
    /// threads wait for costs some tens of microseconds.
    fn prepare_step(
        &self,
        batch: &Inputs,
        tables: &mut Vec<RowGradients>,
        prepared: &mut Prepared,
        tower_buffers: &PerThread<MlpBuffers>,
    ) -> Result<()> {
        let Prepared {
            packed,
            towered,
            fetched,
        } = prepared;
        tables.resize_with(self.layout.tables.len(), RowGradients::default);
        rayon::join(
            || packed.pack(&self.layout, &self.parameters.dense),
            || {
                rayon::join(
                    || self.sort_rows(batch, tables),
                    || self.find_distinct(batch, None, towered),
                )
            },
        );
        let ((), fetched) = rayon::join(
            || self.run_towers(batch, packed, towered, tower_buffers),
            || self.fetch_rows(batch, None, Some(tables), fetched),
        );
        fetched
    }

    /// Finds the rows of each stored table that the batch touches.
    fn sort_rows(&self, batch: &Inputs, tables: &mut [RowGradients]) {
        let shapes = self.layout.tables.par_iter();
        tables.par_iter_mut().zip(shapes).for_each(|(rows, shape)| {
            rows.sort(&batch.tables[shape.lookup], shape);
        });
    }

    /// `share` is that of the batch in the step.
    fn add_l2(&self, share: f32, dense: &mut [f32]) {
        if self.config.l2 == 0.0 {
            return;
        }
        for (_, layer) in self.layout.layers(&self.config) {
            let range = layer.start..layer.end();
            let parameters = &self.parameters.dense[range.clone()];
            add_scaled(&mut dense[range], parameters, 2.0 * self.config.l2 * share);
        }
    }
}

impl Pass<'_> {
    /// Takes all samples forwards and backwards through everything but towers and
    /// tables: writes the gradients of their rows, `[batch, row_width]`, adds to `dense`
    /// those of the parameters before the towers', and returns the sum of the losses, of
    /// which each counts for a share of the step's.
    fn run_parts(
        &self,
        loss: (&[f32], &dyn Objective, f32),
        rows: &mut [f32],
        parts: &mut Vec<PartSums>,
        dense: &mut [f32],
        scratch: &PerThread<Scratch>,
    ) -> f64 {
        let samples = loss.0.len();
        let of_part = part_size(samples, PART, loss.1.samples_together());
        let wave = wave(WAVE).min(samples.div_ceil(of_part).max(1));
        parts.resize_with(wave, PartSums::default);
        let of_rows = of_part * self.model.layout.row_width;
        let mut sum = 0.0;
        for (number, rows) in rows.chunks_mut(wave * of_rows).enumerate() {
            let first = number * wave * of_part;
            let tasks = rows.par_chunks_mut(of_rows).zip(parts.par_iter_mut());
            tasks.enumerate().for_each(|(number, (rows, part))| {
                let start = first + number * of_part;
                let samples = start..samples.min(start + of_part);
                scratch.with(|scratch| self.run_part(loss, samples, part, rows, scratch));
            });
            let parts = &parts[..rows.len().div_ceil(of_rows)];
            let of_parts: Vec<&[f32]> = parts.iter().map(|part| part.dense.as_slice()).collect();
            add_in_order(dense, &of_parts);
            parts.iter().for_each(|part| sum += part.loss);
        }
        sum
    }

    /// Takes the samples of a part forwards and backwards, a piece after another: writes
    /// the gradients of their rows, `[part, row_width]`, and the part's sums.
    fn run_part(
        &self,
        (targets, loss, share): (&[f32], &dyn Objective, f32),
        samples: Range<usize>,
        part: &mut PartSums,
        rows: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let layout = &self.model.layout;
        let width = layout.row_width;
        part.loss = 0.0;
        part.dense.clear();
        part.dense.resize(layout.towers_start, 0.0);
        for start in samples.clone().step_by(PIECE) {
            let range = start..samples.end.min(start + PIECE);
            self.forward_piece(range.clone(), &mut scratch.piece);
            let top = &mut scratch.piece.top;
            top.last_gradient(&layout.top, range.len());
            if let (Some(last), Some(slopes)) = (top.outputs.last(), top.gradients.last_mut()) {
                let (targets, output) = (&targets[range.clone()], &self.model.config.output);
                part.loss += loss.of_samples(last, targets, output, share, slopes);
            }
            let offset = start - samples.start;
            let rows = &mut rows[offset * width..(offset + range.len()) * width];
            let mut sums = Sums {
                values: &mut part.dense,
                first: 0,
            };
            self.piece_backward(range, share, rows, &mut sums, scratch);
        }
        self.missing_backward(samples, rows, &mut part.dense);
    }

    /// From the gradients of a piece's last numbers to those of its rows,
    /// `[piece, row_width]`.
    fn piece_backward(
        &self,
        range: Range<usize>,
        share: f32,
        gradients: &mut [f32],
        dense: &mut Sums,
        scratch: &mut Scratch,
    ) {
        self.top_backward(range.len(), gradients, dense, scratch);
        self.bags_backward(&mut scratch.piece, share, gradients, dense);
        self.bottoms_backward(range, &mut scratch.piece.bottoms, gradients, dense);
    }

    /// From the gradients of a piece's last numbers to those of the vectors that
    /// interact, through the top MLP; `rows` is the number of samples.
    pub(crate) fn top_backward(
        &self,
        rows: usize,
        gradients: &mut [f32],
        dense: &mut Sums,
        scratch: &mut Scratch,
    ) {
        let layout = &self.model.layout;
        let Scratch {
            piece,
            interaction_gradient,
        } = scratch;
        interaction_gradient.resize(rows * layout.top_width, 0.0);
        let input = match layout.wide {
            Some(_) => &piece.widened,
            None => &piece.interacted,
        };
        self.top(self.dropout).backward(
            copy_rows(input, layout.top_width),
            rows,
            &mut piece.top,
            dense,
            Some(interaction_gradient),
        );
        if let Some(wide) = &layout.wide {
            let upstream = piece.top.gradients.last().map_or(&[][..], Vec::as_slice);
            let parameters = &self.model.parameters.dense;
            wide.add_from_one(parameters, upstream, input, dense, interaction_gradient);
            // Nothing below wants the gradient of the dense features.
            keep_columns(
                interaction_gradient,
                layout.top_width,
                layout.interaction_width,
            );
        }
        let interaction = self.model.config.interaction;
        layout.interact_backward(
            interaction,
            &piece.rows,
            interaction_gradient,
            gradients,
            &mut piece.scratch,
        );
    }

    /// From the gradients of the tables' vectors to those of the vectors that are pooled:
    /// penalties, projections, combinations.
    fn bags_backward(
        &self,
        piece: &mut PieceBuffers,
        share: f32,
        gradients: &mut [f32],
        dense: &mut Sums,
    ) {
        let layout = &self.model.layout;
        let width = layout.row_width;
        let penalty = 2.0 * self.model.config.embedding_norm * share;
        for (number, lookup) in layout.lookups.iter().enumerate() {
            if penalty > 0.0 {
                let slot = lookup.slot.clone();
                let rows = piece.rows.chunks_exact(width);
                for (gradient, row) in gradients.chunks_exact_mut(width).zip(rows) {
                    add_scaled(&mut gradient[slot.clone()], &row[slot.clone()], penalty);
                }
            }
            if lookup.is_plain() {
                continue;
            }
            if let Some(layer) = &lookup.projection {
                self.projection_backward(number, layer, piece, gradients, dense);
            }
            lookup.combine_backward(&layout.tables, &piece.rows, gradients, width);
        }
    }

    /// From the gradients of a lookup's projected vectors to those of its pooled ones.
    fn projection_backward(
        &self,
        number: usize,
        layer: &Layer,
        piece: &mut PieceBuffers,
        gradients: &mut [f32],
        dense: &mut Sums,
    ) {
        let layout = &self.model.layout;
        let (lookup, width) = (&layout.lookups[number], layout.row_width);
        let PieceBuffers {
            rows,
            scratch: pooled,
            ..
        } = piece;
        let (mut upstream, mut scratch) = (Vec::new(), Vec::new());
        copy_columns(gradients, width, lookup.slot.clone(), &mut upstream);
        copy_columns(rows, width, lookup.pooled.clone(), pooled);
        let input = copy_rows(pooled, layer.inputs);
        layer.backward_parameters(&upstream, input, dense, &mut scratch);
        layer.backward_input(
            &self.packed.projections[number],
            copy_rows(&upstream, layer.outputs),
            upstream.len() / layer.outputs,
            (&mut gradients[lookup.pooled.start..], width),
            store(),
            &mut scratch,
        );
    }

    /// From the gradients of the bottoms' vectors to those of the bottoms' parameters.
    fn bottoms_backward(
        &self,
        range: Range<usize>,
        buffers: &mut [MlpBuffers],
        gradients: &[f32],
        dense: &mut Sums,
    ) {
        let layout = &self.model.layout;
        let bottoms = layout.bottoms.iter().zip(buffers).enumerate();
        for (number, (mlp, buffers)) in bottoms {
            let columns = layout.slots[number].clone();
            let upstream = buffers.last_gradient(mlp, range.len());
            let of_rows = gradients.chunks_exact(layout.row_width);
            for (out, row) in upstream.chunks_exact_mut(columns.len()).zip(of_rows) {
                out.copy_from_slice(&row[columns.clone()]);
            }
            let input = self.bottom_input(number, range.start);
            self.bottom(number, self.dropout)
                .backward(input, range.len(), buffers, dense, None);
        }
    }

    /// Gradients of the vectors that stand for missing modalities.
    fn missing_backward(&self, samples: Range<usize>, rows: &[f32], dense: &mut [f32]) {
        let layout = &self.model.layout;
        let towers = layout.towers.iter().zip(self.batch.modalities);
        for ((tower, input), columns) in towers.zip(layout.modality_slots()) {
            let missing = &mut dense[tower.missing..tower.missing + tower.width];
            let rows = rows.chunks_exact(layout.row_width);
            for (row, &vector) in rows.zip(&input.rows[samples.clone()]) {
                if vector == ModalityInput::MISSING {
                    add_scaled(missing, &row[columns.clone()], 1.0);
                }
            }
        }
    }

    /// Adds to `dense` the gradients of the towers' parameters, from those of all samples'
    /// rows.
    fn towers_backward(
        &self,
        rows: &[f32],
        parts: &[TowerPart],
        sums: &mut Vec<Vec<f32>>,
        buffers: &PerThread<MlpBuffers>,
        dense: &mut [f32],
    ) {
        let layout = &self.model.layout;
        let wave = wave(WAVE).min(parts.len().max(1));
        sums.resize_with(wave, Vec::new);
        for parts in parts.chunks(wave) {
            let tasks = parts.par_iter().zip(sums.par_iter_mut());
            tasks.for_each(|(part, sums)| self.tower_backward(rows, part, sums, buffers));
            for (part, sums) in parts.iter().zip(&*sums) {
                let Range { start, end } = layout.towers[part.modality].range();
                let range = start - layout.towers_start..end - layout.towers_start;
                add_in_order(&mut dense[range], &[sums]);
            }
        }
    }

    /// Writes the sums of the gradients of a tower's parameters over some distinct vectors.
    fn tower_backward(
        &self,
        rows: &[f32],
        part: &TowerPart,
        sums: &mut Vec<f32>,
        buffers: &PerThread<MlpBuffers>,
    ) {
        let layout = &self.model.layout;
        let vectors = self.batch.modalities[part.modality].vectors;
        let pass = self.model.tower_pass(vectors, self.packed, part.modality);
        let columns = layout.modality_slots()[part.modality].clone();
        let range = pass.tower.range();
        sums.clear();
        sums.resize(range.len(), 0.0);
        let mut sums = Sums {
            values: sums,
            first: range.start,
        };
        let of_sample = |sample: usize| &rows[sample * layout.row_width..][columns.clone()];
        buffers.with(|buffers| {
            let towered = &self.towered[part.modality];
            towered.backward(pass, part.places.clone(), of_sample, buffers, &mut sums);
        });
    }

    /// Sums the gradients of the rows that each stored table was asked for, from those of
    /// all samples' rows.
    fn collect_rows(&self, rows: &[f32], tables: &mut [RowGradients]) {
        let layout = &self.model.layout;
        let (shapes, width) = (&layout.tables, layout.row_width);
        let tables = tables.par_iter_mut().zip(shapes).enumerate();
        tables.for_each(|(table, (gradients, shape))| {
            let reader = self.reader(shape.lookup);
            gradients.collect(reader, shapes, shape, |sample| {
                &rows[sample * width..(sample + 1) * width]
            });
            let penalty = 2.0 * self.model.config.table_l2;
            if penalty > 0.0 && !shape.is_weights {
                gradients.add_rows(reader.rows(table, shape), penalty);
            }
        });
    }
}

/// Keeps the first columns of rows.
fn keep_columns(rows: &mut Vec<f32>, width: usize, kept: usize) {
    let count = rows.len() / width;
    for row in 1..count {
        rows.copy_within(row * width..row * width + kept, row * kept);
    }
    rows.truncate(count * kept);
}

/// Cuts the distinct vectors of all modalities into parts.
fn cut_towers(towered: &[Towered], parts: &mut Vec<TowerPart>) {
    parts.clear();
    for (modality, towered) in towered.iter().enumerate() {
        let distinct = towered.distinct();
        let of_part = part_size(distinct, TOWER_PART, 1);
        let starts = (0..distinct).step_by(of_part);
        parts.extend(starts.map(|start| TowerPart {
            modality,
            places: start..distinct.min(start + of_part),
        }));
    }
}

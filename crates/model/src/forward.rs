//! The forward pass of a piece of a batch: vectors, interaction, top MLP.

use std::ops::Range;

use crate::embedding_bag::pool;
use crate::mlp::MlpBuffers;
use crate::towers::Towered;
use crate::{Batch, Dlrm};

/// Samples that one thread takes through the model at a time: small enough
/// that a piece's vectors and activations stay in its second-level cache.
pub(crate) const PIECE: usize = 128;

/// Buffers of one piece, reused from piece to piece.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    pub bottom: MlpBuffers,
    /// The vectors of each sample side by side, `[piece, slot_width]`.
    pub slots: Vec<f32>,
    /// What they interact to, `[piece, interaction_width]`.
    pub interacted: Vec<f32>,
    pub top: MlpBuffers,
}

impl Dlrm {
    /// Runs the towers of all modalities on the distinct vectors of a batch.
    pub(crate) fn run_towers(&self, batch: &Batch, towered: &mut Vec<Towered>) {
        towered.resize_with(self.layout.towers.len(), Towered::default);
        let modalities = batch.modalities.iter().zip(&self.config.modalities);
        for ((tower, towered), (input, config)) in
            self.layout.towers.iter().zip(towered).zip(modalities)
        {
            towered.run(tower, &self.parameters.dense, input, config.width);
        }
    }

    /// Runs samples `range` of a checked batch through the model;
    /// `piece.top.last_output()` is one number a sample.
    pub(crate) fn forward_piece(
        &self,
        batch: &Batch,
        towered: &[Towered],
        range: Range<usize>,
        piece: &mut Piece,
    ) {
        piece
            .slots
            .resize(range.len() * self.layout.slot_width, 0.0);
        self.fill_bottom(batch.dense, range.clone(), piece);
        self.fill_vectors(batch, towered, range.clone(), &mut piece.slots);
        self.finish_piece(range.len(), piece);
    }

    /// Bottom MLP of the samples `range`, into the first slot.
    pub(crate) fn fill_bottom(&self, dense: &[f32], range: Range<usize>, piece: &mut Piece) {
        let input = self.dense_rows(dense, range.clone());
        self.layout.bottom.forward(
            &self.parameters.dense,
            input,
            range.len(),
            &mut piece.bottom,
        );
        let columns = self.layout.slots[0].clone();
        let vectors = piece.bottom.last_output().chunks_exact(columns.len());
        for (row, vector) in piece
            .slots
            .chunks_exact_mut(self.layout.slot_width)
            .zip(vectors)
        {
            row[columns.clone()].copy_from_slice(vector);
        }
    }

    /// Embedding bags and towers of the samples `range`, into their slots.
    pub(crate) fn fill_vectors(
        &self,
        batch: &Batch,
        towered: &[Towered],
        range: Range<usize>,
        slots: &mut [f32],
    ) {
        let tables = self.config.tables.len();
        let table_slots = self.layout.table_slots(tables);
        let modality_slots = self.layout.modality_slots(tables);
        for (row, sample) in slots.chunks_exact_mut(self.layout.slot_width).zip(range) {
            for (number, columns) in table_slots.iter().enumerate() {
                let pooling = self.config.tables[number].pooling;
                let bag = batch.bags[number].bag(sample);
                pool(
                    &self.parameters.tables[number],
                    bag,
                    pooling,
                    &mut row[columns.clone()],
                );
            }
            for (number, columns) in modality_slots.iter().enumerate() {
                let tower = &self.layout.towers[number];
                let input = &batch.modalities[number];
                let vector = towered[number].vector(tower, &self.parameters.dense, input, sample);
                row[columns.clone()].copy_from_slice(vector);
            }
        }
    }

    /// Interaction and top MLP of `rows` rows of slots.
    pub(crate) fn finish_piece(&self, rows: usize, piece: &mut Piece) {
        piece
            .interacted
            .resize(rows * self.layout.interaction_width, 0.0);
        let Piece {
            slots,
            interacted,
            top,
            ..
        } = piece;
        self.layout
            .interact(self.config.interaction, slots, self.config.dim, interacted);
        self.layout
            .top
            .forward(&self.parameters.dense, interacted, rows, top);
    }

    /// From the top MLP's numbers to predictions in the unit of the targets.
    pub(crate) fn write_predictions(&self, last: &[f32], out: &mut [f32]) {
        let output = &self.config.output;
        for (prediction, &z) in out.iter_mut().zip(last) {
            *prediction = output.activation.apply(z) * output.scale + output.offset;
        }
    }

    pub(crate) fn dense_rows<'a>(&self, dense: &'a [f32], range: Range<usize>) -> &'a [f32] {
        let width = self.config.dense_features;
        &dense[range.start * width..range.end * width]
    }
}

//! The forward pass of a piece of a batch: vectors, interaction, top MLP.

use std::ops::Range;

use mmdlrm_kernels::{Rows, copy_rows};
use rayon::prelude::*;

use crate::config::Side;
use crate::dropout::Dropout;
use crate::embedding_bag::BagReader;
use crate::layout::Layout;
use crate::lookup::Lookup;
use crate::mlp::{Layer, MlpBuffers, MlpPass, PackedLayer, PackedMlp};
use crate::per_thread::PerThread;
use crate::table_rows::Fetched;
use crate::towers::{TowerPass, Towered};
use crate::{Dlrm, Inputs, Result, TableInput, Vectors};

/// Samples that one thread takes through the model at a time: small enough
/// that a piece's vectors and activations stay in its second-level cache, a
/// multiple of the rows of a product's tile, and even.
pub(crate) const PIECE: usize = 96;

/// Samples whose rows are asked for ahead of the one that is pooled.
const PREFETCH: usize = 8;

/// Copies of the weights as the products read them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    pub bottoms: Vec<PackedMlp>,
    pub towers: Vec<PackedMlp>,
    pub top: PackedMlp,
    /// One a lookup, empty where it has none.
    pub projections: Vec<PackedLayer>,
}

impl Packed {
    pub fn pack(&mut self, layout: &Layout, parameters: &[f32]) {
        self.towers.resize_with(layout.towers.len(), Vec::new);
        self.bottoms.resize_with(layout.bottoms.len(), Vec::new);
        let projections = layout.lookups.len();
        self.projections
            .resize_with(projections, PackedLayer::default);
        let towers = layout.towers.iter().map(|tower| &tower.mlp);
        let towers = towers.zip(&mut self.towers);
        let bottoms = layout.bottoms.iter().zip(&mut self.bottoms);
        let mut mlps: Vec<_> = towers
            .chain(bottoms)
            .map(|(mlp, packed)| (mlp, packed, false))
            .collect();
        mlps.push((&layout.top, &mut self.top, true));
        mlps.into_par_iter()
            .for_each(|(mlp, packed, of_input)| mlp.pack(parameters, of_input, packed));
        for (lookup, packed) in layout.lookups.iter().zip(&mut self.projections) {
            if let Some(layer) = &lookup.projection {
                packed.pack(layer, parameters, true);
            }
        }
    }
}

/// Buffers of one piece, reused from piece to piece.
#[derive(Debug, Clone, Default)]
pub(crate) struct PieceBuffers {
    /// One a bottom MLP.
    pub bottoms: Vec<MlpBuffers>,
    /// The vectors of each sample side by side, `[piece, row_width]`.
    pub rows: Vec<f32>,
    /// What the vectors interact to, `[piece, interaction_width]`.
    pub interacted: Vec<f32>,
    /// What the vectors interact to and the dense features, side by side, where a wide
    /// layer reads both, `[piece, top_width]`.
    pub widened: Vec<f32>,
    pub top: MlpBuffers,
    pub scratch: Vec<f32>,
}

/// What is computed before a pass over a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    pub packed: Packed,
    /// One a modality.
    pub towered: Vec<Towered>,
    /// One a stored table.
    pub fetched: Vec<Fetched>,
}

/// A pass over a batch, forwards or backwards, a piece after another: all that it reads.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub model: &'a Dlrm,
    pub packed: &'a Packed,
    pub batch: &'a Inputs<'a>,
    /// One a modality.
    pub towered: &'a [Towered],
    /// One a stored table.
    pub fetched: &'a [Fetched],
    pub dropout: Option<Dropout>,
    /// Number of the batch's first sample among those of the step.
    pub first: usize,
    /// The side whose vectors are filled in, the others being 0; all where
    /// there is none.
    pub only: Option<Side>,
}

impl Prepared {
    /// A pass that predicts: nothing is dropped.
    pub fn pass<'a>(
        &'a self,
        model: &'a Dlrm,
        batch: &'a Inputs<'a>,
        only: Option<Side>,
    ) -> Pass<'a> {
        Pass {
            model,
            packed: &self.packed,
            batch,
            towered: &self.towered,
            fetched: &self.fetched,
            dropout: None,
            first: 0,
            only,
        }
    }
}

/// The columns of the dense features that a bottom MLP reads, `[samples, columns]`.
#[derive(Clone, Copy)]
pub(crate) struct DenseColumns<'a> {
    /// All dense features from the first sample at hand on, `[samples, width]`.
    dense: &'a [f32],
    width: usize,
    columns: &'a [usize],
}

impl Rows for DenseColumns<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        let row = &self.dense[row * self.width..][..self.width];
        for (out, &column) in out.iter_mut().zip(&self.columns[from..]) {
            *out = row[column];
        }
    }
}

impl Dlrm {
    /// Packs the weights, runs the towers and fetches rows of tables, for one pass
    /// over a batch.
    pub(crate) fn prepare(&self, batch: &Inputs, only: Option<Side>) -> Result<Prepared> {
        let mut prepared = Prepared::default();
        let Prepared {
            packed,
            towered,
            fetched,
        } = &mut prepared;
        packed.pack(&self.layout, &self.parameters.dense);
        self.find_distinct(batch, only, towered);
        self.run_towers(batch, packed, towered, &PerThread::new());
        self.fetch_rows(batch, only, None, fetched)?;
        Ok(prepared)
    }

    /// Finds the distinct vectors of each modality of a batch.
    pub(crate) fn find_distinct(
        &self,
        batch: &Inputs,
        only: Option<Side>,
        towered: &mut Vec<Towered>,
    ) {
        towered.resize_with(self.layout.towers.len(), Towered::default);
        let inputs = batch.modalities.par_iter().zip(&self.layout.towers);
        let numbered = inputs.zip(towered.par_iter_mut()).enumerate();
        numbered.for_each(|(number, ((input, tower), towered))| {
            let side = self.config.modalities[number].side;
            if only.is_none_or(|only| only == side) && !tower.mlp.layers.is_empty() {
                towered.find_distinct(input);
            }
        });
    }

    /// Runs the towers on the distinct vectors that were found.
    pub(crate) fn run_towers(
        &self,
        batch: &Inputs,
        packed: &Packed,
        towered: &mut [Towered],
        buffers: &PerThread<MlpBuffers>,
    ) {
        let towered = towered.par_iter_mut().enumerate();
        towered.for_each(|(number, towered)| {
            let vectors = batch.modalities[number].vectors;
            towered.run(self.tower_pass(vectors, packed, number), buffers);
        });
    }

    pub(crate) fn tower_pass<'a>(
        &'a self,
        vectors: Vectors<'a>,
        packed: &'a Packed,
        number: usize,
    ) -> TowerPass<'a> {
        TowerPass {
            tower: &self.layout.towers[number],
            packed: &packed.towers[number],
            parameters: &self.parameters.dense,
            vectors,
        }
    }

    /// From the top MLP's numbers to predictions in the unit of the targets.
    pub(crate) fn write_predictions(&self, last: &[f32], out: &mut [f32]) {
        let output = &self.config.output;
        for (prediction, &z) in out.iter_mut().zip(last) {
            *prediction = output.activation.apply(z) * output.scale + output.offset;
        }
    }
}

impl Pass<'_> {
    /// Runs samples `range` of a checked batch through the model;
    /// `piece.top.last_output()` is one number a sample.
    pub fn forward_piece(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        self.fill_top_input(range.clone(), piece);
        let dropout = self.dropout_from(range.start);
        let mut top = std::mem::take(&mut piece.top);
        self.forward_top(self.top_input(piece), range.len(), &mut top, dropout);
        piece.top = top;
    }

    /// From samples `range` to what the top MLP reads.
    pub fn fill_top_input(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        self.fill_rows(range.clone(), piece);
        self.interact(piece);
        if self.model.layout.wide.is_some() {
            self.widen(range, piece);
        }
    }

    /// What the top MLP reads, `[piece, top_width]`.
    pub fn top_input<'p>(&self, piece: &'p PieceBuffers) -> &'p [f32] {
        match self.model.layout.wide {
            Some(_) => &piece.widened,
            None => &piece.interacted,
        }
    }

    /// Runs `rows` rows of what the top MLP reads through it, and the wide layer beside
    /// it: `buffers.last_output()` is one number a row.
    pub fn forward_top(
        &self,
        input: &[f32],
        rows: usize,
        buffers: &mut MlpBuffers,
        dropout: Option<Dropout>,
    ) {
        let Dlrm {
            layout, parameters, ..
        } = self.model;
        let rows_of_input = copy_rows(input, layout.top_width);
        self.top(dropout).forward(rows_of_input, rows, buffers);
        if let Some(wide) = &layout.wide {
            wide.add_to_one(&parameters.dense, input, buffers.last_output_mut());
        }
    }

    /// Puts the dense features of samples `range` behind what interacted.
    fn widen(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        let layout = &self.model.layout;
        let width = layout.top_width - layout.interaction_width;
        let interacted = piece.interacted.chunks_exact(layout.interaction_width);
        let dense = self.batch.dense[range.start * width..range.end * width].chunks_exact(width);
        piece.widened.clear();
        for (interacted, dense) in interacted.zip(dense) {
            piece.widened.extend_from_slice(interacted);
            piece.widened.extend_from_slice(dense);
        }
    }

    /// From rows of vectors to what they interact to.
    pub fn interact(&self, piece: &mut PieceBuffers) {
        let layout = &self.model.layout;
        let rows = piece.rows.len() / layout.row_width;
        piece
            .interacted
            .resize(rows * layout.interaction_width, 0.0);
        let interaction = self.model.config.interaction;
        layout.interact(interaction, &piece.rows, &mut piece.interacted);
    }

    /// The vectors of the samples `range`.
    pub fn fill_rows(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        let width = self.model.layout.row_width;
        piece.rows.resize(range.len() * width, 0.0);
        self.fill_bottoms(range.clone(), piece);
        self.fill_bags(range.clone(), piece);
        self.fill_modalities(range, piece);
    }

    /// What is dropped from a sample of the batch on.
    fn dropout_from(&self, sample: usize) -> Option<Dropout> {
        Some(self.dropout?.from(self.first + sample))
    }

    fn wants(&self, side: Side) -> bool {
        self.only.is_none_or(|only| only == side)
    }

    /// A bottom MLP.
    pub fn bottom(&self, number: usize, dropout: Option<Dropout>) -> MlpPass<'_> {
        MlpPass {
            mlp: &self.model.layout.bottoms[number],
            packed: &self.packed.bottoms[number],
            parameters: &self.model.parameters.dense,
            dropout,
        }
    }

    /// The top MLP.
    pub fn top(&self, dropout: Option<Dropout>) -> MlpPass<'_> {
        MlpPass {
            mlp: &self.model.layout.top,
            packed: &self.packed.top,
            parameters: &self.model.parameters.dense,
            dropout,
        }
    }

    /// What a bottom MLP reads, from sample `first` on.
    pub fn bottom_input(&self, bottom: usize, first: usize) -> DenseColumns<'_> {
        let width = self.model.config.dense_features();
        DenseColumns {
            dense: &self.batch.dense[first * width..],
            width,
            columns: &self.model.config.bottoms[bottom].columns,
        }
    }

    fn fill_bottoms(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        let Dlrm { layout, config, .. } = self.model;
        piece
            .bottoms
            .resize_with(layout.bottoms.len(), MlpBuffers::default);
        let dropout = self.dropout_from(range.start);
        for number in 0..layout.bottoms.len() {
            let columns = layout.slots[number].clone();
            let rows = piece.rows.chunks_exact_mut(layout.row_width);
            if !self.wants(config.bottoms[number].side) {
                rows.for_each(|row| row[columns.clone()].fill(0.0));
                continue;
            }
            let buffers = &mut piece.bottoms[number];
            let input = self.bottom_input(number, range.start);
            self.bottom(number, dropout)
                .forward(input, range.len(), buffers);
            let vectors = buffers.last_output().chunks_exact(columns.len());
            for (row, vector) in rows.zip(vectors) {
                row[columns.clone()].copy_from_slice(vector);
            }
        }
    }

    fn fill_bags(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        let Dlrm { layout, config, .. } = self.model;
        let width = layout.row_width;
        for (number, lookup) in layout.lookups.iter().enumerate() {
            if !self.wants(config.tables[number].side) {
                let rows = piece.rows.chunks_exact_mut(width);
                rows.for_each(|row| row[lookup.slot.clone()].fill(0.0));
                continue;
            }
            if let TableInput::Given { vectors, rows } = &self.batch.tables[number] {
                self.fill_given(lookup, vectors, &rows[range.clone()], &mut piece.rows);
                continue;
            }
            self.pool(number, range.clone(), &mut piece.rows);
            if lookup.is_plain() {
                continue;
            }
            lookup.combine(&layout.tables, &mut piece.rows, width);
            if let Some(layer) = &lookup.projection {
                self.project(number, layer, piece);
            }
        }
    }

    /// Writes vectors that are given in place of a table's.
    fn fill_given(&self, lookup: &Lookup, vectors: &[f32], given: &[u32], rows: &mut [f32]) {
        let dim = self.model.config.dim;
        let rows = rows.chunks_exact_mut(self.model.layout.row_width);
        for (row, &given) in rows.zip(given) {
            // Nothing is pooled.
            row[lookup.pooled.clone()].fill(0.0);
            let vector = &vectors[given as usize * dim..][..dim];
            row[lookup.slot.clone()].copy_from_slice(vector);
        }
    }

    /// Pools the bags of the samples `range`, of each stored table of a lookup.
    fn pool(&self, number: usize, range: Range<usize>, rows: &mut [f32]) {
        let layout = &self.model.layout;
        let (lookup, reader) = (&layout.lookups[number], self.reader(number));
        for table in lookup.tables.clone() {
            let shape = &layout.tables[table];
            let of_table = reader.rows(table, shape);
            let rows = rows.chunks_exact_mut(layout.row_width);
            for (row, sample) in rows.zip(range.clone()) {
                let ahead = sample + PREFETCH;
                if ahead < range.end {
                    reader.prefetch(of_table, ahead);
                }
                reader.pool(table, of_table, sample, &mut row[shape.columns.clone()]);
            }
        }
    }

    /// Takes the pooled vectors of a lookup through its projection.
    fn project(&self, number: usize, layer: &Layer, piece: &mut PieceBuffers) {
        let Dlrm {
            layout, parameters, ..
        } = self.model;
        let (lookup, width) = (&layout.lookups[number], layout.row_width);
        let PieceBuffers { rows, scratch, .. } = piece;
        copy_columns(rows, width, lookup.pooled.clone(), scratch);
        layer.forward(
            &self.packed.projections[number],
            &parameters.dense,
            copy_rows(scratch, layer.inputs),
            rows.len() / width,
            (&mut rows[lookup.slot.start..], width),
            &mut Vec::new(),
        );
    }

    pub fn reader(&self, table: usize) -> BagReader<'_> {
        let Dlrm {
            layout, parameters, ..
        } = self.model;
        BagReader::new(
            &self.batch.tables[table],
            &layout.lookups[table],
            &layout.tables,
            &parameters.tables,
            self.fetched,
        )
    }

    fn fill_modalities(&self, range: Range<usize>, piece: &mut PieceBuffers) {
        let Dlrm {
            layout,
            parameters,
            config,
        } = self.model;
        for (number, columns) in layout.modality_slots().iter().enumerate() {
            let rows = piece.rows.chunks_exact_mut(layout.row_width);
            if !self.wants(config.modalities[number].side) {
                rows.for_each(|row| row[columns.clone()].fill(0.0));
                continue;
            }
            let (tower, input) = (&layout.towers[number], &self.batch.modalities[number]);
            for (row, sample) in rows.zip(range.clone()) {
                let out = &mut row[columns.clone()];
                self.towered[number].read(tower, &parameters.dense, input, sample, out);
            }
        }
    }
}

/// Copies some columns of rows one after another.
pub(crate) fn copy_columns(rows: &[f32], width: usize, columns: Range<usize>, out: &mut Vec<f32>) {
    out.clear();
    for row in rows.chunks_exact(width) {
        out.extend_from_slice(&row[columns.clone()]);
    }
}

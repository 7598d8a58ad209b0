//! Modality towers, run once for each distinct vector of a batch.

use std::ops::Range;

use mmdlrm_kernels::{Rows, add_scaled, vectorize};
use rayon::prelude::*;

use crate::forward::PIECE;
use crate::grouped::Grouped;
use crate::layout::Tower;
use crate::mlp::{MlpBuffers, MlpPass, PackedMlp, Sums};
use crate::per_thread::PerThread;
use crate::{ModalityInput, Vectors};

/// Vectors that are asked for ahead of the one that is read.
const PREFETCH: usize = 4;

/// The distinct vectors of one modality in a batch and the tower's answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Towered {
    /// The samples of each distinct vector.
    grouped: Grouped,
    /// For each sample the place of its vector, or `MISSING`.
    place: Vec<u32>,
    /// Whether all vectors are there, each at its own place.
    has_all: bool,
    /// The tower's answers, `[distinct, width]`.
    outputs: Vec<f32>,
}

/// A tower with its parameters and the vectors of its modality, to take some of these through.
#[derive(Clone, Copy)]
pub(crate) struct TowerPass<'a> {
    pub tower: &'a Tower,
    pub packed: &'a PackedMlp,
    /// All parameters of the model, [`Parameters::dense`](crate::Parameters::dense).
    pub parameters: &'a [f32],
    pub vectors: Vectors<'a>,
}

/// Some of a modality's vectors, `[rows, width]`.
#[derive(Clone, Copy)]
struct VectorRows<'a> {
    vectors: Vectors<'a>,
    rows: &'a [u32],
    width: usize,
}

impl Rows for VectorRows<'_> {
    #[inline(always)]
    fn read(&self, row: usize, from: usize, out: &mut [f32]) {
        if let (0, Some(&ahead)) = (from, self.rows.get(row + PREFETCH)) {
            let start = ahead as usize * self.width;
            self.vectors.prefetch(start..start + self.width);
        }
        let start = self.rows[row] as usize * self.width + from;
        self.vectors.read(start, out);
    }
}

impl Towered {
    /// Finds the distinct vectors. Not for a tower without layers, whose vectors
    /// are read where they lie.
    pub fn find_distinct(&mut self, input: &ModalityInput) {
        let numbered = input.rows.iter().copied().zip(0..);
        self.grouped
            .sort(numbered.filter(|&(row, _)| row != ModalityInput::MISSING));
        self.place.clear();
        self.place.resize(input.rows.len(), ModalityInput::MISSING);
        for place in 0..self.distinct() {
            for sample in self.grouped.entries(place) {
                self.place[sample as usize] = place as u32;
            }
        }
    }

    /// Takes all vectors, whether a batch has them or not.
    pub fn take_all(&mut self, rows: usize) {
        self.has_all = true;
        self.grouped.rows = (0..rows as u32).collect();
    }

    /// Runs the tower on the distinct vectors.
    pub fn run(&mut self, pass: TowerPass, buffers: &PerThread<MlpBuffers>) {
        let (rows, width) = (&self.grouped.rows, pass.tower.width);
        if rows.is_empty() {
            return;
        }
        self.outputs.resize(rows.len() * width, 0.0);
        let pieces = rows.par_chunks(PIECE);
        pieces
            .zip(self.outputs.par_chunks_mut(PIECE * width))
            .for_each(|(rows, outputs)| {
                buffers.with(|buffers| pass.forward(rows, outputs, buffers))
            });
    }

    /// Number of distinct vectors.
    pub fn distinct(&self) -> usize {
        self.grouped.rows.len()
    }

    /// The distinct rows.
    pub fn rows(&self) -> &[u32] {
        &self.grouped.rows
    }

    /// Writes the vector of `sample` that meets the others.
    #[inline]
    pub fn read(
        &self,
        tower: &Tower,
        parameters: &[f32],
        input: &ModalityInput,
        sample: usize,
        out: &mut [f32],
    ) {
        let row = input.rows[sample];
        if row == ModalityInput::MISSING {
            out.copy_from_slice(&parameters[tower.missing..tower.missing + tower.width]);
        } else if tower.mlp.layers.is_empty() {
            input.vectors.read(row as usize * tower.width, out);
        } else {
            let place = match self.has_all {
                true => row,
                false => self.place[sample],
            };
            let start = place as usize * tower.width;
            out.copy_from_slice(&self.outputs[start..start + tower.width]);
        }
    }

    /// Adds to `gradient` what the distinct vectors in `places` contribute;
    /// `of_sample(s)` is the gradient of sample `s`'s vector, `[width]`.
    pub fn backward<'a>(
        &self,
        pass: TowerPass,
        places: Range<usize>,
        of_sample: impl Fn(usize) -> &'a [f32],
        buffers: &mut MlpBuffers,
        gradient: &mut Sums,
    ) {
        let TowerPass { tower, .. } = pass;
        for start in places.clone().step_by(PIECE) {
            let piece = start..places.end.min(start + PIECE);
            let rows = &self.rows()[piece.clone()];
            // Hidden layers are computed again rather than kept for the whole
            // batch; the last layer's answers are at hand.
            let hidden = tower.mlp.layers.len() - 1;
            pass.forward_layers(hidden, rows, buffers);
            if let Some(output) = buffers.outputs.last_mut() {
                output.clear();
                output.extend_from_slice(
                    &self.outputs[piece.start * tower.width..piece.end * tower.width],
                );
            }
            let upstream = buffers.last_gradient(&tower.mlp, piece.len());
            vectorize(
                #[inline(always)]
                || {
                    for (out, place) in upstream.chunks_exact_mut(tower.width).zip(piece.clone()) {
                        let mut samples = self.grouped.entries(place);
                        if let Some(first) = samples.next() {
                            out.copy_from_slice(of_sample(first as usize));
                        }
                        for sample in samples {
                            add_scaled(out, of_sample(sample as usize), 1.0);
                        }
                    }
                },
            );
            let input = pass.input(rows);
            pass.mlp()
                .backward(input, rows.len(), buffers, gradient, None);
        }
    }
}

impl<'a> TowerPass<'a> {
    fn mlp(self) -> MlpPass<'a> {
        MlpPass {
            mlp: &self.tower.mlp,
            packed: self.packed,
            parameters: self.parameters,
            dropout: None,
        }
    }

    /// The vectors of `rows`, for the first layer.
    fn input<'r>(self, rows: &'r [u32]) -> VectorRows<'r>
    where
        'a: 'r,
    {
        let layers = &self.tower.mlp.layers;
        VectorRows {
            vectors: self.vectors,
            rows,
            width: layers.first().map_or(0, |layer| layer.inputs),
        }
    }

    /// Runs the tower on a piece of vectors.
    fn forward(self, rows: &[u32], outputs: &mut [f32], buffers: &mut MlpBuffers) {
        self.forward_layers(self.tower.mlp.layers.len(), rows, buffers);
        outputs.copy_from_slice(buffers.last_output());
    }

    fn forward_layers(self, count: usize, rows: &[u32], buffers: &mut MlpBuffers) {
        let input = self.input(rows);
        self.mlp().forward_layers(count, input, rows.len(), buffers);
    }
}

//! Modality towers, run once for each distinct vector of a batch.

use rayon::prelude::*;

use crate::ModalityInput;
use crate::layout::Tower;
use crate::mlp::MlpBuffers;

/// Vectors that one thread takes through a tower at a time: small enough that
/// a piece's inputs and outputs stay in its second-level cache.
pub(crate) const PIECE: usize = 128;

/// The distinct vectors of one modality in a batch and the tower's answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Towered {
    /// Row of each distinct vector.
    unique: Vec<u32>,
    /// For each sample its place in `unique`, or `MISSING`.
    place: Vec<u32>,
    /// The tower's answers, `[unique, width]`.
    outputs: Vec<f32>,
    /// Place of each row while a batch is read; `MISSING` outside of that.
    place_of_row: Vec<u32>,
    /// Samples sorted by place, and where each place's samples begin.
    samples: Vec<u32>,
    starts: Vec<u32>,
}

impl Towered {
    /// Finds the distinct vectors and runs the tower on them. A tower without
    /// layers is left alone: its vectors are read where they lie.
    pub fn run(&mut self, tower: &Tower, parameters: &[f32], input: &ModalityInput, width: usize) {
        if tower.mlp.layers.is_empty() {
            return;
        }
        self.find_distinct(input, input.vectors.len() / width);
        self.outputs.resize(self.unique.len() * tower.width, 0.0);
        self.outputs
            .par_chunks_mut(PIECE * tower.width)
            .zip(self.unique.par_chunks(PIECE))
            .for_each_init(
                || (Vec::new(), MlpBuffers::default()),
                |(gathered, buffers), (outputs, rows)| {
                    gather(input.vectors, width, rows, gathered);
                    tower.mlp.forward(parameters, gathered, rows.len(), buffers);
                    outputs.copy_from_slice(buffers.last_output());
                },
            );
    }

    /// The vector of `sample` that meets the others.
    #[inline]
    pub fn vector<'a>(
        &'a self,
        tower: &Tower,
        parameters: &'a [f32],
        input: &ModalityInput<'a>,
        sample: usize,
    ) -> &'a [f32] {
        if input.rows[sample] == ModalityInput::MISSING {
            return &parameters[tower.missing..tower.missing + tower.width];
        }
        let (list, row) = if tower.mlp.layers.is_empty() {
            (input.vectors, input.rows[sample] as usize)
        } else {
            (self.outputs.as_slice(), self.place[sample] as usize)
        };
        &list[row * tower.width..(row + 1) * tower.width]
    }

    /// Number of distinct vectors.
    pub fn distinct(&self) -> usize {
        self.unique.len()
    }

    /// Sorts the samples by their vector, for [`Self::backward`].
    pub fn group_samples(&mut self) {
        self.starts.clear();
        self.starts.resize(self.unique.len() + 1, 0);
        let present = |place: &&u32| **place != ModalityInput::MISSING;
        for &place in self.place.iter().filter(present) {
            self.starts[place as usize + 1] += 1;
        }
        for place in 0..self.unique.len() {
            self.starts[place + 1] += self.starts[place];
        }
        self.samples.clear();
        self.samples
            .resize(self.starts[self.unique.len()] as usize, 0);
        // Filled from the back, so that each start ends where it began.
        let mut next: Vec<u32> = self.starts[1..].to_vec();
        for (sample, &place) in self.place.iter().enumerate().rev() {
            if place != ModalityInput::MISSING {
                let next = &mut next[place as usize];
                *next -= 1;
                self.samples[*next as usize] = sample as u32;
            }
        }
    }

    /// Adds to `gradient` what the distinct vectors in `places` contribute;
    /// `of_sample(s)` is the gradient of sample `s`'s vector, `[width]`.
    #[expect(clippy::too_many_arguments, reason = "two of them are scratch")]
    pub fn backward<'a>(
        &self,
        places: std::ops::Range<usize>,
        tower: &Tower,
        parameters: &[f32],
        input: &ModalityInput,
        of_sample: impl Fn(usize) -> &'a [f32],
        gathered: &mut Vec<f32>,
        buffers: &mut MlpBuffers,
        gradient: &mut [f32],
    ) {
        let Some(first) = tower.mlp.layers.first() else {
            return;
        };
        for start in places.clone().step_by(PIECE) {
            let piece = start..places.end.min(start + PIECE);
            gather(
                input.vectors,
                first.inputs,
                &self.unique[piece.clone()],
                gathered,
            );
            // Hidden layers are computed again rather than kept for the whole
            // batch; the last layer's answers are at hand.
            tower
                .mlp
                .forward_hidden(parameters, gathered, piece.len(), buffers);
            if let Some(output) = buffers.outputs.last_mut() {
                output.clear();
                output.extend_from_slice(
                    &self.outputs[piece.start * tower.width..piece.end * tower.width],
                );
            }
            let upstream = buffers.last_gradient(&tower.mlp, piece.len());
            upstream.fill(0.0);
            for (out, place) in upstream.chunks_exact_mut(tower.width).zip(piece.clone()) {
                let span = self.starts[place] as usize..self.starts[place + 1] as usize;
                for &sample in &self.samples[span] {
                    let of_sample = of_sample(sample as usize);
                    out.iter_mut().zip(of_sample).for_each(|(sum, g)| *sum += g);
                }
            }
            tower
                .mlp
                .backward(parameters, gathered, piece.len(), buffers, gradient, None);
        }
    }

    fn find_distinct(&mut self, input: &ModalityInput, rows: usize) {
        self.place_of_row.resize(rows, ModalityInput::MISSING);
        self.unique.clear();
        self.place.clear();
        for &row in input.rows {
            if row == ModalityInput::MISSING {
                self.place.push(ModalityInput::MISSING);
                continue;
            }
            let place = &mut self.place_of_row[row as usize];
            if *place == ModalityInput::MISSING {
                *place = self.unique.len() as u32;
                self.unique.push(row);
            }
            self.place.push(*place);
        }
        for &row in &self.unique {
            self.place_of_row[row as usize] = ModalityInput::MISSING;
        }
    }
}

/// Copies the vectors `rows` of `[_, width]` one after another.
fn gather(vectors: &[f32], width: usize, rows: &[u32], out: &mut Vec<f32>) {
    out.clear();
    for &row in rows {
        out.extend_from_slice(&vectors[row as usize * width..(row as usize + 1) * width]);
    }
}

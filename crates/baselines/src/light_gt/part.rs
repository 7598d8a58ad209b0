//! Samples of a step that are computed one after another by one thread.

use std::ops::Range;

use mmdlrm_kernels::{dot, vectorize};

use super::encoder::{Encoder, Rooms, Trace};
use super::nodes::NodeSums;
use super::sequences::Sequences;
use super::softmax::key;
use crate::pairwise::{Triples, Vectors, softplus};

/// Samples of a part.
pub(super) const SAMPLES: usize = 128;
/// Samples that go through a modality together: what it multiplies by stays in the second-level
/// cache meanwhile.
const TOGETHER: usize = 8;

/// What a step learns from. Nodes are numbered among those that it names.
pub(super) struct Samples<'a> {
    pub triples: &'a Triples,
    pub sequences: &'a Sequences,
    /// The triples' items, as nodes.
    pub rated: &'a [u32],
    pub others: &'a [u32],
    /// `e` of all users and items.
    pub ids: Vectors<'a>,
    pub encoders: &'a [Encoder<'a>],
    /// `w`.
    pub weight: f32,
    pub draw: u64,
}

/// What came of a part.
#[derive(Debug)]
pub(super) struct Part {
    pub loss: f64,
    /// Of each sample the derivative of the loss by `s_uj − s_ui`.
    pub slopes: Vec<f32>,
    /// `g` of each modality, `[samples, D]`.
    pub vectors: Vec<Vec<f32>>,
    /// Of each modality, gradients of what its blocks compute with.
    pub sums: Vec<Vec<f32>>,
    /// Of each modality, those of the nodes that are named here, which `nodes` tells.
    pub tables: Vec<NodeSums>,
    pub nodes: Vec<u32>,
}

/// What is kept from one part to the next.
#[derive(Debug, Default)]
pub(super) struct Desk {
    traces: Vec<Trace>,
    rooms: Rooms,
    /// The number of each node among those of the part, or what was so before.
    places: Vec<u32>,
}

impl Samples<'_> {
    pub fn part(&self, samples: Range<usize>, desk: &mut Desk) -> Part {
        let sequences = self.local(samples.clone(), desk);
        let dim = self.dim();
        let count = samples.len();
        let encoders = self.encoders;
        let zeros = |it: &Encoder| NodeSums::new(it.folded, sequences.nodes.len());
        let mut part = Part {
            loss: 0.0,
            slopes: vec![0.0; count],
            vectors: vec![vec![0.0; count * dim]; encoders.len()],
            sums: encoders.iter().map(|it| it.folded.zeros()).collect(),
            tables: encoders.iter().map(zeros).collect(),
            nodes: sequences.nodes,
        };
        let traces = TOGETHER * encoders.len();
        desk.traces.resize_with(traces, Trace::default);
        for first in (0..count).step_by(TOGETHER) {
            let group = first..count.min(first + TOGETHER);
            self.forward(samples.start, group.clone(), &mut part, desk);
            for sample in group.clone() {
                self.judge(samples.start + sample, sample, &mut part);
            }
            self.back(samples.start, group, &mut part, (&sequences.places, desk));
        }
        part
    }

    fn dim(&self) -> usize {
        self.ids.width
    }

    /// Numbers the nodes of some samples.
    fn local(&self, samples: Range<usize>, desk: &mut Desk) -> Local {
        let rows = samples.map(|sample| self.sequences.row(sample));
        let mut nodes: Vec<u32> = rows.clone().flatten().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let most = nodes.last().map_or(0, |&last| last as usize + 1);
        if desk.places.len() < most {
            desk.places.resize(most, 0);
        }
        for (place, &node) in (0..).zip(&nodes) {
            desk.places[node as usize] = place;
        }
        let place = |&node: &u32| desk.places[node as usize];
        let places = rows.map(|row| row.iter().map(place).collect()).collect();
        Local { nodes, places }
    }

    fn forward(&self, start: usize, group: Range<usize>, part: &mut Part, desk: &mut Desk) {
        let dim = self.dim();
        let traces = desk.traces.chunks_mut(TOGETHER);
        let vectors = part.vectors.iter_mut();
        for (number, (encoder, (traces, vectors))) in
            self.encoders.iter().zip(traces.zip(vectors)).enumerate()
        {
            for (sample, trace) in group.clone().zip(traces) {
                let whole = start + sample;
                let draw = key(self.draw, (whole * self.encoders.len() + number) as u64);
                let out = &mut vectors[sample * dim..][..dim];
                let row = self.sequences.row(whole);
                encoder.forward(row, draw, (trace, &mut desk.rooms), out);
            }
        }
    }

    /// The loss of a sample, and its slope.
    fn judge(&self, whole: usize, sample: usize, part: &mut Part) {
        let dim = self.dim();
        let Triples {
            users,
            rated,
            others,
            ..
        } = self.triples;
        let user = self.ids.user(users[whole]);
        let (rated, other) = (self.ids.item(rated[whole]), self.ids.item(others[whole]));
        let difference = vectorize(
            #[inline(always)]
            || {
                let mut of_contents = 0.0;
                for (encoder, vectors) in self.encoders.iter().zip(&part.vectors) {
                    let g = &vectors[sample * dim..][..dim];
                    let x = |node: u32| &encoder.nodes.x[node as usize * dim..][..dim];
                    of_contents += dot(g, x(self.others[whole])) - dot(g, x(self.rated[whole]));
                }
                let of_ids = dot(user, other) - dot(user, rated);
                self.weight * of_ids + (1.0 - self.weight) * of_contents
            },
        );
        let difference = f64::from(difference);
        let share = 1.0 / self.triples.len() as f64;
        part.loss += share * softplus(difference);
        part.slopes[sample] = (share / (1.0 + (-difference).exp())) as f32;
    }

    fn back(
        &self,
        start: usize,
        group: Range<usize>,
        part: &mut Part,
        (places, desk): (&[Vec<u32>], &mut Desk),
    ) {
        let dim = self.dim();
        let mut of_g = vec![0.0; dim];
        let traces = desk.traces.chunks(TOGETHER);
        let sums = part.sums.iter_mut().zip(&mut part.tables);
        for (encoder, (traces, (sums, tables))) in self.encoders.iter().zip(traces.zip(sums)) {
            for (sample, trace) in group.clone().zip(traces) {
                let factor = (1.0 - self.weight) * part.slopes[sample];
                let x = |node: u32| &encoder.nodes.x[node as usize * dim..][..dim];
                let (rated, other) = (self.rated[start + sample], self.others[start + sample]);
                for (out, (other, rated)) in of_g.iter_mut().zip(x(other).iter().zip(x(rated))) {
                    *out = factor * (other - rated);
                }
                let tables = (&mut *tables, &*places[sample]);
                encoder.back(&of_g, (trace, &mut desk.rooms), sums, tables);
            }
        }
    }
}

/// The nodes of a part, ascending, and of each sample their numbers.
struct Local {
    nodes: Vec<u32>,
    places: Vec<Vec<u32>>,
}

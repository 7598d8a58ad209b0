//! The model behind the loop that it learns in, and what ranks by it.

mod newcomer;

use std::sync::Arc;

use mmdlrm_features::Features;
use mmdlrm_kernels::{Panels, dot, vectorize};
use mmdlrm_train::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::LightGtConfig;
use super::encoder::{Encoder, Rooms, Trace};
use super::folded::{Folded, Weights};
use super::named::Named;
use super::nodes::{Nodes, product};
use super::positions::Positions;
use super::rows::Picked;
use super::sequences::{Sequences, cut};
use super::shape::Shape;
use super::softmax::Dropout;
use crate::graph::Graph;
use crate::item_features::{ItemFeatures, need_modalities};
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{Draw, Factors, Net, PairwiseTraining, Triples};
use crate::parameters::Parameters;
use newcomer::Ready;

/// What is added to degrees.
pub(super) const ADDED: f64 = 1e-5;

/// What a [`LightGt`](crate::LightGt) computes.
#[derive(Debug, Clone)]
pub struct LightGtNet {
    pub(super) config: LightGtConfig,
    pub(super) graph: Graph,
    pub(super) pairs: Arc<Pairs>,
    pub(super) contents: Vec<ItemFeatures>,
    pub(super) parameters: Parameters,
    pub(super) shape: Shape,
    pub(super) folded: Folded,
    ready: Option<Arc<Ready>>,
}

impl LightGtNet {
    /// Without numbers.
    pub(super) fn of(
        config: &LightGtConfig,
        graph: Graph,
        pairs: Arc<Pairs>,
        mut contents: Vec<ItemFeatures>,
    ) -> Self {
        contents.iter_mut().for_each(to_unit_length);
        let mut parameters = Parameters::default();
        let sizes = (pairs.users(), pairs.items());
        let shape = Shape::new(config, sizes, &contents, &mut parameters);
        Self {
            config: *config,
            graph,
            pairs,
            contents,
            parameters,
            shape,
            folded: Folded::new(config),
            ready: None,
        }
    }

    /// Where users and items stand by the tables as they are.
    pub(super) fn places(&self) -> Positions {
        let tables = &self.parameters.values[..self.graph.nodes() * self.config.dim];
        let Self { graph, config, .. } = self;
        Positions::of(graph, tables, config.blocks, config.dim)
    }

    /// `f` of some items in a modality, `[items, D]`.
    pub(super) fn projected(&self, number: usize, items: &[u32]) -> Vec<f32> {
        let (contents, layer) = (&self.contents[number], self.shape.encoders[number].contents);
        let values = &self.parameters.values;
        let (dim, width) = (self.config.dim, contents.width);
        let panels = Panels::of_transposed(layer.weight.of(values), dim, width);
        let rows = |from| Picked {
            data: &contents.values,
            width,
            rows: &items[from..],
        };
        product(
            (&panels, layer.bias.of(values)),
            items.len(),
            rows,
            #[inline(always)]
            |_, _, _| {},
        )
    }

    /// `[w·e ; (1 − w)·g …]` of a sequence; room for it is `out`.
    fn user_vector(
        &self,
        id: &[f32],
        sequence: &[u32],
        prepared: &[(&Weights, &Nodes)],
        (trace, rooms): (&mut Trace, &mut Rooms),
        out: &mut [f32],
    ) {
        let dim = self.config.dim;
        let weight = self.config.score_weight as f32;
        let (of_id, of_contents) = out.split_at_mut(dim);
        of_id
            .iter_mut()
            .zip(id)
            .for_each(|(out, x)| *out = weight * x);
        for ((weights, nodes), out) in prepared.iter().zip(of_contents.chunks_exact_mut(dim)) {
            let encoder = Encoder {
                folded: &self.folded,
                weights,
                nodes,
                dropout: Dropout::NONE,
            };
            encoder.forward(sequence, 0, (trace, rooms), out);
            out.iter_mut().for_each(|x| *x *= 1.0 - weight);
        }
    }
}

impl Net for LightGtNet {
    type Config = LightGtConfig;
    const KIND: &'static str = "light-gt";

    fn check(config: &LightGtConfig, features: &Features) -> Result<()> {
        config.validate()?;
        need_modalities("LightGT", features)
    }

    fn new(config: &LightGtConfig, pairs: &Arc<Pairs>, features: &Features) -> Result<Self> {
        let contents = ItemFeatures::of(features);
        let graph = Graph::of(pairs, ADDED);
        Ok(Self::of(config, graph, Arc::clone(pairs), contents))
    }

    fn begin(&mut self, _pairs: &Pairs, _features: &Features) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        self.shape.begin(&mut self.parameters.values, &mut random);
    }

    fn training(config: &LightGtConfig) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::EachPair { times: 1 }
    }

    fn memory(config: &LightGtConfig, size: Size) -> u64 {
        let (tables, blocks) = (size.nodes() * config.dim as u64, config.blocks as u64);
        let own = size.users * config.dim as u64;
        let of_nodes = size.modalities * (2 * blocks + 4) + blocks + 3;
        let vectors = tables * (1 + size.modalities);
        let content = 2 * size.items * size.content;
        size.pairwise(tables + own, vectors) + size.graph() + numbers(of_nodes * tables + content)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, draw: u64, gradients: &mut [f32]) -> f64 {
        let how = (self.config.history, self.config.exclude_target);
        let sequences = Sequences::draw(triples, &self.pairs, how, draw);
        let positions = self.places();
        let ids = positions.mean(self.config.id_layers());
        let dropout = Dropout::new(self.config.dropout);
        self.step(
            triples,
            &sequences,
            (&positions, ids),
            (dropout, draw),
            gradients,
        )
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let (dim, users) = (self.config.dim, self.shape.users.rows);
        let positions = self.places();
        let nodes = self.graph.nodes();
        let prepared = self.prepare(&Named::of(0..nodes as u32, users, nodes), &positions);
        let ids = self.split(positions.mean(self.config.id_layers()));
        let width = dim * (1 + prepared.len());
        let mut items = vec![0.0; self.shape.items.rows * width];
        for (item, out) in items.chunks_exact_mut(width).enumerate() {
            let of_id = ids.item(item as u32).iter();
            let of_contents = prepared
                .iter()
                .flat_map(|(_, nodes)| &nodes.x[(users + item) * dim..][..dim]);
            out.iter_mut()
                .zip(of_id.chain(of_contents))
                .for_each(|(out, x)| *out = *x);
        }
        let borrowed: Vec<_> = prepared.iter().map(|(a, b)| (a, b)).collect();
        let mut vectors = vec![0.0; users * width];
        let rows = vectors.par_chunks_exact_mut(width).enumerate();
        rows.for_each_init(Default::default, |(trace, rooms), (user, out)| {
            let user = user as u32;
            let rated = self.pairs.of_user(user);
            if !rated.is_empty() {
                let rated = cut(rated, self.config.history, self.config.training.seed);
                let sequence = Sequences::of([(user, rated)], users);
                let room = (trace, rooms);
                self.user_vector(ids.user(user), sequence.row(0), &borrowed, room, out);
            }
        });
        let weights = prepared.into_iter().map(|(weights, _)| weights).collect();
        self.get_ready(positions, weights);
        (vectors, items, width)
    }

    fn visitor(&self, rated: &[u32], factors: &Factors) -> Vec<f32> {
        self.newcomer(rated, factors)
    }
}

/// Scales each vector to length 1; one of zeros stays as it is.
fn to_unit_length(contents: &mut ItemFeatures) {
    vectorize(
        #[inline(always)]
        || {
            for vector in contents.values.chunks_exact_mut(contents.width.max(1)) {
                let length = dot(vector, vector).sqrt();
                if length > 0.0 {
                    vector.iter_mut().for_each(|x| *x /= length);
                }
            }
        },
    );
}

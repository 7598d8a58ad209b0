//! The loss of a step and its gradients.

use mmdlrm_kernels::{add_scaled, add_transposed};
use rayon::prelude::*;

use super::encoder::Encoder;
use super::folded::Weights;
use super::named::Named;
use super::net::LightGtNet;
use super::nodes::{NodeBack, NodeSums, Nodes};
use super::part::{Desk, Part, SAMPLES, Samples};
use super::positions::Positions;
use super::rows::{Picked, add, add_sum, scatter};
use super::sequences::Sequences;
use super::softmax::Dropout;
use crate::pairwise::{Triples, Vectors, add_rows};

/// Parts that are computed before they are added up, where there are fewer threads.
const PARTS: usize = 4;
/// Rows of which gradients are summed together.
const SUMMED: usize = 512;

/// What all parts come to.
struct Sums {
    loss: f64,
    slopes: Vec<f32>,
    vectors: Vec<Vec<f32>>,
    folded: Vec<Vec<f32>>,
    tables: Vec<NodeSums>,
}

impl LightGtNet {
    /// The loss, and its gradients, which are written. `positions` have no gradient; `ids` are `e`
    /// of users and items, `[nodes, D]`. Sequences are of nodes.
    pub(super) fn step(
        &self,
        triples: &Triples,
        sequences: &Sequences,
        (positions, ids): (&Positions, &[f32]),
        (dropout, draw): (Dropout, u64),
        gradients: &mut [f32],
    ) -> f64 {
        gradients.fill(0.0);
        let users = self.shape.users.rows;
        let of_items =
            |items: &[u32]| -> Vec<u32> { items.iter().map(|item| users as u32 + item).collect() };
        let (rated, others) = (of_items(&triples.rated), of_items(&triples.others));
        let all = [sequences.nodes(), &rated, &others];
        let nodes = users + self.shape.items.rows;
        let named = Named::of(all.into_iter().flatten().copied(), users, nodes);
        let places =
            |nodes: &[u32]| -> Vec<u32> { nodes.iter().map(|&node| named.place(node)).collect() };
        let prepared = self.prepare(&named, positions);
        let of_encoder = |(weights, nodes)| Encoder {
            folded: &self.folded,
            weights,
            nodes,
            dropout,
        };
        let encoders: Vec<Encoder> = prepared.iter().map(|(a, b)| of_encoder((a, b))).collect();
        let samples = Samples {
            triples,
            sequences: &sequences.renumbered(|node| named.place(node)),
            rated: &places(&rated),
            others: &places(&others),
            ids: self.split(ids),
            encoders: &encoders,
            weight: self.config.score_weight as f32,
            draw,
        };
        let mut sums = self.parts(&samples, named.nodes.len());
        for (number, (weights, nodes)) in prepared.iter().enumerate() {
            let tables = std::mem::take(&mut sums.tables[number]);
            let of_nodes = (&self.positions(positions)[..], &*named.nodes);
            let mut back = NodeBack::of(nodes, tables, of_nodes, (&self.folded, weights));
            self.add_scores(&samples, (&sums.slopes, &sums.vectors[number]), &mut back.x);
            add(&mut back.folded, &sums.folded[number]);
            self.take_over(number, &named, &back, gradients);
        }
        self.ids_back(triples, &sums.slopes, ids, gradients);
        sums.loss + self.config.decay * self.penalty(ids)
    }

    /// `Ê¹ … Ê^L`.
    pub(super) fn positions<'a>(&self, positions: &'a Positions) -> Vec<&'a [f32]> {
        let blocks = 1..=self.config.blocks;
        blocks.map(|block| positions.mean(block)).collect()
    }

    /// `e` of users, and of items.
    pub(super) fn split<'a>(&self, ids: &'a [f32]) -> Vectors<'a> {
        let (users, items) = ids.split_at(self.shape.users.rows * self.config.dim);
        Vectors {
            users,
            items,
            width: self.config.dim,
        }
    }

    /// What each modality multiplies by, and knows of the nodes.
    pub(super) fn prepare(&self, named: &Named, positions: &Positions) -> Vec<(Weights, Nodes)> {
        let heard = 0..self.config.heard(self.contents.len());
        let of_modality = |number: usize| {
            let weights = self.weights(number);
            let x = self.inputs(number, named);
            let shape = &self.shape.encoders[number];
            let nodes = Nodes::of(
                x,
                (&self.positions(positions), &named.nodes),
                (shape.position, &self.parameters.values),
                (&self.folded, &weights),
            );
            (weights, nodes)
        };
        heard.map(of_modality).collect()
    }

    pub(super) fn weights(&self, number: usize) -> Weights {
        let shape = &self.shape.encoders[number];
        let values = self.folded.fold(shape, &self.parameters.values);
        Weights::new(&self.folded, values)
    }

    /// What stands for nodes in a modality: the users' own vectors, the items' projected ones.
    fn inputs(&self, number: usize, named: &Named) -> Vec<f32> {
        let (users, items) = named.nodes.split_at(named.users);
        let dim = self.config.dim;
        let own = self.shape.own.of(&self.parameters.values);
        let rows = users.iter();
        let rows = rows.flat_map(|&user| &own[user as usize * dim..][..dim]);
        let mut inputs: Vec<f32> = rows.copied().collect();
        let first = self.shape.users.rows as u32;
        let items: Vec<u32> = items.iter().map(|item| item - first).collect();
        inputs.extend(self.projected(number, &items));
        inputs
    }

    fn parts(&self, samples: &Samples, nodes: usize) -> Sums {
        let count = samples.triples.len().div_ceil(SAMPLES);
        let of_modalities = samples.encoders.iter();
        let mut sums = Sums {
            loss: 0.0,
            slopes: Vec::new(),
            vectors: vec![Vec::new(); samples.encoders.len()],
            folded: of_modalities.clone().map(|_| self.folded.zeros()).collect(),
            tables: of_modalities
                .map(|_| NodeSums::new(&self.folded, nodes))
                .collect(),
        };
        let together = rayon::current_num_threads().max(PARTS);
        for first in (0..count).step_by(together) {
            let numbers = (first..count.min(first + together)).into_par_iter();
            let part = |desk: &mut Desk, number: usize| {
                let end = samples.triples.len().min((number + 1) * SAMPLES);
                samples.part(number * SAMPLES..end, desk)
            };
            let parts: Vec<Part> = numbers.map_init(Desk::default, part).collect();
            sums.add(&parts, self.config.dim);
        }
        sums
    }

    /// Adds to gradients of items' vectors, `[nodes, D]`, those that come by the scores.
    fn add_scores(&self, samples: &Samples, (slopes, g): (&[f32], &[f32]), out: &mut [f32]) {
        let (dim, count) = (self.config.dim, slopes.len());
        let weight = 1.0 - samples.weight;
        add_rows(&[samples.rated, samples.others], dim, out, |number, out| {
            let slope = weight * slopes[number % count];
            let slope = if number < count { -slope } else { slope };
            add_scaled(out, &g[number % count * dim..][..dim], slope);
        });
    }

    /// Takes over the gradients of a modality.
    fn take_over(&self, number: usize, named: &Named, back: &NodeBack, gradients: &mut [f32]) {
        let shape = &self.shape.encoders[number];
        let parameters = &self.parameters.values;
        self.folded
            .unfold(shape, parameters, &back.folded, gradients);
        add(shape.position.weight.of_mut(gradients), &back.weight);
        add(shape.position.bias.of_mut(gradients), &back.bias);
        let dim = self.config.dim;
        let (users, items) = named.nodes.split_at(named.users);
        let (of_users, of_items) = back.x.split_at(named.users * dim);
        let own = self.shape.own.of_mut(gradients);
        for (&user, row) in users.iter().zip(of_users.chunks_exact(dim)) {
            add_scaled(&mut own[user as usize * dim..][..dim], row, 1.0);
        }
        add_sum(of_items, shape.contents.bias.of_mut(gradients));
        let contents = &self.contents[number];
        let first = self.shape.users.rows as u32;
        let items: Vec<u32> = items.iter().map(|item| item - first).collect();
        let pieces = items
            .par_chunks(SUMMED)
            .zip(of_items.par_chunks(SUMMED * dim));
        let of_piece = |(rows, of_rows): (&[u32], &[f32])| {
            let mut out = vec![0.0; dim * contents.width];
            let inputs = Picked {
                data: &contents.values,
                width: contents.width,
                rows,
            };
            let shape = (dim, contents.width);
            add_transposed(&mut out, of_rows, inputs, shape, &mut Vec::new());
            out
        };
        for piece in pieces.map(of_piece).collect::<Vec<_>>() {
            add(shape.contents.weight.of_mut(gradients), &piece);
        }
    }

    /// `mean(e_U²) + mean(e_I²)`.
    pub(super) fn penalty(&self, ids: &[f32]) -> f64 {
        let ids = self.split(ids);
        let mean = |values: &[f32]| {
            let squares = values.iter().map(|&x| f64::from(x) * f64::from(x));
            squares.sum::<f64>() / values.len().max(1) as f64
        };
        mean(ids.users) + mean(ids.items)
    }

    /// Writes the gradients of the tables that `e` is made of.
    fn ids_back(&self, triples: &Triples, slopes: &[f32], ids: &[f32], gradients: &mut [f32]) {
        let (dim, count) = (self.config.dim, slopes.len());
        let weight = self.config.score_weight as f32;
        let vectors = self.split(ids);
        let of_penalty = |values: &[f32]| -> Vec<f32> {
            let factor = 2.0 * self.config.decay / values.len().max(1) as f64;
            values.iter().map(|x| factor as f32 * x).collect()
        };
        let mut out = of_penalty(vectors.users);
        let mut of_items = of_penalty(vectors.items);
        add_rows(&[&triples.users], dim, &mut out, |number, out| {
            let slope = weight * slopes[number];
            add_scaled(out, vectors.item(triples.others[number]), slope);
            add_scaled(out, vectors.item(triples.rated[number]), -slope);
        });
        let rows = [&*triples.rated, &triples.others];
        add_rows(&rows, dim, &mut of_items, |number, out| {
            let slope = weight * slopes[number % count];
            let slope = if number < count { -slope } else { slope };
            add_scaled(out, vectors.user(triples.users[number % count]), slope);
        });
        out.extend(of_items);
        let layers = self.config.id_layers();
        let of_tables = &mut gradients[..out.len()];
        self.graph
            .mean_of_layers(&out, layers, dim, of_tables, &mut Vec::new());
    }
}

impl Sums {
    /// Adds parts in order; each table is one thread's.
    fn add(&mut self, parts: &[Part], dim: usize) {
        for part in parts {
            self.loss += part.loss;
            self.slopes.extend(&part.slopes);
            for (sum, vectors) in self.vectors.iter_mut().zip(&part.vectors) {
                sum.extend(vectors);
            }
            for (sum, folded) in self.folded.iter_mut().zip(&part.sums) {
                add(sum, folded);
            }
        }
        let tables = self.tables.iter_mut().enumerate();
        let tables = tables.flat_map(|(modality, sums)| {
            let tables = sums.tables.iter_mut().enumerate();
            tables.map(move |(number, table)| (modality, number, table))
        });
        let tables: Vec<_> = tables.collect();
        tables
            .into_par_iter()
            .for_each(|(modality, number, table)| {
                for part in parts {
                    let of_part = &part.tables[modality].tables[number];
                    scatter(of_part, &part.nodes, dim, table);
                }
            });
    }
}

//! The term of the loss that knows of entities.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::EntitySign;
use super::graph::{Graph, Node, Relation};
use crate::pairwise::{Triples, add_rows, softplus};

/// Nodes, a feature that each has, and another of the same kind, which may be the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Compared {
    pub nodes: Vec<u32>,
    pub own: Vec<u32>,
    pub others: Vec<u32>,
    /// Nodes without features: each adds `ln 2`.
    pub without: usize,
}

/// Relations by which movies and users have features.
const OF_MOVIES: [Relation; 6] = [
    Relation::YearMovie,
    Relation::GenreMovie,
    Relation::ActorMovie,
    Relation::DirectorMovie,
    Relation::WriterMovie,
    Relation::TagMovie,
];
const OF_USERS: [Relation; 1] = [Relation::TagUser];

impl Compared {
    /// A feature of each triple's rated item, and one of its user; evenly among all that it has,
    /// one that it has twice counting twice, and another evenly among all of the kind.
    pub fn draw(graph: &Graph, triples: &Triples, draw: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(draw);
        let mut compared = Self::default();
        let (users, movies) = (graph.start(Node::User), graph.start(Node::Movie));
        for (&user, &rated) in triples.users.iter().zip(&triples.rated) {
            compared.add(graph, &OF_MOVIES, movies + rated as usize, &mut random);
            compared.add(graph, &OF_USERS, users + user as usize, &mut random);
        }
        compared
    }

    fn add(&mut self, graph: &Graph, relations: &[Relation], node: usize, random: &mut ChaCha8Rng) {
        let of = |&relation: &Relation| graph.relation(relation).into.nodes(node);
        let count = relations.iter().map(|it| of(it).len()).sum::<usize>();
        if count == 0 {
            self.without += 1;
            return;
        }
        let mut number = random.random_range(0..count);
        for relation in relations {
            let features = of(relation);
            if let Some(&feature) = features.get(number) {
                let kind = relation.source();
                let other = graph.start(kind) + random.random_range(0..graph.count(kind));
                self.push(node as u32, feature, other as u32);
                return;
            }
            number -= features.len();
        }
    }

    /// One more.
    pub fn push(&mut self, node: u32, own: u32, other: u32) {
        self.nodes.push(node);
        self.own.push(own);
        self.others.push(other);
    }

    /// With `d = ‖x_v − x_own‖² − ‖x_v − x_other‖²`, over all of them:
    ///
    /// ```text
    /// Σ softplus(−d) as published, Σ softplus(d) repaired
    /// ```
    ///
    /// which is returned; `factor` times its gradients is added to those of `x`, `[_, width]`.
    pub fn loss(
        &self,
        (x, width): (&[f32], usize),
        (sign, factor): (EntitySign, f64),
        gradients: &mut [f32],
    ) -> f64 {
        let row = |node: u32| &x[node as usize * width..][..width];
        let sign = match sign {
            EntitySign::AsPublished => -1.0,
            EntitySign::Repaired => 1.0,
        };
        let of_node = |number: usize| {
            let [node, own, other] = self.triple(number).map(row);
            let squares = |to: &[f32]| -> f32 {
                let differences = node.iter().zip(to).map(|(a, b)| a - b);
                differences.map(|it| it * it).sum()
            };
            let d = sign * f64::from(squares(own) - squares(other));
            // Twice the derivative by d, d being of squares.
            let slope = 2.0 * sign * factor / (1.0 + (-d).exp());
            (softplus(d), slope as f32)
        };
        let numbers = (0..self.nodes.len()).into_par_iter().with_min_len(256);
        let (losses, slopes): (Vec<f64>, Vec<f32>) = numbers.map(of_node).unzip();
        let count = self.nodes.len();
        let add = |number: usize, out: &mut [f32]| {
            let (part, number) = (number / count, number % count);
            let [node, own, other] = self.triple(number).map(row);
            let (a, b) = match part {
                0 => (other, own),
                1 => (own, node),
                _ => (node, other),
            };
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                *out += slopes[number] * (a - b);
            }
        };
        if count > 0 {
            let rows = [&*self.nodes, &*self.own, &*self.others];
            add_rows(&rows, width, gradients, add);
        }
        losses.iter().sum::<f64>() + self.without as f64 * std::f64::consts::LN_2
    }

    fn triple(&self, number: usize) -> [u32; 3] {
        [self.nodes[number], self.own[number], self.others[number]]
    }
}

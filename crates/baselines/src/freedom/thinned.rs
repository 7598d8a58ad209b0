//! The edges that an epoch keeps.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::FreedomConfig;
use super::config::ADDED;
use crate::graph::Graph;
use crate::memory::Size;
use crate::pairs::Pairs;

/// What is kept of an edge and drawn for it, in bytes, …
const BYTES: u64 = 8 + 8 + 16;
/// … and what one that an epoch keeps takes beside its graph: the graph of the epoch before.
const KEPT_BYTES: u64 = 8 + 16;

/// A graph of users and items of which some edges are left out, others each epoch: while it is
/// learned from, and no longer.
#[derive(Debug, Clone)]
pub(super) struct Thinned {
    edges: Vec<(u32, u32)>,
    weights: Vec<f64>,
    /// How many are kept.
    kept: usize,
    users: usize,
    items: usize,
    seed: u64,
    /// The epoch whose graph it is.
    epoch: Option<u64>,
    graph: Graph,
}

/// What it takes, in bytes.
pub(super) fn memory(config: &FreedomConfig, size: Size) -> u64 {
    if config.dropped == 0.0 {
        return 0;
    }
    let kept = ((1.0 - config.dropped) * size.ratings as f64) as u64;
    let of_graph = Size {
        ratings: kept,
        ..size
    };
    BYTES * size.ratings + KEPT_BYTES * kept + of_graph.graph()
}

impl Thinned {
    pub fn of(pairs: &Pairs, config: &FreedomConfig) -> Self {
        let edges: Vec<(u32, u32)> = pairs.edges().collect();
        let degree = |count: usize| (count as f64 + ADDED).sqrt().recip();
        let counts = pairs.counts();
        let weight = |&(user, item): &(u32, u32)| {
            degree(pairs.of_user(user).len()) * degree(counts[item as usize] as usize)
        };
        Self {
            weights: edges.iter().map(weight).collect(),
            kept: (edges.len() as f64 * (1.0 - config.dropped)) as usize,
            edges,
            users: pairs.users(),
            items: pairs.items(),
            seed: config.training.seed,
            epoch: None,
            graph: Graph::of_edges(&[], pairs.users(), pairs.items(), ADDED),
        }
    }

    /// Makes the graph that of an epoch.
    pub fn begin(&mut self, epoch: u64) {
        if self.epoch != Some(epoch) {
            self.keep(epoch, &self.drawn(epoch));
        }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Edges drawn one after the other, each by its weight among those that are left, which is to
    /// keep those of which `Exp(1) / weight` is least (Efraimidis and Spirakis, 2006).
    fn drawn(&self, epoch: u64) -> Vec<(u32, u32)> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.rotate_left(17) ^ epoch);
        let mut key = |weight: f64| -(1.0 - random.random::<f64>()).ln() / weight;
        let keys = self.weights.iter().map(|&weight| key(weight));
        let mut keys: Vec<(f64, usize)> = keys.zip(0..).collect();
        if self.kept > 0 {
            keys.select_nth_unstable_by(self.kept - 1, |a, b| a.0.total_cmp(&b.0));
        }
        let kept = keys[..self.kept].iter();
        let mut kept: Vec<(u32, u32)> = kept.map(|&(_, edge)| self.edges[edge]).collect();
        kept.sort_unstable();
        kept
    }

    /// Of an epoch that keeps these edges, in order, weighed by the degrees that they leave.
    pub fn keep(&mut self, epoch: u64, edges: &[(u32, u32)]) {
        self.graph = Graph::of_edges(edges, self.users, self.items, ADDED);
        self.epoch = Some(epoch);
    }

    #[cfg(test)]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_keeps_a_share_of_the_edges_and_sooner_those_of_few() {
        // User 0 rated all of ten items, the nine others one each.
        let all = (0..10).map(|item| (0, item));
        let edges: Vec<(u32, u32)> = all.chain((1..10).map(|user| (user, user))).collect();
        let pairs = Pairs::of_edges(&edges, 10, 10);
        let config = FreedomConfig {
            dropped: 0.5,
            ..FreedomConfig::default()
        };
        let mut thinned = Thinned::of(&pairs, &config);
        let mut of_others = 0;
        for epoch in 0..200 {
            thinned.begin(epoch);
            let degree = |user: usize| thinned.graph().matrix().row(user).0.len();
            assert_eq!((0..10).map(degree).sum::<usize>(), 9);
            of_others += (1..10).map(degree).sum::<usize>();
        }
        // By weights of 1/√2 and of 1/√20 or 1/√10 some six of the nine; evenly it would be 4.3.
        assert!((1100..1300).contains(&of_others), "{of_others}");
        let first = thinned.graph().clone();
        thinned.begin(3);
        assert_ne!(&first, thinned.graph());
        thinned.begin(199);
        assert_eq!(&first, thinned.graph());
    }
}

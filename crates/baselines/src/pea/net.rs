//! All of it: representations, the loss, gradients.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::PeaConfig;
use super::awareness::Compared;
use super::channel::{Channel, Walked};
use super::fusion::{Fused, Fusion};
use super::graph::{Graph, Node, Relation, Way};
use super::score::{Parts, Score};
use crate::pairwise::Triples;
use crate::parameters::{Matrix, Parameters, xavier_uniform};

/// Parameters over a graph, and what they came to last.
#[derive(Debug, Clone)]
pub(crate) struct Net {
    pub config: PeaConfig,
    pub graph: Graph,
    pub parameters: Parameters,
    /// The table, `[nodes, dim]`.
    x: Matrix,
    channels: Vec<Channel>,
    fusion: Fusion,
    pub score: Score,
    /// How many nodes `r` is computed of.
    targets: usize,
    walked: Vec<Walked>,
    fused: Fused,
    parts: Parts,
    /// Gradients of `r`, and of the results of each metapath: while it learns.
    of_repr: Vec<f32>,
    of_results: Vec<Vec<f32>>,
}

impl Net {
    /// Of users and movies, without numbers.
    pub fn new(config: &PeaConfig, graph: Graph) -> Self {
        let targets = graph.count(Node::User) + graph.count(Node::Movie);
        Self::of(config, graph, targets)
    }

    /// Without numbers. `r` is computed of the first `targets` nodes: users and movies, or more.
    pub fn of(config: &PeaConfig, graph: Graph, targets: usize) -> Self {
        let mut parameters = Parameters::default();
        let x = parameters.add("x", graph.nodes(), config.dim);
        let paths = graph.paths().len();
        let channels = 0..paths;
        let channels = channels.map(|path| Channel::new(&mut parameters, path, config));
        let channels: Vec<Channel> = channels.collect();
        Self {
            fusion: Fusion::new(&mut parameters, config.fusion, paths, config.repr),
            score: Score::new(&mut parameters, config.repr),
            targets,
            walked: Vec::new(),
            fused: Fused::default(),
            parts: Parts::default(),
            of_repr: Vec::new(),
            of_results: Vec::new(),
            config: *config,
            graph,
            parameters,
            x,
            channels,
        }
    }

    /// Gets ready for the first step: draws the parameters.
    pub fn begin(&mut self) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        let values = &mut self.parameters.values;
        xavier_uniform(self.x, values, &mut random);
        self.channels
            .iter()
            .for_each(|it| it.begin(values, &mut random));
        self.fusion.begin(values, &mut random);
        self.score.begin(values, &mut random);
    }

    /// Drops what learning alone needed.
    pub fn end(&mut self) {
        self.of_repr = Vec::new();
        self.of_results = Vec::new();
    }

    /// Room for what metapaths come to, made when it is first needed.
    fn make_room(&mut self) {
        if self.walked.is_empty() {
            let channels = self.channels.iter().enumerate();
            let walked = channels.map(|(path, it)| it.walked(self.graph.steps(path), self.targets));
            self.walked = walked.collect();
        }
    }

    /// Computes `r` and the parts of the score by the parameters as they stand.
    pub fn forth(&mut self) {
        self.make_room();
        let (values, graph) = (&self.parameters.values, &self.graph);
        let x = self.x.of(values);
        let each = self.walked.par_iter_mut().zip(&self.channels).enumerate();
        each.for_each(|(path, (walked, channel))| {
            channel.forth(values, graph.steps(path), x, walked);
        });
        let results: Vec<&[f32]> = self.walked.iter().map(Walked::out).collect();
        self.fusion.forth(values, &results, &mut self.fused);
        let (users, movies) = (graph.count(Node::User), graph.count(Node::Movie));
        let (users, rest) = self.fused.out.split_at(users * self.config.repr);
        self.score.of_users(values, users, &mut self.parts.users);
        let movies = &rest[..movies * self.config.repr];
        self.score.of_items(values, movies, &mut self.parts.items);
    }

    /// The loss, a sum over the triples, and its gradients, which are written.
    pub fn loss(&mut self, triples: &Triples, compared: &Compared, gradients: &mut [f32]) -> f64 {
        self.forth();
        let numbers = self.targets * self.config.repr;
        self.of_repr.resize(numbers, 0.0);
        self.of_results.resize(self.channels.len(), Vec::new());
        self.of_results
            .iter_mut()
            .for_each(|it| it.resize(numbers, 0.0));
        gradients.fill(0.0);
        let values = &self.parameters.values;
        let out = (&mut *gradients, &mut *self.of_repr);
        let parts = (&*self.fused.out, &self.parts);
        let mut loss = self.score.bpr(values, parts, triples, out);
        self.back(gradients);
        if self.config.entity_aware {
            let values = &self.parameters.values;
            let factor = self.config.entity_coefficient;
            let x = (self.x.of(values), self.config.dim);
            let sign = (self.config.entity_sign, factor);
            loss += factor * compared.loss(x, sign, self.x.of_mut(gradients));
        }
        loss
    }

    /// From the gradients of `r` to those of the table and of all metapaths.
    fn back(&mut self, gradients: &mut [f32]) {
        let (values, graph) = (&self.parameters.values, &self.graph);
        let (x, g) = (self.x.of(values), &self.of_repr);
        let results: Vec<&[f32]> = self.walked.iter().map(Walked::out).collect();
        self.fusion.back(&results, g, &mut self.fused);
        let (fusion, fused) = (&self.fusion, &self.fused);
        let each = self.walked.par_iter_mut().zip(&mut self.of_results);
        let each = each.zip(&self.channels).enumerate();
        let found = each.map(|(path, ((walked, of_result), channel))| {
            let result = (path, walked.out());
            let of_att = fusion.of_path(values, result, (g, fused), of_result);
            let steps = graph.steps(path);
            (of_att, channel.back(values, steps, (x, of_result), walked))
        });
        let found: Vec<_> = found.collect();
        for (path, (of_att, of_channel)) in found.into_iter().enumerate() {
            if let (Some(att), Some(of_att)) = (self.fusion.att(), of_att) {
                let width = att.columns;
                att.of_mut(gradients)[path * width..][..width].copy_from_slice(&of_att);
            }
            for (matrix, found) in of_channel {
                matrix.of_mut(gradients).copy_from_slice(&found);
            }
        }
        let of_table = self.x.of_mut(gradients);
        for (channel, walked) in self.channels.iter().zip(&self.walked) {
            channel.add_to_table(values, walked, of_table);
        }
    }

    /// `r` of all targets, as [`forth`](Self::forth) left it.
    pub fn repr(&self) -> &[f32] {
        &self.fused.out
    }

    /// Parts of the score, likewise.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The part of the score of somebody who is not in the table, and who rated some movies.
    pub fn visitor(&self, rated: &[u32]) -> Vec<f32> {
        let values = &self.parameters.values;
        let start = self.graph.start(Node::Movie) as u32;
        let rated: Vec<u32> = rated.iter().map(|movie| start + movie).collect();
        let sources = |way: &Way| match way {
            Way::Back(Relation::UserMovie) => &*rated,
            _ => &[],
        };
        let channels = self.channels.iter().zip(&self.walked);
        let channels = channels.zip(self.graph.paths());
        let results = channels.map(|((channel, walked), metapath)| {
            let [first, second] = &metapath.ways;
            let sources = [sources(first), sources(second)];
            channel.of_visitor(values, walked, sources)
        });
        let results: Vec<Vec<f32>> = results.collect();
        let repr = self.fusion.of_node(values, &results);
        let mut part = Vec::new();
        self.score.of_users(values, &repr, &mut part);
        part
    }

    /// What each metapath came to.
    #[cfg(test)]
    pub fn walked(&self) -> &[Walked] {
        &self.walked
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PeaFusion, PeaLayer};
    use super::*;
    use crate::parameters::uniform;

    /// Counts of nodes in the order of their kinds.
    const COUNTS: [usize; 8] = [5, 7, 3, 2, 1, 2, 1, 2];

    /// Half of all edges of each relation, those of tags twice.
    fn graph() -> Graph {
        let edges = |relation: Relation| {
            let kinds = [relation.source(), relation.target()];
            let [sources, targets] = kinds.map(|kind| COUNTS[kind as usize] as u32);
            let pairs = (0..sources).flat_map(|a| (0..targets).map(move |b| (a, b)));
            let mut edges: Vec<_> = pairs.filter(|(a, b)| (3 * a + 5 * b) % 4 < 2).collect();
            if relation.source() == Node::Tag {
                edges.extend(edges.clone());
            }
            Some(edges)
        };
        Graph::new(COUNTS, edges).unwrap()
    }

    fn triples() -> Triples {
        Triples {
            users: vec![0, 1, 2, 3, 4, 2],
            rated: vec![0, 3, 5, 6, 2, 1],
            others: vec![1, 1, 0, 4, 5, 3],
            epoch: 0,
        }
    }

    /// Along the gradient of each matrix, the loss changes by the square of its length.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let config = PeaConfig {
            dim: 6,
            hidden: 5,
            repr: 4,
            entity_coefficient: 0.3,
            ..PeaConfig::default()
        };
        let layers = [PeaLayer::Gat, PeaLayer::Gcn, PeaLayer::Sage];
        for (layer, heads, fusion) in layers
            .map(|layer| (layer, 1, PeaFusion::Attention))
            .into_iter()
            .chain([(PeaLayer::Gat, 3, PeaFusion::Mean)])
        {
            let config = PeaConfig {
                layer,
                heads,
                fusion,
                ..config
            };
            let mut net = Net::new(&config, graph());
            net.parameters.zero();
            // Far from where it begins, so that no gradient is small.
            let mut random = ChaCha8Rng::seed_from_u64(3);
            uniform(&mut net.parameters.values, 0.7, &mut random);
            let compared = Compared::draw(&net.graph, &triples(), 7);
            assert!(compared.nodes.len() + compared.without == 12);
            let mut gradients = vec![0.0; net.parameters.values.len()];
            net.loss(&triples(), &compared, &mut gradients);
            let begun = net.parameters.clone();
            for (name, matrix) in begun.names() {
                let gradient = matrix.of(&gradients);
                let squares: f64 = gradient.iter().map(|&g| f64::from(g * g)).sum();
                let step = 1e-3 / squares.sqrt().max(1e-3);
                let mut loss = |step: f64| {
                    net.parameters.values.copy_from_slice(&begun.values);
                    let values = matrix.of_mut(&mut net.parameters.values);
                    for (x, g) in values.iter_mut().zip(gradient) {
                        *x += step as f32 * g;
                    }
                    net.loss(&triples(), &compared, &mut vec![0.0; begun.values.len()])
                };
                let found = (loss(step) - loss(-step)) / (2.0 * step);
                let off = (found - squares).abs();
                assert!(
                    off < 0.02 * squares + 2e-5,
                    "{layer:?} {name}: {found} {squares}"
                );
            }
        }
    }

    #[test]
    fn a_visitor_with_the_edges_of_a_node_without_numbers_is_that_node() {
        for layer in [PeaLayer::Gat, PeaLayer::Gcn, PeaLayer::Sage] {
            let config = PeaConfig {
                layer,
                ..PeaConfig::default()
            };
            // A user of whom no movie knows: the edges of what the visitor's are beside come
            // from the others.
            let alone = |relation: Relation| {
                let of = |&(a, b): &(u32, u32)| match relation {
                    Relation::UserMovie => a != 1,
                    Relation::TagUser => b != 1,
                    _ => true,
                } && (a + b) % 2 == 0;
                let kinds = [relation.source(), relation.target()];
                let [sources, targets] = kinds.map(|kind| COUNTS[kind as usize] as u32);
                let pairs = (0..sources).flat_map(|a| (0..targets).map(move |b| (a, b)));
                Some(pairs.filter(of).collect())
            };
            let mut net = Net::new(&config, Graph::new(COUNTS, alone).unwrap());
            net.begin();
            let x = net.x;
            x.of_mut(&mut net.parameters.values)[config.dim..][..config.dim].fill(0.0);
            net.forth();
            let own = &net.parts().users[config.repr..][..config.repr];
            for (own, met) in own.iter().zip(net.visitor(&[])) {
                assert!((own - met).abs() < 1e-5, "{layer:?}: {own} {met}");
            }
            assert!(net.visitor(&[2, 5]) != net.visitor(&[]));
        }
    }
}

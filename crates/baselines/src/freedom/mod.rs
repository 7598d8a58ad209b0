//! A graph of users and items that is thinned as it is learned from, beside a frozen one of items
//! whose content is alike.

mod config;
mod item_graph;
mod thinned;

use std::sync::Arc;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::add_scaled;
use mmdlrm_train::{Fit, Result, Session};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub use config::FreedomConfig;
use item_graph::ItemGraph;
use thinned::Thinned;

use crate::graph::{Graph, Newcomers};
use crate::item_features::{ItemFeatures, need_modalities};
use crate::linear::Linear;
use crate::memory::{Size, numbers};
use crate::pairs::Pairs;
use crate::pairwise::{
    Draw, FactorModel, Factors, Net, PairwiseTraining, Tables, Triples, Vectors, bpr,
};
use crate::parameters::{Matrix, Parameters, uniform, xavier_uniform};

/// FREEDOM (Zhou and Shen, 2023), as MMRec has it.
///
/// `S`, `[items, items]`, is made once: an item's row has `1/k` for each of the `k` items nearest by
/// the cosine of their content, itself among them; `S = 0.1·S_others + 0.9·S_text`. `Â` is the
/// normalized graph of users and items, of which each epoch keeps a share `1 − ρ` of the edges, an
/// edge the likelier the less both its ends have (inversely to `√(d_u·d_i)`). With tables `E⁰` and
/// content tables `F_m`, which begin as the modalities' vectors and are learned too:
///
/// ```text
/// [U ; Ī] = (E⁰ + Â·E⁰ + … + Âᴷ·E⁰) / (K + 1),   I = Ī + Sⁿ·E⁰_I,   s_ui = ⟨U_u, I_i⟩
/// T_m     = F_m·W_mᵀ + b_m                                                 [items, D]
/// L       = bpr(U, I) + λ·Σ_m bpr(U, T_m),   bpr = mean softplus(⟨u, j⟩ − ⟨u, i⟩)
/// ```
///
/// over batches of triples, each training pair once an epoch; all edges count when it ranks. An item
/// without a vector of a modality is near none but itself. Losses, gradients and three steps of
/// Adam are held to those of MMRec's code by a test.
///
/// A visitor is a node that nobody knew of, as in [`LightGcn`](crate::LightGcn).
pub type Freedom = FactorModel<FreedomNet>;

/// What a [`Freedom`] computes.
#[derive(Debug, Clone)]
pub struct FreedomNet {
    config: FreedomConfig,
    graph: Graph,
    /// While it learns, where edges are left out.
    thinned: Option<Thinned>,
    alike: ItemGraph,
    parameters: Parameters,
    tables: Tables,
    content: Vec<Content>,
    counts: Vec<u32>,
    newcomers: Newcomers,
}

/// `F_m` and the layer that makes `T_m` of it.
#[derive(Debug, Clone, Copy)]
struct Content {
    table: Matrix,
    linear: Linear,
}

impl FreedomNet {
    /// Without numbers.
    fn of(config: &FreedomConfig, pairs: &Pairs, modalities: &[ItemFeatures]) -> Self {
        let mut parameters = Parameters::default();
        let tables = Tables {
            users: parameters.add("user_embedding.weight", pairs.users(), config.dim),
            items: parameters.add("item_id_embedding.weight", pairs.items(), config.dim),
        };
        let mut content = Vec::with_capacity(modalities.len());
        for modality in modalities {
            let name = &modality.name;
            let table = format!("{name}_embedding.weight");
            let table = parameters.add(table, pairs.items(), modality.width);
            let linear = format!("{name}_trs");
            let linear = Linear::add(&mut parameters, &linear, modality.width, config.dim);
            content.push(Content { table, linear });
        }
        Self {
            config: *config,
            graph: Graph::of(pairs, config::ADDED),
            thinned: None,
            alike: ItemGraph::of(modalities, config),
            parameters,
            tables,
            content,
            counts: pairs.counts(),
            newcomers: Newcomers::default(),
        }
    }

    /// `U` and `I` over a graph of users and items, one after the other.
    fn propagated(&self, graph: &Graph) -> Vec<f32> {
        let FreedomConfig { layers, dim, .. } = self.config;
        let values = &self.parameters.values;
        let tables = self.tables.of(values);
        let mut vectors = vec![0.0; tables.len()];
        graph.mean_of_layers(tables, layers, dim, &mut vectors, &mut Vec::new());
        let alike = self.alike.forward(self.tables.vectors(values).items, dim);
        add_scaled(self.tables.split(&mut vectors).1, &alike, 1.0);
        vectors
    }
}

impl Net for FreedomNet {
    type Config = FreedomConfig;
    const KIND: &'static str = "freedom";

    fn check(config: &FreedomConfig, features: &Features) -> Result<()> {
        config.validate()?;
        need_modalities("FREEDOM", features)
    }

    fn new(config: &FreedomConfig, pairs: &Arc<Pairs>, features: &Features) -> Result<Self> {
        Ok(Self::of(config, pairs, &ItemFeatures::of(features)))
    }

    fn begin(&mut self, pairs: &Pairs, features: &Features) {
        let mut random = ChaCha8Rng::seed_from_u64(self.config.training.seed);
        self.parameters.zero();
        let values = &mut self.parameters.values;
        xavier_uniform(self.tables.users, values, &mut random);
        xavier_uniform(self.tables.items, values, &mut random);
        let modalities = ItemFeatures::of(features);
        for (Content { table, linear }, modality) in self.content.iter().zip(modalities) {
            table.of_mut(values).copy_from_slice(&modality.values);
            let bound = (linear.inputs().max(1) as f32).sqrt().recip();
            uniform(linear.weight.of_mut(values), bound, &mut random);
            uniform(linear.bias.of_mut(values), bound, &mut random);
        }
        let is_thinned = self.config.dropped > 0.0;
        self.thinned = is_thinned.then(|| Thinned::of(pairs, &self.config));
    }

    fn end(&mut self) {
        self.thinned = None;
    }

    fn training(config: &FreedomConfig) -> &PairwiseTraining {
        &config.training
    }

    fn draw() -> Draw {
        Draw::EachPair { times: 1 }
    }

    fn memory(config: &FreedomConfig, size: Size) -> u64 {
        let (tables, content) = (size.nodes() * config.dim as u64, size.items * size.content);
        let alike = size.modalities * size.items * (config.neighbours as u64).min(size.items);
        size.pairwise(tables + content, tables)
            + size.graph()
            + thinned::memory(config, size)
            + numbers(8 * tables + content + ItemGraph::NUMBERS * alike)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn gradients(&mut self, triples: &Triples, _draw: u64, gradients: &mut [f32]) -> f64 {
        let FreedomConfig {
            layers,
            dim,
            penalty,
            ..
        } = self.config;
        if let Some(thinned) = &mut self.thinned {
            thinned.begin(triples.epoch);
        }
        let graph = self.thinned.as_ref().map_or(&self.graph, Thinned::graph);
        let (values, content) = (&self.parameters.values, &self.content);
        let propagated = self.propagated(graph);
        let vectors = self.tables.vectors(&propagated);
        gradients.fill(0.0);
        let mut of_vectors = vec![0.0; propagated.len()];
        let (of_users, of_items) = self.tables.split(&mut of_vectors);
        let mut loss = bpr(vectors, triples, 1.0, (of_users, of_items));
        for Content { table, linear } in content {
            let x = table.of(values);
            let made = linear.forward(values, x);
            let mut of_made = vec![0.0; made.len()];
            let vectors = Vectors {
                items: &made,
                ..vectors
            };
            loss += penalty * bpr(vectors, triples, penalty, (of_users, &mut of_made));
            linear.add_gradients(&of_made, x, gradients);
            let of_content = linear.input_gradient(values, &of_made);
            table.of_mut(gradients).copy_from_slice(&of_content);
        }
        let of_alike = self.alike.backward(of_items, dim);
        let of_tables = self.tables.of_mut(gradients);
        graph.mean_of_layers(&of_vectors, layers, dim, of_tables, &mut Vec::new());
        add_scaled(self.tables.split(gradients).1, &of_alike, 1.0);
        loss
    }

    fn vectors(&mut self) -> (Vec<f32>, Vec<f32>, usize) {
        let FreedomConfig { layers, dim, .. } = self.config;
        let tables = self.tables.of(&self.parameters.values);
        let counts = self.counts.clone();
        self.newcomers = Newcomers::of(&self.graph, counts, tables, layers, dim);
        let mut users = self.propagated(&self.graph);
        let items = users.split_off(self.tables.users.rows * dim);
        (users, items, dim)
    }

    fn visitor(&self, rated: &[u32], _factors: &Factors) -> Vec<f32> {
        self.newcomers.vector(rated)
    }
}

impl Fit for FreedomConfig {
    type Model = Freedom;

    fn check(&self, features: &Features) -> Result<Value> {
        Freedom::check(self, features)?;
        let modalities = features.modalities().iter().map(|modality| modality.name());
        let modalities: Vec<&str> = modalities.collect();
        Ok(json!({ "dim": self.dim, "layers": self.layers, "modalities": modalities }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        Freedom::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        FreedomNet::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<Freedom> {
        Freedom::fit(self, data, session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{cases, dense, modalities, score_matrix, triples};

    #[test]
    fn golden_freedom_is_that_of_mmrec() {
        for case in cases("FREEDOM") {
            let (users, items) = (case.count("users"), case.count("items"));
            let config = FreedomConfig {
                dim: case.count("embedding_size"),
                layers: case.count("n_ui_layers"),
                hops: case.count("n_mm_layers"),
                neighbours: case.count("knn_k"),
                others: case.number("mm_image_weight"),
                penalty: case.number("reg_weight"),
                dropped: case.number("dropout"),
                ..FreedomConfig::default()
            };
            let edges = case.edges();
            let pairs = Pairs::of_edges(&edges, users, items);
            let mut net = FreedomNet::of(&config, &pairs, &modalities(&case, &["image", "text"]));
            case.fill(&mut net.parameters);
            let nodes = users + items;
            case.assert_near("in.norm_adj", &dense(net.graph.matrix(), nodes));
            case.assert_near("in.item_graph", &dense(net.alike.matrix(), items));
            // The file has its edges in another order.
            let mut thinned = Thinned::of(&pairs, &config);
            let weights = thinned.weights();
            let files = case.ids("in.edges").as_chunks::<2>().0.iter();
            let in_order = files.map(|edge| {
                let place = edges.binary_search(&(edge[0], edge[1])).unwrap();
                weights[place] as f32
            });
            case.assert_near("in.edge_weights", &in_order.collect::<Vec<_>>());
            let vectors = net.vectors();
            case.assert_near("out.users", &vectors.0);
            case.assert_near("out.items", &vectors.1);
            case.assert_near("out.score_matrix", &score_matrix(&vectors));
            // The edges that the case kept.
            let kept = case.tensor("in.train_adj");
            let is_kept =
                |edge: &&(u32, u32)| kept[edge.0 as usize * nodes + users + edge.1 as usize] != 0.0;
            let kept: Vec<(u32, u32)> = edges.iter().filter(is_kept).copied().collect();
            assert_eq!(kept.len(), thinned.kept());
            thinned.keep(triples(&case).epoch, &kept);
            case.assert_near("in.train_adj", &dense(thinned.graph().matrix(), nodes));
            net.thinned = (config.dropped > 0.0).then_some(thinned);
            let triples = triples(&case);
            case.assert_learns(net.parameters.clone(), |values, gradients| {
                net.parameters.values.copy_from_slice(values);
                net.gradients(&triples, 0, gradients)
            });
        }
    }
}

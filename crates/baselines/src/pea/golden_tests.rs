use super::awareness::Compared;
use super::graph::{Graph, Node, Relation};
use super::net::Net;
use super::{PeaConfig, PeaFusion, PeaLayer};
use crate::golden::{Case, cases};
use crate::pairwise::Triples;

/// Names of relations, in their order.
const RELATIONS: [&str; 8] = [
    "user2item",
    "year2item",
    "genre2item",
    "director2item",
    "actor2item",
    "writer2item",
    "tag2item",
    "tag2user",
];

fn graph(case: &Case) -> Graph {
    let kinds = [
        "user", "item", "genre", "year", "director", "actor", "writer", "tag",
    ];
    let starts = kinds.map(|kind| case.settings["offsets"][kind].as_u64().unwrap() as u32);
    let counts = case.settings["counts"].as_array().unwrap();
    let counts: Vec<usize> = counts
        .iter()
        .map(|it| it.as_u64().unwrap() as usize)
        .collect();
    let edges = |relation: Relation| {
        let ids = case.ids(&format!("in.edges.{}", RELATIONS[relation as usize]));
        let (sources, targets) = ids.split_at(ids.len() / 2);
        let source = starts[relation.source() as usize];
        let target = starts[relation.target() as usize];
        let edges = sources.iter().zip(targets);
        Some(edges.map(|(a, b)| (a - source, b - target)).collect())
    };
    Graph::new(counts.try_into().unwrap(), edges).unwrap()
}

fn config(case: &Case, layer: PeaLayer) -> PeaConfig {
    PeaConfig {
        layer,
        heads: case.count("heads"),
        dim: case.count("emb_dim"),
        hidden: case.count("hidden_size"),
        repr: case.count("repr_dim"),
        fusion: match case.settings["channel_aggr"].as_str() {
            Some("att") => PeaFusion::Attention,
            _ => PeaFusion::Mean,
        },
        entity_aware: case.settings["entity_aware"].as_bool().unwrap(),
        entity_coefficient: case.number("entity_aware_coff"),
        ..PeaConfig::default()
    }
}

/// The batch: triples by dense row, and the entities that were drawn for them.
fn batch(case: &Case, graph: &Graph) -> (Triples, Compared) {
    let movies = graph.start(Node::Movie) as u32;
    let (mut triples, mut compared) = (Triples::default(), Compared::default());
    for row in case.ids("in.batch").as_chunks::<9>().0 {
        triples.users.push(row[0]);
        triples.rated.push(row[1] - movies);
        triples.others.push(row[2] - movies);
        for (node, [own, other, mask]) in [
            (row[1], [row[3], row[4], row[5]]),
            (row[0], [row[6], row[7], row[8]]),
        ] {
            match mask {
                0 => compared.without += 1,
                _ => compared.push(node, own, other),
            }
        }
    }
    (triples, compared)
}

/// Results of all metapaths, `[nodes, paths, repr]`.
fn channels(net: &Net) -> Vec<f32> {
    let width = net.config.repr;
    let of_node = |node: usize| {
        let walked = net.walked().iter();
        walked.flat_map(move |it| &it.out()[node * width..][..width])
    };
    (0..net.graph.nodes()).flat_map(of_node).copied().collect()
}

fn assert_is_theirs(model: &str, layer: PeaLayer) {
    for case in cases(model) {
        let config = config(&case, layer);
        let graph = graph(&case);
        let nodes = graph.nodes();
        let (triples, compared) = batch(&case, &graph);
        let mut net = Net::of(&config, graph, nodes);
        let names: Vec<&str> = net.graph.paths().iter().map(|it| it.name).collect();
        assert_eq!(case.settings["metapaths"], serde_json::json!(names));
        case.fill(&mut net.parameters);
        net.forth();
        case.assert_near("out.channels", &channels(&net));
        case.assert_near("out.repr", net.repr());
        for number in 0..2 {
            let name = format!("out.path0.layer{number}.value");
            if layer == PeaLayer::Gat {
                // Ours is cut off at 0 where theirs is not yet.
                let relu = |x: &f32| if number == 0 { x.max(0.0) } else { *x };
                let expected: Vec<f32> = case.tensor(&name).iter().map(relu).collect();
                let found = &net.walked()[0].layers()[number].out;
                let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() <= 1e-4 * largest);
                }
            }
        }
        let scores = |items: &[u32]| -> Vec<f32> {
            let (second, bias) = net.score.second(&net.parameters.values);
            let parts = net.parts();
            let score = |(&user, &item): (&u32, &u32)| {
                let user = &parts.users[user as usize * config.repr..][..config.repr];
                let item = &parts.items[item as usize * config.repr..][..config.repr];
                let first = user.iter().zip(item).zip(second);
                bias + first.map(|((a, c), w)| w * (a + c).max(0.0)).sum::<f32>()
            };
            triples.users.iter().zip(items).map(score).collect()
        };
        case.assert_near("out.pos_score", &scores(&triples.rated));
        case.assert_near("out.neg_score", &scores(&triples.others));
        let parameters = net.parameters.clone();
        case.assert_learns(parameters, |values, gradients| {
            net.parameters.values.copy_from_slice(values);
            net.loss(&triples, &compared, gradients)
        });
    }
}

#[test]
fn golden_peagat_is_that_of_its_authors() {
    assert_is_theirs("PEAGATRecsysModel", PeaLayer::Gat);
}

#[test]
fn golden_peagcn_is_that_of_its_authors() {
    assert_is_theirs("PEAGCNRecsysModel", PeaLayer::Gcn);
}

#[test]
fn golden_peasage_is_that_of_its_authors() {
    assert_is_theirs("PEASageRecsysModel", PeaLayer::Sage);
}

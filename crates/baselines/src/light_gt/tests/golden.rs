//! Against the authors' code.

use std::sync::Arc;

use crate::golden::{Case, cases, dense, modalities, triples};
use crate::graph::Graph;
use crate::light_gt::LightGtConfig;
use crate::light_gt::encoder::{Encoder, Rooms, Trace};
use crate::light_gt::named::Named;
use crate::light_gt::net::{ADDED, LightGtNet};
use crate::light_gt::sequences::Sequences;
use crate::light_gt::softmax::Dropout;
use crate::pairs::Pairs;
use crate::pairwise::Triples;

fn net(case: &Case, names: &[&str]) -> LightGtNet {
    let config = LightGtConfig {
        dim: case.count("dim"),
        history: case.count("history"),
        blocks: case.count("transformer_layers"),
        gcn_layers: case.count("lightgcn_layers"),
        heads: case.count("heads"),
        score_weight: case.number("score_weight"),
        decay: case.number("reg_weight"),
        ..LightGtConfig::default()
    };
    let pairs = Pairs::of_edges(&case.edges(), case.count("users"), case.count("items"));
    let graph = Graph::of(&pairs, ADDED);
    let mut net = LightGtNet::of(&config, graph, Arc::new(pairs), modalities(case, names));
    case.fill(&mut net.parameters);
    net
}

/// The samples of a case: of each the user and what is not masked.
fn sequences(case: &Case) -> Sequences {
    let width = case.shape("in.history")[1];
    let items = case.ids("in.history").chunks_exact(width);
    let masks = case.ids("in.mask").chunks_exact(width);
    let rows = case.ids("in.users").iter().zip(items.zip(masks));
    let rows = rows.map(|(&user, (items, masks))| {
        let items = items.iter().zip(masks).skip(1);
        let seen = items.filter(|(_, masked)| **masked == 0);
        (user, seen.map(|(&item, _)| item).collect::<Vec<u32>>())
    });
    Sequences::of(rows, case.count("users"))
}

fn loss(
    net: &LightGtNet,
    (triples, sequences): (&Triples, &Sequences),
    gradients: &mut [f32],
) -> f64 {
    let positions = net.places();
    let ids = positions.mean(net.config.id_layers());
    let nothing = (Dropout::NONE, 0);
    net.step(triples, sequences, (&positions, ids), nothing, gradients)
}

#[test]
fn golden_light_gt_has_the_positions_of_its_authors() {
    for case in cases("LightGT") {
        let net = net(&case, &["v"]);
        let nodes = net.graph.nodes();
        case.assert_near("in.norm_adj", &dense(net.graph.matrix(), nodes));
        let positions = net.places();
        for block in 0..net.config.blocks {
            let vectors = net.split(positions.mean(block + 1));
            case.assert_near(&format!("out.position_user.{block}"), vectors.users);
            case.assert_near(&format!("out.position_item.{block}"), vectors.items);
        }
        let ids = net.split(positions.mean(net.config.id_layers()));
        case.assert_near("out.user_id", ids.users);
        case.assert_near("out.item_id", ids.items);
    }
}

/// Asserts what comes out of each block of a modality, and of the items and the samples of it;
/// returns the latter.
fn assert_encodes(case: &Case, name: &str, encoder: &Encoder, users: usize) -> Vec<f32> {
    let (dim, blocks) = (encoder.folded.dim, encoder.folded.blocks.len());
    let items = &encoder.nodes.x[users * dim..];
    case.assert_near(&format!("out.item_{name}"), items);
    let (sequences, samples) = (sequences(case), case.count("batch"));
    let width = case.shape("in.history")[1];
    let has_blocks = name != "a";
    let block = |block: usize| format!("out.{name}.block{block}");
    let mut found: Vec<Vec<f32>> = match has_blocks {
        // Places that are not computed are taken to be right.
        true => (0..blocks)
            .map(|it| case.tensor(&block(it)).to_vec())
            .collect(),
        false => Vec::new(),
    };
    let mut vectors = vec![0.0; samples * dim];
    let (mut trace, mut rooms) = (Trace::default(), Rooms::default());
    for (sample, out) in vectors.chunks_exact_mut(dim).enumerate() {
        encoder.forward(sequences.row(sample), 0, (&mut trace, &mut rooms), out);
        for (number, block) in found.iter_mut().enumerate() {
            let rows = match number + 1 == blocks {
                true => trace.out(),
                false => trace.input(number + 1),
            };
            block[sample * width * dim..][..rows.len()].copy_from_slice(rows);
        }
    }
    for (number, found) in found.iter().enumerate() {
        case.assert_near(&block(number), found);
    }
    case.assert_near(&format!("out.user_{name}"), &vectors);
    vectors
}

#[test]
fn golden_light_gt_has_the_blocks_and_the_scores_of_its_authors() {
    for case in cases("LightGT") {
        let has_sound = case.settings["acoustic"] == true;
        let names: &[&str] = if has_sound {
            &["v", "a", "t"]
        } else {
            &["v", "t"]
        };
        let net = net(&case, names);
        let (users, nodes) = (case.count("users"), net.graph.nodes());
        let positions = net.places();
        let prepared = net.prepare(&Named::of(0..nodes as u32, users, nodes), &positions);
        let ids = net.split(positions.mean(net.config.id_layers()));
        let weight = net.config.score_weight as f32;
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let rows = case.ids("in.users").iter();
        let items = 0..case.count("items") as u32;
        let mut scores: Vec<f32> = rows
            .flat_map(|&user| {
                let of_item = move |item| weight * product(ids.user(user), ids.item(item));
                items.clone().map(of_item)
            })
            .collect();
        for (name, (weights, nodes)) in names.iter().zip(&prepared) {
            let encoder = Encoder {
                folded: &net.folded,
                weights,
                nodes,
                dropout: Dropout::NONE,
            };
            let vectors = assert_encodes(&case, name, &encoder, users);
            // In the authors' scores there is no text without sound.
            if has_sound || *name == "v" {
                let dim = net.config.dim;
                let rows = scores.chunks_exact_mut(case.count("items"));
                for (scores, vector) in rows.zip(vectors.chunks_exact(dim)) {
                    let items = nodes.x[users * dim..].chunks_exact(dim);
                    for (score, item) in scores.iter_mut().zip(items) {
                        *score += (1.0 - weight) * product(vector, item);
                    }
                }
            }
        }
        case.assert_near("out.score_matrix", &scores);
    }
}

#[test]
fn golden_light_gt_learns_as_that_of_its_authors() {
    for case in cases("LightGT") {
        let has_sound = case.settings["acoustic"] == true;
        let names: &[&str] = if has_sound { &["v", "a", "t"] } else { &["v"] };
        let mut net = net(&case, names);
        let (triples, sequences) = (triples(&case), sequences(&case));
        let parameters = net.parameters.clone();
        let mut gradients = vec![0.0; parameters.values.len()];
        let total = loss(&net, (&triples, &sequences), &mut gradients);
        let penalty = net.penalty(net.places().mean(net.config.id_layers()));
        case.assert_number("loss.embedding", penalty);
        case.assert_number("loss.reg", net.config.decay * penalty);
        case.assert_number("loss.bpr", total - net.config.decay * penalty);
        case.assert_learns(parameters, |values, gradients| {
            net.parameters.values.copy_from_slice(values);
            loss(&net, (&triples, &sequences), gradients)
        });
    }
}

#[test]
fn golden_light_gt_hears_pictures_alone_without_sound_where_it_is_to() {
    for case in cases("LightGT") {
        if case.settings["acoustic"] == true {
            continue;
        }
        let mut net = net(&case, &["v", "t"]);
        let batch = (triples(&case), sequences(&case));
        let mut gradients = vec![f32::NAN; net.parameters.values.len()];
        let both = loss(&net, (&batch.0, &batch.1), &mut gradients);
        net.config.visual_only_without_acoustic = true;
        let one = loss(&net, (&batch.0, &batch.1), &mut gradients);
        case.assert_number("loss.total", one);
        assert!((both / one - 1.0).abs() > 1e-3);
        for (name, matrix) in net.parameters.names() {
            let gradient = matrix.of(&gradients);
            // Biases of keys have none anyway.
            let has_none = name.starts_with("t_") || name.contains("k_in_proj.bias");
            assert_eq!(has_none, gradient.iter().all(|&x| x == 0.0), "{name}");
        }
    }
}

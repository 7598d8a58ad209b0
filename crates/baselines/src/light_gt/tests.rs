//! The whole of it against the authors' code, and against finite differences.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::LightGtConfig;
use super::encoder::{Encoder, Rooms, Trace};
use super::net::{ADDED, LightGtNet};
use super::positions::Positions;
use super::rows::Dropout;
use super::sequences::Sequences;
use super::step::Named;
use crate::golden::{Case, cases, dense, modalities, triples};
use crate::graph::Graph;
use crate::item_features::ItemFeatures;
use crate::pairs::Pairs;
use crate::pairwise::{Net, Triples};

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
    let mut net = LightGtNet::zeros(&config, graph, Arc::new(pairs), modalities(case, names));
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

/// Something to learn from: users of 0 to 9 items of 14, three modalities of which one is known
/// of every other item.
fn toy(config: LightGtConfig, count: u32) -> (LightGtNet, Triples) {
    let (users, items) = (6, 14);
    let edges: Vec<(u32, u32)> = (0..users)
        .flat_map(|user| (0..2 * user).map(move |at| (user, (3 * at + user) % items)))
        .collect();
    let pairs = Pairs::of_edges(&edges, users as usize, items as usize);
    let wave = |count: usize| (0..count).map(|at| (at as f32 * 0.7).sin());
    let modality = |name: &str, width: usize| ItemFeatures {
        name: name.to_owned(),
        width,
        values: wave(items as usize * width).collect(),
    };
    let mut contents = vec![modality("a", 3), modality("b", 5)];
    for vector in contents[1].values.chunks_mut(5).step_by(2) {
        vector.fill(0.0);
    }
    let graph = Graph::of(&pairs, ADDED);
    let mut net = LightGtNet::zeros(&config, graph, Arc::new(pairs), contents);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for x in &mut net.parameters.values {
        *x = random.random_range(-0.8..0.8);
    }
    let mut triples = Triples::default();
    for number in 0..count {
        let (user, item) = edges[7 * number as usize % edges.len()];
        triples.users.push(user);
        triples.rated.push(item);
        triples.others.push((item + 1 + number % 5) % items);
    }
    (net, triples)
}

/// The loss at other values, where users and items stand as they do at the net's own.
fn moved(
    net: &LightGtNet,
    values: &[f32],
    batch: (&Triples, &Sequences),
    (positions, dropout): (&Positions, Dropout),
) -> f64 {
    let mut other = net.clone();
    other.parameters.values.copy_from_slice(values);
    let tables = other.places();
    let ids = tables.mean(net.config.id_layers());
    let mut gradients = vec![0.0; values.len()];
    other.step(
        batch.0,
        batch.1,
        (positions, ids),
        (dropout, 3),
        &mut gradients,
    )
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let config = |blocks, heads, gcn_layers, dropout| LightGtConfig {
        dim: 6,
        history: 5,
        blocks,
        heads,
        gcn_layers,
        dropout,
        score_weight: 0.3,
        ..LightGtConfig::default()
    };
    for config in [
        config(1, 1, 4, 0.0),
        config(1, 2, 0, 0.3),
        config(2, 1, 1, 0.3),
        config(4, 2, 3, 0.1),
    ] {
        let (mut net, triples) = toy(config, 9);
        // Scores that differ, so that no softmax is flat: otherwise next to nothing comes back.
        for (name, matrix) in net.parameters.names().to_vec() {
            if name.contains("q_in_proj.weight") {
                let weights = matrix.of_mut(&mut net.parameters.values);
                weights.iter_mut().for_each(|x| *x *= 100.0);
            }
        }
        let sequences = Sequences::draw(&triples, &net_pairs(&net), (config.history, false), 8);
        let positions = net.places();
        let dropout = Dropout::new(config.dropout);
        let values = net.parameters.values.clone();
        let mut gradients = vec![f32::NAN; values.len()];
        let ids = positions.mean(config.id_layers());
        let batch = (&triples, &sequences);
        net.step(
            batch.0,
            batch.1,
            (&positions, ids),
            (dropout, 3),
            &mut gradients,
        );
        let mut random = ChaCha8Rng::seed_from_u64(6);
        for (name, matrix) in net.parameters.names() {
            if name.contains("k_in_proj.bias") {
                assert!(matrix.of(&gradients).iter().all(|&x| x == 0.0));
                continue;
            }
            let mut direction = vec![0.0f32; values.len()];
            let largest = matrix
                .of(&values)
                .iter()
                .fold(1.0f32, |a, b| a.max(b.abs()));
            let own = matrix.of_mut(&mut direction).iter_mut();
            own.for_each(|x| *x = random.random_range(-1.0..1.0) * largest);
            let at = |by: f32| {
                let pairs = values.iter().zip(&direction);
                let values: Vec<f32> = pairs.map(|(x, d)| x + by * d).collect();
                moved(&net, &values, batch, (&positions, dropout))
            };
            // Richardson's: of two central differences, what is left of the third derivative.
            let step = 1e-3;
            let central = |by: f32| (at(by) - at(-by)) / f64::from(2.0 * by);
            let found = (4.0 * central(step) - central(2.0 * step)) / 3.0;
            let products = gradients.iter().zip(&direction);
            let expected: f64 = products.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let length = gradients.iter().zip(&direction);
            let length: f64 = length.map(|(g, d)| f64::from(g * d).powi(2)).sum();
            let off = (found - expected).abs();
            assert!(
                off <= 0.03 * length.sqrt() + 3e-4,
                "{name}: {found} and not {expected} ({config:?})"
            );
        }
    }
}

fn net_pairs(net: &LightGtNet) -> Pairs {
    net.pairs.as_ref().clone()
}

#[test]
fn steps_have_the_same_bits_on_any_number_of_threads() {
    let config = LightGtConfig {
        dim: 20,
        history: 4,
        blocks: 3,
        ..LightGtConfig::default()
    };
    let found = [1, 2, 5].map(|threads| {
        // Several parts, the last of which is not full.
        let (mut net, triples) = toy(config, 420);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let mut gradients = vec![0.0; net.parameters.values.len()];
        let loss = pool
            .build()
            .unwrap()
            .install(|| net.gradients(&triples, 4, &mut gradients));
        (loss.to_bits(), gradients)
    });
    assert!(found[0] == found[1] && found[0] == found[2]);
    let (mut net, triples) = toy(config, 420);
    let mut gradients = vec![0.0; net.parameters.values.len()];
    let one = net.gradients(&triples, 4, &mut gradients);
    assert_ne!(one, net.gradients(&triples, 5, &mut gradients));
}

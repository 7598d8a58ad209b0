//! Against finite differences, and against itself.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::graph::Graph;
use crate::item_features::ItemFeatures;
use crate::light_gt::LightGtConfig;
use crate::light_gt::net::{ADDED, LightGtNet};
use crate::light_gt::positions::Positions;
use crate::light_gt::sequences::Sequences;
use crate::light_gt::softmax::Dropout;
use crate::pairs::Pairs;
use crate::pairwise::{Net, Triples};

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
    let mut net = LightGtNet::of(&config, graph, Arc::new(pairs), contents);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    net.parameters.zero();
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

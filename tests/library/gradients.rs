//! Explicit gradients against finite differences.

use std::collections::BTreeMap;
use std::ops::Range;

use half::f16;
use mmdlrm::model::{
    Activation, BottomConfig, Combine, Compression, Dlrm, DlrmConfig, Gradients, Inputs,
    Interaction, Loss, ModalityConfig, ModalityInput, Output, OutputActivation, Pooling, Side,
    StepPart, TableConfig, TableInput,
};

const SAMPLES: usize = 300;
pub const DENSE: usize = 3;
const VECTORS: usize = 7;
pub const WIDTH: usize = 5;

/// A batch with empty bags, repeated ids and missing vectors, large enough
/// for several pieces.
pub struct Input {
    dense: Vec<f32>,
    users: Vec<u32>,
    genre_offsets: Vec<u32>,
    genres: Vec<u32>,
    genre_weights: Option<Vec<f32>>,
    pub vectors: Vec<f32>,
    vector_rows: Vec<u32>,
    pub targets: Vec<f32>,
}

impl Input {
    pub fn new() -> Self {
        Self::of(SAMPLES)
    }

    fn of(samples: usize) -> Self {
        // A fixed jumble: a test of derivatives needs no better.
        let jumble = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0;
        let mut genre_offsets = vec![0];
        let mut genres = Vec::new();
        for sample in 0..samples {
            genres.extend((0..sample % 4).map(|i| ((sample * 3 + i * i) % 6) as u32));
            genre_offsets.push(genres.len() as u32);
        }
        let vector_row = |sample: usize| match sample % 5 {
            0 => ModalityInput::MISSING,
            _ => (sample * sample % VECTORS) as u32,
        };
        Self {
            dense: (0..samples * DENSE).map(|i| jumble(i) - 0.5).collect(),
            users: (0..samples)
                .map(|sample| (sample * sample % 11) as u32)
                .collect(),
            genre_offsets,
            genres,
            genre_weights: None,
            vectors: (0..VECTORS * WIDTH)
                .map(|i| jumble(i + 5000) - 0.5)
                .collect(),
            vector_rows: (0..samples).map(vector_row).collect(),
            targets: (0..samples).map(|i| jumble(i + 9000)).collect(),
        }
    }

    /// Some of its samples.
    fn part(&self, samples: Range<usize>) -> Self {
        let offsets = &self.genre_offsets[samples.start..=samples.end];
        let genres = offsets[0] as usize..offsets[samples.len()] as usize;
        Self {
            dense: self.dense[samples.start * DENSE..samples.end * DENSE].to_vec(),
            users: self.users[samples.clone()].to_vec(),
            genre_offsets: offsets.iter().map(|offset| offset - offsets[0]).collect(),
            genres: self.genres[genres].to_vec(),
            genre_weights: None,
            vectors: self.vectors.clone(),
            vector_rows: self.vector_rows[samples.clone()].to_vec(),
            targets: self.targets[samples].to_vec(),
        }
    }

    pub fn with<T>(&self, use_batch: impl FnOnce(&Inputs) -> T) -> T {
        use_batch(&Inputs {
            dense: &self.dense,
            tables: &[
                TableInput::Single(&self.users),
                match &self.genre_weights {
                    None => TableInput::Lists {
                        offsets: &self.genre_offsets,
                        ids: &self.genres,
                    },
                    Some(weights) => TableInput::Weighted {
                        offsets: &self.genre_offsets,
                        ids: &self.genres,
                        weights,
                    },
                },
            ],
            modalities: &[ModalityInput {
                vectors: self.vectors.as_slice().into(),
                rows: &self.vector_rows,
            }],
        })
    }
}

pub fn config(interaction: Interaction, tower: Vec<usize>) -> DlrmConfig {
    DlrmConfig {
        dim: WIDTH,
        bottoms: vec![BottomConfig::new(Side::Pair, 0..DENSE, vec![6, WIDTH])],
        tables: vec![
            TableConfig::new("user", 11, Side::User),
            TableConfig {
                pooling: Pooling::Mean,
                ..TableConfig::new("genre", 6, Side::Item)
            },
        ],
        modalities: vec![ModalityConfig::new("image", WIDTH, tower)],
        interaction,
        top: vec![7],
        ..DlrmConfig::default()
    }
}

/// Compares every gradient with the slope of the loss.
#[track_caller]
fn check(config: DlrmConfig, loss: Loss) {
    check_with(Input::new(), config, loss);
}

#[track_caller]
fn check_with(input: Input, config: DlrmConfig, loss: Loss) {
    // Large enough to stand out of f32's rounding, small enough for the
    // parabola; a ReLU's kink within a step is why a few may differ.
    const STEP: f32 = 2.5e-3;
    const TOLERANCE: f64 = 2e-3;
    const KINKS: f64 = 0.02;
    /// Of all slopes of the dense parameters or of a table together.
    const TOGETHER: f64 = 0.05;

    let mut model = Dlrm::new(config, 3).unwrap();
    let mut gradients = Gradients::default();
    let loss_of = |model: &Dlrm, gradients: &mut Gradients| {
        // The same step drops the same numbers.
        gradients.step = 5;
        let loss = input
            .with(|batch| model.gradients(batch, &input.targets, loss, gradients))
            .unwrap();
        let segments = model.segments().into_iter();
        let weights = segments.filter(|segment| !segment.name.ends_with("missing"));
        let squares = weights.flat_map(|segment| &model.parameters().dense[segment.range()]);
        let penalty: f64 = squares.map(|&w| f64::from(w).powi(2)).sum();
        loss + f64::from(model.config().l2) * penalty
    };
    loss_of(&model, &mut gradients);
    let analytic_dense = gradients.dense.clone();
    let analytic_tables: Vec<Vec<f32>> = gradients
        .tables
        .iter()
        .zip(&model.parameters().tables)
        .map(|(rows, table)| {
            let mut all = vec![0.0; table.store().len()];
            for (&row, values) in rows.rows().iter().zip(rows.values.chunks(table.dim)) {
                all[row as usize * table.dim..][..table.dim].copy_from_slice(values);
            }
            all
        })
        .collect();

    type Place = fn(&mut Dlrm, usize, usize) -> &mut f32;
    let dense: Place = |model, _, i| &mut model.parameters_mut().dense[i];
    let table: Place = |model, t, i| {
        let table = &mut model.parameters_mut().tables[t];
        &mut table.store_mut().as_mut_slice().unwrap()[i]
    };
    let lists = [(dense, 0, &analytic_dense)].into_iter().chain(
        analytic_tables
            .iter()
            .enumerate()
            .map(|(t, list)| (table, t, list)),
    );
    let (mut checked, mut off) = (0, Vec::new());
    for (place, t, analytic) in lists {
        let (mut squares, mut of_difference) = (0.0, 0.0);
        for (i, &analytic) in analytic.iter().enumerate() {
            let before = *place(&mut model, t, i);
            *place(&mut model, t, i) = before + STEP;
            let up = loss_of(&model, &mut gradients);
            *place(&mut model, t, i) = before - STEP;
            let down = loss_of(&model, &mut gradients);
            *place(&mut model, t, i) = before;
            let slope = (up - down) / (2.0 * f64::from(STEP));
            checked += 1;
            let difference = slope - f64::from(analytic);
            // What is no number is not near.
            let is_near = difference.abs() <= TOLERANCE * (1.0 + slope.abs());
            if !is_near {
                off.push((t, i, slope, analytic));
            }
            squares += slope * slope;
            of_difference += difference * difference;
        }
        // Where all slopes are smaller than the tolerance, zeros would pass for them.
        assert!(
            of_difference.sqrt() <= TOGETHER * squares.sqrt(),
            "list {t}: {} of {}",
            of_difference.sqrt(),
            squares.sqrt()
        );
    }
    assert!(
        off.len() as f64 <= KINKS * f64::from(checked),
        "{} of {checked}: {off:?}",
        off.len()
    );
}

#[test]
fn gradients_of_dot_interaction_with_a_tower_match_finite_differences() {
    check(
        config(Interaction::Dot { itself: false }, vec![4, WIDTH]),
        Loss::Mse,
    );
}

#[test]
fn gradients_of_dot_interaction_with_itself_match_finite_differences() {
    let sigmoid = Output {
        activation: OutputActivation::Sigmoid,
        ..Output::default()
    };
    let config = config(Interaction::Dot { itself: true }, vec![WIDTH]);
    check(
        DlrmConfig {
            output: sigmoid,
            ..config
        },
        Loss::Bce,
    );
}

#[test]
fn gradients_of_raw_vectors_side_by_side_match_finite_differences() {
    let linear = config(Interaction::Cat, vec![]);
    let output = Output {
        offset: 0.4,
        scale: 2.0,
        ..Output::default()
    };
    check(
        DlrmConfig {
            top_activation: Activation::Identity,
            output,
            ..linear
        },
        Loss::Mse,
    );
}

/// With weights for the genres.
pub fn weighted() -> Input {
    let mut input = Input::new();
    let weights = (0..input.genres.len()).map(|i| (i % 7) as f32 * 0.3 - 0.5);
    input.genre_weights = Some(weights.collect());
    input
}

#[test]
fn gradients_of_weighted_bags_and_learned_weights_match_finite_differences() {
    let mut config = config(Interaction::default(), vec![WIDTH]);
    config.tables[0].learned_weights = true;
    config.tables[1].learned_weights = true;
    config.tables[1].pooling = Pooling::Sum;
    check_with(weighted(), config, Loss::Mse);
}

#[test]
fn gradients_of_mixed_dimensions_and_shared_rows_match_finite_differences() {
    let even = 6;
    for (combine, own) in [
        (Combine::Product, None),
        (Combine::Product, Some(3)),
        (Combine::Sum, Some(2)),
        (Combine::Cat, None),
        (Combine::Cat, Some(4)),
    ] {
        let mut config = config(Interaction::default(), vec![even]);
        config.dim = even;
        config.bottoms[0].layers = vec![7, even];
        config.tables[0].dim = own;
        config.tables[0].learned_weights = own.is_none();
        let collisions = 4;
        config.tables[0].compression = Compression::QuotientRemainder {
            collisions,
            combine,
        };
        config.tables[1].compression = Compression::Hashed { buckets: 4 };
        config.tables[1].dim = Some(1);
        check(config, Loss::Mse);
    }
}

#[test]
fn gradients_of_bottoms_by_side_match_finite_differences() {
    let mut config = config(Interaction::Dot { itself: true }, vec![WIDTH]);
    config.bottoms = vec![
        BottomConfig::new(Side::Item, [1], vec![WIDTH]),
        BottomConfig::new(Side::User, [2, 0], vec![4, WIDTH]),
    ];
    config.top = vec![7, 6];
    check(config, Loss::Mse);
}

#[test]
fn gradients_of_pairwise_and_weighted_losses_match_finite_differences() {
    check(config(Interaction::default(), vec![WIDTH]), Loss::Bpr);
    let sigmoid = DlrmConfig {
        output: Output::within(-0.5, 1.5),
        ..config(Interaction::default(), vec![WIDTH])
    };
    let loss = Loss::WeightedBce {
        negative: 0.5,
        positive: 2.0,
    };
    check(sigmoid, loss);
}

#[test]
fn gradients_under_dropout_and_l2_match_finite_differences() {
    for top_activation in [Activation::Relu, Activation::Identity] {
        let config = DlrmConfig {
            dropout: 0.3,
            wide: true,
            l2: 0.05,
            top: vec![8, 6],
            top_activation,
            ..config(Interaction::default(), vec![4, WIDTH])
        };
        check(config, Loss::Mse);
    }
}

#[test]
fn the_penalty_on_rows_is_taken_once_for_each_that_is_touched() {
    let input = Input::new();
    let rows_of = |table_l2: f32| {
        let config = DlrmConfig {
            table_l2,
            ..config(Interaction::default(), vec![WIDTH])
        };
        let model = Dlrm::new(config, 3).unwrap();
        let mut gradients = Gradients::default();
        input
            .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, &mut gradients))
            .unwrap();
        (model, gradients.tables.remove(0))
    };
    let ((model, plain), (_, held_back)) = (rows_of(0.0), rows_of(0.25));
    assert_eq!(plain.rows(), held_back.rows());
    for (place, &row) in plain.rows().iter().enumerate() {
        for i in 0..WIDTH {
            let difference = held_back.values[place * WIDTH + i] - plain.values[place * WIDTH + i];
            let e = model.parameters().tables[0].values().unwrap()[row as usize * WIDTH + i];
            assert!(
                (difference - 2.0 * 0.25 * e).abs() < 1e-6,
                "{difference} {e}"
            );
        }
    }
}

#[test]
fn the_penalty_on_embeddings_grows_with_their_use() {
    let input = Input::new();
    let rows_of = |embedding_norm: f32| {
        let config = DlrmConfig {
            embedding_norm,
            ..config(Interaction::default(), vec![WIDTH])
        };
        let model = Dlrm::new(config, 3).unwrap();
        let mut gradients = Gradients::default();
        input
            .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, &mut gradients))
            .unwrap();
        (model, gradients.tables.remove(0))
    };
    let ((model, plain), (_, held_back)) = (rows_of(0.0), rows_of(0.25));
    assert_eq!(plain.rows(), held_back.rows());
    for (place, &row) in plain.rows().iter().enumerate() {
        let uses = input.users.iter().filter(|&&user| user == row).count() as f32;
        for i in 0..WIDTH {
            let difference = held_back.values[place * WIDTH + i] - plain.values[place * WIDTH + i];
            let e = model.parameters().tables[0].values().unwrap()[row as usize * WIDTH + i];
            let expected = 2.0 * 0.25 * uses / SAMPLES as f32 * e;
            assert!(
                (difference - expected).abs() < 1e-6,
                "{difference} {expected}"
            );
        }
    }
}

#[test]
fn half_precision_vectors_give_what_their_values_give() {
    let mut input = Input::new();
    let halves: Vec<f16> = input.vectors.iter().map(|&x| f16::from_f32(x)).collect();
    input.vectors = halves.iter().map(|x| x.to_f32()).collect();
    let model = Dlrm::new(config(Interaction::default(), vec![4, WIDTH]), 3).unwrap();
    let (mut single, mut half) = (Gradients::default(), Gradients::default());
    let loss = |batch: &Inputs, gradients: &mut Gradients| {
        model
            .gradients(batch, &input.targets, Loss::Mse, gradients)
            .unwrap()
    };
    let expected = input.with(|batch| loss(batch, &mut single));
    let found = input.with(|batch| {
        let modalities = [ModalityInput {
            vectors: halves.as_slice().into(),
            ..batch.modalities[0]
        }];
        let modalities = &modalities;
        loss(
            &Inputs {
                modalities,
                ..*batch
            },
            &mut half,
        )
    });
    assert_eq!(found, expected);
    assert_eq!(half.dense, single.dense);
}

#[test]
fn gradients_are_the_same_to_the_bit_on_any_number_of_threads() {
    // Several parts, the last of them cut short.
    let input = Input::of(1000);
    let model = Dlrm::new(config(Interaction::default(), vec![WIDTH]), 3).unwrap();
    let gradients = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut gradients = Gradients::default();
        pool.install(|| {
            input
                .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, &mut gradients))
                .unwrap()
        });
        gradients
    };
    let one = gradients(1);
    for threads in [2, 3, 7] {
        let many = gradients(threads);
        assert_eq!(many.dense, one.dense, "{threads} threads");
        assert_eq!(many.tables, one.tables, "{threads} threads");
    }
}

#[test]
fn gradients_of_the_parts_of_a_step_add_up_to_those_of_the_step() {
    let input = Input::new();
    let mut config = config(Interaction::default(), vec![WIDTH]);
    (config.dropout, config.l2, config.embedding_norm) = (0.3, 1e-3, 1e-3);
    let model = Dlrm::new(config, 3).unwrap();
    let of = |range: Range<usize>, part: Option<StepPart>| {
        let input = input.part(range);
        let mut gradients = Gradients::default();
        (gradients.part, gradients.step) = (part, 4);
        let loss = input
            .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, &mut gradients))
            .unwrap();
        (loss, gradients)
    };
    let (loss, whole) = of(0..SAMPLES, None);
    let cut = |first, end| {
        let samples = SAMPLES;
        of(first..end, Some(StepPart { first, samples }))
    };
    let parts = [cut(0, 70), cut(70, 71), cut(71, SAMPLES)];
    let sum: f64 = parts.iter().map(|(loss, _)| loss).sum();
    assert!((sum - loss).abs() < 1e-6 * loss, "{sum} {loss}");
    let near = |found: f32, expected: f32| (found - expected).abs() < 1e-6 + 1e-4 * expected.abs();
    for (place, expected) in whole.dense.iter().enumerate() {
        let sum = parts.iter().map(|(_, part)| part.dense[place]).sum();
        assert!(near(sum, *expected), "{place}: {sum} {expected}");
    }
    for (table, expected) in whole.tables.iter().enumerate() {
        let mut left: BTreeMap<u32, Vec<f32>> = expected
            .rows()
            .iter()
            .zip(expected.values.chunks(expected.dim))
            .map(|(&row, values)| (row, values.to_vec()))
            .collect();
        for (_, part) in &parts {
            let part = &part.tables[table];
            for (row, values) in part.rows().iter().zip(part.values.chunks(part.dim)) {
                let left = left.get_mut(row).unwrap().iter_mut();
                left.zip(values).for_each(|(x, y)| *x -= y);
            }
        }
        let most = left
            .values()
            .flatten()
            .fold(0f32, |most, x| most.max(x.abs()));
        assert!(most < 1e-5, "table {table}: {most}");
    }
}

#[test]
fn a_part_that_is_no_share_of_a_step_is_refused() {
    let input = Input::new();
    let samples = input.targets.len();
    let mut config = config(Interaction::default(), vec![WIDTH]);
    let mut refused = |part: StepPart, loss: Loss, table_l2: f32, why: &str| {
        config.table_l2 = table_l2;
        let model = Dlrm::new(config.clone(), 3).unwrap();
        let mut gradients = Gradients::default();
        gradients.part = Some(part);
        let found =
            input.with(|batch| model.gradients(batch, &input.targets, loss, &mut gradients));
        let error = found.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let part = |first, samples| StepPart { first, samples };
    refused(part(1, samples), Loss::Mse, 0.0, "ends beyond the step");
    refused(part(usize::MAX, samples), Loss::Mse, 0.0, "ends beyond");
    refused(part(0, samples + 2), Loss::Mse, 0.1, "table_l2");
    refused(part(1, samples + 1), Loss::Bpr, 0.0, "begins among samples");
}

#[test]
fn bad_batches_are_named() {
    let input = Input::new();
    let model = Dlrm::new(config(Interaction::default(), vec![WIDTH]), 3).unwrap();
    let error = |spoil: fn(&mut Input)| {
        let mut input = Input::new();
        spoil(&mut input);
        let mut gradients = Gradients::default();
        input
            .with(|batch| model.gradients(batch, &input.targets, Loss::Mse, &mut gradients))
            .unwrap_err()
            .to_string()
    };
    for (spoil, part) in [
        (
            (|i| i.users[4] = 11) as fn(&mut Input),
            "table user: row 11 at position 4",
        ),
        (|i| i.genre_offsets[2] = 900, "table genre: the bag offsets"),
        (|i| i.genre_offsets[0] = 1, "table genre: the bag offsets"),
        (
            |i| i.vector_rows[1] = VECTORS as u32,
            "modality image: row 7 at position 1",
        ),
        (|i| i.users.truncate(2), "bags of table user has 2"),
        (|i| i.targets.truncate(2), "targets has 2"),
        (|i| i.dense.truncate(5), "dense has 5"),
        (
            |i| i.dense[7] = f32::NAN,
            "dense features: column 1 of sample 2 is NaN",
        ),
        (
            |i| i.genre_weights = Some(vec![1.0; i.genres.len()]),
            "table genre: bags with weights need the pooling sum",
        ),
    ] {
        let error = error(spoil);
        assert!(error.contains(part), "{error}");
    }
    // Nothing was spoiled for the next batch.
    let mut predictions = Vec::new();
    input
        .with(|batch| model.predict(batch, &mut predictions))
        .unwrap();
}

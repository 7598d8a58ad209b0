//! Ranking a catalogue against brute force.

use mmdlrm::Preset;
use mmdlrm::data::{Batch, ColumnView, Modality, MovieLens, Split, generate};
use mmdlrm::features::{ContextConfig, Dataset, TrainingData};
use mmdlrm::metrics::ndcg_at_k;
use mmdlrm::model::{Dlrm, DlrmConfig, Inputs, Interaction, ModalityInput, Output, TableInput};
use mmdlrm::train::rank_catalogue;

fn dataset() -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    generate::write(&dir, &generate::GeneratorConfig::tiny(), |_| {}).unwrap();
    let movielens = MovieLens::open(&dir).unwrap();
    let vectors: Vec<Vec<f32>> = (0..20)
        .map(|i| vec![i as f32, (i * i % 7) as f32, 1.0, -(i as f32)])
        .collect();
    let modality = Modality::standardized(
        "image",
        4,
        &movielens.movies.index(),
        movielens
            .movies
            .index()
            .ids()
            .iter()
            .zip(&vectors)
            .map(|(&id, vector)| (id, vector.as_slice())),
    )
    .unwrap();
    let split = Split::random(movielens.ratings.len(), 0.3, 5).unwrap();
    Dataset::new(&movielens, split, vec![modality]).unwrap()
}

/// Calls `use_input` with a data batch as the model takes it.
fn with_input<T>(dataset: &Dataset, batch: &Batch, use_input: impl FnOnce(&Inputs) -> T) -> T {
    let columns = ["genre", "dense", "image"].map(|name| batch.column(name).unwrap());
    let [
        ColumnView::Bags { offsets, ids },
        ColumnView::Dense { values: dense, .. },
        ColumnView::Vectors(rows),
    ] = columns
    else {
        panic!("columns of other kinds: {columns:?}");
    };
    let bags = [
        TableInput::Single(&batch.users),
        TableInput::Single(&batch.movies),
        TableInput::Lists { offsets, ids },
    ];
    let vectors = dataset.features().modalities()[0].values();
    let modalities = [ModalityInput {
        vectors: vectors.into(),
        rows,
    }];
    use_input(&Inputs {
        dense,
        tables: &bags,
        modalities: &modalities,
    })
}

/// Scores of all movies for a user by plain prediction.
fn brute_force(model: &Dlrm, dataset: &Dataset, user: u32) -> Vec<f32> {
    let mut scores = Vec::new();
    let batch = dataset.features().catalogue_batch(user);
    with_input(dataset, &batch, |input| model.predict(input, &mut scores)).unwrap();
    scores
}

#[test]
fn the_ranking_metric_equals_brute_force_over_the_whole_catalogue() {
    check_ranking_metric(Preset::Mmdlrm);
    check_ranking_metric(Preset::MmdlrmFactored);
}

fn check_ranking_metric(preset: Preset) {
    let dataset = dataset();
    let model = Dlrm::new(preset.config(dataset.features(), 8), 1).unwrap();
    let mut sum = 0.0;
    let mut users = 0;
    for user in 0..dataset.features().users().len() as u32 {
        let held_out: Vec<(u32, f32)> = dataset
            .split()
            .test()
            .iter()
            .map(|&row| dataset.rating(row))
            .filter(|rated| rated.user == user)
            .map(|rated| (rated.movie, rated.stars))
            .collect();
        if held_out.is_empty() {
            continue;
        }
        let scores = brute_force(&model, &dataset, user);
        let history = dataset.user_histories().row(user).ids;
        let (mut relevance, mut candidates) = (Vec::new(), Vec::new());
        for movie in (0..scores.len() as u32).filter(|movie| !history.contains(movie)) {
            let rated = held_out.iter().find(|(rated, _)| *rated == movie);
            relevance.push(rated.map_or(0.0, |(_, stars)| *stars));
            candidates.push(scores[movie as usize]);
        }
        sum += ndcg_at_k(&relevance, &candidates, 10).unwrap();
        users += 1;
    }
    let mut calls = 0;
    let ranking = rank_catalogue(&crate::scorer(&model, &dataset), &dataset, 10, |_, _| {
        calls += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!((ranking.users(), calls), (users, users));
    assert!((ranking.mean().unwrap() - sum / users as f64).abs() < 1e-9);
}

#[test]
fn scores_of_all_items_equal_plain_predictions() {
    let dataset = dataset();
    let features = dataset.features();
    let users = [3, 0, 11, 3];
    let deep = |config: DlrmConfig| DlrmConfig {
        top: vec![9, 5],
        interaction: Interaction::Dot { itself: true },
        ..config
    };
    let by_side = |config: DlrmConfig| DlrmConfig {
        bottoms: Preset::MmdlrmFactored.config(features, 8).bottoms,
        ..config
    };
    let sigmoid = |config: DlrmConfig| DlrmConfig {
        top: vec![],
        output: Output::within(0.5, 5.0),
        ..config
    };
    for config in [
        Preset::MmdlrmFactored.config(features, 8),
        deep(Preset::MmdlrmFactored.config(features, 24)),
        sigmoid(Preset::MmdlrmFactored.config(features, 5)),
        by_side(Preset::DlrmMultimodal.config(features, 8)),
        by_side(Preset::DlrmClip.config(features, 8)),
    ] {
        let model = Dlrm::new(config, 1).unwrap();
        let wide = |batch: &Batch, use_input: &mut dyn FnMut(&Inputs)| {
            with_input(&dataset, batch, |input| {
                // A model without tables or modalities takes none.
                let (bags, modalities) =
                    (model.config().tables.len(), model.config().modalities.len());
                use_input(&Inputs {
                    tables: &input.tables[..bags],
                    modalities: &input.modalities[..modalities],
                    ..*input
                });
            });
        };
        let (mut items, mut scores) = (None, Vec::new());
        wide(&features.catalogue_batch(0), &mut |input| {
            items = Some(model.items(input).unwrap());
        });
        wide(&features.users_batch(&users), &mut |input| {
            model
                .score_items(items.as_ref().unwrap(), input, &mut scores)
                .unwrap();
        });
        assert_eq!(scores.len(), users.len() * features.movies().len());
        let mut expected = Vec::new();
        for (scores, user) in scores.chunks(features.movies().len()).zip(users) {
            wide(&features.catalogue_batch(user), &mut |input| {
                model.predict(input, &mut expected).unwrap();
            });
            assert_eq!(scores.len(), expected.len());
            for (score, expected) in scores.iter().zip(&expected) {
                assert!((score - expected).abs() < 1e-5, "{score} {expected}");
            }
        }
    }
}

#[test]
fn a_model_with_inputs_of_pairs_ranks_pair_by_pair() {
    let dataset = dataset();
    let config = Preset::Mmdlrm.config(dataset.features(), 8);
    let model = Dlrm::new(config, 1).unwrap();
    let catalogue = dataset.features().catalogue_batch(0);
    let error = with_input(&dataset, &catalogue, |input| model.items(input)).unwrap_err();
    assert!(
        error.to_string().contains("dense features describe pairs"),
        "{error}"
    );
    let ranking = rank_catalogue(
        &crate::scorer(&model, &dataset),
        &dataset,
        10,
        |_, _| Ok(()),
    )
    .unwrap();
    assert!(ranking.mean().is_some());
}

#[test]
fn a_retargeted_catalogue_is_that_of_the_user() {
    let with_context = dataset().with_context(ContextConfig::default()).unwrap();
    for dataset in [dataset(), with_context] {
        let mut catalogue = dataset.features().catalogue_batch(0);
        for user in [3, 0, 11] {
            dataset.features().retarget(&mut catalogue, user);
            assert_eq!(catalogue, dataset.features().catalogue_batch(user));
        }
    }
}

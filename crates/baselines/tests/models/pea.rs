//! PEAGAT, PEAGCN and PEASage.

use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm_baselines::{Entities, Pea, PeaConfig, PeaFit, PeaFusion, Role};
use mmdlrm_data::Rated;
use mmdlrm_features::{Dataset, Known, TrainingData};
use mmdlrm_train::{
    CheckpointConfig, Checkpoints, Error, Fit, Kept, Persist, Ranker, Session, Tensors, Who,
    validation_ndcg,
};
use serde_json::{Value, json};

use crate::pairwise::without_validation;
use crate::{dataset, dataset_of, dataset_with, scores};

const USERS: Who = Who::Users(&[0, 1, 7, 39]);
const ALL: [&str; 9] = [
    "U-I-U", "I-U-I", "Y-I-U", "A-I-U", "W-I-U", "D-I-U", "G-I-U", "T-I-U", "T-U-I",
];

/// A few short epochs of a small one of each kind.
fn configs(epochs: usize) -> [PeaConfig; 3] {
    [
        PeaConfig::peagat(),
        PeaConfig::peagcn(),
        PeaConfig::peasage(),
    ]
    .map(|mut config| {
        config.dim = 16;
        config.hidden = 16;
        config.repr = 8;
        config.times = 1;
        config.least_movies = 2;
        config.least_taggings = 2;
        config.training.epochs = epochs;
        config.training.batch_size = 100;
        config.training.learning_rate = 0.01;
        config
    })
}

/// People by where a movie stands, and two tags of what users rated in the training set.
fn entities(data: &Dataset) -> Entities {
    let mut entities = Entities::default();
    for &movie in data.features().movies().ids() {
        entities.add_credit(movie, Role::Director, ["Ann", "Bo"][movie as usize % 2]);
        entities.add_credit(movie, Role::Actor, ["Cy", "Di", "Ed"][movie as usize % 3]);
        entities.add_credit(movie, Role::Writer, "Flo");
    }
    for (user, movie) in pairs(data) {
        if (user + movie) % 5 == 0 {
            entities.add_tag(user, movie, ["fun", "Slow "][movie as usize % 2]);
        }
    }
    entities
}

/// Raw ids of the training pairs.
fn pairs(data: &Dataset) -> Vec<(u32, u32)> {
    let (users, movies) = (data.features().users(), data.features().movies());
    let of_user = |user: u32| {
        let rated = data.user_histories().row(user).ids.iter();
        rated.map(move |&movie| (users.id(user).unwrap(), movies.id(movie).unwrap()))
    };
    (0..users.len() as u32).flat_map(of_user).collect()
}

fn fit(config: PeaConfig, data: &Dataset) -> Pea {
    let fit = PeaFit::new(config, entities(data));
    fit.fit(data, Session::default()).unwrap()
}

#[test]
fn losses_fall_and_the_epoch_that_ranks_best_is_kept() {
    let data = dataset();
    for config in configs(10) {
        let mut epochs = Vec::new();
        let session = Session::default().on_epoch(|epoch, _model| {
            epochs.push((epoch.train_loss, epoch.validation_ndcg.unwrap()));
            Ok(())
        });
        let model = PeaFit::new(config, entities(&data)).fit(&data, session);
        let model = model.unwrap();
        let (first, last) = (epochs[0].0, epochs[9].0);
        assert!(last < 0.97 * first, "{:?}: {first} {last}", config.layer);
        let best = epochs.iter().map(|epoch| epoch.1).fold(0.0, f64::max);
        let found = validation_ndcg(&model, &data, 10).unwrap();
        assert_eq!(found, Some(best));
        assert!(best > epochs[0].1, "{:?}: {epochs:?}", config.layer);
    }
}

#[test]
fn stars_and_tags_of_held_out_pairs_change_nothing() {
    let (seen, noise) = (dataset(), dataset_with(Some("0.5")));
    let trained = pairs(&seen);
    for config in configs(2) {
        let own = fit(config, &seen);
        let own = scores(&own, USERS);
        assert!(own == scores(&fit(config, &noise), USERS));
        // Tags of all pairs that are not trained on, those that are held out among them.
        let mut told = entities(&seen);
        for &user in seen.features().users().ids() {
            for &movie in seen.features().movies().ids() {
                if !trained.contains(&(user, movie)) {
                    told.add_tag(user, movie, "fun");
                }
            }
        }
        let told = PeaFit::new(config, told).fit(&seen, Session::default());
        assert!(own == scores(&told.unwrap(), USERS));
    }
}

#[test]
fn what_it_is_told_changes_what_it_says() {
    let data = dataset();
    let config = configs(2)[0];
    let untold = config.fit(&data, Session::default()).unwrap();
    assert_eq!(untold.metapaths(), ["U-I-U", "I-U-I", "Y-I-U", "G-I-U"]);
    let told = fit(config, &data);
    assert_eq!(told.metapaths(), ALL);
    assert!(scores(&told, USERS) != scores(&untold, USERS));
    let mut mean = config;
    mean.fusion = PeaFusion::Mean;
    assert!(scores(&fit(mean, &data), USERS) != scores(&told, USERS));
}

#[test]
fn a_check_names_the_metapaths_that_there_will_be() {
    let data = dataset();
    for (least_movies, least_taggings) in [(2, 2), (1000, 2), (2, 1000), (25, 1000)] {
        let mut config = configs(1)[0];
        config.least_movies = least_movies;
        config.least_taggings = least_taggings;
        let checked = PeaFit::new(config, entities(&data)).check(data.features());
        let model = fit(config, &data);
        assert_eq!(checked.unwrap()["metapaths"], json!(model.metapaths()));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    // More rows than one thread takes at a time.
    let data = dataset_of((400, 300), None);
    for config in configs(1) {
        let found = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| scores(&fit(config, &data), USERS))
        });
        assert!(found[0] == found[1], "{:?}", config.layer);
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bits_and_one_that_was_told_else_does_not() {
    let data = dataset();
    let config = configs(3)[0];
    let whole = scores(&fit(config, &data), USERS);
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), CheckpointConfig::default());
    let stop = AtomicBool::new(false);
    let mut steps = 0;
    let session = Session {
        checkpoints: Some(checkpoints.clone()),
        stop: Some(&stop),
        ..Session::default()
    };
    let session = session.on_step(|_rows| {
        steps += 1;
        stop.store(steps == 10, Ordering::Relaxed);
    });
    let told = PeaFit::new(config, entities(&data));
    let error = told.fit(&data, session).err();
    assert!(
        matches!(error, Some(Error::Stopped { step: 10 })),
        "{error:?}"
    );
    let resumed = || Session {
        resumed: checkpoints.latest().unwrap().checkpoint,
        checkpoints: Some(checkpoints.clone()),
        ..Session::default()
    };
    let error = config.fit(&data, resumed()).unwrap_err().to_string();
    assert!(
        error.contains("entities.credits: 180 then, 0 now"),
        "{error}"
    );
    let model = told.fit(&data, resumed()).unwrap();
    assert!(scores(&model, USERS) == whole);
}

#[test]
fn a_file_opens_to_the_same_bits() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    for config in configs(1) {
        for model in [
            fit(config, &data),
            config.fit(&data, Session::default()).unwrap(),
        ] {
            let file = model.to_safetensors().unwrap();
            let opened = Pea::load(&file, &known).unwrap();
            assert_eq!(opened.config(), model.config());
            assert_eq!(opened.metapaths(), model.metapaths());
            assert_eq!(opened.parameters(), model.parameters());
            assert!(scores(&opened, USERS) == scores(&model, USERS));
            assert!(opened.item_vectors().unwrap() == model.item_vectors().unwrap());
            assert!(opened.to_safetensors().unwrap() == file);
        }
    }
}

/// Numbers of a tensor, changed.
type Change = fn(&mut Vec<f32>);

#[test]
fn damaged_files_are_refused() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    let file = fit(configs(1)[0], &data).to_safetensors().unwrap();
    let (settings, kept) = Kept::from_safetensors::<Value>(&file).unwrap();
    let names = [
        "x",
        "att",
        "fc1.weight",
        "fc1.bias",
        "fc2.weight",
        "fc2.bias",
        "tags.tags",
        "tags.users",
        "tags.movies",
    ];
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for role in ["directors", "actors", "writers"] {
        names.extend([format!("{role}.people"), format!("{role}.movies")]);
    }
    for path in 0..ALL.len() {
        for part in ["lin.weight", "att_src", "att_dst", "bias"] {
            names.extend([0, 1].map(|it| format!("pea_channels.{path}.gnn_layers.{it}.{part}")));
        }
    }
    let written = |settings: &Value, changed: &str, change: Change| {
        let mut tensors = Tensors::default();
        for name in &names {
            let mut numbers = kept.get(name).unwrap().to_vec();
            if name == changed {
                change(&mut numbers);
            }
            tensors.put(name, numbers);
        }
        tensors.to_safetensors(settings).unwrap()
    };
    let refused = |file: &[u8], why: &str| {
        let error = Pea::load(file, &known).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    assert!(Pea::load(&written(&settings, "", |_| {}), &known).is_ok());
    let changes: [(&str, &str, Change); 9] = [
        ("x", "numbers of x", |it| it.truncate(3)),
        ("tags.users", "should be as many", |it| it.truncate(1)),
        ("tags.users", "what is no id", |it| it[0] = 0.5),
        ("tags.users", "nodes that there are not", |it| it[0] = 40.0),
        ("tags.tags", "numbers of x", |it| it[0] = 2.0),
        ("tags.tags", "too high", |it| it[0] = 1e6),
        ("actors.people", "what is no id", |it| it[0] = -1.0),
        ("actors.movies", "nodes that there are not", |it| {
            it[0] = 60.0
        }),
        ("writers.movies", "should be as many", Vec::clear),
    ];
    for (name, why, change) in changes {
        refused(&written(&settings, name, change), why);
    }
    let changed = |name: &str, value: u64| {
        let mut settings = settings.clone();
        settings[name] = json!(value);
        written(&settings, "", |_| {})
    };
    for name in ["dim", "hidden", "repr", "heads", "times"] {
        for value in [0, 1 << 60] {
            refused(&changed(name, value), &format!("{name} is {value}"));
        }
    }
    // Within bounds, and not what the file has.
    for name in ["dim", "hidden", "repr", "heads"] {
        refused(
            &changed(name, 64),
            "in the model's file, and its settings ask for",
        );
    }
    refused(&file[..file.len() - 1], "");
    refused(b"no file", "");
    let others = Known::of(&dataset_of((41, 61), None)).unwrap();
    assert!(Pea::load(&file, &others).is_err());
}

#[test]
fn a_visitor_is_told_much_of_what_a_user_of_the_same_ratings_is() {
    let data = dataset();
    for config in configs(10) {
        let model = fit(config, &data);
        let mut alike = 0.0;
        for user in 0..40u32 {
            let ratings: Vec<Rated> = data.user_histories().row(user).rows_of(9).collect();
            let visitor = model.meet(&ratings, None).unwrap();
            let own = scores(&model, Who::Users(&[user]));
            alike += correlation(&own, &scores(&model, Who::Visitor(&visitor))) / 40.0;
        }
        assert!(alike > 0.6, "{:?}: {alike}", config.layer);
        let nobody = model.meet(&[], None).unwrap();
        let nobody = scores(&model, Who::Visitor(&nobody));
        assert!(nobody.iter().all(|x| x.is_finite()));
        let unknown = Rated {
            movie: 60,
            ..Rated::default()
        };
        let error = model.meet(&[unknown], None).unwrap_err().to_string();
        assert!(error.contains("no movie in row 60"), "{error}");
        let error = model.score(Who::Users(&[40]), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("no user in row 40"), "{error}");
    }
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (of_a, of_b) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f32, f32) -> f32| {
        let pairs = a.iter().zip(b);
        pairs
            .map(|(a, b)| f64::from(of(a - of_a, b - of_b)))
            .sum::<f64>()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[test]
fn bad_settings_are_refused_by_name_before_anything_is_learned() {
    let data = dataset();
    let bad: [(&str, Value); 15] = [
        ("heads", json!(0)),
        ("dim", json!(0)),
        ("hidden", json!(0)),
        ("repr", json!(0)),
        ("times", json!(0)),
        ("least_movies", json!(0)),
        ("least_taggings", json!(0)),
        ("weight_decay", json!(-1.0)),
        ("weight_decay", json!(1e300)),
        ("entity_coefficient", json!(-0.1)),
        ("training.epochs", json!(0)),
        ("training.batch_size", json!(0)),
        ("training.learning_rate", json!(0.0)),
        ("training.learning_rate", json!(-1.0)),
        ("training.patience", json!(0)),
    ];
    for (setting, value) in bad {
        let mut settings = serde_json::to_value(configs(1)[0]).unwrap();
        let name = setting.trim_start_matches("training.");
        match name == setting {
            true => settings[name] = value,
            false => settings["training"][name] = value,
        }
        let config: PeaConfig = serde_json::from_value(settings).unwrap();
        let error = config.check(data.features()).unwrap_err().to_string();
        assert!(error.contains(&format!("setting {name}")), "{error}");
        let error = config.fit(&data, Session::default()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(serde_json::from_value::<PeaConfig>(json!({ "dims": 3 })).is_err());
}

#[test]
fn patience_without_validation_rows_is_refused() {
    let data = without_validation();
    let mut config = configs(1)[0];
    assert!(config.fit(&data, Session::default()).is_ok());
    config.training.patience = Some(3);
    let error = config.fit(&data, Session::default()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("only validation rows can tell"), "{error}");
}

//! Nearest neighbours.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{Knn, KnnConfig, Side};
use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{ContextConfig, Dataset, Known, TrainingData};
use mmdlrm_train::{Cause, Error, Fit, Kept, Persist, Ranker, Session, Tensors, Who};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::known::{among_candidates, assert_figures, catalogue, ndcg};
use crate::{dataset, dataset_of, dataset_with, scores};

const USERS: usize = 31;
const ITEMS: usize = 23;

fn rows() -> Vec<Rated> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let pairs =
        (0..USERS as u32).flat_map(|user| (0..ITEMS as u32).map(move |movie| (user, movie)));
    // The last user rated nothing, and nobody the last item.
    let pairs = pairs.filter(|&(user, movie)| user < 30 && movie < 22);
    let pairs = pairs.filter(|&(_, movie)| random.random_bool(0.2 + f64::from(movie) / 60.0));
    let rated = pairs.map(|(user, movie)| Rated {
        user,
        movie,
        stars: 4.0,
        timestamp: 0,
    });
    rated.collect()
}

fn histories() -> RatedBags {
    RatedBags::of_users(USERS, rows().into_iter())
}

fn with(mut config: KnnConfig, change: impl Fn(&mut KnnConfig)) -> KnnConfig {
    change(&mut config);
    config
}

/// Few and many neighbours of both sides, shrunk or not.
fn configs() -> Vec<KnnConfig> {
    let sides = [KnnConfig::default(), KnnConfig::users()];
    let settings = [(3, 0.0), (3, 10.0), (100, 0.0), (100, 2.5)];
    let configs = sides.into_iter().flat_map(|side| {
        settings.map(|(neighbours, shrinkage)| {
            with(side, |config| {
                (config.neighbours, config.shrinkage) = (neighbours, shrinkage);
            })
        })
    });
    configs.collect()
}

/// The formula, with all likenesses: `[users, items]`.
fn naive(config: &KnnConfig) -> Vec<Vec<f64>> {
    let mut x = vec![vec![0.0; ITEMS]; USERS];
    for rated in rows() {
        x[rated.user as usize][rated.movie as usize] = 1.0;
    }
    let transposed: Vec<Vec<f64>> = (0..ITEMS)
        .map(|item| x.iter().map(|x| x[item]).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Of each row what is left of its likenesses to the others.
    let nearest = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let of_row = |own: usize| {
            let likeness = |other: usize| {
                let (a, b) = (&rows[own], &rows[other]);
                let norms = (dot(a, a) * dot(b, b)).sqrt();
                match own != other && norms > 0.0 {
                    true => dot(a, b) / (norms + config.shrinkage),
                    false => 0.0,
                }
            };
            let all: Vec<f64> = (0..rows.len()).map(likeness).collect();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by(|&a, &b| all[b].total_cmp(&all[a]));
            let mut kept = vec![0.0; rows.len()];
            for &other in order.iter().take(config.neighbours) {
                kept[other] = all[other];
            }
            kept
        };
        (0..rows.len()).map(of_row).collect()
    };
    let scores: Vec<Vec<f64>> = match config.side {
        Side::Items => {
            let of_candidates = nearest(&transposed);
            let of_user = |x: &Vec<f64>| of_candidates.iter().map(|k| dot(x, k)).collect();
            x.iter().map(of_user).collect()
        }
        Side::Users => {
            let of_users = nearest(&x);
            let of_user = |s: &Vec<f64>| transposed.iter().map(|x| dot(x, s)).collect();
            of_users.iter().map(of_user).collect()
        }
    };
    scores
}

#[test]
fn scores_are_what_the_formula_says() {
    let histories = histories();
    for config in configs() {
        let knn = Knn::of(&histories, ITEMS, &config).unwrap();
        for (user, expected) in (0..30).zip(naive(&config)) {
            for (found, expected) in scores(&knn, Who::Users(&[user])).iter().zip(expected) {
                let apart = (f64::from(*found) - expected).abs();
                assert!(apart < 1e-5, "{config:?} {user}: {found} {expected}");
            }
        }
    }
}

#[test]
fn reasons_add_up_to_the_score_and_are_of_what_was_rated() {
    let histories = histories();
    for config in configs() {
        let knn = Knn::of(&histories, ITEMS, &config).unwrap();
        let items: Vec<u32> = (0..ITEMS as u32).collect();
        for user in [0, 7, 30] {
            let all = knn.because(Who::Users(&[user]), &items, usize::MAX);
            let all = all.unwrap().unwrap();
            let few = knn
                .because(Who::Users(&[user]), &items, 2)
                .unwrap()
                .unwrap();
            for (item, score) in scores(&knn, Who::Users(&[user])).iter().enumerate() {
                let sum: f32 = all[item].iter().map(|cause| cause.amount).sum();
                let rated = histories.row(user).ids;
                assert!(
                    rated.is_empty() || (sum - score).abs() < 1e-5,
                    "{sum} {score}"
                );
                assert!(all[item].iter().all(|cause| rated.contains(&cause.item)));
                assert_eq!(few[item], Cause::strongest(all[item].clone(), 2));
            }
        }
        let two = knn.because(Who::Users(&[0, 1]), &[2], 1).unwrap_err();
        assert!(two.to_string().contains("for one user"), "{two}");
    }
}

#[test]
fn a_visitor_has_the_scores_of_a_user_of_the_same_ratings() {
    for config in configs() {
        let knn = Knn::of(&histories(), ITEMS, &config).unwrap();
        let ratings: Vec<Rated> = histories().row(5).rows_of(9).collect();
        let visitor = knn.meet(&ratings, None).unwrap();
        assert_eq!(visitor.ratings(), ratings);
        let found = scores(&knn, Who::Visitor(&visitor));
        let mut of_history = Vec::new();
        knn.score_history(histories().row(5), &mut of_history)
            .unwrap();
        assert!(found == of_history);
        let because = |who| knn.because(who, &[1, 9], 3).unwrap();
        match config.side {
            Side::Items => {
                assert!(found == scores(&knn, Who::Users(&[5])));
                assert_eq!(because(Who::Visitor(&visitor)), because(Who::Users(&[5])));
            }
            // The user is one of the visitor's neighbours.
            Side::Users if config.neighbours > USERS => {
                let own = scores(&knn, Who::Users(&[5]));
                let count = ratings.len() as f32;
                let twin = count / (count + config.shrinkage as f32);
                for (item, (found, own)) in found.iter().zip(own).enumerate() {
                    let is_rated = ratings.iter().any(|rated| rated.movie as usize == item);
                    let expected = own + if is_rated { twin } else { 0.0 };
                    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
                }
            }
            Side::Users => assert!(found != scores(&knn, Who::Users(&[6]))),
        }
    }
}

#[test]
fn who_rated_nothing_is_told_popularity() {
    let mut shares = [0.0; ITEMS];
    let rows = rows();
    let rated = rows.iter().map(|rated| rated.movie as usize);
    rated.for_each(|movie| shares[movie] += 1.0);
    let shares = shares.map(|count| count / USERS as f32);
    for config in configs() {
        let knn = Knn::of(&histories(), ITEMS, &config).unwrap();
        assert_eq!(scores(&knn, Who::Users(&[30])), shares);
        let visitor = knn.meet(&[], None).unwrap();
        assert_eq!(scores(&knn, Who::Visitor(&visitor)), shares);
        let because = knn.because(Who::Visitor(&visitor), &[1, 2], 5).unwrap();
        assert_eq!(because, Some(vec![Vec::new(); 2]));
    }
}

fn fitted(data: &Dataset) -> [Knn; 2] {
    [KnnConfig::default(), KnnConfig::users()]
        .map(|config| config.fit(data, Session::default()).unwrap())
}

#[test]
fn held_out_stars_and_contexts_change_nothing() {
    let said = |data: &Dataset| {
        fitted(data).map(|knn| {
            let all: Vec<u32> = (0..40).collect();
            (
                knn.to_safetensors().unwrap(),
                scores(&knn, Who::Users(&all)),
            )
        })
    };
    let plain = said(&dataset());
    assert!(plain == said(&dataset_with(Some("0.5"))));
    let context = ContextConfig::default();
    assert!(plain == said(&dataset().with_context(context).unwrap()));
}

#[test]
fn a_file_opens_to_the_same_bits() {
    let data = dataset();
    for knn in fitted(&data) {
        let file = knn.to_safetensors().unwrap();
        let opened = Knn::load(&file, &Known::of(&data).unwrap()).unwrap();
        assert_eq!(opened.config(), knn.config());
        assert_eq!(opened.parameters(), knn.parameters());
        assert!(opened.to_safetensors().unwrap() == file);
        let who = Who::Users(&[0, 1, 2, 39]);
        assert!(scores(&opened, who) == scores(&knn, who));
        let because = |knn: &Knn| knn.because(Who::Users(&[3]), &[4, 1], 9).unwrap();
        assert_eq!(because(&opened), because(&knn));
    }
}

/// Numbers of a tensor, changed.
type Change = fn(&mut Vec<f32>);

#[test]
fn damaged_files_are_refused() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    let [of_items, of_users] = fitted(&data);
    let refused = |file: &[u8], why: &str| {
        let error = Knn::load(file, &known).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let file = of_items.to_safetensors().unwrap();
    let (config, kept) = Kept::from_safetensors::<KnnConfig>(&file).unwrap();
    let written = |config: &KnnConfig, name: &str, change: Change| {
        let mut tensors = Tensors::default();
        for there in ["lengths", "items", "weights"].map(|it| format!("neighbours.{it}")) {
            let mut numbers = kept.get(&there).unwrap().to_vec();
            if there == name {
                change(&mut numbers);
            }
            tensors.put(there, numbers);
        }
        tensors.to_safetensors(config).unwrap()
    };
    assert!(Knn::load(&written(&config, "", Vec::clear), &known).is_ok());
    let changes: [(&str, &str, Change); 6] = [
        ("neighbours.lengths", "where 60 should be", |it| {
            it.truncate(9)
        }),
        ("neighbours.lengths", "damaged", |it| it[0] = 1e30),
        ("neighbours.items", "damaged", |it| it[0] = 0.5),
        ("neighbours.items", "damaged", |it| it[0] = 60.0),
        ("neighbours.weights", "damaged", Vec::clear),
        ("neighbours.weights", "damaged", |it| it[0] = -1.0),
    ];
    for (name, why, change) in changes {
        refused(&written(&config, name, change), why);
    }
    let unsound = with(config, |config| config.neighbours = 0);
    refused(&written(&unsound, "", Vec::clear), "neighbours is 0");
    refused(&file[..file.len() - 1], "");
    refused(b"no file", "");
    let of_others = Known::of(&dataset_of((41, 61), None)).unwrap();
    assert!(Knn::load(&file, &of_others).is_err());
    // Nothing is kept of users, who are those of the data.
    assert!(Knn::load(&of_users.to_safetensors().unwrap(), &of_others).is_ok());
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<Rated> = (0..9000)
        .map(|_| Rated {
            user: random.random_range(0..700),
            movie: random.random_range(0..1500),
            ..Rated::default()
        })
        .collect();
    let histories = Arc::new(RatedBags::of_users(700, rows.into_iter()));
    for config in [KnnConfig::default(), KnnConfig::users()] {
        let said = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let knn = Knn::of(&histories, 1500, &config).unwrap();
                scores(&knn, Who::Users(&[0, 5, 699]))
            })
        });
        assert!(said[0] == said[1]);
    }
}

#[test]
fn a_fit_tells_how_far_it_is_and_stops_when_it_is_asked_to() {
    let data = dataset();
    for (config, expected) in [
        (KnnConfig::default(), data.training_rows()),
        (KnnConfig::users(), 0),
    ] {
        let mut rows = 0;
        let session = Session::default().on_step(|step| rows += step);
        config.fit(&data, session).unwrap();
        assert_eq!(rows, expected);
        assert_eq!(config.rows(&data), expected);
    }
    let stop = AtomicBool::new(true);
    let session = Session {
        stop: Some(&stop),
        ..Session::default()
    };
    let stopped = KnnConfig::default().fit(&data, session).unwrap_err();
    assert!(matches!(stopped, Error::Stopped { step: 1 }), "{stopped}");
}

/// Changes one.
type Setting = fn(&mut KnnConfig);

#[test]
fn settings_that_make_no_sense_are_refused() {
    let changes: [(&str, Setting); 5] = [
        ("neighbours is 0", |config| config.neighbours = 0),
        ("neighbours is 65537", |config| config.neighbours = 65_537),
        ("shrinkage is -1", |config| config.shrinkage = -1.0),
        ("shrinkage is NaN", |config| config.shrinkage = f64::NAN),
        ("shrinkage is inf", |config| {
            config.shrinkage = f64::INFINITY
        }),
    ];
    let data = dataset();
    for (why, change) in changes {
        let config = with(KnnConfig::default(), change);
        for error in [
            Knn::of(&histories(), ITEMS, &config).unwrap_err(),
            config.check(data.features()).unwrap_err(),
            config.fit(&data, Session::default()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    let shape = KnnConfig::users().check(data.features()).unwrap();
    assert_eq!(shape["side"], "users");
}

#[test]
fn items_and_users_that_there_are_not_are_refused() {
    let refused = |error: Error, why: &str| {
        let error = error.to_string();
        assert!(error.contains(why), "{error}");
    };
    for config in [KnnConfig::default(), KnnConfig::users()] {
        refused(
            Knn::of(&histories(), 9, &config).unwrap_err(),
            "there are 9",
        );
        let knn = Knn::of(&histories(), ITEMS, &config).unwrap();
        let mut out = Vec::new();
        let error = knn.score(Who::Users(&[31]), &mut out).unwrap_err();
        refused(error, "no user in row 31");
        let of_none = knn.because(Who::Users(&[31]), &[1], 1).unwrap_err();
        refused(of_none, "no user in row 31");
        let of_none = knn.because(Who::Users(&[0]), &[23], 1).unwrap_err();
        refused(of_none, "no movie in row 23");
        let rated = [Rated {
            movie: 23,
            ..Rated::default()
        }];
        refused(knn.meet(&rated, None).unwrap_err(), "no movie in row 23");
        let nothing = RatedBags::of_users(0, std::iter::empty());
        assert_eq!(Knn::of(&nothing, 0, &config).unwrap().items(), 0);
    }
}

/// As implementations in NumPy have it.
#[test]
fn it_ranks_ml_latest_small_as_well_as_it_is_known_to() {
    if let Some(among) = among_candidates() {
        for (config, expected) in [
            (KnnConfig::default(), (0.5428, 0.3052)),
            (KnnConfig::users(), (0.5312, 0.3008)),
        ] {
            let knn = Knn::of(&among.histories, among.items, &config).unwrap();
            assert_figures(among.figures(&knn), expected, 0.005);
        }
    }
    if let Some(data) = catalogue() {
        let knn = KnnConfig::default().fit(&data, Session::default()).unwrap();
        assert_figures(ndcg(&knn, &data), (0.288, 0.251), 0.002);
    }
}

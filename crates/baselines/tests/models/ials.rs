//! Implicit alternating least squares.

use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{Ials, IalsConfig};
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
    let pairs = pairs.filter(|&(user, movie)| {
        // Two circles of users and items.
        random.random_bool(if user % 2 == movie % 2 { 0.5 } else { 0.1 })
    });
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

fn with(mut config: IalsConfig, change: impl Fn(&mut IalsConfig)) -> IalsConfig {
    change(&mut config);
    config
}

fn small() -> IalsConfig {
    with(IalsConfig::default(), |config| {
        config.factors = 3;
        config.regularization = 0.5;
        config.iterations = 200;
    })
}

/// Few and many factors, both kinds of ridges.
fn configs() -> [IalsConfig; 3] {
    [
        small(),
        with(small(), |config| {
            config.regularization_exponent = 1.0;
            config.regularization = 0.01;
        }),
        with(small(), |config| config.factors = 20),
    ]
}

/// `A⁻¹·b` by Gauss and Jordan.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    for pivot in 0..b.len() {
        let scale = a[pivot][pivot];
        a[pivot].iter_mut().for_each(|x| *x /= scale);
        b[pivot] /= scale;
        let own = a[pivot].clone();
        for row in (0..b.len()).filter(|&row| row != pivot) {
            let factor = a[row][pivot];
            a[row]
                .iter_mut()
                .zip(&own)
                .for_each(|(x, own)| *x -= factor * own);
            b[row] -= factor * b[pivot];
        }
    }
    b
}

/// The vectors of one side given those of the other, by the formula.
fn half_step(y: &[Vec<f64>], x: &[Vec<bool>], config: &IalsConfig) -> Vec<Vec<f64>> {
    let factors = y[0].len();
    let of_row = |rated: &Vec<bool>| {
        let mut a = vec![vec![0.0; factors]; factors];
        let mut b = vec![0.0; factors];
        let mut confidences = 0.0;
        for (y, &is_rated) in y.iter().zip(rated) {
            let confidence = if is_rated { config.alpha } else { 1.0 };
            confidences += confidence;
            for p in 0..factors {
                a[p].iter_mut()
                    .zip(y)
                    .for_each(|(a, q)| *a += confidence * y[p] * q);
                b[p] += if is_rated { confidence * y[p] } else { 0.0 };
            }
        }
        let ridge = config.regularization * confidences.powf(config.regularization_exponent);
        (0..factors).for_each(|p| a[p][p] += ridge);
        solve(a, b)
    };
    x.iter().map(of_row).collect()
}

/// Who rated what, `[users, items]`, and turned round.
fn incidence(histories: &RatedBags, items: usize) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
    let mut x = vec![vec![false; items]; histories.len()];
    let mut transposed = vec![vec![false; histories.len()]; items];
    for (user, rated) in x.iter_mut().enumerate() {
        for &movie in histories.row(user as u32).ids {
            rated[movie as usize] = true;
            transposed[movie as usize][user] = true;
        }
    }
    (x, transposed)
}

fn rows_of(vectors: &[f32], factors: usize) -> Vec<Vec<f64>> {
    let rows = vectors.chunks_exact(factors);
    rows.map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is to be as little as can be.
fn loss(x: &[Vec<bool>], users: &[Vec<f64>], items: &[Vec<f64>], config: &IalsConfig) -> f64 {
    let ridge =
        |confidences: f64| config.regularization * confidences.powf(config.regularization_exponent);
    let (mut loss, mut of_items) = (0.0, vec![0.0; items.len()]);
    for (user, rated) in users.iter().zip(x) {
        let mut of_user = 0.0;
        for ((item, &is_rated), of_item) in items.iter().zip(rated).zip(&mut of_items) {
            let (confidence, wanted) = if is_rated {
                (config.alpha, 1.0)
            } else {
                (1.0, 0.0)
            };
            loss += confidence * (wanted - product(user, item)).powi(2);
            of_user += confidence;
            *of_item += confidence;
        }
        loss += ridge(of_user) * product(user, user);
    }
    for (item, of_item) in items.iter().zip(of_items) {
        loss += ridge(of_item) * product(item, item);
    }
    loss
}

#[test]
fn it_comes_to_vectors_that_solve_each_others_equations() {
    let (x, transposed) = incidence(&histories(), ITEMS);
    for config in configs() {
        let ials = Ials::of(&histories(), ITEMS, &config).unwrap();
        let items = rows_of(&ials.item_vectors().unwrap().unwrap(), config.factors);
        let users = half_step(&items, &x, &config);
        let again = half_step(&users, &transposed, &config);
        for (item, (found, expected)) in items.iter().zip(&again).enumerate() {
            for (found, expected) in found.iter().zip(expected) {
                let apart = (found - expected).abs();
                assert!(apart < 2e-3, "{item}: {found} {expected}");
            }
        }
        for (user, vector) in (0..30).zip(&users) {
            let found = scores(&ials, Who::Users(&[user]));
            for (found, item) in found.iter().zip(&items) {
                let expected = product(vector, item);
                let apart = (f64::from(*found) - expected).abs();
                assert!(apart < 1e-4, "{found} {expected}");
            }
        }
        // Circles are told apart.
        let of_first = scores(&ials, Who::Users(&[0]));
        let mean = |parity: usize| of_first[parity..22].iter().step_by(2).sum::<f32>() / 11.0;
        assert!(mean(0) > mean(1) + 0.2);
    }
}

#[test]
fn each_iteration_says_its_loss_and_makes_it_less() {
    let data = dataset();
    let (x, transposed) = incidence(data.user_histories(), data.features().movies().len());
    let ratings = data.training_rows();
    for config in configs() {
        let config = with(config, |config| config.iterations = 5);
        let (mut losses, mut items, mut rows) = (Vec::new(), Vec::new(), 0);
        let session = Session::default().on_step(|step| rows += step);
        let session = session.on_epoch(|metrics, model| {
            assert_eq!(metrics.epoch, losses.len() + 1);
            losses.push(metrics.train_loss);
            let (_, kept) = Kept::from_safetensors::<IalsConfig>(&model.to_safetensors()?)?;
            items.push(rows_of(kept.get("items")?, config.factors));
            Ok(())
        });
        let ials = config.fit(&data, session).unwrap();
        assert_eq!(rows, 2 * 5 * ratings);
        assert_eq!(config.rows(&data), rows);
        let last = rows_of(&ials.item_vectors().unwrap().unwrap(), config.factors);
        assert_eq!(items.last(), Some(&last));
        assert_eq!(losses.len(), 5);
        assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
        for (items, found) in items.iter().zip(&losses[1..]) {
            let users = half_step(items, &x, &config);
            let items = half_step(&users, &transposed, &config);
            let expected = loss(&x, &users, &items, &config) / ratings as f64;
            assert!(
                (found - expected).abs() < 1e-4 * expected,
                "{found} {expected}"
            );
        }
    }
}

/// Of vectors of users and items.
type Loss<'a> = dyn Fn(&[Vec<f64>], &[Vec<f64>]) -> f64 + 'a;

#[test]
fn ridges_by_frequency_are_those_of_the_paper_in_another_unit() {
    let (x, _) = incidence(&histories(), ITEMS);
    let (regularization, unobserved) = (0.02, 0.25);
    let config = with(IalsConfig::by_frequency(regularization, unobserved), |it| {
        it.factors = 3;
    });
    let number = |row: usize, column: usize| ((row * 7 + column * 3) % 5) as f64 / 4.0 - 0.4;
    let table = |rows| -> Vec<Vec<f64>> {
        let of_row = |row| (0..3).map(|column| number(row, column)).collect();
        (0..rows).map(of_row).collect()
    };
    // Two sets of vectors: their losses are apart by the same factor.
    let apart = |of: &Loss| {
        let (users, items) = (table(USERS), table(ITEMS));
        let halves: Vec<Vec<f64>> = users
            .iter()
            .map(|row| row.iter().map(|x| x / 2.0).collect())
            .collect();
        of(&users, &items) - of(&halves, &items)
    };
    // Σ over what is rated (ŷ − 1)² + α₀·Σ ŷ² + λ·Σ (n_u + α₀·items)·‖x‖² + … of the items.
    let of_paper = |users: &[Vec<f64>], items: &[Vec<f64>]| {
        let mut loss = 0.0;
        let mut of_items = vec![unobserved * USERS as f64; ITEMS];
        for (user, rated) in users.iter().zip(&x) {
            let mut frequency = unobserved * ITEMS as f64;
            for ((item, &is_rated), of_item) in items.iter().zip(rated).zip(&mut of_items) {
                let score = product(user, item);
                loss += unobserved * score.powi(2);
                if is_rated {
                    loss += (score - 1.0).powi(2);
                    frequency += 1.0;
                    *of_item += 1.0;
                }
            }
            loss += regularization * frequency * product(user, user);
        }
        for (item, of_item) in items.iter().zip(of_items) {
            loss += regularization * of_item * product(item, item);
        }
        loss
    };
    // Scores of theirs are 1/(1 + α₀) of ours, and vectors the root of that.
    let scale = (1.0 + unobserved).sqrt();
    let ours = |users: &[Vec<f64>], items: &[Vec<f64>]| {
        let scaled = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let of_row = |row: &Vec<f64>| row.iter().map(|x| x * scale).collect();
            rows.iter().map(of_row).collect()
        };
        loss(&x, &scaled(users), &scaled(items), &config)
    };
    let (found, expected) = (apart(&ours), apart(&of_paper));
    let factor = (1.0 + unobserved).powi(2) / unobserved;
    assert!(
        (found - factor * expected).abs() < 1e-9 * found.abs(),
        "{found} {expected}"
    );
}

#[test]
fn reasons_add_up_to_the_score_and_are_of_what_was_rated() {
    let histories = histories();
    for config in configs() {
        let ials = Ials::of(&histories, ITEMS, &config).unwrap();
        let items: Vec<u32> = (0..ITEMS as u32).collect();
        for user in [0, 7, 30] {
            let all = ials.because(Who::Users(&[user]), &items, usize::MAX);
            let all = all.unwrap().unwrap();
            let few = ials.because(Who::Users(&[user]), &items, 2);
            let few = few.unwrap().unwrap();
            for (item, score) in scores(&ials, Who::Users(&[user])).iter().enumerate() {
                let sum: f32 = all[item].iter().map(|cause| cause.amount).sum();
                let rated = histories.row(user).ids;
                // Nothing that takes away is among the reasons.
                assert!(rated.is_empty() || sum > score - 1e-5, "{sum} {score}");
                assert!(all[item].iter().all(|cause| rated.contains(&cause.item)));
                assert_eq!(few[item], Cause::strongest(all[item].clone(), 2));
            }
        }
        let two = ials.because(Who::Users(&[0, 1]), &[2], 1).unwrap_err();
        assert!(two.to_string().contains("for one user"), "{two}");
    }
}

#[test]
fn a_visitor_has_the_scores_of_a_user_of_the_same_ratings() {
    for config in configs() {
        let ials = Ials::of(&histories(), ITEMS, &config).unwrap();
        let mut ratings: Vec<Rated> = histories().row(5).rows_of(9).collect();
        ratings.reverse();
        let visitor = ials.meet(&ratings, None).unwrap();
        assert_eq!(visitor.ratings(), ratings);
        let own = scores(&ials, Who::Users(&[5]));
        assert!(own == scores(&ials, Who::Visitor(&visitor)));
        assert!(own != scores(&ials, Who::Users(&[6])));
        let mut of_history = Vec::new();
        let history = histories();
        ials.score_history(history.row(5), &mut of_history).unwrap();
        assert!(own == of_history);
        let because = |who| ials.because(who, &[1, 9], 3).unwrap();
        assert_eq!(because(Who::Visitor(&visitor)), because(Who::Users(&[5])));
    }
}

#[test]
fn who_rated_nothing_is_told_popularity() {
    let mut shares = [0.0; ITEMS];
    let rows = rows();
    let rated = rows.iter().map(|rated| rated.movie as usize);
    rated.for_each(|movie| shares[movie] += 1.0);
    let shares = shares.map(|count| count / USERS as f32);
    let ials = Ials::of(&histories(), ITEMS, &small()).unwrap();
    assert_eq!(scores(&ials, Who::Users(&[30])), shares);
    let visitor = ials.meet(&[], None).unwrap();
    assert_eq!(scores(&ials, Who::Visitor(&visitor)), shares);
    let because = ials.because(Who::Visitor(&visitor), &[1, 2], 5).unwrap();
    assert_eq!(because, Some(vec![Vec::new(); 2]));
}

#[test]
fn an_item_that_nobody_rated_has_no_vector() {
    let ials = Ials::of(&histories(), ITEMS, &small()).unwrap();
    let vectors = ials.item_vectors().unwrap().unwrap();
    assert_eq!(vectors.len(), ITEMS * 3);
    assert_eq!(vectors[22 * 3..], [0.0; 3]);
    assert!(vectors[..3].iter().all(|&x| x != 0.0));
}

fn fitted(data: &Dataset) -> Ials {
    let config = with(small(), |config| config.iterations = 3);
    config.fit(data, Session::default()).unwrap()
}

#[test]
fn held_out_stars_and_contexts_change_nothing() {
    let said = |data: &Dataset| {
        let ials = fitted(data);
        (
            ials.to_safetensors().unwrap(),
            scores(&ials, Who::Users(&[0, 5, 39])),
        )
    };
    let plain = said(&dataset());
    assert!(plain == said(&dataset_with(Some("0.5"))));
    let context = ContextConfig::default();
    assert!(plain == said(&dataset().with_context(context).unwrap()));
}

#[test]
fn a_file_opens_to_the_same_bits() {
    let data = dataset();
    let ials = fitted(&data);
    let file = ials.to_safetensors().unwrap();
    let opened = Ials::load(&file, &Known::of(&data).unwrap()).unwrap();
    assert_eq!(opened.config(), ials.config());
    assert_eq!(opened.parameters(), 60 * 3);
    assert!(opened.to_safetensors().unwrap() == file);
    let who = Who::Users(&[0, 1, 2, 39]);
    assert!(scores(&opened, who) == scores(&ials, who));
    let because = |ials: &Ials| ials.because(Who::Users(&[3]), &[4, 1], 9).unwrap();
    assert_eq!(because(&opened), because(&ials));
}

/// Numbers of a tensor, changed.
type Change = fn(&mut Vec<f32>);

#[test]
fn damaged_files_are_refused() {
    let data = dataset();
    let known = Known::of(&data).unwrap();
    let refused = |file: &[u8], why: &str| {
        let error = Ials::load(file, &known).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let file = fitted(&data).to_safetensors().unwrap();
    let (config, kept) = Kept::from_safetensors::<IalsConfig>(&file).unwrap();
    let written = |config: &IalsConfig, name: &str, change: Change| {
        let mut tensors = Tensors::default();
        for there in ["items", "spectrum"] {
            let mut numbers = kept.get(there).unwrap().to_vec();
            if there == name {
                change(&mut numbers);
            }
            tensors.put(there, numbers);
        }
        tensors.to_safetensors(config).unwrap()
    };
    assert!(Ials::load(&written(&config, "", Vec::clear), &known).is_ok());
    let changes: [(&str, &str, Change); 4] = [
        ("items", "179 numbers of items where 180", |it| {
            it.truncate(179)
        }),
        ("spectrum", "0 numbers of spectrum where 3", Vec::clear),
        ("spectrum", "damaged", |it| it[1] = -1.0),
        ("spectrum", "finite", |it| it[1] = f32::NAN),
    ];
    for (name, why, change) in changes {
        refused(&written(&config, name, change), why);
    }
    let unsound = with(config, |config| config.factors = 0);
    refused(&written(&unsound, "", Vec::clear), "factors is 0");
    let of_more = with(config, |config| config.factors = 4);
    refused(&written(&of_more, "", Vec::clear), "where 240 should be");
    refused(&file[..file.len() - 1], "");
    refused(b"no file", "");
    let of_others = Known::of(&dataset_of((41, 61), None)).unwrap();
    assert!(Ials::load(&file, &of_others).is_err());
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    // More rows than a block of sums has.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<Rated> = (0..9000)
        .map(|_| Rated {
            user: random.random_range(0..2500),
            movie: random.random_range(0..300),
            ..Rated::default()
        })
        .collect();
    let histories = RatedBags::of_users(2500, rows.into_iter());
    let config = with(IalsConfig::default(), |config| {
        config.factors = 20;
        config.iterations = 2;
    });
    let said = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let ials = Ials::of(&histories, 300, &config).unwrap();
            scores(&ials, Who::Users(&[0, 5, 2499]))
        })
    });
    assert!(said[0] == said[1]);
    let other = with(config, |config| config.seed = 43);
    let other = Ials::of(&histories, 300, &other).unwrap();
    assert!(said[0] != scores(&other, Who::Users(&[0, 5, 2499])));
}

#[test]
fn a_fit_stops_when_it_is_asked_to() {
    let data = dataset();
    let stop = AtomicBool::new(true);
    let session = Session {
        stop: Some(&stop),
        ..Session::default()
    };
    let stopped = small().fit(&data, session).unwrap_err();
    assert!(matches!(stopped, Error::Stopped { step: 1 }), "{stopped}");
}

/// Changes one.
type Setting = fn(&mut IalsConfig);

#[test]
fn settings_that_make_no_sense_are_refused() {
    let changes: [(&str, Setting); 11] = [
        ("factors is 0", |config| config.factors = 0),
        ("factors is 2049", |config| config.factors = 2049),
        ("regularization is 0", |config| config.regularization = 0.0),
        ("regularization is NaN", |config| {
            config.regularization = f64::NAN
        }),
        ("regularization is inf", |config| {
            config.regularization = f64::INFINITY
        }),
        ("regularization_exponent is -0.1", |config| {
            config.regularization_exponent = -0.1
        }),
        ("regularization_exponent is 1.1", |config| {
            config.regularization_exponent = 1.1
        }),
        ("alpha is 0.9", |config| config.alpha = 0.9),
        ("alpha is 10001", |config| config.alpha = 10_001.0),
        ("iterations is 0", |config| config.iterations = 0),
        ("iterations is 10001", |config| config.iterations = 10_001),
    ];
    let data = dataset();
    for (why, change) in changes {
        let config = with(IalsConfig::default(), change);
        for error in [
            Ials::of(&histories(), ITEMS, &config).unwrap_err(),
            config.check(data.features()).unwrap_err(),
            config.fit(&data, Session::default()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    let shape = IalsConfig::default().check(data.features()).unwrap();
    assert_eq!(shape["factors"], 64);
}

#[test]
fn items_and_users_that_there_are_not_are_refused() {
    let refused = |error: Error, why: &str| {
        let error = error.to_string();
        assert!(error.contains(why), "{error}");
    };
    let config = small();
    refused(
        Ials::of(&histories(), 9, &config).unwrap_err(),
        "there are 9",
    );
    let ials = Ials::of(&histories(), ITEMS, &config).unwrap();
    let mut out = Vec::new();
    let error = ials.score(Who::Users(&[31]), &mut out).unwrap_err();
    refused(error, "no user in row 31");
    let of_none = ials.because(Who::Users(&[31]), &[1], 1).unwrap_err();
    refused(of_none, "no user in row 31");
    let of_none = ials.because(Who::Users(&[0]), &[23], 1).unwrap_err();
    refused(of_none, "no movie in row 23");
    let rated = [Rated {
        movie: 23,
        ..Rated::default()
    }];
    refused(ials.meet(&rated, None).unwrap_err(), "no movie in row 23");
    let nothing = RatedBags::of_users(0, std::iter::empty());
    assert_eq!(Ials::of(&nothing, 0, &config).unwrap().items(), 0);
}

/// As the package `implicit` has it, in the mean of a few draws, and by frequency as it was measured
/// with this.
#[test]
fn it_ranks_ml_latest_small_as_well_as_it_is_known_to() {
    let mean = |config: &IalsConfig, figures: &dyn Fn(IalsConfig) -> (f64, f64)| {
        let seeded = |seed| with(*config, |config| config.seed = seed);
        let of = [0, 1, 2].map(|seed| figures(seeded(seed)));
        let sum = |part: fn(&(f64, f64)) -> f64| of.iter().map(part).sum::<f64>() / 3.0;
        (sum(|it| it.0), sum(|it| it.1))
    };
    if let Some(among) = among_candidates() {
        let figures = |config| {
            let ials = Ials::of(&among.histories, among.items, &config).unwrap();
            among.figures(&ials)
        };
        let found = mean(&IalsConfig::default(), &figures);
        assert_figures(found, (0.5625, 0.3239), 0.01);
    }
    if let Some(data) = catalogue() {
        let figures = |config: IalsConfig| {
            let ials = config.fit(&data, Session::default()).unwrap();
            ndcg(&ials, &data)
        };
        let config = with(IalsConfig::default(), |config| config.alpha = 10.0);
        assert_figures(mean(&config, &figures), (0.255, 0.223), 0.005);
        let by_frequency = IalsConfig::by_frequency(0.0096, 0.25);
        assert_figures(figures(by_frequency), (0.314, 0.279), 0.005);
    }
}

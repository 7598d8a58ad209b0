//! EASE.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use mmdlrm_baselines::{Blend, Ease, EaseConfig, PopularityConfig};
use mmdlrm_data::{MovieLens, Rated, RatedBag, RatedBags, Split};
use mmdlrm_features::{ContextConfig, Dataset, Known, TrainingData};
use mmdlrm_train::{Cause, Fit, Kept, Persist, Ranker, Session, Tensors, Who, rank_catalogue};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{dataset, dataset_of, scores};

const USERS: usize = 17;
const ITEMS: usize = 23;

/// Half of all pairs, so that any two items were rated by somebody.
fn rows() -> Vec<Rated> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut rows = Vec::new();
    for user in 0..USERS as u32 {
        for movie in 0..ITEMS as u32 {
            // The last item is nobody's.
            if random.random_bool(0.6) && (movie as usize) < ITEMS - 1 {
                rows.push(Rated {
                    user,
                    movie,
                    stars: random.random_range(1..=10u8).into(),
                    timestamp: 0,
                });
            }
        }
    }
    rows.iter_mut().for_each(|rated| rated.stars /= 2.0);
    rows
}

fn histories(users: usize) -> Arc<RatedBags> {
    Arc::new(RatedBags::of_users(users, rows().into_iter()))
}

/// Of more items than users, of as many users more, who rated nothing, that it is the other way
/// round, and with neither being few.
fn by_three_ways(config: EaseConfig) -> [Ease; 3] {
    let sparse = with(config, |config| config.dense_up_to = 0);
    [(USERS, &config), (ITEMS, &config), (USERS, &sparse)]
        .map(|(users, config)| Ease::of(histories(users), ITEMS, config).unwrap())
}

fn with(mut config: EaseConfig, change: impl Fn(&mut EaseConfig)) -> EaseConfig {
    change(&mut config);
    config
}

/// Settings of every kind.
fn configs() -> [EaseConfig; 3] {
    let config = EaseConfig::default();
    [
        EaseConfig::plain(2.0),
        with(config, |config| config.regularization = 0.5),
        with(config, |config| {
            config.star_weight = 0.1;
            config.dropout = 0.5;
            config.by_count = false;
        }),
    ]
}

fn of_history(ease: &Ease, history: RatedBag) -> Vec<f32> {
    let mut scores = Vec::new();
    ease.score_history(history, &mut scores).unwrap();
    scores
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-5, "{found} {expected}");
    }
}

/// The formula, with the inverse by Gauss and Jordan: `[users, items]`.
fn naive(config: &EaseConfig) -> Vec<f32> {
    let mut x = [[0.0; ITEMS]; USERS];
    let mut counts = [0.0f64; ITEMS];
    for rated in rows() {
        let weight = 1.0 + config.star_weight * (f64::from(rated.stars) - 3.5);
        x[rated.user as usize][rated.movie as usize] = weight;
        counts[rated.movie as usize] += 1.0;
    }
    let mut p = [[0.0; 2 * ITEMS]; ITEMS];
    for i in 0..ITEMS {
        for j in 0..ITEMS {
            p[i][j] = x.iter().map(|x| x[i] * x[j]).sum();
        }
        let squares = p[i][i];
        let scale = if config.by_count {
            counts[i].max(1.0).sqrt()
        } else {
            1.0
        };
        p[i][i] +=
            config.regularization * scale + config.dropout / (1.0 - config.dropout) * squares;
        p[i][ITEMS + i] = 1.0;
    }
    for pivot in 0..ITEMS {
        let scale = p[pivot][pivot];
        p[pivot].iter_mut().for_each(|x| *x /= scale);
        let own = p[pivot];
        for row in (0..ITEMS).filter(|&row| row != pivot) {
            let factor = p[row][pivot];
            p[row]
                .iter_mut()
                .zip(own)
                .for_each(|(x, own)| *x -= factor * own);
        }
    }
    let b = |i: usize, j: usize| {
        if i == j {
            0.0
        } else {
            -p[i][ITEMS + j] / p[j][ITEMS + j]
        }
    };
    let score = |x: &[f64; ITEMS], j| (0..ITEMS).map(|i| x[i] * b(i, j)).sum::<f64>() as f32;
    x.iter()
        .flat_map(|x| (0..ITEMS).map(move |j| score(x, j)))
        .collect()
}

#[test]
fn all_ways_come_to_what_the_formula_says() {
    let users: Vec<u32> = (0..USERS as u32).collect();
    for config in configs() {
        let expected = naive(&config);
        for ease in by_three_ways(config) {
            assert_near(&scores(&ease, Who::Users(&users)), &expected);
        }
    }
}

#[test]
fn no_item_says_anything_of_itself() {
    for ease in by_three_ways(EaseConfig::plain(1.0)) {
        let rated = |items: &[u32]| -> Vec<f32> {
            let rated = items.iter().map(|&movie| Rated {
                movie,
                stars: 4.0,
                ..Rated::default()
            });
            let bags = RatedBags::of_users(1, rated);
            of_history(&ease, bags.row(0))
        };
        assert!(rated(&[5])[5].abs() < 1e-6);
        assert!(rated(&[5])[6].abs() > 1e-3);
        assert_near(&rated(&[2, 9, 11, 5])[5..6], &rated(&[2, 9, 11])[5..6]);
    }
}

#[test]
fn few_neighbours_are_few_weights_and_the_nearest_ones() {
    let sparse = with(EaseConfig::plain(1.0), |config| {
        config.dense_up_to = 0;
        config.neighbours = 4;
        config.inputs = 15;
    });
    let ease = Ease::of(histories(USERS), ITEMS, &sparse).unwrap();
    // Nobody rated the last.
    assert_eq!(ease.parameters(), 4 * (ITEMS - 1));
    let exact = Ease::of(histories(USERS), ITEMS, &EaseConfig::plain(1.0)).unwrap();
    let (few, all) = (
        scores(&ease, Who::Users(&[0, 1, 2, 3])),
        scores(&exact, Who::Users(&[0, 1, 2, 3])),
    );
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let alike = product(&few, &all) / (product(&few, &few) * product(&all, &all)).sqrt();
    assert!(alike > 0.8, "{alike}");
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    // Large enough for several threads to take part.
    let (users, items) = (700, 650);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let rows: Vec<Rated> = (0..9000)
        .map(|_| Rated {
            user: random.random_range(0..users),
            movie: random.random_range(0..items),
            stars: 0.5 * f32::from(random.random_range(1..=10u8)),
            timestamp: 0,
        })
        .collect();
    for (users, dense_up_to) in [(600, 1000), (700, 1000), (700, 100)] {
        let rows = rows.iter().copied().filter(move |rated| rated.user < users);
        let histories = Arc::new(RatedBags::of_users(users as usize, rows));
        let config = with(EaseConfig::default(), |config| {
            config.dense_up_to = dense_up_to;
            config.neighbours = 20;
        });
        let scores = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let ease = Ease::of(Arc::clone(&histories), items as usize, &config).unwrap();
                scores(&ease, Who::Users(&[0, 5, 599]))
            })
        });
        assert!(scores[0] == scores[1]);
    }
}

/// Fits of each of the ways, and their data.
fn fitted() -> Vec<(Ease, Dataset)> {
    let config = EaseConfig::default();
    let sparse = with(config, |config| config.dense_up_to = 0);
    let of = |shape, config: EaseConfig| {
        let data = dataset_of(shape, None);
        (config.fit(&data, Session::default()).unwrap(), data)
    };
    vec![
        of((60, 40), config),
        of((40, 60), config),
        of((40, 60), sparse),
    ]
}

#[test]
fn a_file_opens_to_the_same_bits() {
    for (ease, data) in fitted() {
        let file = ease.to_safetensors().unwrap();
        let opened = Ease::load(&file, &Known::of(&data).unwrap()).unwrap();
        assert_eq!(opened.config(), ease.config());
        assert_eq!(opened.parameters(), ease.parameters());
        assert!(opened.to_safetensors().unwrap() == file);
        let who = Who::Users(&[0, 1, 2, 39]);
        assert!(scores(&opened, who) == scores(&ease, who));
        let because = |ease: &Ease| ease.because(Who::Users(&[3]), &[4, 1], 9).unwrap();
        assert_eq!(because(&opened), because(&ease));
    }
}

/// Numbers of a tensor, changed.
type Change = fn(&mut Vec<f32>);

#[test]
fn damaged_files_are_refused() {
    let shorter: Change = |numbers| numbers.truncate(numbers.len() - 1);
    let none: Change = Vec::clear;
    let changes: [(&str, &str, Change); 14] = [
        ("items.scales", "numbers of items.scales", shorter),
        ("items.scales", "by items", |numbers| numbers[3] = 0.0),
        ("items.scales", "by items", |numbers| numbers[3] = -1.0),
        ("items.correlations", "by items", shorter),
        ("items.correlations", "by items", none),
        ("items.correlations", "by items", |numbers| numbers[0] = 0.5),
        ("users.inverse", "by users", shorter),
        ("users.fits", "numbers of users.fits", none),
        ("users.fits", "by users", |numbers| numbers[3] = 1.0),
        ("neighbours.lengths", "by neighbours", |numbers| {
            numbers[0] += 1.0
        }),
        ("neighbours.lengths", "by neighbours", |numbers| {
            numbers[0] = 1e30
        }),
        ("neighbours.items", "by neighbours", |numbers| {
            numbers[1] += 0.5
        }),
        ("neighbours.items", "by neighbours", |numbers| {
            numbers[1] = numbers[0]
        }),
        ("neighbours.items", "by neighbours", |numbers| {
            numbers.fill(60.0)
        }),
    ];
    let names = changes.map(|(name, _, _)| name);
    let mut tried = 0;
    for (ease, data) in fitted() {
        let known = Known::of(&data).unwrap();
        let file = ease.to_safetensors().unwrap();
        let refused = |file: &[u8], why: &str| {
            let error = Ease::load(file, &known).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let (config, kept) = Kept::from_safetensors::<EaseConfig>(&file).unwrap();
        let there = HashSet::from(names).into_iter();
        let there = there.chain(["neighbours.weights"]);
        let there: Vec<&str> = there.filter(|name| kept.get(name).is_ok()).collect();
        let written = |config: &EaseConfig, name: &str, change: Change| {
            let mut tensors = Tensors::default();
            for &there in &there {
                let mut numbers = kept.get(there).unwrap().to_vec();
                if there == name {
                    change(&mut numbers);
                }
                tensors.put(there, numbers);
            }
            tensors.to_safetensors(config).unwrap()
        };
        assert!(Ease::load(&written(&config, "", none), &known).is_ok());
        for (name, why, change) in changes.iter().filter(|(name, ..)| there.contains(name)) {
            refused(&written(&config, name, *change), why);
            tried += 1;
        }
        let other_way = with(config, |config| {
            config.dense_up_to = 8192 - config.dense_up_to
        });
        refused(&written(&other_way, "", none), "there are");
        let unsound = with(config, |config| config.dropout = 1.0);
        refused(&written(&unsound, "", none), "dropout is 1");
        refused(&file[..file.len() - 1], "");
        refused(b"no file", "");
        let of_others = Known::of(&dataset_of((41, 61), None)).unwrap();
        assert!(Ease::load(&file, &of_others).is_err());
    }
    assert_eq!(tried, changes.len());
}

#[test]
fn a_visitor_has_the_scores_of_a_user_of_the_same_ratings() {
    for (ease, data) in fitted() {
        let mut ratings: Vec<Rated> = data.user_histories().row(5).rows_of(9).collect();
        ratings.sort_by_key(|rated| Reverse(rated.movie));
        let visitor = ease.meet(&ratings, None).unwrap();
        assert_eq!(visitor.ratings(), ratings);
        let own = scores(&ease, Who::Users(&[5]));
        assert!(own == scores(&ease, Who::Visitor(&visitor)));
        assert!(own == of_history(&ease, data.user_histories().row(5)));
        assert!(own != scores(&ease, Who::Users(&[6])));
    }
}

#[test]
fn who_rated_nothing_that_counts_is_told_popularity() {
    for ease in by_three_ways(EaseConfig::default()) {
        let nothing = ease.meet(&[], None).unwrap();
        let disliked = Rated {
            movie: 4,
            stars: 0.5,
            ..Rated::default()
        };
        let disliked = ease.meet(&[disliked], None).unwrap();
        let told = scores(&ease, Who::Visitor(&nothing));
        assert_eq!(told, scores(&ease, Who::Visitor(&disliked)));
        let mut counts = [0.0; ITEMS];
        rows()
            .iter()
            .for_each(|rated| counts[rated.movie as usize] += 1.0);
        let share = told[0] / counts[0];
        assert_near(&told, &counts.map(|count| count * share));
        let because = ease.because(Who::Visitor(&nothing), &[1, 2], 5).unwrap();
        assert_eq!(because, Some(vec![Vec::new(); 2]));
    }
}

#[test]
fn the_later_of_two_ratings_of_an_item_counts() {
    let rated = |stars, timestamp| Rated {
        user: 0,
        movie: 3,
        stars,
        timestamp,
    };
    let other = Rated {
        user: 0,
        movie: 5,
        stars: 4.0,
        timestamp: 7,
    };
    let (once, twice) = (
        [other, rated(5.0, 9)],
        [other, rated(1.0, 2), rated(5.0, 9)],
    );
    let fit = |own: &[Rated]| {
        let rows = rows().into_iter().filter(|rated| rated.user != 0);
        let rows: Vec<Rated> = rows.chain(own.iter().copied()).collect();
        let histories = Arc::new(RatedBags::of_users(USERS, rows.into_iter()));
        let ease = Ease::of(histories, ITEMS, &EaseConfig::default()).unwrap();
        scores(&ease, Who::Users(&[0, 1]))
    };
    assert_eq!(fit(&once), fit(&twice));
    assert_ne!(fit(&once), fit(&[other, rated(1.0, 9)]));
}

#[test]
fn reasons_are_the_ratings_that_add_most() {
    for ease in by_three_ways(EaseConfig::plain(1.0)) {
        let user = Who::Users(&[2]);
        let because = |count| ease.because(user, &[1, 7], count).unwrap().unwrap();
        let (all, two) = (because(usize::MAX), because(2));
        for (all, two) in all.iter().zip(&two) {
            assert_eq!(&all[..2], &two[..]);
            assert!(all.is_sorted_by(|a, b| a.amount >= b.amount));
            assert!(all.iter().all(|cause| cause.amount > 0.0));
            let rated: Vec<u32> = histories(USERS).row(2).ids.to_vec();
            assert!(all.iter().all(|cause| rated.contains(&cause.item)));
        }
        // What one rating adds is what the score is without the others.
        let Cause { item, amount } = two[0][0];
        let alone = ease.meet(
            &[Rated {
                movie: item,
                stars: 3.0,
                ..Rated::default()
            }],
            None,
        );
        let alone = scores(&ease, Who::Visitor(&alone.unwrap()));
        assert!((alone[1] - amount).abs() < 1e-6);

        let blend = Blend::new([(1.0, &ease as &dyn Ranker), (3.0, &ease)]).unwrap();
        let blended = blend.because(user, &[1, 7], 2).unwrap().unwrap();
        for (blended, own) in blended.iter().flatten().zip(two.iter().flatten()) {
            assert_eq!(blended.item, own.item);
            assert!((blended.amount - own.amount).abs() < 1e-6);
        }
    }
}

#[test]
fn a_blend_has_the_reasons_of_the_parts_that_can_tell() {
    let data = dataset();
    let ease = EaseConfig::default()
        .fit(&data, Session::default())
        .unwrap();
    let popularity = PopularityConfig::default();
    let popularity = popularity.fit(&data, Session::default()).unwrap();
    let because = |model: &dyn Ranker| model.because(Who::Users(&[4]), &[9], 3).unwrap();
    assert_eq!(because(&popularity), None);
    let parts: [(f64, &dyn Ranker); 2] = [(3.0, &popularity), (1.0, &ease)];
    let mut expected = because(&ease).unwrap();
    for cause in expected.iter_mut().flatten() {
        cause.amount *= 0.25;
    }
    assert_eq!(because(&Blend::new(parts).unwrap()), Some(expected));
}

#[test]
fn held_out_stars_and_contexts_change_nothing() {
    let file = |data: &Dataset| {
        let ease = EaseConfig::default().fit(data, Session::default()).unwrap();
        ease.to_safetensors().unwrap()
    };
    let plain = file(&dataset());
    assert!(plain == file(&crate::dataset_with(Some("0.5"))));
    for timestamps in [true, false] {
        let config = ContextConfig {
            timestamps,
            ..ContextConfig::default()
        };
        assert!(plain == file(&dataset().with_context(config).unwrap()));
    }
}

/// Changes one.
type Setting = fn(&mut EaseConfig);

#[test]
fn settings_that_make_no_sense_are_refused() {
    let changes: [(&str, Setting); 9] = [
        ("regularization is 0", |config| config.regularization = 0.0),
        ("regularization is NaN", |config| {
            config.regularization = f64::NAN
        }),
        ("regularization is inf", |config| {
            config.regularization = f64::INFINITY
        }),
        ("dropout is 1", |config| config.dropout = 1.0),
        ("dropout is -0.1", |config| config.dropout = -0.1),
        ("star_weight is 0.4", |config| config.star_weight = 0.4),
        ("dense_up_to is", |config| config.dense_up_to = usize::MAX),
        ("neighbours is 0", |config| config.neighbours = 0),
        ("inputs is 0", |config| config.inputs = 0),
    ];
    let features = dataset();
    for (why, change) in changes {
        let config = with(EaseConfig::default(), change);
        for error in [
            Ease::of(histories(USERS), ITEMS, &config).unwrap_err(),
            config.check(features.features()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    let shape = EaseConfig::default().check(features.features()).unwrap();
    assert_eq!(shape["way"], "users");
}

#[test]
fn items_and_users_that_there_are_not_are_refused() {
    let config = EaseConfig::default();
    let refused = |error: mmdlrm_train::Error, why: &str| {
        let error = error.to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(
        Ease::of(histories(USERS), 9, &config).unwrap_err(),
        "there are 9",
    );
    let ease = Ease::of(histories(USERS), ITEMS, &config).unwrap();
    let mut out = Vec::new();
    let error = ease.score(Who::Users(&[17]), &mut out).unwrap_err();
    refused(error, "no user in row 17");
    let rated = |movie, stars| {
        [Rated {
            movie,
            stars,
            ..Rated::default()
        }]
    };
    refused(
        ease.meet(&rated(23, 3.0), None).unwrap_err(),
        "no movie in row 23",
    );
    refused(
        ease.meet(&rated(2, f32::NAN), None).unwrap_err(),
        "NaN stars",
    );
    let user = Who::Users(&[0]);
    refused(
        ease.because(user, &[23], 1).unwrap_err(),
        "no movie in row 23",
    );
    let users = Who::Users(&[0, 1]);
    refused(ease.because(users, &[2], 1).unwrap_err(), "for one user");
    let nothing = Arc::new(RatedBags::of_users(0, std::iter::empty()));
    assert_eq!(Ease::of(nothing, 0, &config).unwrap().items(), 0);
}

/// As an implementation in NumPy has it: 0.3309 and 0.3407; 64 weights an item are nearly as good.
#[test]
fn it_ranks_ml_latest_small_as_well_as_it_is_known_to() {
    let shared = std::env::var_os("MMDLRM_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("data");
    if !folder.is_dir() {
        // Straight to standard error: the test harness hides what macros print.
        let _ = writeln!(std::io::stderr(), "skipped: no {}", folder.display());
        return;
    }
    let movielens = MovieLens::open(folder.join("ml-latest-small")).unwrap();
    let path = folder.join("splits/ml-latest-small-random42-test.csv");
    let held_out = std::fs::read_to_string(path).unwrap();
    let held_out = held_out.lines().skip(1).map(|line| {
        let mut columns = line.split(',').map(|column| column.parse::<u32>().unwrap());
        (columns.next().unwrap(), columns.next().unwrap())
    });
    let held_out: HashSet<(u32, u32)> = held_out.collect();
    let ratings = &movielens.ratings;
    let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
    let (test, train): (Vec<_>, Vec<_>) = (0..)
        .zip(pairs)
        .partition(|&(_, (&user, &movie))| held_out.contains(&(user, movie)));
    let numbers = |rows: Vec<(u32, _)>| rows.into_iter().map(|(row, _)| row).collect();
    let split = Split::new(ratings.len(), numbers(train), numbers(test)).unwrap();
    let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let assert_near = |model: &dyn Ranker, expected: f64| {
        let ranking = rank_catalogue(model, &data, 10, |_, _| Ok(())).unwrap();
        let found = ranking.mean().unwrap();
        assert!((found - expected).abs() < 0.002, "{found} {expected}");
    };
    let popularity = PopularityConfig::default();
    assert_near(&popularity.fit(&data, Session::default()).unwrap(), 0.1678);
    let sparse = with(EaseConfig::default(), |config| {
        config.dense_up_to = 0;
        config.neighbours = 64;
    });
    for (config, expected) in [
        (EaseConfig::plain(300.0), 0.3309),
        (EaseConfig::default(), 0.3407),
        (sparse, 0.3392),
    ] {
        assert_near(&config.fit(&data, Session::default()).unwrap(), expected);
    }
}

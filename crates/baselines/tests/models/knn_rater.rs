//! Neighbours that correct a baseline.

use std::collections::HashMap;

use mmdlrm_baselines::{KnnRater, KnnRaterConfig, Side, Similarity};
use mmdlrm_data::{Rated, RatedBags};
use mmdlrm_features::{Biases, Known};
use mmdlrm_train::{Cause, Fit, Kept, Persist, Ranker, Session, Tensors, Who};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::raters::{fit, latest_small, ratings_of};
use crate::{dataset, predictions, scores};

const USERS: usize = 17;
const MOVIES: usize = 23;

/// About half of all pairs; the last movie is nobody's, and the last user rated nothing.
fn rows() -> Vec<Rated> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut rows = Vec::new();
    for user in 0..USERS as u32 - 1 {
        for movie in 0..MOVIES as u32 - 1 {
            if random.random_bool(0.5) {
                rows.push(Rated {
                    user,
                    movie,
                    stars: f32::from(random.random_range(1..=10u8)) / 2.0,
                    timestamp: random.random_range(0..100),
                });
            }
        }
    }
    rows
}

fn histories() -> RatedBags {
    RatedBags::of_users(USERS, rows().into_iter())
}

fn with(mut config: KnnRaterConfig, change: impl Fn(&mut KnnRaterConfig)) -> KnnRaterConfig {
    change(&mut config);
    config
}

/// Each side with each similarity.
fn configs() -> Vec<KnnRaterConfig> {
    let similarities = [
        Similarity::PearsonBaseline,
        Similarity::Cosine,
        Similarity::SquaredDifference,
    ];
    let sides = [KnnRaterConfig::items(), KnnRaterConfig::users()];
    let of = |config| {
        similarities.map(|similarity| {
            with(config, |config| {
                config.similarity = similarity;
                config.neighbours = 3;
                config.shrinkage = 4.0;
            })
        })
    };
    sides.into_iter().flat_map(of).collect()
}

/// The formulas as they stand, pair by pair.
struct Naive {
    config: KnnRaterConfig,
    stars: HashMap<(u32, u32), f64>,
    /// `[users, movies]`.
    baselines: Vec<[f64; MOVIES]>,
}

impl Naive {
    fn new(config: &KnnRaterConfig) -> Self {
        let histories = histories();
        let audiences = RatedBags::of_movies(MOVIES, rows().into_iter());
        let biases = Biases::fit(&histories, &audiences);
        let stars = rows().into_iter();
        let stars = stars.map(|it| ((it.user, it.movie), f64::from(it.stars)));
        let of_user = |user| {
            let bias = biases.of_ratings(histories.row(user).stars_by_id());
            std::array::from_fn(|movie| biases.mean() + bias + biases.movie(movie as u32))
        };
        Self {
            config: *config,
            stars: stars.collect(),
            baselines: (0..USERS as u32).map(of_user).collect(),
        }
    }

    fn baseline(&self, user: u32, movie: u32) -> f64 {
        self.baselines[user as usize][movie as usize]
    }

    /// User and movie of one of a side and one of the other.
    fn pair(&self, x: u32, y: u32) -> (u32, u32) {
        match self.config.side {
            Side::Items => (y, x),
            Side::Users => (x, y),
        }
    }

    fn similarity(&self, a: u32, b: u32) -> f64 {
        let commons = USERS.max(MOVIES) as u32;
        let pairs = (0..commons).filter_map(|y| {
            let (a, b) = (self.pair(a, y), self.pair(b, y));
            let (&r, &s) = (self.stars.get(&a)?, self.stars.get(&b)?);
            Some(match self.config.similarity {
                Similarity::PearsonBaseline => {
                    (r - self.baseline(a.0, a.1), s - self.baseline(b.0, b.1))
                }
                _ => (r, s),
            })
        });
        let pairs: Vec<(f64, f64)> = pairs.collect();
        let n = pairs.len() as f64;
        let sum = |of: fn(f64, f64) -> f64| pairs.iter().map(|&(r, s)| of(r, s)).sum::<f64>();
        let cosine = sum(|r, s| r * s) / (sum(|r, _| r * r) * sum(|_, s| s * s)).sqrt();
        match self.config.similarity {
            _ if pairs.is_empty() => 0.0,
            Similarity::PearsonBaseline if n < 2.0 => 0.0,
            Similarity::PearsonBaseline => (n - 1.0) / (n - 1.0 + self.config.shrinkage) * cosine,
            Similarity::SquaredDifference => 1.0 / (sum(|r, s| (r - s) * (r - s)) / n + 1.0),
            _ => cosine,
        }
    }

    fn stars(&self, user: u32, movie: u32) -> f64 {
        let (x, y, others) = match self.config.side {
            Side::Items => (movie, user, MOVIES as u32),
            Side::Users => (user, movie, USERS as u32),
        };
        let others = (0..others).filter(|&other| other != x);
        let mut neighbours: Vec<(f64, f64)> = others
            .filter_map(|other| {
                let (user, movie) = self.pair(other, y);
                let stars = self.stars.get(&(user, movie))?;
                Some((
                    self.similarity(x, other),
                    stars - self.baseline(user, movie),
                ))
            })
            .filter(|&(similarity, _)| similarity > 0.0)
            .collect();
        neighbours.sort_by(|a, b| b.0.total_cmp(&a.0));
        neighbours.truncate(self.config.neighbours);
        let weights: f64 = neighbours.iter().map(|it| it.0).sum();
        let sum: f64 = neighbours.iter().map(|(s, e)| s * e).sum();
        let correction = if weights > 0.0 { sum / weights } else { 0.0 };
        self.baseline(user, movie) + correction
    }
}

#[test]
fn stars_are_as_the_formulas_have_them_pair_by_pair() {
    for config in configs() {
        let model = KnnRater::of(&histories(), MOVIES, &config).unwrap();
        let naive = Naive::new(&config);
        let mut corrected = 0;
        for user in 0..USERS as u32 {
            let found = scores(&model, Who::Users(&[user]));
            for (movie, &found) in (0..).zip(&found) {
                let expected = naive.stars(user, movie);
                assert!((f64::from(found) - expected).abs() < 1e-4, "{config:?}");
                corrected += usize::from((expected - naive.baseline(user, movie)).abs() > 1e-3);
            }
        }
        assert!(corrected > 100, "{corrected}");
    }
}

#[test]
fn fewer_candidates_are_those_that_are_most_similar() {
    for config in configs() {
        let of = |candidates, neighbours| {
            let config = with(config, |config| {
                config.candidates = candidates;
                config.neighbours = neighbours;
            });
            KnnRater::of(&histories(), MOVIES, &config).unwrap()
        };
        let (all, four) = (of(MOVIES, 3), of(4, 3));
        let scores = |model: &KnnRater| scores(model, Who::Users(&[2]));
        assert!(scores(&of(65_536, 3)) == scores(&all));
        assert!(four.parameters() < all.parameters());
        let (all, four) = (scores(&all), scores(&four));
        assert!(all != four);
        // Who has all neighbours among the four most similar has the same stars.
        assert!(all.iter().zip(&four).any(|(a, b)| a == b));
        let (naive, one) = (Naive::new(&config), of(1, 1));
        let rows = match config.side {
            Side::Items => MOVIES as u32,
            Side::Users => USERS as u32,
        };
        let some = (0..rows).filter(|&x| {
            let others = (0..rows).filter(|&other| other != x);
            others
                .map(|other| naive.similarity(x, other))
                .any(|s| s > 0.0)
        });
        let kept = one.parameters() - (1 + USERS + MOVIES);
        assert_eq!(kept, some.count());
    }
}

#[test]
fn a_visitor_with_the_ratings_of_a_user_is_told_what_that_user_is() {
    let data = dataset();
    let items = fit(&KnnRaterConfig::items(), &data);
    let visitor = items.meet(&ratings_of(5, &data), None).unwrap();
    let own = scores(&items, Who::Users(&[5]));
    assert!(own == scores(&items, Who::Visitor(&visitor)));
    assert!(own != scores(&items, Who::Users(&[6])));

    // Who has a twin among the users has one neighbour more than the twin.
    let twins = || {
        let twin = rows().into_iter().filter(|it| it.user == 3);
        let twin = twin.map(|rated| Rated {
            user: USERS as u32 - 1,
            ..rated
        });
        rows().into_iter().chain(twin)
    };
    let config = KnnRaterConfig::users();
    let histories = RatedBags::of_users(USERS, twins().collect::<Vec<_>>().into_iter());
    let users = KnnRater::of(&histories, MOVIES, &config).unwrap();
    let ratings: Vec<Rated> = histories.row(3).rows_of(0).collect();
    let visitor = users.meet(&ratings, None).unwrap();
    let (own, met) = (
        scores(&users, Who::Users(&[3])),
        scores(&users, Who::Visitor(&visitor)),
    );
    let rated = |movie: u32| ratings.iter().any(|it| it.movie == movie);
    for (movie, (own, met)) in (0..).zip(own.iter().zip(&met)) {
        // Neither twin says anything of what none of them rated.
        assert!((own - met).abs() < 1e-6 || rated(movie), "{movie}");
    }
}

#[test]
fn reasons_are_what_is_added_to_the_baseline() {
    let model = KnnRater::of(&histories(), MOVIES, &KnnRaterConfig::items()).unwrap();
    let movies: Vec<u32> = (0..MOVIES as u32).collect();
    let user = Who::Users(&[2]);
    let because = |count| model.because(user, &movies, count).unwrap().unwrap();
    let (all, two) = (because(usize::MAX), because(2));
    let stars = scores(&model, user);
    let mut whole = 0;
    for movie in 0..MOVIES {
        let causes: &[Cause] = &all[movie];
        assert!(causes.is_sorted_by(|a, b| a.amount >= b.amount));
        assert_eq!(two[movie][..], causes[..causes.len().min(2)]);
        // All that adds is told, and nothing that takes away.
        let added: f32 = causes.iter().map(|it| it.amount).sum();
        let beyond = stars[movie] - model.baseline(2, movie as u32);
        assert!(added > beyond - 1e-5, "{added} {beyond}");
        whole += usize::from((added - beyond).abs() < 1e-5);
    }
    assert!((1..MOVIES).contains(&whole), "{whole}");

    let users = KnnRater::of(&histories(), MOVIES, &KnnRaterConfig::users()).unwrap();
    assert_eq!(users.because(user, &movies, 2).unwrap(), None);
    for model in [&model, &users] {
        let refused = |users: &[u32], items: &[u32], why: &str| {
            let found = model.because(Who::Users(users), items, 1);
            let error = found.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&[17], &[0], "no user in row 17");
        refused(&[0], &[23], "no movie in row 23");
        refused(&[0, 1], &[0], "for one user");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    type Change = fn(&mut KnnRaterConfig);
    let changes: [(&str, Change); 6] = [
        ("shrinkage is -1", |config| config.shrinkage = -1.0),
        ("shrinkage is NaN", |config| config.shrinkage = f64::NAN),
        ("neighbours is 0", |config| config.neighbours = 0),
        ("neighbours is 65537", |config| config.neighbours = 65_537),
        ("candidates is 0", |config| config.candidates = 0),
        ("candidates is 65537", |config| config.candidates = 65_537),
    ];
    let data = dataset();
    for (why, change) in changes {
        let config = with(KnnRaterConfig::default(), change);
        for error in [
            KnnRater::of(&histories(), MOVIES, &config).unwrap_err(),
            config
                .check(mmdlrm_features::TrainingData::features(&data))
                .unwrap_err(),
            config.fit(&data, Session::default()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[test]
fn a_fit_that_is_to_stop_stops() {
    let stop = std::sync::atomic::AtomicBool::new(true);
    let mut told = 0;
    let session = Session {
        stop: Some(&stop),
        ..Session::default()
    };
    let session = session.on_step(|rows| told += rows);
    let stopped = KnnRaterConfig::items().fit(&dataset(), session);
    let is_first = matches!(stopped, Err(mmdlrm_train::Error::Stopped { step: 1 }));
    assert!(is_first, "{stopped:?}");
    let data = dataset();
    assert_eq!(told, KnnRaterConfig::items().rows(&data));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let refused = |rated: Rated, why: &str| {
        let histories = RatedBags::of_users(1, std::iter::once(rated));
        let error = KnnRater::of(&histories, 2, &KnnRaterConfig::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    let rated = |movie, stars| Rated {
        movie,
        stars,
        ..Rated::default()
    };
    refused(rated(2, 3.0), "no movie in row 2");
    refused(rated(1, f32::INFINITY), "a rating of inf stars");
    let nothing = RatedBags::of_users(0, std::iter::empty());
    let model = KnnRater::of(&nothing, 0, &KnnRaterConfig::default()).unwrap();
    assert_eq!(model.parameters(), 1);
}

/// Numbers of a tensor, changed.
type Change = fn(&mut Vec<f32>);

#[test]
fn similarities_that_make_no_sense_are_refused() {
    let changes: [(&str, Change); 8] = [
        ("similar.lengths", |numbers| numbers[0] += 1.0),
        ("similar.lengths", |numbers| numbers[0] = 1e30),
        ("similar.lengths", |numbers| numbers[0] += 0.5),
        ("similar.ids", |numbers| numbers[1] = numbers[0]),
        ("similar.ids", |numbers| numbers[1] = 1e9),
        ("similar.ids", |numbers| numbers[1] += 0.5),
        ("similar.values", |numbers| numbers[0] = -1.0),
        ("similar.values", |numbers| numbers[1] = numbers[0] + 1.0),
    ];
    let data = dataset();
    let known = Known::of(&data).unwrap();
    for config in [KnnRaterConfig::items(), KnnRaterConfig::users()] {
        let file = fit(&config, &data).to_safetensors().unwrap();
        let (config, kept) = Kept::from_safetensors::<KnnRaterConfig>(&file).unwrap();
        let names = ["mean", "users", "movies"];
        let names = names.into_iter();
        let names = names.chain(["similar.lengths", "similar.ids", "similar.values"]);
        for (of, change) in changes {
            let mut tensors = Tensors::default();
            for name in names.clone() {
                let mut numbers = kept.get(name).unwrap().to_vec();
                if name == of {
                    change(&mut numbers);
                }
                tensors.put(name, numbers);
            }
            let file = tensors.to_safetensors(&config).unwrap();
            let error = KnnRater::load(&file, &known).unwrap_err().to_string();
            assert!(
                error.contains("similarities in the model's file"),
                "{error}"
            );
        }
    }
}

/// As Surprise has it over these biases: 0.85614 and 0.65045 of movies, 0.88637 and 0.67144 of
/// users. Over its own biases it has 0.8592 and 0.8853. Prints the figures with `--nocapture`.
#[test]
fn it_predicts_ml_latest_small_as_surprise_does() {
    let Some(data) = latest_small() else { return };
    for (config, expected) in [
        (KnnRaterConfig::items(), 0.85614),
        (KnnRaterConfig::users(), 0.88637),
    ] {
        let (_, error) = predictions(&fit(&config, &data), &data);
        println!("{:?}: RMSE {error:.5}", config.side);
        assert!((error - expected).abs() < 2e-5, "{error} {expected}");
    }
}

//! The steps as they are written down, one by one in `f64`.

use mmdlrm_data::{Rated, RatedBags};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::descent::{Descent, Implicit, drawn_order, gather_all};
use super::vectors::Vectors;
use super::{MatrixFactorization, MatrixFactorizationConfig};

const USERS: usize = 12;
const MOVIES: usize = 40;

/// Some rated much and some little, user 5 rated nothing, user 3 one movie twice.
fn histories() -> RatedBags {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut rows = Vec::new();
    for user in (0..USERS as u32).filter(|&user| user != 5) {
        for movie in 0..MOVIES as u32 {
            if random.random_bool(f64::from(user + 1) / 13.0) {
                rows.push(Rated {
                    user,
                    movie,
                    stars: f32::from(random.random_range(1..=10u8)) / 2.0,
                    timestamp: 0,
                });
            }
        }
    }
    let twice = rows.iter().find(|rated| rated.user == 3).copied();
    rows.extend(twice.map(|rated| Rated {
        stars: 4.0,
        ..rated
    }));
    RatedBags::of_users(USERS, rows.into_iter())
}

/// Rows of numbers.
type Rows = Vec<Vec<f64>>;

fn rows(vectors: &Vectors, factors: usize) -> Rows {
    let numbers = vectors.numbers();
    let rows = numbers.chunks(factors);
    rows.map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect()
}

/// Parameters as they are written down.
struct Naive {
    user_biases: Vec<f64>,
    movie_biases: Vec<f64>,
    p: Rows,
    q: Rows,
    y: Option<Rows>,
}

impl Naive {
    fn of(model: &MatrixFactorization) -> Self {
        let factors = model.config.factors;
        Self {
            user_biases: vec![0.0; USERS],
            movie_biases: vec![0.0; MOVIES],
            p: rows(&model.users.vectors, factors),
            q: rows(&model.movies.vectors, factors),
            y: model.implicit.as_ref().map(|y| rows(y, factors)),
        }
    }

    /// `p_u + Σ_j y_j / √m`, and the movies `j`.
    fn z(&self, user: usize, history: &[u32]) -> (Vec<f64>, Vec<usize>) {
        let mut rated: Vec<usize> = history.iter().map(|&movie| movie as usize).collect();
        rated.dedup();
        let root = (rated.len() as f64).sqrt();
        let implicit = |factor: usize| match &self.y {
            Some(y) => rated.iter().map(|&j| y[j][factor]).sum::<f64>() / root,
            None => 0.0,
        };
        let z = self.p[user].iter().enumerate();
        (z.map(|(factor, p)| p + implicit(factor)).collect(), rated)
    }

    fn epoch(&mut self, model: &MatrixFactorization, histories: &RatedBags) -> f64 {
        let (config, mean) = (&model.config, f64::from(model.mean));
        let order = drawn_order(histories, config.seed);
        let (rate, lambda) = (config.learning_rate, config.regularization);
        let step = |x: &mut f64, gradient: f64| *x += rate * (gradient - lambda * *x);
        let mut loss = 0.0;
        for user in 0..USERS {
            let history = histories.row(user as u32);
            for (movie, stars) in order.row(user as u32).stars_by_id() {
                let movie = movie as usize;
                let (z, rated) = self.z(user, history.ids);
                let root = (rated.len() as f64).sqrt();
                let q = self.q[movie].clone();
                let met: f64 = z.iter().zip(&q).map(|(z, q)| z * q).sum();
                let biases = self.user_biases[user] + self.movie_biases[movie];
                let error = f64::from(stars) - (mean + biases + met);
                loss += error * error;
                step(&mut self.user_biases[user], error);
                step(&mut self.movie_biases[movie], error);
                for factor in 0..config.factors {
                    step(&mut self.p[user][factor], error * q[factor]);
                    step(&mut self.q[movie][factor], error * z[factor]);
                    for y in self.y.iter_mut() {
                        let own = |j: &usize| step(&mut y[*j][factor], error * q[factor] / root);
                        rated.iter().for_each(own);
                    }
                }
            }
        }
        loss
    }
}

fn assert_near(found: impl IntoIterator<Item = f32>, expected: impl IntoIterator<Item = f64>) {
    let mut expected = expected.into_iter();
    for found in found {
        let expected = expected.next().unwrap();
        let error = (f64::from(found) - expected).abs();
        assert!(error < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn a_pass_is_the_steps_of_its_ratings_one_by_one() {
    let histories = histories();
    for (implicit, factors) in [(false, 5), (true, 5), (true, 16), (true, 33)] {
        let config = MatrixFactorizationConfig {
            implicit,
            factors,
            learning_rate: 0.03,
            regularization: 0.2,
            ..MatrixFactorizationConfig::default()
        };
        let mut model = MatrixFactorization::first(&config, &histories, MOVIES);
        let mut own = model.users.vectors.clone();
        let order = drawn_order(&histories, config.seed);
        let mut naive = Naive::of(&model);
        for _ in 0..3 {
            let mut descent = Descent {
                config: &config,
                mean: model.mean,
                users: &mut model.users,
                movies: &mut model.movies,
                implicit: model.implicit.as_mut().map(|movies| Implicit {
                    own: &mut own,
                    movies,
                }),
            };
            let users = 0..USERS as u32;
            let losses = users.map(|user| {
                let rated = histories.row(user).ids;
                descent.learn(user, rated, order.row(user))
            });
            let loss: f64 = losses.sum();
            if let Some(implicit) = &descent.implicit {
                gather_all(implicit, &histories, &mut descent.users.vectors);
            }
            let expected = naive.epoch(&model, &histories);
            assert!(
                (loss - expected).abs() < 1e-5 * expected,
                "{loss} {expected}"
            );
        }
        assert_near(model.users.biases.clone(), naive.user_biases.clone());
        assert_near(model.movies.biases.clone(), naive.movie_biases.clone());
        assert_near(model.movies.vectors.numbers(), naive.q.concat());
        let z = (0..USERS).flat_map(|user| naive.z(user, histories.row(user as u32).ids).0);
        assert_near(
            model.users.vectors.numbers(),
            z.map(|z| if z.is_nan() { 0.0 } else { z }),
        );
        if let (Some(found), Some(expected)) = (&model.implicit, &naive.y) {
            assert_near(own.numbers(), naive.p.concat());
            assert_near(found.numbers(), expected.concat());
        }
    }
}

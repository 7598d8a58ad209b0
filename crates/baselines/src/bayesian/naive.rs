//! The same draws as those of a [`Chain`](super::chain::Chain), by nothing but the formula of a
//! factorization machine.

use mmdlrm_data::{Rated, RatedBags};

use super::BayesianConfig;
use super::block::Block;
use super::chain::Chain;
use super::prior::Spread;

pub(super) const USERS: usize = 7;
pub(super) const ITEMS: usize = 9;

/// User 3 rated nothing, nobody item 8, and somebody an item twice.
pub(super) fn rows() -> Vec<Rated> {
    let pairs =
        (0..USERS as u32).flat_map(|user| (0..ITEMS as u32).map(move |movie| (user, movie)));
    let pairs = pairs.filter(|&(user, movie)| user != 3 && movie != 8);
    let pairs = pairs.filter(|&(user, movie)| (user * 5 + movie * 3) % 4 != 0 || movie == 2);
    let rated = |(user, movie)| Rated {
        user,
        movie,
        stars: ((user * 7 + movie * 11) % 10) as f32 / 2.0 + 0.5,
        timestamp: 0,
    };
    let mut rows: Vec<Rated> = pairs.map(rated).collect();
    rows.push(Rated {
        stars: 4.0,
        ..rows[0]
    });
    rows
}

/// Which weights describe a rating, and by how much: `x_a`.
type Features = Vec<(Weight, f64)>;

/// The weights of something, in a group.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Weight {
    of_items: bool,
    is_implicit: bool,
    row: usize,
}

fn block<'a>(chain: &'a Chain, weight: Weight) -> &'a Block {
    match weight.of_items {
        true => &chain.items,
        false => &chain.users,
    }
}

/// The places of `w, v` in the group's weights.
fn place(chain: &Chain, weight: Weight, column: usize) -> usize {
    let columns = chain.users.prior.means.len();
    match &block(chain, weight).implicit {
        Some(implicit) if weight.is_implicit => column * implicit.links.len() + weight.row,
        _ => weight.row * columns + column,
    }
}

fn value(chain: &Chain, weight: Weight, column: usize) -> f64 {
    let at = place(chain, weight, column);
    match &block(chain, weight).implicit {
        Some(implicit) if weight.is_implicit => implicit.weights[at],
        _ => block(chain, weight).own[at],
    }
}

fn add(chain: &mut Chain, weight: Weight, column: usize, change: f64) {
    let at = place(chain, weight, column);
    let block = match weight.of_items {
        true => &mut chain.items,
        false => &mut chain.users,
    };
    match &mut block.implicit {
        Some(implicit) if weight.is_implicit => implicit.weights[at] += change,
        _ => block.own[at] += change,
    }
}

fn features(rows: &[Rated], config: &BayesianConfig) -> Vec<Features> {
    let of = |rated: &Rated| {
        let own = |of_items, row: u32| Weight {
            of_items,
            is_implicit: false,
            row: row as usize,
        };
        let mut features = vec![(own(false, rated.user), 1.0), (own(true, rated.movie), 1.0)];
        let mut share = |of_items, ids: Vec<u32>| {
            let x = 1.0 / (ids.len() as f64).sqrt();
            for (at, &id) in ids.iter().enumerate() {
                if !ids[..at].contains(&id) {
                    let weight = Weight {
                        is_implicit: true,
                        ..own(of_items, id)
                    };
                    features.push((weight, x));
                }
            }
        };
        if config.histories {
            let own = rows.iter().filter(|other| other.user == rated.user);
            share(false, own.map(|other| other.movie).collect());
        }
        if config.audiences {
            let own = rows.iter().filter(|other| other.movie == rated.movie);
            share(true, own.map(|other| other.user).collect());
        }
        features
    };
    rows.iter().map(of).collect()
}

fn predict(chain: &Chain, features: &Features) -> f64 {
    let sum = |column| {
        features
            .iter()
            .map(move |&(weight, x)| x * value(chain, weight, column))
    };
    let mut prediction = chain.level.mean + sum(0).sum::<f64>();
    for column in 1..chain.users.prior.means.len() {
        let squares = sum(column).map(|part| part * part).sum::<f64>();
        prediction += 0.5 * (sum(column).sum::<f64>().powi(2) - squares);
    }
    prediction
}

/// What is drawn, with the chain it is drawn for.
struct Naive<'a> {
    chain: Chain<'a>,
    rows: Vec<Rated>,
    features: Vec<Features>,
}

impl Naive<'_> {
    fn predictions(&self) -> Vec<f64> {
        let features = self.features.iter();
        features
            .map(|features| predict(&self.chain, features))
            .collect()
    }

    /// Draws a weight, by predictions with it and with 1 more of it.
    fn draw(&mut self, weight: Weight, column: usize, (mean, precision): (f64, f64), normal: f64) {
        let before = self.predictions();
        add(&mut self.chain, weight, column, 1.0);
        let after = self.predictions();
        add(&mut self.chain, weight, column, -1.0);
        let alpha = self.chain.level.precision;
        let own = value(&self.chain, weight, column);
        let (mut squares, mut linear) = (precision, precision * (mean - own));
        for ((rated, before), after) in self.rows.iter().zip(before).zip(after) {
            let phi = after - before;
            squares += alpha * phi * phi;
            linear += alpha * phi * (f64::from(rated.stars) - before);
        }
        let change = linear / squares + normal / squares.sqrt();
        add(&mut self.chain, weight, column, change);
    }

    /// Draws a group's prior and then its weights, row by row or factor by factor.
    fn draw_group(&mut self, of_items: bool, is_implicit: bool) {
        let columns = self.chain.users.prior.means.len();
        let of = self.features.iter().flatten().map(|&(weight, _)| weight);
        let of = of.filter(|it| (it.of_items, it.is_implicit) == (of_items, is_implicit));
        let mut group: Vec<Weight> = of.collect();
        group.sort_by_key(|weight| weight.row);
        group.dedup();
        let block = block(&self.chain, group[0]);
        let (mut prior, length) = match &block.implicit {
            Some(implicit) if is_implicit => (implicit.prior.clone(), implicit.weights.len()),
            _ => (block.prior.clone(), block.own.len()),
        };
        let spreads = (0..columns).map(|column| {
            let mut spread = Spread::default();
            let values = group
                .iter()
                .map(|&weight| value(&self.chain, weight, column));
            values.for_each(|value| spread.add(value, prior.means[column]));
            spread
        });
        let spreads: Vec<Spread> = spreads.collect();
        let mut normals = vec![0.0; length];
        prior.draw(group.len(), &spreads, &mut self.chain.random);
        self.chain.random.fill_normals(&mut normals);
        let mut order: Vec<(Weight, usize)> = Vec::new();
        order.extend(
            group
                .iter()
                .flat_map(|&it| (0..columns).map(move |column| (it, column))),
        );
        if is_implicit {
            order.sort_by_key(|&(_, column)| column);
        }
        for (weight, column) in order {
            let density = (prior.means[column], prior.precisions[column]);
            let normal = normals[place(&self.chain, weight, column)];
            self.draw(weight, column, density, normal);
        }
        let block = match of_items {
            true => &mut self.chain.items,
            false => &mut self.chain.users,
        };
        match &mut block.implicit {
            Some(implicit) if is_implicit => implicit.prior = prior,
            _ => block.prior = prior,
        }
    }

    fn step(&mut self) {
        let errors = self.rows.iter().zip(self.predictions());
        let errors: Vec<f64> = errors
            .map(|(it, found)| f64::from(it.stars) - found)
            .collect();
        let (sum, squares) = (
            errors.iter().sum::<f64>(),
            errors.iter().map(|it| it * it).sum::<f64>(),
        );
        let count = errors.len() as f64;
        let alpha = self
            .chain
            .random
            .gamma((1.0 + count) / 2.0, (1.0 + squares) / 2.0);
        self.chain.level.precision = alpha;
        let of_mean = alpha * count + 1.0;
        let linear = alpha * sum - self.chain.level.mean;
        self.chain.level.mean += linear / of_mean + self.chain.random.normal() / of_mean.sqrt();
        for of_items in [false, true] {
            self.draw_group(of_items, false);
            let block = if of_items {
                &self.chain.items
            } else {
                &self.chain.users
            };
            if block.implicit.is_some() {
                self.draw_group(of_items, true);
            }
        }
    }
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    }
}

#[test]
fn draws_are_those_of_the_factorization_machine() {
    let rows = rows();
    let histories = RatedBags::of_users(USERS, rows.iter().copied());
    let audiences = RatedBags::of_movies(ITEMS, rows.iter().copied());
    for (with_histories, with_audiences) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let config = BayesianConfig {
            rank: 3,
            histories: with_histories,
            audiences: with_audiences,
            ..BayesianConfig::mf()
        };
        let mut chain = Chain::new(&histories, &audiences, &config);
        let mut naive = Naive {
            chain: chain.clone(),
            features: features(&rows, &config),
            rows: rows.clone(),
        };
        for _ in 0..4 {
            chain.step();
            naive.step();
        }
        let predicted = rows
            .iter()
            .map(|rated| chain.predict(rated.user, rated.movie));
        assert_near(&predicted.collect::<Vec<_>>(), &naive.predictions());
        for (found, expected) in [
            (&chain.users, &naive.chain.users),
            (&chain.items, &naive.chain.items),
        ] {
            assert_near(&found.own, &expected.own);
            assert_near(&found.prior.precisions, &expected.prior.precisions);
            if let (Some(found), Some(expected)) = (&found.implicit, &expected.implicit) {
                assert_near(&found.weights, &expected.weights);
            }
        }
        // What draws have added up is what the weights come to.
        let added_up = chain.clone();
        chain.users.fold();
        chain.items.fold();
        assert_near(&added_up.users.folded.biases, &chain.users.folded.biases);
        assert_near(&added_up.items.folded.rows, &chain.items.folded.rows);
    }
}

//! Matrix factorization and SVD++, averaged over all that their weights may be.

mod block;
mod chain;
mod config;
mod equations;
mod fold_in;
mod folded;
mod implicit;
mod left;
mod links;
mod moments;
#[cfg(test)]
mod naive;
mod persist;
mod prior;
mod random;
mod ranker;
mod reasons;
mod rows;
mod samples;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::memory::{Size, numbers};
use mmdlrm_data::{Rated, RatedBag, RatedBags};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_kernels::InstructionSet;
use mmdlrm_train::{EpochMetrics, Error, Fit, Result, Session, check_rows};
use serde_json::{Value, json};

use chain::Chain;
pub use config::BayesianConfig;
use samples::Samples;

/// Bayesian matrix factorization, SVD++ and SVD++ «flipped»: factorization machines whose weights
/// are drawn over and over, each given all others, and whose predictions are means over the draws
/// (Rendle, «Factorization machines with libFM», 2012; Rendle, Zhang and Koren, «On the difficulty
/// of evaluating baselines», 2019).
///
/// What is known of a rating are its user `u` and its item `i`; with
/// [`histories`](BayesianConfig::histories) also each item that `u` rated, `x = 1/√n_u` of each,
/// and with [`audiences`](BayesianConfig::audiences) each user who rated `i`, `x = 1/√n_i`. Each of
/// these has a weight `w` and factors `v`, `[k]`:
///
/// ```text
/// r ~ N(r̂, 1/α)
/// r̂ = w₀ + Σ_a w_a·x_a + Σ_{a<b} ⟨v_a, v_b⟩·x_a·x_b
///   = w₀ + A_u + B_i + ⟨P_u, Q_i⟩                                               A, B: 1   P, Q: [k]
///
/// H_u = Σ_j v_j/√n_u        P_u = v_u + H_u        over what u rated; the same of items
/// A_u = w_u + Σ_j w_j/√n_u + ⟨v_u, H_u⟩ + ½·(⟨H_u, H_u⟩ − Σ_j ⟨v_j, v_j⟩/n_u)
/// ```
///
/// Beforehand any weights are thought to be normal. Users, items, items in histories and users in
/// audiences are a group each, whose `w`, and whose `v` of each factor, share a mean and a
/// precision, which are drawn as well:
///
/// ```text
/// α ~ Γ(½, ½)        w₀ ~ N(0, 1)        θ ~ N(μ, 1/λ)        λ ~ Γ(½, ½)        μ ~ N(0, 1/λ)
/// ```
///
/// A draw of a weight, where a prediction changes by `φ` when the weight changes by 1:
///
/// ```text
/// θ ~ N(θ + (α·Σ φ·(r − r̂) + λ·(μ − θ))/λ', 1/λ')        λ' = α·Σ φ² + λ
/// λ ~ Γ((2 + n)/2, (1 + Σ (θ − μ)² + μ²)/2)              of a group of n weights
/// μ ~ N(Σ θ/(1 + n), 1/((1 + n)·λ))
/// α ~ Γ((1 + n)/2, (1 + Σ (r − r̂)²)/2)                   of n ratings
/// ```
///
/// So nothing has to be tuned: neither ridges nor rates. Draws are exact and one after another, of
/// one side and then of the other; all sums are `f64`. The sums over a user's ratings that draws
/// need are taken once for all of the user's weights, and hold for the items of its history too, so
/// that a history costs its length once a factor, and not once a rating (Rendle, «Scaling
/// factorization machines to relational data», 2013). An iteration costs about
///
/// ```text
/// ratings·(k + 1)²   and, with histories or with audiences,   ratings·k each
/// ```
///
/// and all threads share the former; the bits are the same on any number of them.
///
/// Draws are far too many to be kept. Those after the burn-in are cut into
/// [`stretches`](BayesianConfig::stretches), 20 of them; kept are the means of all `A` and `B`, and
/// of each stretch
///
/// | what | for | numbers |
/// | --- | --- | --- |
/// | means of `P` and `Q` | predictions: the mean of `⟨P, Q⟩` of the stretches | (users + items)·k |
/// | the last draws of `B` and `Q`, of `w` and `v` of histories, of `α`, and of users' `μ` and `λ` | somebody new | items·(k + 1), twice with histories |
///
/// In a stretch factors hardly turn: on ml-latest-small (0.841 and 0.826) 5 stretches, 20 or a mean
/// over the draws themselves differ by less than 0.0004 in RMSE, where a mean over 25 of the draws
/// is worse by 0.003.
///
/// A visitor is what the users' own draws would be on average, given each of those draws: a ridge
/// regression for each, whose ridge was drawn with it. Means of `Q` would not do there, which are
/// less uncertain than any draw: RMSE 0.852 and 0.841 for the same users. A visitor with the
/// ratings of a user is told nearly the same as the user (0.841 and 0.826), and who rated nothing
/// what is thought of anybody. What a rating [adds](mmdlrm_train::Ranker::because) to a visitor's
/// score is exact; a user's reasons are those of a visitor with the same ratings. Items are alike by
/// the means of `Q`.
///
/// ```
/// use mmdlrm_baselines::BayesianConfig;
/// use mmdlrm_data::{MovieLens, Rated, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Ranker, Session, Who, measure};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// # generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let mut config = BayesianConfig::default();
/// config.iterations = 60;
/// let model = config.fit(&dataset, Session::default())?;
/// assert!(measure(&model, &dataset)?.test_rmse < Some(1.0));
///
/// let liked = |stars| Rated { movie: 3, stars, ..Rated::default() };
/// let mut scores = Vec::new();
/// model.score(Who::Visitor(&model.meet(&[liked(5.0)], None)?), &mut scores)?;
/// let of_a_fan = scores[3];
/// model.score(Who::Visitor(&model.meet(&[liked(1.0)], None)?), &mut scores)?;
/// assert!(of_a_fan > scores[3] + 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BayesianFactorization {
    config: BayesianConfig,
    /// What users rated, in the order of their rows.
    histories: Arc<RatedBags>,
    samples: Samples,
}

impl BayesianFactorization {
    /// How it was sampled.
    pub fn config(&self) -> &BayesianConfig {
        &self.config
    }
}

impl Fit for BayesianConfig {
    type Model = BayesianFactorization;

    fn check(&self, features: &Features) -> Result<Value> {
        check(self)?;
        let (users, items) = (features.users().len(), features.movies().len());
        Ok(json!({ "users": users, "items": items, "rank": self.rank }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        self.iterations.saturating_mul(data.training_rows())
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let (size, rank) = (Size::of(data), self.rank as u64);
        let sides = [
            (size.users, size.items, self.histories),
            (size.items, size.users, self.audiences),
        ];
        let doubles = sides.map(|(rows, features, is_implicit)| {
            let own = 4 * rows * (rank + 1);
            let left = (rank + 1) * (rank + 2) / 2 + 2 * (rank + 1) + 6;
            own + u64::from(is_implicit) * (rows * left + 3 * features * (rank + 1))
        });
        let kept = 3 * size.nodes() * (rank + 1) * self.stretches as u64;
        let links = u64::from(self.histories) + u64::from(self.audiences);
        let bags = size.histories() + 12 * size.ratings;
        bags + numbers(links * size.ratings + kept + 2 * doubles.iter().sum::<u64>())
    }

    /// Draws everything so many times. An epoch is a stretch of draws, and its loss the squared
    /// error of what its last one began with; the model as it stands is that of the stretches that
    /// are over.
    fn fit(&self, data: &dyn TrainingData, mut session: Session) -> Result<BayesianFactorization> {
        check(self)?;
        let [histories, audiences] = ratings(data)?;
        let rows = histories.ratings();
        let histories = Arc::new(histories);
        let mut chain = Chain::new(&histories, &audiences, self);
        let mut model = BayesianFactorization {
            config: *self,
            histories: Arc::clone(&histories),
            samples: Samples::new(&chain, self.stretches, self.rank),
        };
        let (mut begun, mut first) = (Instant::now(), 0);
        for iteration in 1..=self.iterations {
            let stop = session.stop;
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                let step = iteration as u64 - 1;
                return Err(Error::Stopped { step });
            }
            let loss = chain.step();
            (session.on_step)(rows);
            if iteration <= self.burn_in {
                continue;
            }
            let samples = &mut model.samples;
            let of_stretch = iteration - first.max(self.burn_in);
            samples.add(&chain, [iteration - self.burn_in, of_stretch]);
            if self.stretches_after(iteration) > samples.over() {
                samples.end_stretch(&chain);
                let (epoch, seen) = (samples.over(), (iteration - first) * rows);
                let seconds = begun.elapsed().as_secs_f64();
                let metrics = EpochMetrics::new(epoch, loss, seen, seconds);
                (session.on_epoch)(&metrics, &model)?;
                (begun, first) = (Instant::now(), iteration);
            }
        }
        Ok(model)
    }
}

fn check(config: &BayesianConfig) -> Result<()> {
    InstructionSet::in_use().map_err(|error| mmdlrm_data::Error::External(error.into()))?;
    config.validate()
}

/// What each user rated and who rated each item, in the order of their rows.
fn ratings(data: &dyn TrainingData) -> Result<[RatedBags; 2]> {
    let features = data.features();
    let (users, items) = (features.users().len(), features.movies().len());
    let trained = data.training_histories()?;
    for user in 0..trained.len() as u32 {
        check_bag(trained.row(user), items)?;
    }
    if trained.ratings() == 0 {
        return Err(Error::Setting {
            setting: "training rows",
            value: 0.to_string(),
            rule: "it must be 1 or more",
        });
    }
    let rows = (0..users as u32).flat_map(|user| trained.row(user).rows_of(user));
    let rows = rows.map(|rated| Rated {
        timestamp: 0,
        ..rated
    });
    let audiences = RatedBags::of_movies(items, rows.clone());
    Ok([RatedBags::of_users(users, rows), audiences])
}

/// Refuses items that there are not, and stars that are no numbers.
fn check_bag(bag: RatedBag, items: usize) -> Result<()> {
    check_rows("movie", bag.ids.iter().copied(), items)?;
    match bag.stars.iter().find(|stars| !stars.is_finite()) {
        None => Ok(()),
        Some(stars) => Err(Error::Mismatch(format!("a rating of {stars} stars"))),
    }
}

impl fmt::Debug for BayesianFactorization {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("BayesianFactorization")
            .field("config", &self.config)
            .field("users", &self.samples.users.biases.len())
            .field("items", &self.samples.items.biases.len())
            .finish_non_exhaustive()
    }
}

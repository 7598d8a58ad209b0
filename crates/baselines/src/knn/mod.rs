//! What the nearest neighbours of a user or of its items say.

mod by_items;
mod by_users;
mod config;
mod persist;
mod ranker;
mod search;

use std::fmt;

use mmdlrm_data::{RatedBag, RatedBags};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_train::{Error, Fit, Result, Session};
use serde_json::{Value, json};

use crate::Side;
use crate::incidence::{self, Incidence};
use crate::memory::{Size, numbers};
use crate::progress::step_is_over;
use crate::whole::LIMIT;
use by_items::ByItems;
pub use config::KnnConfig;
use search::{Neighbour, Search};

/// Nearest neighbours: what was rated by the same users (Sarwar et al., 2001), or by users who
/// rated the same (Herlocker et al., 1999).
///
/// Stars are not looked at. With `X`, `[users, items]`, 1 where a user rated an item and 0
/// elsewhere, `n_i` users who rated item `i` and `n_u` items that user `u` rated:
///
/// ```text
/// items   K_ij = (XᵀX)_ij / (√(n_i·n_j) + shrinkage),   K_jj = 0            [items, items]
///         s_j  = Σ_i X_ui·K_ij        i among the nearest of j              [items]
/// users   S_uv = (XXᵀ)_uv / (√(n_u·n_v) + shrinkage),   S_uu = 0            [users, users]
///         s_j  = Σ_v S_uv·X_vj        v among the nearest of u              [items]
/// ```
///
/// With a shrinkage of 0 likenesses are cosines. Each candidate has nearest items of its own, as
/// many as are asked for: an item is scored by those of its own neighbours that the user rated. Of
/// neighbours that are equally near the first are taken, in the order of their rows.
///
/// The lists of the items are made once, on all threads, out of counts of one item at a time: 16
/// bytes a neighbour are kept, 50 MB of 62,423 items with 50 each, and a fit takes as many additions
/// as the squares of the users' ratings add up to. The neighbours of a user are searched for when
/// somebody asks, in as many additions as the ratings of all that the user rated: a fit makes
/// nothing, and no matrix of users is ever made (one of 162,541 would be 106 GB).
///
/// A visitor with the ratings of a user has the scores of that user, to the bit, by items; by users
/// that user is one of the visitor's neighbours. Who rated nothing is told popularity: the share of
/// the users who rated each item. [`because`](mmdlrm_train::Ranker::because) is exact: by items the
/// `K_ij`, by users what each rating makes of the likenesses to the neighbours who rated the item.
/// There are no vectors of items, and no stars.
///
/// ```
/// use mmdlrm_baselines::{Knn, KnnConfig};
/// use mmdlrm_data::{Rated, RatedBags};
///
/// // Two users rated items 0 and 1, one 0 alone, and one 2.
/// let rated = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (3, 2)];
/// let rows = rated.map(|(user, movie)| Rated { user, movie, stars: 3.5, timestamp: 0 });
/// let histories = RatedBags::of_users(4, rows.into_iter());
/// let mut scores = Vec::new();
///
/// // Item 1 was rated by two users, both of whom rated item 0, as did a third: 2/√(2·3).
/// let knn = Knn::of(&histories, 3, &KnnConfig::default())?;
/// knn.score_history(histories.row(2), &mut scores)?;
/// assert_eq!(scores, [0.0, (2.0 / 6f64.sqrt()) as f32, 0.0]);
///
/// // Two users who rated both are each as near as 1/√(1·2), and one who rated the same is at 1.
/// let knn = Knn::of(&histories, 3, &KnnConfig::users())?;
/// knn.score_history(histories.row(2), &mut scores)?;
/// assert_eq!(scores, [1.0 + 2f32.sqrt(), 2f32.sqrt(), 0.0]);
/// # Ok::<(), mmdlrm_train::Error>(())
/// ```
#[derive(Clone)]
pub struct Knn {
    config: KnnConfig,
    users: Incidence,
    items: Incidence,
    /// How many items each user rated.
    counts: Vec<u32>,
    /// Where the neighbours are those of items.
    lists: Option<ByItems>,
}

/// Who is asked about.
#[derive(Debug, Clone)]
struct Asked {
    history: Vec<u32>,
    /// The nearest users, where these count.
    neighbours: Vec<Neighbour>,
}

impl Knn {
    /// Of what each user rated of `items` items.
    ///
    /// # Errors
    /// Settings that make no sense, items that there are not.
    pub fn of(histories: &RatedBags, items: usize, config: &KnnConfig) -> Result<Self> {
        check(items, config)?;
        Self::fit(histories, items, config, |_| Ok(()))
    }

    fn fit(
        histories: &RatedBags,
        items: usize,
        config: &KnnConfig,
        told: impl FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        let users = Incidence::of(histories, items)?;
        let items = users.transposed(items);
        let lists = match config.side {
            Side::Items => Some(ByItems::fit(&users, &items, config, told)?),
            Side::Users => None,
        };
        Ok(Self {
            config: *config,
            counts: users.counts(),
            users,
            items,
            lists,
        })
    }

    /// How it was fitted.
    pub fn config(&self) -> &KnnConfig {
        &self.config
    }

    /// How many items it scores.
    pub fn items(&self) -> usize {
        self.items.rows()
    }

    /// Writes the scores of all items for whoever rated `history`, `[items]`; `scores` is resized
    /// to fit. Those of the history are what the other ratings, or other users, say of it.
    ///
    /// # Errors
    /// Items that there are not.
    pub fn score_history(&self, history: RatedBag, scores: &mut Vec<f32>) -> Result<()> {
        let history = incidence::rated(history, self.items())?;
        scores.resize(self.items(), 0.0);
        let asked = self.asked(history, None, &mut self.search());
        self.write_scores(&asked, scores);
        Ok(())
    }

    /// Through the users; through nobody where items count.
    fn search(&self) -> Option<Search<'_>> {
        match self.lists {
            Some(_) => None,
            None => Some(Search::new(&self.items, &self.counts, &self.config)),
        }
    }

    /// Whoever rated `history`, and is `own` among the users or nobody of them.
    fn asked(&self, history: Vec<u32>, own: Option<u32>, search: &mut Option<Search>) -> Asked {
        let neighbours = match search {
            Some(search) => search.nearest(&history, own),
            None => Vec::new(),
        };
        Asked {
            history,
            neighbours,
        }
    }

    fn write_scores(&self, asked: &Asked, scores: &mut [f32]) {
        if asked.history.is_empty() {
            let users = self.users.rows().max(1) as f32;
            let share = |item| self.items.row(item).len() as f32 / users;
            (0..)
                .zip(scores)
                .for_each(|(item, score)| *score = share(item));
            return;
        }
        match &self.lists {
            Some(lists) => lists.score(&asked.history, scores),
            None => by_users::score(&self.users, &asked.neighbours, scores),
        }
    }
}

impl Fit for KnnConfig {
    type Model = Knn;

    fn check(&self, features: &Features) -> Result<Value> {
        let (users, items) = (features.users().len(), features.movies().len());
        check(items, self)?;
        Ok(json!({ "users": users, "items": items, "side": self.side }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        match self.side {
            Side::Items => data.training_rows(),
            Side::Users => 0,
        }
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let size = Size::of(data);
        let neighbours = match self.side {
            Side::Items => size.items * size.items.min(self.neighbours as u64),
            Side::Users => 0,
        };
        size.histories() + size.incidences() + 3 * numbers(2 * neighbours)
    }

    fn fit(&self, data: &dyn TrainingData, mut session: Session) -> Result<Knn> {
        let items = data.features().movies().len();
        check(items, self)?;
        let histories = data.training_histories()?;
        let mut steps = 0;
        Knn::fit(&histories, items, self, |rows| {
            steps += 1;
            step_is_over(&mut session, steps, rows)
        })
    }
}

/// Refuses what cannot be fitted, or not be kept.
fn check(items: usize, config: &KnnConfig) -> Result<()> {
    config.validate()?;
    match items < LIMIT {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "there are {items} items, and neighbours are kept of fewer than {LIMIT}"
        ))),
    }
}

impl fmt::Debug for Knn {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Knn")
            .field("config", &self.config)
            .field("items", &self.items())
            .finish_non_exhaustive()
    }
}

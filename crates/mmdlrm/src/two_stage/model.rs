//! Both stages, behind the seam and in a file.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{BlendFile, Ease};
use mmdlrm_data::{Batch, Rated, RatedBag, RatedBags};
use mmdlrm_features::{Features, Known, Likeness, NewMovie};
use mmdlrm_model::{Dlrm, top_k};
use mmdlrm_train::{
    Cause, Error, Persist, Ranker, RateNewcomer, Rater, Result, Session, Visitor, Wanted, Who,
    check_rows,
};
use rayon::prelude::*;

use super::cold::ColdShortlist;
use super::columns::Scales;
use super::orders::Orders;
use super::shortlist::Shortlist;
use super::task::Proposes;
use super::{TwoStage, check_candidates};
use crate::BestModel;

/// Names of the parts in the model's file.
const PROPOSES: &str = "ease";
const ORDERS: &str = "dlrm";
const SCALES: &str = "scales";
const RATES: &str = "rater";
const ORDERS_COLD: &str = "dlrm of movies without ratings";
const SCALES_COLD: &str = "scales of movies without ratings";

/// What [`TwoStage`] learns.
///
/// The scores of the movies that the first stage proposes are those of the DLRM; all others come
/// after them, in the order of the first stage, and so does what the user rated; movies that
/// nobody has rated come last, in the order of a DLRM of their own. Somebody new is the history of
/// a few ratings: nothing is learned. Whoever rated nothing is told what the first stage says,
/// popularity.
pub struct TwoStageModel {
    candidates: usize,
    shortlist: Shortlist,
    orders: Orders,
    cold: Option<Cold>,
    features: Features,
    rater: Option<BestModel>,
}

/// Both stages of movies that nobody has rated.
pub(super) struct Cold {
    pub shortlist: ColdShortlist,
    pub orders: Orders,
}

impl TwoStageModel {
    pub(super) fn new(
        candidates: usize,
        shortlist: Shortlist,
        orders: Orders,
        features: Features,
    ) -> Self {
        Self {
            candidates,
            shortlist,
            orders,
            cold: None,
            features,
            rater: None,
        }
    }

    pub(super) fn with_cold(self, cold: Option<Cold>) -> Self {
        Self { cold, ..self }
    }

    pub(super) fn with_rater(self, rater: Option<BestModel>) -> Self {
        Self { rater, ..self }
    }

    /// What predicts stars, where anything does.
    pub fn rates_by(&self) -> Option<&BestModel> {
        self.rater.as_ref()
    }

    /// The first stage.
    pub fn ease(&self) -> &Ease {
        &self.shortlist.ease
    }

    /// The DLRM of the second.
    pub fn dlrm(&self) -> &Dlrm {
        self.orders.dlrm()
    }

    /// The DLRM that puts movies in order that nobody has rated, where there is one.
    pub fn dlrm_of_unrated(&self) -> Option<&Dlrm> {
        self.cold.as_ref().map(|cold| cold.orders.dlrm())
    }

    /// Writes the scores of all movies, `[movies]`.
    fn score_history(&self, user: u32, history: RatedBag, scores: &mut Vec<f32>) -> Result<()> {
        let shortlist = &self.shortlist;
        shortlist.ease.score_history(history, scores)?;
        if history.is_empty() {
            // There is nothing to order by.
            return Ok(());
        }
        let mut all = |candidates| candidates;
        let proposed = shortlist.propose(scores, history, history.ids, self.candidates, &mut all);
        let unrated = match &self.cold {
            None => None,
            Some(cold) => {
                let ordered = self.order_unrated(cold, user, history, &[], self.candidates, scores);
                Some((cold.shortlist.movies(), ordered?))
            }
        };
        let ordered = self.orders.order(&self.features, user, proposed)?;
        put_first(&ordered, scores);
        if let Some((movies, ordered)) = unrated {
            put_last(movies, &ordered, scores);
        }
        Ok(())
    }

    /// The `count` best of the movies that nobody has rated, those that are passed over left out,
    /// with the scores of their own second stage; `scores` are the first stage's of all movies.
    fn order_unrated(
        &self,
        Cold { shortlist, orders }: &Cold,
        user: u32,
        history: RatedBag,
        passed_over: &[u32],
        count: usize,
        scores: &[f32],
    ) -> Result<Vec<(u32, f32)>> {
        let mut all = |candidates| candidates;
        let proposed = shortlist.propose(scores, history, passed_over, count, &mut all);
        orders.order(&self.features, user, proposed)
    }

    /// The best of what is wanted: proposed and put in order; behind them, where they are not
    /// enough, others as the first stage has them, and then those that nobody has rated.
    fn best_of_history(
        &self,
        user: u32,
        history: RatedBag,
        wanted: &Wanted,
    ) -> Result<Vec<(u32, f32)>> {
        let (shortlist, passed_over) = (&self.shortlist, wanted.passed_over);
        let mut scores = Vec::new();
        shortlist.ease.score_history(history, &mut scores)?;
        if history.is_empty() {
            return Ok(top_k(&scores, wanted.count, passed_over));
        }
        let mut others = Vec::new();
        let mut first = |mut best: Vec<(u32, f32)>| {
            others = best.split_off(self.candidates.min(best.len()));
            best
        };
        let count = self.candidates.max(wanted.count);
        let proposed = shortlist.propose(&scores, history, passed_over, count, &mut first);
        let mut best = self.orders.order(&self.features, user, proposed)?;
        best.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        append(others, &mut best);
        if best.len() < wanted.count {
            let mut unrated = match &self.cold {
                Some(cold) => {
                    self.order_unrated(cold, user, history, passed_over, count, &scores)?
                }
                None => {
                    let passed_over: HashSet<&u32> = passed_over.iter().collect();
                    let movies = shortlist.unrated.iter();
                    let movies = movies.filter(|movie| !passed_over.contains(movie));
                    movies.take(count).map(|&movie| (movie, 0.0)).collect()
                }
            };
            unrated.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            append(unrated, &mut best);
        }
        best.truncate(wanted.count);
        Ok(best)
    }
}

/// A score of movies the highest of which is `highest`, below all of others, the lowest of which
/// is `lowest`.
fn behind(lowest: f32, highest: f32, score: f32) -> f32 {
    lowest - 1.0 - (highest - score)
}

/// Puts movies, the best first, behind others.
fn append(movies: Vec<(u32, f32)>, to: &mut Vec<(u32, f32)>) {
    let lowest = to.last().map_or(0.0, |&(_, score)| score);
    let highest = movies.first().map_or(0.0, |&(_, score)| score);
    let movies = movies.into_iter();
    to.extend(movies.map(|(movie, score)| (movie, behind(lowest, highest, score))));
}

/// Gives candidates the scores of the second stage; others come behind them, in the order that
/// their own scores have.
fn put_first(ordered: &[(u32, f32)], scores: &mut [f32]) {
    let Some(lowest) = ordered.iter().map(|&(_, score)| score).reduce(f32::min) else {
        return;
    };
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = behind(lowest, highest, *score);
    }
    for &(movie, score) in ordered {
        scores[movie as usize] = score;
    }
}

/// Puts `movies` behind all others: first those that are `ordered`, as they are, then the rest.
fn put_last(movies: &[u32], ordered: &[(u32, f32)], scores: &mut [f32]) {
    let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let own = || ordered.iter().map(|&(_, score)| score);
    let (highest, last) = (
        own().fold(f32::MIN, f32::max),
        own().fold(f32::MAX, f32::min),
    );
    for &movie in movies {
        scores[movie as usize] = behind(lowest, highest, last) - 1.0;
    }
    for &(movie, score) in ordered {
        scores[movie as usize] = behind(lowest, highest, score);
    }
}

impl Ranker for TwoStageModel {
    fn parameters(&self) -> usize {
        let of_rater = self.rater.as_ref().map_or(0, Ranker::parameters);
        let of_unrated = self
            .dlrm_of_unrated()
            .map_or(0, |dlrm| dlrm.parameters().len());
        self.ease().parameters() + self.dlrm().parameters().len() + of_unrated + of_rater
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        match who {
            Who::Users(users) => {
                let histories = self.shortlist.histories();
                check_rows("user", users.iter().copied(), histories.len())?;
                let of_users = users.par_iter().map(|&user| {
                    let mut scores = Vec::new();
                    self.score_history(user, histories.row(user), &mut scores)?;
                    Ok(scores)
                });
                *scores = of_users.collect::<Result<Vec<_>>>()?.concat();
                Ok(())
            }
            Who::Visitor(visitor) => {
                let met: &Met = visitor.state()?;
                self.score_history(0, met.history.row(0), scores)
            }
        }
    }

    /// What is proposed is proposed among what is wanted, so that filters narrow the choice before
    /// it is put in order; of movies that were rated too, where they are wanted.
    fn best(&self, who: Who, wanted: &Wanted) -> Result<Vec<(u32, f32)>> {
        match who {
            Who::Users(&[user]) => {
                let histories = self.shortlist.histories();
                check_rows("user", [user], histories.len())?;
                self.best_of_history(user, histories.row(user), wanted)
            }
            Who::Users(users) => Err(Error::Mismatch(format!(
                "the best are chosen for one user, and there are {}",
                users.len()
            ))),
            Who::Visitor(visitor) => {
                let met: &Met = visitor.state()?;
                self.best_of_history(0, met.history.row(0), wanted)
            }
        }
    }

    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor> {
        let rows = ratings.iter().map(|&rated| Rated { user: 0, ..rated });
        let of_rater = self.rater.as_ref().map(|rater| rater.meet(ratings, stop));
        let met = Met {
            history: RatedBags::of_users(1, rows),
            of_rater: of_rater.transpose()?,
        };
        Ok(Visitor::new(ratings.to_vec(), met))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        self.rater.is_some().then_some(self)
    }

    /// Those of the rater, where there is one.
    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        match &self.rater {
            None => Ok(None),
            Some(rater) => rater.item_vectors(),
        }
    }

    /// By the rater, where there is one.
    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        match &self.rater {
            None => Ok(None),
            Some(rater) => rater.newcomer(movie),
        }
    }

    /// By what proposes.
    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        match who {
            Who::Users(_) => self.ease().because(who, items, count),
            Who::Visitor(visitor) => {
                let met = self.ease().meet(visitor.ratings(), None)?;
                self.ease().because(Who::Visitor(&met), items, count)
            }
        }
    }
}

impl TwoStageModel {
    /// The rater, and who is asked about as it knows them.
    fn as_rater_knows<'a>(&'a self, who: Who<'a>) -> Result<(&'a BestModel, Who<'a>)> {
        let none = || Error::Mismatch("the ranker has no rater, which predicts stars".to_owned());
        let rater = self.rater.as_ref().ok_or_else(none)?;
        let who = match who {
            Who::Users(_) => who,
            Who::Visitor(visitor) => {
                let met: &Met = visitor.state()?;
                Who::Visitor(met.of_rater.as_ref().ok_or_else(none)?)
            }
        };
        Ok((rater, who))
    }
}

/// Stars by its rater.
impl Rater for TwoStageModel {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.as_rater_knows(Who::Users(&[]))?.0.rate(batch, stars)
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let (rater, who) = self.as_rater_knows(who)?;
        rater.rate_items(who, items, stars)
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        let (rater, _) = self.as_rater_knows(Who::Users(&[]))?;
        rater.rate_unbounded(batch, stars)
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let (rater, who) = self.as_rater_knows(who)?;
        rater.rate_items_unbounded(who, items, stars)
    }
}

/// What a visitor rated.
struct Met {
    /// As that of the one user.
    history: RatedBags,
    of_rater: Option<Visitor>,
}

/// The session of a DLRM whose file is that of both stages. The rater joins them when it is there.
pub(super) fn kept_whole<'a>(
    config: &'a TwoStage,
    shortlist: &'a Shortlist,
    scales: &'a Scales,
    mut session: Session<'a>,
) -> Session<'a> {
    let mut told = std::mem::replace(&mut session.on_epoch, Box::new(|_metrics, _model| Ok(())));
    session.on_epoch(move |metrics, dlrm| {
        let file = file(config.candidates, &shortlist.ease, scales, dlrm)?;
        told(metrics, &file)
    })
}

fn file(candidates: usize, ease: &Ease, scales: &Scales, dlrm: &dyn Persist) -> Result<BlendFile> {
    BlendFile::default()
        .with(PROPOSES, 0.0, ease.to_safetensors()?)?
        .with(ORDERS, 1.0, dlrm.to_safetensors()?)?
        .with(SCALES, 0.0, scales.to_safetensors(&candidates)?)
}

impl Persist for TwoStageModel {
    fn kind() -> &'static str {
        "two-stage"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let (ease, scales) = (&self.shortlist.ease, &self.orders.scales);
        let mut file = file(self.candidates, ease, scales, self.dlrm())?;
        if let Some(Cold { orders, .. }) = &self.cold {
            file = file
                .with(ORDERS_COLD, 0.0, orders.dlrm().to_safetensors()?)?
                .with(SCALES_COLD, 0.0, orders.scales.to_safetensors(&())?)?;
        }
        if let Some(rater) = &self.rater {
            file = file.with(RATES, 0.0, rater.to_safetensors()?)?;
        }
        file.to_safetensors()
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let file = BlendFile::read(file)?;
        let has = |part: &str| file.names().any(|name| name == part);
        let features = known.features().clone();
        let ease = Arc::new(Ease::load(file.part(PROPOSES)?.1, known)?);
        let dlrm = Dlrm::load(file.part(ORDERS)?.1, known)?;
        let inputs = Shortlist::inputs();
        let width = inputs.names.len();
        let (candidates, scales) = Scales::from_safetensors(file.part(SCALES)?.1, width)?;
        check_candidates(candidates)?;
        let orders = Orders::new(dlrm, scales, inputs, &features)?;
        let shortlist = Shortlist::of(ease, &features);
        let cold = has(ORDERS_COLD).then(|| {
            let (ease, unrated) = (Arc::clone(&shortlist.ease), shortlist.unrated.clone());
            let likeness = Likeness::of(&features, |it| unrated.binary_search(&it).is_ok());
            let shortlist = ColdShortlist::of(ease, &likeness, &features, unrated);
            let inputs = ColdShortlist::inputs(&likeness);
            let dlrm = Dlrm::load(file.part(ORDERS_COLD)?.1, known)?;
            let scales = file.part(SCALES_COLD)?.1;
            let ((), scales) = Scales::from_safetensors(scales, inputs.names.len())?;
            let orders = Orders::new(dlrm, scales, inputs, &features)?;
            Ok::<_, Error>(Cold { shortlist, orders })
        });
        let rater = has(RATES).then(|| BestModel::load(file.part(RATES)?.1, known));
        let model = Self::new(candidates, shortlist, orders, features);
        Ok(model
            .with_cold(cold.transpose()?)
            .with_rater(rater.transpose()?))
    }
}

impl fmt::Debug for TwoStageModel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("TwoStageModel")
            .field("candidates", &self.candidates)
            .field("ease", self.ease())
            .finish_non_exhaustive()
    }
}

//! Both stages, behind the seam and in a file.

use std::fmt;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{BlendFile, Ease};
use mmdlrm_data::{Batch, Rated, RatedBag, RatedBags};
use mmdlrm_features::{Affinities, Features, Known, NewMovie};
use mmdlrm_model::Dlrm;
use mmdlrm_train::{
    Cause, Error, Kept, ListScorer, Persist, Ranker, RateNewcomer, Rater, Result, Session, Tensors,
    Visitor, Who, check_rows,
};
use rayon::prelude::*;

use super::columns::{self, Scales};
use super::shortlist::Shortlist;
use super::{TwoStage, check_candidates};
use crate::BestModel;

/// Names of the parts in the model's file.
const PROPOSES: &str = "ease";
const ORDERS: &str = "dlrm";
const SCALES: &str = "scales";
const RATES: &str = "rater";
/// Names of the tensors of the last.
const MEANS: &str = "means";
const DEVIATIONS: &str = "deviations";

/// What [`TwoStage`] learns.
///
/// The scores of the movies that the first stage proposes are those of the DLRM; all others come
/// after them, in the order of the first stage, and so does what the user rated. Somebody new is
/// the history of a few ratings: nothing is learned. Whoever rated nothing is told what the first
/// stage says, popularity.
pub struct TwoStageModel {
    candidates: usize,
    shortlist: Shortlist,
    scales: Scales,
    scorer: ListScorer,
    features: Features,
    rater: Option<BestModel>,
}

impl TwoStageModel {
    pub(super) fn new(
        candidates: usize,
        shortlist: Shortlist,
        scales: Scales,
        dlrm: Dlrm,
        features: Features,
    ) -> Result<Self> {
        let schema = columns::schema(&features)?;
        let modalities = features.modalities().to_vec();
        Ok(Self {
            scorer: ListScorer::new(dlrm, schema, modalities)?,
            candidates,
            shortlist,
            scales,
            features,
            rater: None,
        })
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
        self.scorer.model()
    }

    /// Writes the scores of all movies, `[movies]`.
    fn score_history(&self, user: u32, history: RatedBag, scores: &mut Vec<f32>) -> Result<()> {
        if history.is_empty() {
            // There is nothing to order by.
            return self.shortlist.ease.score_history(history, scores);
        }
        let all = |candidates| candidates;
        let proposed = self
            .shortlist
            .propose(history, self.candidates, all, scores)?;
        if proposed.movies.is_empty() {
            return Ok(());
        }
        let proposed = [(user, proposed)];
        let none = Vec::new();
        let schema = self.scorer.schema();
        let batch = columns::batch(&self.features, schema, &self.scales, &proposed, none);
        let mut ordered = Vec::new();
        self.scorer.score(&batch, &mut ordered)?;
        put_first(&proposed[0].1.movies, &ordered, scores);
        Ok(())
    }
}

/// Gives candidates the scores of the second stage; others come behind them, in the order that
/// their own scores have.
fn put_first(candidates: &[(u32, f32)], ordered: &[f32], scores: &mut [f32]) {
    let lowest = ordered.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = lowest - 1.0 - (highest - *score);
    }
    for (&(movie, _), &score) in candidates.iter().zip(ordered) {
        scores[movie as usize] = score;
    }
}

impl Ranker for TwoStageModel {
    fn parameters(&self) -> usize {
        let of_rater = self.rater.as_ref().map_or(0, Ranker::parameters);
        self.ease().parameters() + self.dlrm().parameters().len() + of_rater
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
        let file = file(config.candidates, &shortlist.ease, scales, dlrm, None)?;
        told(metrics, &file)
    })
}

fn file(
    candidates: usize,
    ease: &Ease,
    scales: &Scales,
    dlrm: &dyn Persist,
    rater: Option<&BestModel>,
) -> Result<BlendFile> {
    let mut tensors = Tensors::default();
    tensors.put(MEANS, scales.means.clone());
    tensors.put(DEVIATIONS, scales.deviations.clone());
    let file = BlendFile::default()
        .with(PROPOSES, 0.0, ease.to_safetensors()?)?
        .with(ORDERS, 1.0, dlrm.to_safetensors()?)?
        .with(SCALES, 0.0, tensors.to_safetensors(&candidates)?)?;
    match rater {
        None => Ok(file),
        Some(rater) => file.with(RATES, 0.0, rater.to_safetensors()?),
    }
}

impl Persist for TwoStageModel {
    fn kind() -> &'static str {
        "two-stage"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let Self {
            candidates,
            shortlist,
            scales,
            ..
        } = self;
        let rater = self.rater.as_ref();
        file(*candidates, &shortlist.ease, scales, self.dlrm(), rater)?.to_safetensors()
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let file = BlendFile::read(file)?;
        let ease = Ease::load(file.part(PROPOSES)?.1, known)?;
        let dlrm = Dlrm::load(file.part(ORDERS)?.1, known)?;
        let (candidates, kept) = Kept::from_safetensors::<usize>(file.part(SCALES)?.1)?;
        let scales = Scales {
            means: kept.get(MEANS)?.to_vec(),
            deviations: kept.get(DEVIATIONS)?.to_vec(),
        };
        check_candidates(candidates)?;
        if !scales.deviations.iter().all(|&it| it > 0.0) {
            let problem = "the model's file has a deviation that is not above 0";
            return Err(Error::Mismatch(problem.to_owned()));
        }
        let width = Affinities::names().len();
        if scales.means.len() != width || scales.deviations.len() != width {
            return Err(Error::Mismatch(format!(
                "the model's file has scales of {} and {} affinities, and there are {width}",
                scales.means.len(),
                scales.deviations.len()
            )));
        }
        let features = known.features().clone();
        let shortlist = Shortlist::of(ease, &features);
        let has_rater = file.names().any(|name| name == RATES);
        let rater = has_rater.then(|| BestModel::load(file.part(RATES)?.1, known));
        let model = Self::new(candidates, shortlist, scales, dlrm, features)?;
        Ok(model.with_rater(rater.transpose()?))
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

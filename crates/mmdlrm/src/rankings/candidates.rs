use mmdlrm_data::Candidates;
use mmdlrm_features::Features;
use mmdlrm_metrics::{Protocol, Standings};
use mmdlrm_train::{CandidateScore, Ranker, RunFolder, score_candidates};

use super::report::Ranking;
use super::tally::{Tally, UserFigures, figures};
use super::{Asked, Contestants};
use crate::Result;
use crate::measure::no_held_out;

/// Ranks each user's candidates by all contestants, and leaves the model's scores in the run's
/// folder.
pub(crate) fn rank_candidates(
    contestants: &Contestants,
    features: &Features,
    candidates: &Candidates,
    asked: &Asked,
    folder: &RunFolder,
) -> Result<Ranking> {
    let protocol = protocol_of(candidates);
    let mut all: Vec<Vec<UserFigures>> = Vec::new();
    for (number, ranker) in contestants.rankers().into_iter().enumerate() {
        let mut of_ranker = Vec::new();
        let mut rank = |write: &mut dyn FnMut(&[CandidateScore]) -> mmdlrm_train::Result<()>| {
            rank_by(ranker, features, candidates, |scored, standings| {
                of_ranker.push(figures(protocol, standings)?);
                write(scored)
            })
        };
        match number {
            0 => folder.write_candidates(features, rank)?,
            _ => rank(&mut |_| Ok(()))?,
        }
        all.push(of_ranker);
    }
    let mut tally = Tally::new(protocol, all.len());
    let counts = features.user_counts();
    for (place, row) in candidates.rows().iter().enumerate() {
        let user = features.users().row(row.user_id);
        let has_history = user.is_some_and(|user| counts[user as usize] > 0);
        tally.add(all.iter().map(|of_ranker| &of_ranker[place]), has_history)?;
    }
    let longest = candidates
        .rows()
        .iter()
        .map(|row| row.movie_ids.len())
        .max();
    let ranking = tally.ranking(asked, longest.unwrap_or(0), contestants.baselines())?;
    ranking.ok_or_else(no_held_out)
}

/// Figures of one model, a row of the candidates each.
pub(crate) fn figures_of_candidates(
    model: &dyn Ranker,
    features: &Features,
    candidates: &Candidates,
) -> Result<(Protocol, Vec<UserFigures>)> {
    let protocol = protocol_of(candidates);
    let mut all = Vec::with_capacity(candidates.rows().len());
    rank_by(model, features, candidates, |_scored, standings| {
        all.push(figures(protocol, standings)?);
        Ok(())
    })?;
    Ok((protocol, all))
}

/// The held-out movie against as many others as the longest row has.
fn protocol_of(candidates: &Candidates) -> Protocol {
    let others = candidates.rows().iter().map(|row| row.movie_ids.len() - 1);
    Protocol::SampledNegatives {
        count: others.max().unwrap_or(0),
    }
}

/// Hands out each user's scores, and where the movie that was held out stands.
fn rank_by(
    ranker: &dyn Ranker,
    features: &Features,
    candidates: &Candidates,
    mut take: impl FnMut(&[CandidateScore], &Standings) -> mmdlrm_train::Result<()>,
) -> mmdlrm_train::Result<()> {
    score_candidates(ranker, features, candidates, |scored| {
        let relevance = scored.iter().map(|it| f32::from(u8::from(it.held_out)));
        let relevance: Vec<f32> = relevance.collect();
        let scores: Vec<f64> = scored.iter().map(|it| it.score).collect();
        take(scored, &Standings::of(&relevance, &scores)?)
    })
}

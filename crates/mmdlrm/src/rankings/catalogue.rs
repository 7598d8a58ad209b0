use mmdlrm_data::{Candidates, Target};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_metrics::{Breakdown, PerUser, Protocol};
use mmdlrm_train::{RankedMovie, Ranker, RunFolder, TopList, UserScores, rank_users};

use super::protocols::{is_relevant, protocols};
use super::report::{GroupNdcg, RANKING_CUT_OFF, Rankings};
use super::tally::{Tally, UserFigures, figures};
use super::{Contestants, RankedUsers};
use crate::measure::{USER_GROUPS, no_held_out};
use crate::{Observer, Result, SplitConfig, Stage, Words};

/// Movies of each user that are kept in `rankings.parquet`.
const KEPT: usize = 100;
/// Rows that are written to it at a time.
const ROWS_AT_A_TIME: usize = 8192;

/// What is to be measured by ranking.
pub(crate) struct Asked<'a> {
    /// What is held out, which says what is measured …
    pub split: &'a SplitConfig,
    /// … in words.
    pub held_out: String,
    /// What the things of the data are called.
    pub words: Words,
    /// Whether movies are to compete that a file names.
    pub candidates: Option<&'a Candidates>,
    pub users: RankedUsers,
    /// Draws a sample of users.
    pub seed: u64,
    /// Whether the ratings lie on disk, because there are too many to hold.
    pub streamed: bool,
}

/// What one ranker does for one user.
struct Found {
    /// The best movies, of the model alone.
    best: Vec<(u32, f32)>,
    /// One a protocol.
    figures: Vec<UserFigures>,
    has_history: bool,
}

/// Ranks the catalogue for users with held-out ratings by all contestants, in one pass, and
/// leaves the best movies of each in the run's folder; `None` where nothing is to be ranked.
/// `test_users` are those with held-out ratings, by dense row, ascending.
pub(crate) fn rank_catalogue(
    contestants: &Contestants,
    data: &dyn TrainingData,
    test_users: Vec<u32>,
    asked: &Asked,
    run: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Option<Rankings>> {
    let features = data.features();
    let movies = features.movies().len();
    let Some(drawn) = asked
        .users
        .draw(test_users, movies, asked.seed, &asked.words)
    else {
        return Ok(None);
    };
    let pass = Pass::new(asked.split, features);
    let rankers = contestants.rankers();
    let mut collected = Collected::new(&pass, features, rankers.len());
    observer.begin(Stage::Rank, drawn.users.len() as u64);
    run.write_rankings(features, |write| {
        let look = |user: UserScores| pass.look(user);
        let users = Some(&drawn.users[..]);
        rank_users(&rankers, data, users, look, |user, found| {
            collected.add(user, &found)?;
            if collected.best.len() >= ROWS_AT_A_TIME {
                write(&collected.best)?;
                collected.best.clear();
            }
            observer.advance(1);
            Ok(())
        })?;
        write(&collected.best)
    })?;
    observer.end();
    let mut rankings = Vec::new();
    for (protocol, tally) in pass.protocols.iter().zip(&collected.tallies) {
        let competing = match protocol {
            Protocol::ColdItems => pass.cold.len(),
            _ => movies,
        };
        let ranking = tally.ranking(asked, competing, contestants.baselines())?;
        rankings.extend(ranking);
    }
    let ranked = (drawn.users.len() as u64, drawn.about);
    let groups = collected.by_user_ratings.groups(&asked.words);
    Rankings::new(rankings, ranked, groups).map_or_else(|| Err(no_held_out()), |it| Ok(Some(it)))
}

/// Figures of one model, a user each, under every protocol that follows from a split.
pub(crate) fn figures_of_users(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    split: &SplitConfig,
    users: Option<&[u32]>,
) -> Result<Vec<(Protocol, Vec<UserFigures>)>> {
    let pass = Pass::new(split, data.features());
    let protocols = pass.protocols.iter();
    let mut all: Vec<_> = protocols.map(|&protocol| (protocol, Vec::new())).collect();
    rank_users(
        &[model],
        data,
        users,
        |user| pass.look(user),
        |_user, found| {
            let figures = found.into_iter().flat_map(|it| it.figures);
            for ((_, users), figures) in all.iter_mut().zip(figures) {
                users.push(figures);
            }
            Ok(())
        },
    )?;
    Ok(all)
}

/// What the pass over the users came to so far.
struct Collected<'a> {
    features: &'a Features,
    /// One a protocol.
    tallies: Vec<Tally>,
    by_user_ratings: ByUserRatings,
    /// Best movies that are not written yet.
    best: Vec<RankedMovie>,
}

impl<'a> Collected<'a> {
    fn new(pass: &Pass, features: &'a Features, rankers: usize) -> Self {
        let protocols = pass.protocols.iter();
        Self {
            features,
            tallies: protocols.map(|&it| Tally::new(it, rankers)).collect(),
            by_user_ratings: ByUserRatings::new(features.user_counts(), pass.ndcg()),
            best: Vec::with_capacity(ROWS_AT_A_TIME),
        }
    }

    /// Adds a user, by dense row, and what each ranker does for them, the model first.
    fn add(&mut self, user: u32, found: &[Found]) -> mmdlrm_train::Result<()> {
        let has_history = found.iter().all(|it| it.has_history);
        for (number, tally) in self.tallies.iter_mut().enumerate() {
            tally.add(found.iter().map(|it| &it.figures[number]), has_history)?;
        }
        let Some(of_model) = found.first() else {
            return Ok(());
        };
        self.by_user_ratings.add(user, &of_model.figures[0])?;
        let user_id = self.features.users().ids()[user as usize];
        let movie_ids = self.features.movies().ids();
        let best = (1..).zip(&of_model.best);
        self.best.extend(best.map(|(rank, &(movie, score))| {
            RankedMovie::new(user_id, rank, movie_ids[movie as usize], score)
        }));
        Ok(())
    }
}

/// What is looked at in each user's scores.
struct Pass {
    protocols: Vec<Protocol>,
    /// Movies without a training rating, ascending.
    cold: Vec<u32>,
    target: Target,
}

impl Pass {
    fn new(split: &SplitConfig, features: &Features) -> Self {
        let counts = (0u32..).zip(features.movie_counts());
        let cold = counts.filter(|&(_, count)| count == 0);
        let cold: Vec<u32> = cold.map(|(movie, _)| movie).collect();
        Self {
            protocols: protocols(split, !cold.is_empty(), features.target()),
            cold,
            target: features.target(),
        }
    }

    /// Which of the first protocol's metrics is nDCG.
    fn ndcg(&self) -> usize {
        let metrics = self.protocols[0].metrics().iter();
        let is_ndcg = |metric| matches!(metric, mmdlrm_metrics::RankingMetric::Ndcg(_));
        metrics.copied().position(is_ndcg).unwrap_or(0)
    }

    fn look(&self, user: UserScores) -> mmdlrm_train::Result<Found> {
        let list = TopList::new(user.scores, user.known, KEPT);
        let held_out = user.held_out.iter().copied();
        let rated = held_out.filter(|&(_, stars)| is_relevant(self.target, stars));
        let all = list.standings(rated.clone())?;
        let of = |&protocol: &Protocol| {
            Ok(match protocol {
                Protocol::Liked => {
                    let limit = self.target.liked();
                    let liked = rated.clone().filter(|rated| rated.1 >= limit);
                    figures(protocol, &list.standings(liked)?)?
                }
                Protocol::ColdItems => {
                    let (scores, known) = (user.scores, user.known);
                    let list = TopList::among(&self.cold, scores, known, RANKING_CUT_OFF);
                    figures(protocol, &list.standings(rated.clone())?)?
                }
                _ => figures(protocol, &all)?,
            })
        };
        let figures = self.protocols.iter().map(of);
        Ok(Found {
            figures: figures.collect::<mmdlrm_train::Result<_>>()?,
            best: match user.ranker {
                0 => list.best().to_vec(),
                _ => Vec::new(),
            },
            has_history: user.has_history,
        })
    }
}

/// The model's nDCG by the training ratings of the user.
struct ByUserRatings {
    counts: Vec<u32>,
    ndcg: usize,
    groups: Breakdown<PerUser>,
}

impl ByUserRatings {
    fn new(counts: Vec<u32>, ndcg: usize) -> Self {
        Self {
            counts,
            ndcg,
            groups: Breakdown::new(&USER_GROUPS),
        }
    }

    fn add(&mut self, user: u32, figures: &UserFigures) -> mmdlrm_metrics::Result<()> {
        match figures {
            None => Ok(()),
            Some(figures) => {
                let group = self.groups.at(self.counts[user as usize].into());
                group.add(figures[self.ndcg])
            }
        }
    }

    fn groups(&self, words: &Words) -> Vec<GroupNdcg> {
        let groups = self.groups.groups().map(|(ratings, ndcg)| GroupNdcg {
            group: format!("user with {ratings} training {}", words.ratings),
            users: ndcg.users(),
            ndcg: ndcg.mean(),
        });
        groups.collect()
    }
}

use mmdlrm_data::RatedBag;
use mmdlrm_features::{TrainingData, UserRows};
use mmdlrm_metrics::{Gain, PerUser};
use rayon::prelude::*;

use super::TopList;
use crate::evaluate::all_came;
use crate::{Error, Ranker, Result, Who, score_all};

/// Users whose scores are computed at a time.
const USERS_AT_A_TIME: usize = 32;
/// Pairs of user and movie up to which all users are validated by …
const MOST_PAIRS: u64 = 2_000_000_000;
/// … and how many are enough beyond that.
const ENOUGH_USERS: usize = 10_000;

/// What one ranker says of the whole catalogue for one user, and what the user rated.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct UserScores<'a> {
    /// Dense row of the user.
    pub user: u32,
    /// Number of the ranker among those that are asked.
    pub ranker: usize,
    /// Of each movie by dense row, `[movies]`: finite numbers.
    pub scores: &'a [f32],
    /// Movies of the user's training and validation sets, ascending, each once.
    pub known: &'a [u32],
    /// Movies that are held out and their stars, ascending, each once; of a movie that was
    /// rated twice the later rating.
    pub held_out: &'a [(u32, f32)],
    /// Whether the user has a training rating.
    pub has_history: bool,
}

/// Asks all `rankers` for each user with held-out ratings, in one pass over the data: `look`
/// gets the scores of each ranker, on all threads, and `take` what it made of those, a value a
/// ranker, in the order of the users. `users`, dense rows that ascend, are those to ask about;
/// `None` for all.
///
/// A user without a training rating is asked about as any other: a ranker has to put movies
/// into some order for them.
///
/// Memory is that of a few users' scores, whatever the number of users.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, scores that are no
/// numbers, and what `look` or `take` return.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, TrainingData};
/// use mmdlrm_model::Dlrm;
/// use mmdlrm_train::{Scorer, TopList, rank_users, shapes};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let model = |seed| -> mmdlrm_train::Result<_> {
///     let model = Dlrm::new(shapes::dlrm(dataset.features(), 8), seed)?;
///     Scorer::new(model, dataset.features().clone())
/// };
/// let (one, other) = (model(1)?, model(2)?);
/// let mut alike = 0;
/// rank_users(
///     &[&one, &other],
///     &dataset,
///     None,
///     |user| Ok(TopList::new(user.scores, user.known, 1).best()[0].0),
///     |_user, best| {
///         alike += usize::from(best[0] == best[1]);
///         Ok(())
///     },
/// )?;
/// assert!(alike < dataset.features().users().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn rank_users<T: Send>(
    rankers: &[&dyn Ranker],
    data: &dyn TrainingData,
    users: Option<&[u32]>,
    look: impl Fn(UserScores) -> Result<T> + Sync,
    take: impl FnMut(u32, Vec<T>) -> Result<()>,
) -> Result<()> {
    let mut held_out = 0;
    let asked = |user: &UserRows| {
        held_out += user.held_out.len();
        let is_asked = users.is_none_or(|users| users.binary_search(&user.user).is_ok());
        is_asked.then(|| {
            Waiting::of(
                user.user,
                user.known(),
                user.held_out,
                !user.trained.is_empty(),
            )
        })
    };
    rank(rankers, data, asked, look, take)?;
    all_came("held-out ratings", held_out, data.test_rows())
}

/// As [`rank_users`]: `asked` says who is asked about, and what is relevant to them.
fn rank<T: Send>(
    rankers: &[&dyn Ranker],
    data: &dyn TrainingData,
    mut asked: impl FnMut(&UserRows) -> Option<Waiting>,
    look: impl Fn(UserScores) -> Result<T> + Sync,
    mut take: impl FnMut(u32, Vec<T>) -> Result<()>,
) -> Result<()> {
    let features = data.features();
    if features.users().is_empty() || features.movies().is_empty() {
        return Ok(());
    }
    let block = Block {
        rankers,
        movies: features.movies().len(),
    };
    let mut waiting: Vec<Waiting> = Vec::with_capacity(USERS_AT_A_TIME);
    data.for_each_user(|user| {
        let Some(asked) = asked(&user).filter(|asked| !asked.held_out.is_empty()) else {
            return Ok(());
        };
        waiting.push(asked);
        if waiting.len() == USERS_AT_A_TIME {
            block.ask(&waiting, &look, &mut take)?;
            waiting.clear();
        }
        Ok::<_, Error>(())
    })?;
    block.ask(&waiting, &look, &mut take)
}

/// nDCG@`k` over the whole catalogue: for each user with held-out ratings, all
/// movies outside the user's training and validation sets are ranked by predicted score; the
/// relevance of a movie is its held-out rating, 0 where there is none; the
/// mean is over users. `on_user` gets each user, by dense row, and nDCG as they are
/// computed.
///
/// Memory is that of a few users' scores, whatever the number of users.
///
/// # Errors
/// A model that does not fit the data, data of which rows are missing, scores that are
/// no numbers, `k` of 0, or what `on_user` returns.
pub fn rank_catalogue(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    k: usize,
    mut on_user: impl FnMut(u32, f64) -> Result<()>,
) -> Result<PerUser> {
    let mut ranking = PerUser::default();
    let look = |user: UserScores| ndcg(&user, k, None);
    rank_users(&[model], data, None, look, |user, found| {
        for ndcg in found {
            ranking.add(ndcg)?;
            on_user(user, ndcg)?;
        }
        Ok(())
    })?;
    Ok(ranking)
}

/// Of what is relevant among the movies that the user does not know, or, if there are `some`,
/// among these of them.
fn ndcg(user: &UserScores, k: usize, some: Option<&[u32]>) -> Result<f64> {
    let list = match some {
        None => TopList::new(user.scores, user.known, k),
        Some(movies) => TopList::among(movies, user.scores, user.known, k),
    };
    let standings = list.standings(user.held_out.iter().copied())?;
    Ok(standings.ndcg(k, Gain::Linear)?)
}

/// nDCG@`k` over the whole catalogue, of what users rated in the validation set: as
/// [`rank_catalogue`], but all movies outside the user's training set compete, and the relevant
/// ones are those of the validation set. Where these are all of movies without a training rating,
/// movies without one compete alone: among others the first would say nothing of them. `None` where
/// there is no validation row. What is held out is not looked at: by this figure epochs and settings
/// can be chosen.
///
/// Where all that would be more than 2 billion pairs of user and movie, as of ml-25m, one
/// user of so many is looked at, about 10,000 in all.
///
/// # Errors
/// As [`rank_catalogue`].
pub fn validation_ndcg(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    k: usize,
) -> Result<Option<f64>> {
    if data.validation_rows() == 0 {
        return Ok(None);
    }
    let Validated { cold, users } = Validated::of(data)?;
    let pairs = users as u64 * data.features().movies().len() as u64;
    let apart = match pairs > MOST_PAIRS {
        true => users.div_ceil(ENOUGH_USERS),
        false => 1,
    };
    let mut number = 0;
    let mut ranking = PerUser::default();
    let mut seen = 0;
    let asked = |user: &UserRows| {
        if user.validated.is_empty() {
            return None;
        }
        seen += user.validated.len();
        number += 1;
        if (number - 1) % apart != 0 {
            return None;
        }
        let trained = user.trained.ids.to_vec();
        let has_history = !trained.is_empty();
        Some(Waiting::of(user.user, trained, user.validated, has_history))
    };
    let look = |user: UserScores| ndcg(&user, k, cold.as_deref());
    rank(&[model], data, asked, look, |_user, found| {
        Ok(found.into_iter().try_for_each(|ndcg| ranking.add(ndcg))?)
    })?;
    all_came("validation ratings", seen, data.validation_rows())?;
    Ok(ranking.mean())
}

/// What the validation rows are.
struct Validated {
    /// Movies without a training rating, ascending, if the ratings are of these alone.
    cold: Option<Vec<u32>>,
    /// How many users they are of.
    users: usize,
}

impl Validated {
    fn of(data: &dyn TrainingData) -> Result<Self> {
        let counts = data.features().movie_counts();
        let (mut are_cold, mut users) = (true, 0);
        data.for_each_user(|user| {
            let mut movies = user.validated.ids.iter();
            are_cold &= movies.all(|&movie| counts[movie as usize] == 0);
            users += usize::from(!user.validated.is_empty());
            Ok::<_, Error>(())
        })?;
        let cold = (0..).zip(counts).filter(|&(_, count)| count == 0);
        Ok(Self {
            cold: are_cold.then(|| cold.map(|(movie, _)| movie).collect()),
            users,
        })
    }
}

/// A user who waits to be ranked for.
struct Waiting {
    user: u32,
    known: Vec<u32>,
    held_out: Vec<(u32, f32)>,
    has_history: bool,
}

impl Waiting {
    /// Of a user who knows some movies, and to whom what `relevant` names is relevant.
    fn of(user: u32, mut known: Vec<u32>, relevant: RatedBag, has_history: bool) -> Self {
        known.sort_unstable();
        known.dedup();
        // The later of two ratings of a movie stays behind the earlier one, and is taken.
        let mut held_out: Vec<(u32, f32)> = relevant.stars_by_id().collect();
        held_out.reverse();
        held_out.sort_by_key(|rated| rated.0);
        held_out.dedup_by_key(|rated| rated.0);
        Self {
            user,
            known,
            held_out,
            has_history,
        }
    }
}

/// Who is asked about some users at once.
struct Block<'a> {
    rankers: &'a [&'a dyn Ranker],
    movies: usize,
}

impl Block<'_> {
    fn ask<T: Send>(
        &self,
        waiting: &[Waiting],
        look: &(impl Fn(UserScores) -> Result<T> + Sync),
        take: &mut impl FnMut(u32, Vec<T>) -> Result<()>,
    ) -> Result<()> {
        if waiting.is_empty() {
            return Ok(());
        }
        let users: Vec<u32> = waiting.iter().map(|user| user.user).collect();
        let mut found: Vec<Vec<T>> = waiting.iter().map(|_| Vec::new()).collect();
        let mut scores = Vec::new();
        for (ranker, model) in self.rankers.iter().enumerate() {
            score_all(*model, Who::Users(&users), self.movies, &mut scores)?;
            let of_users = scores.par_chunks_exact(self.movies).zip(waiting);
            let of_ranker = of_users.map(|(scores, user)| {
                look(UserScores {
                    user: user.user,
                    ranker,
                    scores,
                    known: &user.known,
                    held_out: &user.held_out,
                    has_history: user.has_history,
                })
            });
            let of_ranker: Vec<T> = of_ranker.collect::<Result<_>>()?;
            for (found, of_ranker) in found.iter_mut().zip(of_ranker) {
                found.push(of_ranker);
            }
        }
        for (user, found) in users.into_iter().zip(found) {
            take(user, found)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use mmdlrm_data::{MovieLens, Rated, Split, generate};
    use mmdlrm_features::Dataset;

    use super::*;
    use crate::Visitor;

    /// Scores movies by their rows, those of the first rows the highest.
    struct ByRow(usize);

    impl Ranker for ByRow {
        fn parameters(&self) -> usize {
            0
        }

        fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
            scores.clear();
            let of_user = || (0..self.0).map(|row| -(row as f32));
            (0..who.len()).for_each(|_| scores.extend(of_user()));
            Ok(())
        }

        fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
            Ok(Visitor::new(ratings.to_vec(), ()))
        }
    }

    #[test]
    fn validation_movies_without_training_ratings_compete_with_their_like_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        generate::write(&dir, &generate::GeneratorConfig::tiny(), |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let ratings = &movielens.ratings;
        let index = movielens.movies.index();
        let movies = movielens.movies.ids().len() as u32;
        // All ratings of the last movies: others have higher scores.
        let is_validated = |&row: &u32| {
            let id = ratings.movie_ids()[row as usize];
            index.row(id).unwrap() >= movies - 10
        };
        let rows = 0..ratings.len() as u32;
        let validated: Vec<u32> = rows.filter(is_validated).collect();
        let ndcg = |rows: Vec<u32>, split: Split| {
            let split = split.with_validation_rows(rows).unwrap();
            let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
            validation_ndcg(&ByRow(movies as usize), &data, 10)
                .unwrap()
                .unwrap()
        };
        let all: Vec<u32> = (0..ratings.len() as u32).collect();
        let whole = Split::new(ratings.len(), all, Vec::new()).unwrap();
        let cold = ndcg(validated.clone(), whole.clone());
        // With one rating left to train on, its movie's competitors are all.
        let warm = ndcg(validated[1..].to_vec(), whole);
        assert!(cold > 0.3 && warm < 0.1, "{cold} {warm}");
    }
}

//! Lists to learn from: a part of the ratings is held back, and is to come first among what the
//! rest proposes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mmdlrm_data::{Batch, BatchSchema, DataFingerprint, DataPart, Modality, RatedBags};
use mmdlrm_features::Features;
use mmdlrm_train::{Error, ListBatches, ListData, Result};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::TwoStage;
use super::columns::{self, Inputs, Scales};
use super::task::{Proposed, Proposes, Task, random};

/// Movies of a list.
pub(super) const LENGTH: usize = 96;
/// Most of a list that were held back.
const MOST_HELD_BACK: usize = 32;
/// Lists by which affinities are scaled.
const LISTS_OF_SCALES: usize = 4096;

/// The training ratings of all users, to draw lists from.
pub(super) struct Lists<'a, T: Task> {
    task: &'a T,
    config: &'a TwoStage,
    features: &'a Features,
    histories: Arc<RatedBags>,
    fingerprint: DataFingerprint,
    inputs: Inputs,
    schema: BatchSchema,
    /// Users of two movies or more, of which a draw may hold back some.
    users: Vec<u32>,
    /// The latest draw and its number, for epochs that share it.
    drawn: Mutex<Option<Numbered<T::First>>>,
    pub scales: Scales,
}

/// What is held back, and what the rest proposes.
struct Draw<F> {
    first: F,
    held_back: RatedBags,
    seed: u64,
}

/// A draw with its number.
type Numbered<F> = (u64, Arc<Draw<F>>);

/// A list: movies with what is known of them, and the stars of those that were held back.
struct List {
    proposed: Proposed,
    relevance: Vec<f32>,
}

impl<'a, T: Task> Lists<'a, T> {
    pub fn new(
        task: &'a T,
        config: &'a TwoStage,
        features: &'a Features,
        histories: Arc<RatedBags>,
        fingerprint: DataFingerprint,
    ) -> Result<Self> {
        let users = (0..histories.len() as u32).filter(|&user| {
            // A movie that is rated twice is one to find.
            let ids = histories.row(user).ids;
            ids.first()
                .is_some_and(|first| ids.iter().any(|id| id != first))
        });
        let settings = serde_json::to_string(&(
            config.candidates,
            config.to_find,
            config.held_back,
            config.lists_an_epoch,
            &config.ease,
        ))?;
        let settings = DataPart::of_words(task.name(), settings.bytes().map(u32::from));
        let inputs = task.inputs();
        let mut lists = Self {
            users: users.collect(),
            drawn: Mutex::default(),
            schema: columns::schema(features, &inputs)?,
            inputs,
            scales: Scales::default(),
            task,
            config,
            features,
            histories,
            fingerprint: fingerprint.with([settings].into_iter().collect()),
        };
        if lists.users.is_empty() {
            return Err(too_few_ratings());
        }
        lists.scales = lists.scales()?;
        Ok(lists)
    }

    /// Of the first draw.
    fn scales(&self) -> Result<Scales> {
        let first = self.config.train.draw_of_epoch(1);
        let draw = self.draw_once(first)?;
        let apart = self.users.len().div_ceil(LISTS_OF_SCALES).max(1);
        let users = self.users.par_iter().step_by(apart);
        let lists = users.map(|&user| self.list(&draw, user));
        let lists: Vec<List> = lists.collect::<Result<_>>()?;
        let width = self.inputs.names.len();
        let rows = lists
            .iter()
            .flat_map(|list| list.proposed.features.chunks_exact(width));
        Ok(Scales::of(width, rows))
    }

    /// Holds back some ratings, and fits the first stage to the rest.
    fn draw(&self, seed: u64) -> Result<Draw<T::First>> {
        let held = self.task.held_back(&self.histories, seed);
        let of = |wanted: bool| {
            let users = (0..).zip(&held);
            let rows = users.flat_map(move |(user, held)| {
                let rows = self.histories.row(user).rows_of(user).zip(held);
                rows.filter(move |&(_, &held)| held == wanted)
                    .map(|(row, _)| row)
            });
            RatedBags::of_users(self.histories.len(), rows)
        };
        let held_back = of(true);
        Ok(Draw {
            first: self.task.fit(Arc::new(of(false)), &held_back)?,
            held_back,
            seed,
        })
    }

    /// The same, kept for who asks for it again.
    fn draw_once(&self, seed: u64) -> Result<Arc<Draw<T::First>>> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match &*drawn {
            Some((of, draw)) if *of == seed => Ok(Arc::clone(draw)),
            _ => {
                // Only one is in memory at a time.
                *drawn = None;
                let draw = Arc::new(self.draw(seed)?);
                *drawn = Some((seed, Arc::clone(&draw)));
                Ok(draw)
            }
        }
    }

    /// Epochs that it takes to see every user once.
    fn epochs(&self) -> u64 {
        let lists = self.config.lists_an_epoch;
        self.users.len().div_ceil(lists).max(1) as u64
    }

    /// The list of a user: what was held back of what is proposed, and others by chance.
    fn list(&self, draw: &Draw<T::First>, user: u32) -> Result<List> {
        // Of two ratings of a movie the later.
        let held = draw
            .held_back
            .row(user)
            .stars_by_id()
            .take(self.task.most());
        let held: HashMap<u32, f32> = held.collect();
        let stars = |movie: u32| held.get(&movie).copied().unwrap_or_default();
        let mut random = random(!draw.seed, user);
        let ease = draw.first.ease();
        let (history, mut scores) = (ease.histories().row(user), Vec::new());
        ease.score_history(history, &mut scores)?;
        let mut choose = |mut candidates: Vec<(u32, f32)>| {
            // Whoever alone rated anything is proposed nothing: a list of any movie teaches nothing.
            if candidates.is_empty() {
                candidates.push((0, 0.0));
            }
            let (mut found, mut others): (Vec<_>, Vec<_>) = candidates
                .into_iter()
                .partition(|&(movie, _)| stars(movie) > 0.0);
            found.shuffle(&mut random);
            found.truncate(MOST_HELD_BACK);
            others.shuffle(&mut random);
            // Where there are too few they come again.
            let count = LENGTH - found.len();
            let others: Vec<_> = others.iter().copied().cycle().take(count).collect();
            let again = found.clone();
            found.extend(others);
            let missing = LENGTH - found.len();
            found.extend(again.into_iter().cycle().take(missing));
            found
        };
        let count = self.config.candidates;
        let proposed = draw
            .first
            .propose(&scores, history, history.ids, count, &mut choose);
        let relevance = proposed.movies.iter().map(|&(movie, _)| stars(movie));
        Ok(List {
            relevance: relevance.collect(),
            proposed,
        })
    }

    fn batch(&self, draw: &Draw<T::First>, users: &[u32]) -> Result<Batch> {
        let lists = users
            .par_iter()
            .map(|&user| Ok((user, self.list(draw, user)?)));
        let lists: Vec<(u32, List)> = lists.collect::<Result<_>>()?;
        let (proposed, relevance): (Vec<_>, Vec<_>) = lists
            .into_iter()
            .map(|(user, list)| ((user, list.proposed), list.relevance))
            .unzip();
        let relevance = relevance.concat();
        Ok(columns::batch(
            self.features,
            &self.inputs,
            &self.schema,
            &self.scales,
            &proposed,
            relevance,
        ))
    }
}

impl<T: Task> ListData for Lists<'_, T> {
    fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    fn modalities(&self) -> &[Modality] {
        self.inputs.modalities(self.features)
    }

    fn lists(&self) -> usize {
        self.users.len() / self.epochs() as usize
    }

    fn length(&self) -> usize {
        LENGTH
    }

    fn batches(&self, lists: usize, draw: u64, first: usize) -> Result<ListBatches<'_>> {
        // So many epochs go over the users once, and what is fitted to what a draw leaves, which
        // takes longer the more users there are, serves them all.
        let first_draw = self.config.train.draw_of_epoch(1);
        let epoch = draw.wrapping_sub(first_draw);
        let draw = first_draw.wrapping_add(epoch / self.epochs());
        let epoch = (epoch % self.epochs()) as usize;
        let mut users = self.users.clone();
        users.shuffle(&mut random(draw, u32::MAX));
        let users = users.split_off(epoch * self.lists());
        let draw = self.draw_once(draw)?;
        let starts = (first * lists..self.lists()).step_by(lists);
        Ok(Box::new(starts.map(move |start| {
            let end = self.lists().min(start + lists);
            self.batch(&draw, &users[start..end])
        })))
    }

    fn fingerprint(&self) -> DataFingerprint {
        self.fingerprint.clone()
    }
}

/// There is nothing to learn from.
pub(super) fn too_few_ratings() -> Error {
    Error::Setting {
        setting: "training ratings",
        value: "none, or of one movie, of each user".to_owned(),
        rule: "one is to be found by another; some user must have two or more",
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{MovieLens, RatedBag, Split, generate};
    use mmdlrm_features::{Dataset, TrainingData};

    use super::*;
    use crate::two_stage::ToFind;
    use crate::two_stage::task::Rated;

    /// Does something with the lists of a made-up release.
    fn with_lists(config: &TwoStage, look_at: impl Fn(&Lists<Rated>)) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("sample");
        let sample = generate::GeneratorConfig {
            contents: false,
            ..generate::GeneratorConfig::tiny()
        };
        generate::write(&folder, &sample, |_| {}).unwrap();
        let movielens = MovieLens::open(&folder).unwrap();
        let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
        let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
        let data: &dyn TrainingData = &data;
        let (features, all) = (data.features(), data.training_histories().unwrap());
        let task = Rated { config, features };
        look_at(&Lists::new(&task, config, features, all, data.fingerprint()).unwrap());
    }

    /// Looks at a draw of each user's ratings and the lists made of it.
    fn draw(to_find: ToFind, look_at: impl Fn(RatedBag, RatedBag, &List)) {
        let config = TwoStage {
            to_find,
            ..TwoStage::default()
        };
        with_lists(&config, |lists| {
            let draw = lists.draw(7).unwrap();
            let mut found = 0;
            for &user in &lists.users {
                let kept = draw.first.ease().histories().row(user);
                let held = draw.held_back.row(user);
                assert_eq!(kept.len() + held.len(), lists.histories.row(user).len());
                assert!(!held.is_empty() && !kept.is_empty());
                let list = lists.list(&draw, user).unwrap();
                assert_eq!(list.proposed.movies.len(), LENGTH);
                for (&(movie, _), stars) in list.proposed.movies.iter().zip(&list.relevance) {
                    assert!(!kept.ids.contains(&movie));
                    found += usize::from(*stars > 0.0);
                }
                look_at(kept, held, &list);
            }
            assert!(found > 0);
        });
    }

    #[test]
    fn epochs_of_many_users_share_a_draw_and_go_over_all_of_them() {
        let config = TwoStage {
            lists_an_epoch: 5,
            ..TwoStage::default()
        };
        with_lists(&config, |lists| {
            assert_eq!((lists.epochs(), lists.lists()), (4, 5));
            let epoch = |epoch| {
                let batches = lists
                    .batches(16, config.train.draw_of_epoch(epoch), 0)
                    .unwrap();
                let users = batches.flat_map(|batch| batch.unwrap().users);
                let mut users: Vec<u32> = users.step_by(LENGTH).collect();
                let draw = lists.drawn.lock().unwrap().as_ref().unwrap().0;
                assert_eq!(users.len(), 5);
                users.sort_unstable();
                (draw, users)
            };
            let (first, mut users) = epoch(1);
            for number in 2..=4 {
                let (draw, others) = epoch(number);
                assert_eq!(draw, first);
                users.extend(others);
            }
            users.sort_unstable();
            users.dedup();
            assert_eq!(users.len(), 20);
            assert_ne!(epoch(5).0, first);
        });
    }

    /// Movies of a list that are to be found, and their stars.
    fn found(list: &List) -> impl Iterator<Item = (u32, f32)> {
        let movies = list.proposed.movies.iter().zip(&list.relevance);
        movies
            .filter(|&(_, &stars)| stars > 0.0)
            .map(|(&(movie, _), &stars)| (movie, stars))
    }

    #[test]
    fn what_is_held_back_is_in_no_history_and_comes_back_in_the_lists() {
        draw(ToFind::Any, |kept, held, list| {
            assert!(held.ids.iter().all(|id| !kept.ids.contains(id)));
            let held: HashMap<u32, f32> = held.stars_by_id().collect();
            for (movie, stars) in found(list) {
                assert_eq!(Some(&stars), held.get(&movie));
            }
        });
    }

    #[test]
    fn the_latest_ratings_are_found_by_those_before_them() {
        draw(ToFind::Latest, |kept, held, list| {
            assert!(kept.timestamps.last() <= held.timestamps.first());
            assert!(held.len() <= (kept.len() + held.len()).div_ceil(5));
            assert!(found(list).all(|(movie, _)| held.ids.contains(&movie)));
        });
    }

    #[test]
    fn what_comes_next_is_one_rating() {
        draw(ToFind::Next, |kept, held, list| {
            assert!(kept.timestamps.last() <= held.timestamps.first());
            assert!(found(list).all(|(movie, _)| movie == held.ids[0]));
        });
    }
}

//! Lists to learn from: a part of the ratings is held back, and is to come first among what the
//! rest proposes.

use std::sync::Arc;

use mmdlrm_data::{Batch, BatchSchema, DataFingerprint, Modality, Rated, RatedBags};
use mmdlrm_features::Features;
use mmdlrm_train::{ListBatches, ListData, Result};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::TwoStage;
use super::columns::{self, Scales};
use super::shortlist::{Proposed, Shortlist};

/// Movies of a list.
pub(super) const LENGTH: usize = 96;
/// Most of a list that were held back.
const MOST_HELD_BACK: usize = 32;
/// Lists by which affinities are scaled.
const LISTS_OF_SCALES: usize = 4096;

/// The training ratings of all users, to draw lists from.
pub(super) struct Lists<'a> {
    config: &'a TwoStage,
    features: &'a Features,
    histories: Arc<RatedBags>,
    fingerprint: DataFingerprint,
    schema: BatchSchema,
    /// Users with so many ratings that one can be held back.
    users: Vec<u32>,
    pub scales: Scales,
}

/// What is held back, and what the rest proposes.
struct Draw {
    shortlist: Shortlist,
    held_back: RatedBags,
    seed: u64,
}

/// A list: movies with their affinities, and the stars of those that were held back.
struct List {
    proposed: Proposed,
    relevance: Vec<f32>,
}

impl<'a> Lists<'a> {
    pub fn new(
        config: &'a TwoStage,
        features: &'a Features,
        histories: Arc<RatedBags>,
        fingerprint: DataFingerprint,
    ) -> Result<Self> {
        let users = (0..histories.len() as u32).filter(|&user| histories.row(user).len() > 1);
        let mut lists = Self {
            users: users.collect(),
            schema: columns::schema(features)?,
            scales: Scales::default(),
            config,
            features,
            histories,
            fingerprint,
        };
        lists.scales = lists.scales()?;
        Ok(lists)
    }

    /// Of a draw that is not learned from.
    fn scales(&self) -> Result<Scales> {
        let draw = self.draw(!self.config.train.seed)?;
        let users = &self.users[..self.users.len().min(LISTS_OF_SCALES)];
        let lists = users.par_iter().map(|&user| self.list(&draw, user));
        let lists: Vec<List> = lists.collect::<Result<_>>()?;
        let width = mmdlrm_features::Affinities::names().len();
        let rows = lists
            .iter()
            .flat_map(|list| list.proposed.affinities.chunks_exact(width));
        Ok(Scales::of(rows))
    }

    /// Holds back a share of each user's ratings, and fits the first stage to the rest.
    fn draw(&self, seed: u64) -> Result<Draw> {
        let users = 0..self.histories.len() as u32;
        let drawn: Vec<(Vec<Rated>, Vec<Rated>)> = users
            .into_par_iter()
            .map(|user| {
                let rows: Vec<Rated> = self.histories.row(user).rows_of(user).collect();
                let mut random = random(seed, user);
                let share = self.config.held_back;
                let mut held: Vec<bool> = rows.iter().map(|_| random.random_bool(share)).collect();
                // One is to be found, and one to find it by.
                if rows.len() > 1 {
                    let (all, none) = (held.iter().all(|&it| it), held.iter().all(|&it| !it));
                    if all || none {
                        held[random.random_range(0..rows.len())] = none;
                    }
                } else {
                    held.fill(false);
                }
                let of = |wanted: bool| {
                    let rows = rows.iter().zip(&held).filter(|&(_, &held)| held == wanted);
                    rows.map(|(&row, _)| row).collect()
                };
                (of(false), of(true))
            })
            .collect();
        let count = self.histories.len();
        let kept = drawn.iter().flat_map(|(kept, _)| kept.iter().copied());
        let held_back = drawn.iter().flat_map(|(_, held)| held.iter().copied());
        let kept = Arc::new(RatedBags::of_users(count, kept));
        Ok(Draw {
            shortlist: Shortlist::fit(kept, self.features, &self.config.ease)?,
            held_back: RatedBags::of_users(count, held_back),
            seed,
        })
    }

    /// The list of a user: what was held back of what is proposed, and others by chance.
    fn list(&self, draw: &Draw, user: u32) -> Result<List> {
        let mut held: Vec<(u32, f32)> = draw.held_back.row(user).stars_by_id().collect();
        held.sort_unstable_by_key(|&(movie, _)| movie);
        let stars = |movie: u32| {
            let place = held.binary_search_by_key(&movie, |&(movie, _)| movie);
            place.map_or(0.0, |place| held[place].1)
        };
        let mut random = random(!draw.seed, user);
        let history = draw.shortlist.histories().row(user);
        let choose = |candidates: Vec<(u32, f32)>| {
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
            .shortlist
            .propose(history, count, choose, &mut Vec::new())?;
        let relevance = proposed.movies.iter().map(|&(movie, _)| stars(movie));
        Ok(List {
            relevance: relevance.collect(),
            proposed,
        })
    }

    fn batch(&self, draw: &Draw, users: &[u32]) -> Result<Batch> {
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
            &self.schema,
            &self.scales,
            &proposed,
            relevance,
        ))
    }
}

impl ListData for Lists<'_> {
    fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    fn modalities(&self) -> &[Modality] {
        self.features.modalities()
    }

    fn lists(&self) -> usize {
        self.users.len()
    }

    fn length(&self) -> usize {
        LENGTH
    }

    fn batches(&self, lists: usize, draw: u64, first: usize) -> Result<ListBatches<'_>> {
        let mut users = self.users.clone();
        users.shuffle(&mut random(draw, u32::MAX));
        let draw = self.draw(draw)?;
        let starts = (first * lists..users.len()).step_by(lists);
        Ok(Box::new(starts.map(move |start| {
            let end = users.len().min(start + lists);
            self.batch(&draw, &users[start..end])
        })))
    }

    fn fingerprint(&self) -> DataFingerprint {
        self.fingerprint.clone()
    }
}

/// Numbers of a user of a draw, whatever thread asks.
fn random(seed: u64, user: u32) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(user.into());
    random
}

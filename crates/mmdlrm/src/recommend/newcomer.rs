//! Movies that nobody has rated.

use std::sync::{Arc, Mutex, PoisonError};

use mmdlrm_encoders::Kind;
use mmdlrm_features::NewMovie;
use mmdlrm_model::top_k;
use mmdlrm_train::check_numbers;

use super::{Fan, Newcomer, Recommender};
use crate::made_from::{EncodersUsed, MadeFrom, Opened};
use crate::modalities::Encoders;
use crate::saved::SavedConfig;
use crate::sources::load_again;
use crate::{Error, ExperimentConfig, Result};

/// Users whose stars are predicted at a time: a multiple of what a thread takes through the
/// model at once.
const USERS_AT_A_TIME: usize = 6144;

impl Recommender {
    /// The users who would like a new movie best, each at the time of their last training
    /// rating. Memory is a number for each user, and the features and histories of 6,144 of
    /// them at a time.
    ///
    /// # Errors
    /// [`Error::CannotTell`] of a model that knows no newcomers, a poster that cannot be used,
    /// a poster or plot where the model looks at none, or a genre that no movie has.
    pub fn fans(&self, movie: &Newcomer, count: usize) -> Result<Vec<Fan>> {
        let mut vectors = Vec::new();
        if let Some(poster) = &movie.poster {
            vectors.push((Kind::Image.name().to_owned(), self.embed_poster(poster)?));
            self.is_wanted()?;
        }
        if let Some(plot) = movie.plot.as_deref().filter(|plot| !plot.trim().is_empty()) {
            vectors.push((Kind::Text.name().to_owned(), self.embed_plot(plot)?));
            self.is_wanted()?;
        }
        let movie = NewMovie {
            year: movie.year,
            genres: movie.genres.clone(),
            vectors,
        };
        let rate = self.loaded.model.newcomer(&movie)?;
        let rate = rate.ok_or(Error::CannotTell("who would like a new movie"))?;
        let (mut stars, mut of_some) = (Vec::new(), Vec::new());
        let users: Vec<u32> = (0..self.user_ids().len() as u32).collect();
        for some in users.chunks(USERS_AT_A_TIME) {
            self.is_wanted()?;
            rate(some, &mut of_some)?;
            check_numbers("predictions", &of_some, some.len())?;
            stars.extend_from_slice(&of_some);
        }
        let best = top_k(&stars, count, &[]).into_iter();
        let fans = best.map(|(user, stars)| Fan {
            user_id: self.user_ids()[user as usize],
            stars: self.told(stars),
        });
        Ok(fans.collect())
    }

    fn embed_poster(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        let encoders = self.loaded.encoders.get()?;
        let encoder = encoders.and_then(|it| it.images.clone());
        let encoder = encoder.ok_or_else(|| not_looked_at("poster"))?;
        let vectors = encoder.encode_images(&[encoder.prepare_image(bytes)?])?;
        Ok(vectors.into_iter().next().unwrap_or_default())
    }

    fn embed_plot(&self, plot: &str) -> Result<Vec<f32>> {
        let encoders = self.loaded.encoders.get()?;
        let encoder = encoders.and_then(|it| it.texts.clone());
        let encoder = encoder.ok_or_else(|| not_looked_at("plot"))?;
        let vectors = encoder.encode_texts(&[plot])?;
        Ok(vectors.into_iter().next().unwrap_or_default())
    }
}

fn not_looked_at(what: &'static str) -> Error {
    Error::Setting {
        setting: what,
        value: "given".to_owned(),
        rule: "the model was trained without any",
    }
}

/// The encoders of a run, which are loaded when the first poster or plot comes.
pub(super) struct LazyEncoders {
    config: ExperimentConfig,
    made_from: MadeFrom,
    loaded: Mutex<Option<Arc<Encoders>>>,
}

impl LazyEncoders {
    pub fn new(run: &SavedConfig) -> Self {
        Self {
            config: run.experiment.clone(),
            made_from: run.made_from.clone(),
            loaded: Mutex::default(),
        }
    }

    /// Those that the run was trained with, if any; others are refused.
    fn get(&self) -> Result<Option<Arc<Encoders>>> {
        let EncodersUsed { posters, plots } = &self.made_from.encoders;
        let wanted = (posters.is_some(), plots.is_some());
        if wanted == (false, false) {
            return Ok(None);
        }
        // Whoever comes while they are loaded waits for them. One that panicked loaded none.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_none() {
            let encoders = load_again(&self.config, wanted)?;
            let opened = Opened {
                folder: &self.config.out,
                made_from: &self.made_from,
            };
            opened.check_encoders(&encoders.used())?;
            *loaded = Some(Arc::new(encoders));
        }
        Ok(loaded.clone())
    }
}

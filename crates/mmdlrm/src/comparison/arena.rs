//! What all models of a comparison learn from, and are measured on.

use mmdlrm_baselines::{Entities, Role};
use mmdlrm_data::{Candidates, Credit, DataFingerprint, Interactions, Modality, Split, Target};
use mmdlrm_features::{Dataset, TrainingData};

use super::contestants::Contestant;
use super::measure::HeldOut;
use super::ranked::Ranked;
use crate::release::Release;
use crate::sources::Sources;
use crate::{BestContext, Error, ExperimentConfig, Observer, Result, SplitConfig};

/// Share of the training ratings that settings and epochs are chosen by.
pub(super) const VALIDATION: f64 = 0.1;

/// What all models learn from, and are measured on.
pub(super) struct Arena {
    pub split: SplitConfig,
    candidates: Option<Candidates>,
    /// What is known of movies beside years, genres and content.
    pub entities: Entities,
    pub fingerprint: DataFingerprint,
    /// All training rows, and what is held out.
    pub whole: Dataset,
    /// The training rows less the validation rows, which it knows as such.
    pub less: Dataset,
    /// The same, and in place of what is held out the validation rows.
    pub inner: Dataset,
    pub ranked: Ranked,
    contexts: Contexts,
}

/// The same with the context that [`Best`](crate::Best) looks at, made where it is asked for.
struct Contexts {
    interactions: Interactions,
    modalities: Vec<Modality>,
}

impl Arena {
    pub fn read(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        let mut sources = Sources::open_part(config, observer)?;
        let modalities = sources.encode(observer)?.list;
        let Release::Whole {
            interactions,
            split,
            candidates,
            ..
        } = sources.release
        else {
            return Err(Error::Setting {
                setting: "stream",
                value: "true".to_owned(),
                rule: "models are compared on ratings in memory",
            });
        };
        let interactions = *interactions;
        let ratings = &interactions.ratings;
        let of_validation = split
            .clone()
            .with_validation(VALIDATION, ratings)
            .map_err(Error::TooFewToValidate)?;
        let (train, validation) = (of_validation.train(), of_validation.validation());
        let inner = Split::new(ratings.len(), train.to_vec(), validation.to_vec())?;
        let negatives = config.negatives;
        let dataset = |split| {
            let data = Dataset::new(&interactions, split, modalities.clone())?;
            // Only what learns single rows looks at them.
            match data.features().target() {
                Target::Implicit => data.with_negatives(negatives),
                _ => Ok(data),
            }
        };
        let whole = dataset(split)?;
        let mut fingerprint = whole.fingerprint();
        if let Some(candidates) = &candidates {
            fingerprint = fingerprint.with(candidates.fingerprint());
        }
        let mut entities = Entities::of_tags(&interactions)?;
        if let Some(path) = &config.credits {
            let mut others = 0;
            for credit in Credit::read_all(path)? {
                match Role::of(&credit.role) {
                    Some(role) => entities.add_credit(credit.movie_id, role, &credit.name),
                    None => others += 1,
                }
            }
            if others > 0 {
                observer.note(&format!(
                    "metapaths are of directors, actors and writers: {others} credits of other roles \
                     are left out of them"
                ));
            }
        }
        let inner = dataset(inner)?;
        Ok(Self {
            ranked: Ranked::draw(config, &whole, &inner)?,
            split: config.split.clone(),
            fingerprint,
            less: dataset(of_validation)?,
            inner,
            whole,
            entities,
            candidates,
            contexts: Contexts {
                interactions,
                modalities,
            },
        })
    }

    /// Whether it is known when interactions were.
    pub fn has_times(&self) -> bool {
        self.contexts.interactions.has_times
    }

    /// What is held out, to be measured on.
    pub fn held_out<'a>(&'a self, data: &'a dyn TrainingData) -> HeldOut<'a> {
        HeldOut {
            data,
            split: &self.split,
            candidates: self.candidates.as_ref(),
            users: self.ranked.held_out.as_deref(),
        }
    }

    /// The validation rows, likewise: candidates have no other movies for them.
    pub fn validation<'a>(&'a self, data: &'a dyn TrainingData) -> HeldOut<'a> {
        HeldOut {
            data,
            split: &self.split,
            candidates: None,
            users: self.ranked.validation.as_deref(),
        }
    }

    /// All training rows as a model looks at them.
    pub fn whole_for(&self, contestant: &Contestant) -> Result<Option<Dataset>> {
        if !contestant.needs_context {
            return Ok(None);
        }
        let Contexts {
            interactions,
            modalities,
        } = &self.contexts;
        let data = Dataset::new(interactions, self.whole.split().clone(), modalities.clone())?;
        let context = BestContext {
            timestamps: interactions.has_times,
            ..BestContext::default()
        };
        Ok(Some(data.with_context(context.of_batches())?))
    }
}

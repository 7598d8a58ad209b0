//! What a model needs of the data once it is trained, in files of its own.

mod histories;
pub(crate) mod of_users;
pub(crate) mod tensors;

use std::sync::Arc;

pub use histories::{Histories, UserRatings};

use crate::{Features, TrainingData};
use mmdlrm_data::Result;

/// What is known of users and movies where a model is asked: the [`Features`] that it was
/// trained on, and what each user rated.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, Features, Histories, Known, TrainingData};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let known = Known::of(&dataset)?;
/// let user = known.histories().user(0)?;
/// assert!(user.rows().trained.len() > user.rows().held_out.len());
///
/// // In files, which need neither the ratings nor what encoded anything.
/// let path = folder.join("histories.safetensors");
/// Histories::write(&dataset, "a run", &std::fs::File::create(&path)?, &path)?;
/// let histories = Histories::open(&path, "a run", movielens.movies.len())?;
/// let file = dataset.features().to_safetensors()?;
/// let features = Features::from_safetensors(&file, &movielens.movies, &histories)?;
/// let again = Known::new(features, histories);
/// assert_eq!(again.features().fingerprint(), known.features().fingerprint());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Known {
    features: Features,
    histories: Arc<Histories>,
}

impl Known {
    /// Of features, and the histories that they were made of.
    pub fn new(features: Features, histories: Histories) -> Self {
        Self {
            features,
            histories: Arc::new(histories),
        }
    }

    /// What a model that is trained on `data` will need of them. The histories are in memory,
    /// 12 bytes a rating.
    ///
    /// # Errors
    /// As [`TrainingData::users`].
    pub fn of(data: &dyn TrainingData) -> Result<Self> {
        Ok(Self::new(data.features().clone(), Histories::of(data)?))
    }

    /// Users, movies and what is computed of them.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// What each user rated.
    pub fn histories(&self) -> &Histories {
        &self.histories
    }
}

/// What is wrong with a file, in words.
pub(crate) fn problem(text: impl Into<String>) -> tensors::Source {
    text.into().into()
}

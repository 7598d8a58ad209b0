//! What most rated.

use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Rated, RatedBag};
use mmdlrm_features::{Features, Known, TrainingData};
use mmdlrm_train::{Error, Fit, Kept, Persist, Ranker, Result, Session, Tensors, Visitor, Who};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use mmdlrm_train::check_rows;

/// How a [`Popularity`] is fitted: there is one way.
///
/// ```
/// use mmdlrm_baselines::PopularityConfig;
///
/// assert_eq!(PopularityConfig::default(), PopularityConfig {});
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PopularityConfig {}

/// The number of training ratings of each item, `[items]`, for everybody: what any other model
/// should beat.
///
/// ```
/// use mmdlrm_baselines::PopularityConfig;
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, TrainingData};
/// use mmdlrm_train::{Fit, Ranker, Session, Who};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let popularity = PopularityConfig::default().fit(&dataset, Session::default())?;
///
/// let mut scores = Vec::new();
/// popularity.score(Who::Users(&[0]), &mut scores)?;
/// assert_eq!(scores.iter().sum::<f32>() as usize, dataset.training_rows());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    /// How often each item was rated.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }
}

impl Fit for PopularityConfig {
    type Model = Popularity;

    fn check(&self, features: &Features) -> Result<Value> {
        Ok(json!({ "items": features.movies().len() }))
    }

    fn fit(&self, data: &dyn TrainingData, _session: Session) -> Result<Popularity> {
        let mut counts = vec![0u32; data.features().movies().len()];
        data.for_each_user(|user| {
            let RatedBag { ids, .. } = user.trained;
            ids.iter().for_each(|&movie| counts[movie as usize] += 1);
            Ok::<_, Error>(())
        })?;
        Ok(Popularity {
            counts: counts.into_iter().map(|count| count as f32).collect(),
        })
    }
}

impl Ranker for Popularity {
    fn parameters(&self) -> usize {
        self.counts.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        scores.clear();
        (0..who.len()).for_each(|_| scores.extend(&self.counts));
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        let movies = ratings.iter().map(|rated| rated.movie);
        check_rows("movie", movies, self.counts.len())?;
        Ok(Visitor::new(ratings.to_vec(), ()))
    }
}

impl Persist for Popularity {
    fn kind() -> &'static str {
        "popularity"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        tensors.put("counts", &self.counts);
        tensors.to_safetensors(&PopularityConfig::default())
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (PopularityConfig {}, kept) = Kept::from_safetensors(file)?;
        let mut counts = vec![0.0; known.features().movies().len()];
        kept.load("counts", &mut counts)?;
        Ok(Self { counts })
    }
}
